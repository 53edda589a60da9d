//! What the tests of all crates share.

pub mod fault;
pub mod store;
