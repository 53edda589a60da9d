//! `run: NAME`, with its input under `with`: an action of `actions:`, as part of this run.
//!
//! It sees its input and nothing of what is around it, so that it means the same wherever it is run from.

mod config;
#[expect(clippy::module_inception, reason = "what runs a pattern is called `run` in each")]
mod run;

pub(crate) use config::Kind;
