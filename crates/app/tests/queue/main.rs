//! Queues, with the built binary on a SQLite file, checked from outside: by an HTTP server that counts effects.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod house;

mod batches;
mod check;
mod consumers;
mod kills;
mod many;
mod messages;
mod once;
mod operators;
mod outage;
mod processes;
mod resources;
mod schedules;
