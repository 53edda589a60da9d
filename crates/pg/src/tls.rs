//! Encrypted connections.

use std::{path::Path, sync::Arc};

use renkei_core::{Error, Result};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Target, Tls};

/// What opens encrypted connections to the target. Reads certificates from files, relative to `base_dir`. `system` is
/// who is named in errors.
///
/// # Errors
/// `unavailable` for certificates that cannot be read or used.
pub fn connector(system: &str, target: &Target, base_dir: &Path) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().map_err(
            |why| Error::internal(format!("connect `{system}`: no TLS version can be used")).detail(why),
        )?;
    let config = match target.tls {
        Tls::Verify => {
            let roots = match &target.ca {
                Some(ca) => from_file(system, ca, base_dir)?,
                None => from_machine(system)?,
            };
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Tls::Disable | Tls::Prefer | Tls::Require => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth(),
    };
    Ok(MakeRustlsConnect::new(config))
}

fn from_file(system: &str, ca: &Path, base_dir: &Path) -> Result<RootCertStore> {
    let path = base_dir.join(ca);
    let fail = |what: &str, why: &dyn std::fmt::Display| {
        let text = format!("connect `{system}`: the certificates in `{}` {what}; correct `ca`", ca.display());
        Error::unavailable(text).detail(format!("{}: {why}", path.display()))
    };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(&path).map_err(|why| fail("cannot be read", &why))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|why| fail("cannot be read", &why))?;
        roots.add(certificate).map_err(|why| fail("cannot be used", &why))?;
    }
    if roots.is_empty() {
        return Err(fail("are none", &"no certificate is in it"));
    }
    Ok(roots)
}

fn from_machine(system: &str) -> Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let text = format!(
            "connect `{system}`: the certificates of this machine cannot be read; install `ca-certificates`, or set `ca`"
        );
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(Error::unavailable(text).detail(why.join("; ")));
    }
    Ok(roots)
}

/// `tls: require`: whoever holds the key of the certificate that was shown.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
