//! Stores: where everything durable is kept. The port is `renkei_core::store`.
//!
//! One folder an engine, the same questions in each: how it is opened, how a batch is done, how things are read, how it
//! is kept in order. `tests/behaviour` is one suite for all of them.

pub mod postgres;
pub mod sqlite;

pub mod sealed;

mod measure;
