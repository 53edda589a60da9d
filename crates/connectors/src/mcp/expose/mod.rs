//! Tools of a server that are served as this server's own: which, under which names, and how their list is kept up to
//! date.
//!
//! Reading order: `config` (what stands under `expose:`), `list` (what the server has), `offer` (what is made of it), `keep`
//! (the task that looks again when the server says that something changed).

mod config;
mod keep;
mod list;
mod offer;

pub(super) use self::{config::Expose, keep::start};
