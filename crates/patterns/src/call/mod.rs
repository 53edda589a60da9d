//! Request-response: one call on one system, and its reply is the result.
//!
//! `call: { SYSTEM: OPERATION }`. Beside the connector's own keys, an operation that is a mapping
//! may have `reject_when`: what the reply says in a business sense, since a system may answer
//! "no" with a perfectly good status. Beside the operation stand what its layers do otherwise for this
//! call, and what it makes untrue in caches.
//!
//! Where the replies are pages of a list, `pages` reads one after the other: the result is the list.

mod config;
mod invalidates;
mod pages;
mod run;

#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod tests;

pub(crate) use config::Kind;
pub(crate) use run::CallAction;
