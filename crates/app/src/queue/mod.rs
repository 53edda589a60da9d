//! `renkei queue` and `renkei dead`: the queues in the config's store, while servers work on it or not.

mod dead;
mod list;
mod progress;

pub(crate) use dead::run as dead;
pub(crate) use list::run as queue;
