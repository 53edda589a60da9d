//! How a PostgreSQL server is reached: what its URL says, and how the connection is encrypted.
//!
//! The connector `postgres` and the store on PostgreSQL both need it, and neither knows the other.

mod tls;
mod url;

pub use tls::connector;
pub use url::{Target, Wrong};

use renkei_derive::FromNode;

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromNode)]
pub enum Tls {
    /// Not at all.
    Disable,
    /// If the server can; whoever it is.
    Prefer,
    /// Always; whoever it is. Protects from those who listen, not from those who pretend to be the server.
    Require,
    /// Always; the certificate must be valid for the host.
    Verify,
}
