//! One action for each element of a list: `map: { in: '${…}', ACTION }`.

mod config;
mod run;

#[cfg(test)]
mod tests;

pub(crate) use config::Kind;
