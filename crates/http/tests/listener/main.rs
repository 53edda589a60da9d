//! Who may come in, and what a listener does with those who do.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

mod access;
mod auth;
mod client;
mod connections;
mod intake;
mod secure;
mod served;
mod wire;
