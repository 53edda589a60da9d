#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "tasks/asking.rs"]
mod asking;
#[path = "tasks/killed.rs"]
mod killed;
#[path = "tasks/ledger.rs"]
mod ledger;
#[path = "tasks/nodes.rs"]
mod nodes;
#[path = "tasks/protocol.rs"]
mod protocol;
#[path = "tasks/rounds.rs"]
mod rounds;
#[path = "tasks/server.rs"]
mod server;
