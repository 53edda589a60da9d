//! The certificate of the listener, from the files or texts that the config names.

use std::{
    fs,
    path::{Path, PathBuf},
};

use renkei_config::TlsConfig;
use renkei_core::tls::{Pem, TlsVersion};
use renkei_http::{BadIdentity, Identity};

/// More is no certificate.
const MAX_PEM_BYTES: u64 = 1024 * 1024;

/// Reads both parts and checks that they belong together.
///
/// # Errors
/// A sentence that names the key of the config.
pub(crate) fn read(config: &TlsConfig, base_dir: &Path) -> Result<Identity, String> {
    let read = |pem: &Pem, key: &str| {
        bytes(pem, base_dir).map_err(|why| {
            format!("{} (`server.tls.{key}`) cannot be read: {why}; check its path", pem.quoted())
        })
    };
    let (certificate, key) = (read(&config.cert, "cert")?, read(&config.key, "key")?);
    let only_newest = config.min_version == Some(TlsVersion::Tls13);
    Identity::from_pem(&certificate, &key, only_newest).map_err(|bad| match bad {
        BadIdentity::Certificate(why) => format!("{} (`server.tls.cert`) {why}", config.cert.quoted()),
        BadIdentity::Key(why) => format!("{} (`server.tls.key`) {why}", config.key.quoted()),
    })
}

/// The files that are read.
pub(crate) fn files(config: &TlsConfig, base_dir: &Path) -> Vec<PathBuf> {
    let file = |pem: &Pem| match pem {
        Pem::File(path) => Some(base_dir.join(path)),
        Pem::Text(_) => None,
    };
    [&config.cert, &config.key].into_iter().filter_map(file).collect()
}

fn bytes(pem: &Pem, base_dir: &Path) -> std::io::Result<Vec<u8>> {
    let path = match pem {
        Pem::File(path) => base_dir.join(path),
        Pem::Text(text) => return Ok(text.expose().as_bytes().to_vec()),
    };
    let found = fs::metadata(&path)?;
    if !found.is_file() || found.len() > MAX_PEM_BYTES {
        let why = format!("it is no file of at most {MAX_PEM_BYTES} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, why));
    }
    fs::read(path)
}
