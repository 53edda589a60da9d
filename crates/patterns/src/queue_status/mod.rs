//! How a queue stands, for a tool or a resource: `queue_status: QUEUE`.

mod config;
mod run;

pub(crate) use config::Kind;
