//! The layers around a system that follows a script, on virtual time.

mod breaker;
mod cache;
mod config;
mod order;
mod rate;
mod retry;
mod script;
mod whole;
