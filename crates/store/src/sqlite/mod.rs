//! A store in one SQLite file: the default, for one machine.
//!
//! All writes go through one thread with one connection. It takes whatever waits as a group and does it in one
//! transaction, so that many batches share one `fsync`; nobody is answered before the `COMMIT` has returned
//! (WAL, `synchronous=FULL`). A batch is checked by reading before anything of it is written: a refused one costs its
//! neighbours nothing. A few threads read beside it, each in its own snapshot.
//!
//! Other processes may open the same file: each takes the lock for its groups only, and learns of the others' commits by
//! `PRAGMA data_version`.
//!
//! Reading order: how it is opened, the store, its threads, then one group: what a batch does, what a claim does.

mod migrations;
mod open;
mod store;

mod readers;
mod writer;

mod cells;
mod claim;
mod enqueue;
mod group;
mod jobs;
mod log;

mod read;
mod rows;

mod check;
mod error;
mod upkeep;

pub use open::Options;
pub use store::SqliteStore;
