//! The built binary while what is behind it, or before it, fails: whatever happens is said as it is, and nothing is
//! left behind.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod cancelled;
mod databases;
mod load;
mod serving;
