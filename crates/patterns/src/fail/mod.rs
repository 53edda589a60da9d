//! Fails on purpose: `fail: { kind: rejected, message: '…' }`.

mod config;
mod run;

#[cfg(test)]
mod tests;

pub(crate) use config::Kind;
