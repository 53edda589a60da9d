//! What the tests of all crates share.

pub mod fault;
pub mod mariadb;
pub mod postgres;
#[cfg(feature = "secure")]
pub mod secure;
#[cfg(feature = "stores")]
pub mod store;
pub mod tls;
