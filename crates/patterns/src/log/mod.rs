//! A line in the server's log: `log: { message: '…', fields: { … } }`.

mod config;
mod run;

#[cfg(test)]
mod tests;

pub(crate) use config::Kind;
