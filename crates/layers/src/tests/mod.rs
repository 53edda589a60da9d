//! The layers around a system that follows a script, on virtual time.

mod config;
mod order;
mod retry;
mod script;
