//! Request-response: one call on one system, and its reply is the result.
//!
//! `call: { SYSTEM: OPERATION }`. Beside the connector's own keys, an operation that is a mapping
//! may have `reject_when`: what the reply says in a business sense, since a system may answer
//! "no" with a perfectly good status.

mod config;
mod run;

#[cfg(test)]
mod tests;

pub(crate) use config::Kind;
