//! One action for each element of a list: `for_each` of a branch, and `map`.

mod config;
mod run;

pub(crate) use config::{FanOut, FanOutConfig};
