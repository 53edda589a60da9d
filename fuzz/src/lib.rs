//! The targets, by the functions that the tests of the binary call, too: `crates/app/tests/fuzz`.

#[path = "../../crates/app/tests/fuzz/targets.rs"]
#[allow(unreachable_pub, dead_code, reason = "written for a test")]
mod targets;

pub use targets::{TARGETS, seeds};
