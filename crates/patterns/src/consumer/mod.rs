//! A queue whose consumer calls tools: `receive` leases messages, `ack`, `nack` and `extend` say what becomes of them.
//!
//! A message is with its receiver until the lease ends, and comes again if it was not acknowledged by then: nothing is
//! lost when a receiver forgets. A receipt is good for whoever received, and for one lease.

mod config;
mod receipt;
mod receive;
mod settle;

pub(crate) use config::{Ack, Extend, Nack, Receive};
