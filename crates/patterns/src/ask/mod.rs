//! A question to whoever called: `ask: TEXT`, or `ask: { form | url | sample | roots }`, with `then: { ACTION }` and
//! `declined: { ACTION }` beside it.
//!
//! A yes or no, a form and a page are for the caller's user; a sample is for its model; roots are for itself.
//! The caller may answer while the run waits, or with a later call: that is `cx.ask`'s business.

mod config;
mod form;
mod run;
mod sample;

#[cfg(test)]
mod tests;

pub(crate) use config::Kind;
