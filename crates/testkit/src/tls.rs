//! Certificates for tests of TLS. Made once, valid for a hundred years, and of no use anywhere else.
//!
//! `server.pem` is for `localhost` and 127.0.0.1, from the authority of `ca.pem`.

use std::path::{Path, PathBuf};

/// A file of the authority's certificate.
pub fn ca() -> PathBuf {
    file("ca.pem")
}

/// A file of the certificate of an authority that has nothing to do with the others.
pub fn other_ca() -> PathBuf {
    file("other-ca.pem")
}

/// A file of the server's certificate.
pub fn server() -> PathBuf {
    file("server.pem")
}

/// A file of the server's key.
pub fn server_key() -> PathBuf {
    file("server.key")
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tls").join(name)
}
