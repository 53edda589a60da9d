//! What the tests of all crates share.

#[cfg(feature = "collector")]
pub mod collector;
pub mod fault;
pub mod mariadb;
pub mod postgres;
#[cfg(feature = "secure")]
pub mod secure;
#[cfg(feature = "stores")]
pub mod store;
pub mod tls;
#[cfg(feature = "upstream")]
pub mod upstream;
