//! The server as clients of both eras see it, on the wire: raw HTTP, raw lines, and rmcp's client.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]
mod batch;
mod client;
mod direct;
mod exact;
mod fake;
mod groups;
mod http;
mod limits;
mod log;
mod malformed;
mod reading;
mod replace;
mod stdio;
mod subscriptions;
mod wire;
