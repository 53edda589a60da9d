//! Certificates: which servers are trusted, and with what Renkei says who it is (mutual TLS).

use std::{fmt::Display, path::Path};

use renkei_core::{
    ConnectContext, Diagnostic, Diagnostics, Error, Node, Result,
    tls::{Pem, TlsVersion},
};
use renkei_derive::FromNode;
use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

/// How connections are encrypted, where the defaults are not enough.
#[derive(Debug, FromNode)]
#[config(check = check)]
pub(crate) struct TlsConfig {
    /// The certificate (PEM) that Renkei shows to the server, followed by those between it and its authority.
    /// A file, relative to the folder of the config, or the text itself: `'${env.CLIENT_CERT}'`.
    cert: Option<Pem>,
    /// The private key (PEM, not encrypted) of `cert`: a file, or the text itself.
    key: Option<Pem>,
    /// The authorities (PEM) that the server's certificate must come from, instead of the machine's: a file, or
    /// the text itself.
    ca: Option<Pem>,
    /// The oldest version of TLS that is spoken, `1.2` or `1.3`. 1.2 without it.
    min_version: Option<TlsVersion>,
}

fn check(tls: &TlsConfig, node: &Node, d: &mut Diagnostics) {
    let (present, missing) = match (&tls.cert, &tls.key) {
        (Some(_), None) => ("cert", "key"),
        (None, Some(_)) => ("key", "cert"),
        _ => return,
    };
    let span = node.entry(present).map_or(node.span, |entry| entry.key_span);
    d.push(
        Diagnostic::error(span, format!("`tls` has `{present}` but no `{missing}`"))
            .hint("a client certificate and its private key belong together; add the other one"),
    );
}

fn read_pem(pem: &Pem, base_dir: &Path) -> std::io::Result<Vec<u8>> {
    match pem {
        Pem::File(path) => std::fs::read(base_dir.join(path)),
        Pem::Text(text) => Ok(text.expose().as_bytes().to_vec()),
    }
}

/// What was read from the files of a [`TlsConfig`].
#[derive(Debug, Default)]
pub(crate) struct Material {
    /// Instead of the machine's.
    roots: Option<Vec<reqwest::Certificate>>,
    identity: Option<reqwest::Identity>,
    min_version: Option<reqwest::tls::Version>,
}

impl Material {
    /// Reads and checks the files. `place` is where the config stands in the system's, such as `tls`.
    ///
    /// # Errors
    /// A file that cannot be read or holds something else; a key that is not the certificate's.
    pub(super) fn read(
        system: &str,
        place: &str,
        config: Option<&TlsConfig>,
        cx: &ConnectContext,
    ) -> Result<Self> {
        let Some(config) = config else { return Ok(Material::default()) };
        let fail = |key: &str, pem: &Pem, what: &str, why: &dyn Display| {
            let text = format!("connect `{system}`: {} (`{place}.{key}`) {what}", pem.quoted());
            Error::unavailable(text).detail(why)
        };
        let read = |key: &str, pem: &Pem| {
            read_pem(pem, &cx.base_dir).map_err(|why| fail(key, pem, "cannot be read; check its path", &why))
        };
        let certificates = |key: &str, pem: &Pem| -> Result<Vec<CertificateDer<'static>>> {
            let bytes = read(key, pem)?;
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
            let found = found.map_err(|why| fail(key, pem, "is not a valid PEM file", &why))?;
            if found.is_empty() {
                let what = "holds no certificate; it needs a part `-----BEGIN CERTIFICATE-----`";
                return Err(fail(key, pem, what, &"no such part"));
            }
            Ok(found)
        };
        let roots = match &config.ca {
            None => None,
            Some(pem) => {
                let found = certificates("ca", pem)?;
                let mut store = rustls::RootCertStore::empty();
                for certificate in &found {
                    store
                        .add(certificate.clone())
                        .map_err(|why| fail("ca", pem, "holds a certificate that cannot be used", &why))?;
                }
                let found: Result<Vec<_>, _> =
                    found.iter().map(|found| reqwest::Certificate::from_der(found)).collect();
                Some(found.map_err(|why| fail("ca", pem, "cannot be used", &why))?)
            }
        };
        let identity = match (&config.cert, &config.key) {
            (Some(cert), Some(key)) => {
                let chain = certificates("cert", cert)?;
                let bytes = read("key", key)?;
                let private = PrivateKeyDer::from_pem_slice(&bytes).map_err(|why| {
                    let what = match String::from_utf8_lossy(&bytes).contains("ENCRYPTED") {
                        true => "is encrypted; give the key without a passphrase, as from a secret store",
                        false => "holds no private key; it needs a part `-----BEGIN PRIVATE KEY-----`",
                    };
                    fail("key", key, what, &why)
                })?;
                CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(|why| {
                    let what =
                        format!("is not the key of the certificate in {} (`{place}.cert`)", cert.quoted());
                    fail("key", key, &what, &why)
                })?;
                let both = [&bytes[..], b"\n", &read("cert", cert)?].concat();
                let identity = reqwest::Identity::from_pem(&both);
                Some(identity.map_err(|why| fail("cert", cert, "cannot be used", &why))?)
            }
            _ => None,
        };
        let min_version = config.min_version.map(|version| match version {
            TlsVersion::Tls12 => reqwest::tls::Version::TLS_1_2,
            TlsVersion::Tls13 => reqwest::tls::Version::TLS_1_3,
        });
        Ok(Material { roots, identity, min_version })
    }

    pub(super) fn add_to(&self, mut builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        if let Some(roots) = &self.roots {
            builder = builder.tls_certs_only(roots.iter().cloned());
        }
        if let Some(identity) = &self.identity {
            builder = builder.identity(identity.clone());
        }
        if let Some(version) = self.min_version {
            builder = builder.tls_version_min(version);
        }
        builder
    }
}
