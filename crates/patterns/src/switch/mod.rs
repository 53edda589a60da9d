//! The first case that fits: `switch: [{ when: '${…}', ACTION }, …]`, with `else: { ACTION }` beside it.

mod config;
mod run;

#[cfg(test)]
mod tests;

pub(crate) use config::Kind;
