//! Tasks of the built binary: what clients see, what operators see, and what is left when the process is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "tasks/asking.rs"]
mod asking;
#[path = "tasks/killed.rs"]
mod killed;
#[path = "tasks/ledger.rs"]
mod ledger;
#[path = "tasks/nodes.rs"]
mod nodes;
#[path = "tasks/operators.rs"]
mod operators;
#[path = "tasks/protocol.rs"]
mod protocol;
#[path = "tasks/rounds.rs"]
mod rounds;
#[path = "tasks/server.rs"]
mod server;
