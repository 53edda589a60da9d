//! A value from templates: `transform: { total: '${.a + .b}' }`. It reaches no system.

mod config;
mod run;

#[cfg(test)]
mod tests;

pub(crate) use config::Kind;
