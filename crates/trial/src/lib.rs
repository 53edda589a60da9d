//! Runs the tests of a config: real tools and real layers on systems that answer as told, in virtual time.
//!
//! Reading order: [`stage`] puts mocks in the places of the systems, `pad` one in that of the store, [`compare`] says where two values
//! differ, [`run`] runs a test and judges it, [`report`] tells people and programs. To record a test, [`live`] runs it
//! on live systems, and [`settle`] makes mocks of what came.

pub mod compare;
pub mod stage;

mod audience;
mod pad;

pub mod run;

pub mod live;

mod clean;
pub mod settle;

pub mod report;

pub use live::{Limits, Take, take};
pub use pad::Pad;
pub use report::{Place, junit, text, to_value};
pub use run::{Problem, Rehearse, Verdict, run_all, settle_all};
pub use settle::{Hand, Settled};
