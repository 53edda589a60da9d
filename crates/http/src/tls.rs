//! Encrypted connections: the certificate that the listener shows, which may be replaced while connections live.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};

/// What clients may choose from (RFC 7301), best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A certificate with its chain and its key, checked: what new connections are shown.
#[derive(Clone)]
pub struct Identity(Arc<ServerConfig>);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

/// Why there is no [`Identity`]. Each is a fragment that fits after the name of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadIdentity {
    /// Of the certificate's PEM.
    Certificate(String),
    /// Of the key's PEM.
    Key(String),
}

impl Identity {
    /// From PEM texts (RFC 7468): the server's certificate followed by those between it and its authority, and its
    /// private key, unencrypted. `only_newest` leaves out TLS 1.2 and speaks 1.3 alone.
    ///
    /// # Errors
    /// Something else than PEM; no such part; a key that is not the certificate's.
    pub fn from_pem(certificate: &[u8], key: &[u8], only_newest: bool) -> Result<Self, BadIdentity> {
        let provider = Arc::new(ring::default_provider());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain =
            chain.map_err(|why| BadIdentity::Certificate(format!("is not a valid PEM file: {why}")))?;
        if chain.is_empty() {
            let why = "holds no certificate; it needs a part `-----BEGIN CERTIFICATE-----`";
            return Err(BadIdentity::Certificate(why.to_owned()));
        }
        let private = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            let why = match String::from_utf8_lossy(key).contains("ENCRYPTED") {
                true => "is encrypted; give the key without a passphrase, as from a secret store",
                false => "holds no private key; it needs a part `-----BEGIN PRIVATE KEY-----`",
            };
            BadIdentity::Key(why.to_owned())
        })?;
        let pair = CertifiedKey::from_der(chain, private, &provider).map_err(|why| match why {
            rustls::Error::InconsistentKeys(_) => {
                BadIdentity::Key("is not the key of the certificate".into())
            }
            rustls::Error::InvalidCertificate(why) => {
                BadIdentity::Certificate(format!("holds a certificate that cannot be used: {why}"))
            }
            why => BadIdentity::Key(format!("cannot be used: {why}")),
        })?;
        let versions: &[_] = if only_newest { &[&TLS13] } else { &[&TLS13, &TLS12] };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|why| BadIdentity::Key(format!("cannot be used: {why}")))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Ok(Identity(Arc::new(config)))
    }
}

/// The identity that a listener shows now. Clones share it.
#[derive(Clone, Debug)]
pub struct Tls(Arc<RwLock<Identity>>);

impl Tls {
    pub fn new(identity: Identity) -> Self {
        Tls(Arc::new(RwLock::new(identity)))
    }

    /// New handshakes use `identity`, and resume no session of the one before; connections that are open stay.
    pub fn replace(&self, identity: Identity) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identity;
    }

    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}
