//! Queues, with the built binary on a SQLite file, checked from outside: by an HTTP server that counts effects.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod house;

mod check;
mod consumers;
mod kills;
mod messages;
mod once;
mod operators;
mod processes;
