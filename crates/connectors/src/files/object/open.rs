//! From the config to a store. Nothing is sent yet.

use std::sync::Arc;

use base64::Engine as _;
use opendal_core::Operator;
use opendal_service_s3::S3 as S3Builder;
use opendal_service_webdav::Webdav as WebdavBuilder;
use renkei_core::{ConnectContext, Error, Result, Secret, read};

use super::{
    super::config::{Config, S3, Webdav},
    Objects,
    transport::Wire,
};
use crate::http::{
    client::{Settings, Tls, client},
    guard::{GuardedResolver, Lookup},
};

/// An answer about files may be as large as this, whatever is read of their content.
const MAX_WORDS: u64 = 16 << 20;

impl Objects {
    pub(in super::super) fn s3(
        system: &str,
        config: &Arc<Config>,
        s3: &S3,
        lookup: Arc<dyn Lookup>,
        cx: &ConnectContext,
    ) -> Result<Objects> {
        let address = s3.address();
        let mut builder = S3Builder::default()
            .bucket(&s3.bucket)
            .region(&s3.region)
            .endpoint(&address)
            .root(&s3.prefix)
            .disable_config_load()
            .disable_ec2_metadata();
        if !s3.has_path_style() {
            builder = builder.enable_virtual_host_style();
        }
        let mut secrets = Vec::new();
        match (&s3.access_key_id, &s3.secret_access_key) {
            (Some(id), Some(secret)) => {
                builder = builder.access_key_id(id.expose()).secret_access_key(secret.expose());
                secrets.extend([id.clone(), secret.clone()]);
            }
            _ => builder = builder.skip_signature(),
        }
        if let Some(token) = &s3.session_token {
            builder = builder.session_token(token.expose());
            secrets.push(token.clone());
        }
        let wire = wire(system, config, address.starts_with("https:"), lookup, secrets, cx)?;
        Ok(Objects {
            operator: built(system, Operator::new(builder))?,
            wire,
            config: config.clone(),
            is_webdav: false,
        })
    }

    pub(in super::super) fn webdav(
        system: &str,
        config: &Arc<Config>,
        webdav: &Webdav,
        lookup: Arc<dyn Lookup>,
        cx: &ConnectContext,
    ) -> Result<Objects> {
        let mut builder = WebdavBuilder::default().endpoint(webdav.url.as_str().trim_end_matches('/'));
        let mut secrets = Vec::new();
        if let (Some(user), Some(password)) = (&webdav.user, &webdav.password) {
            builder = builder.username(user).password(password.expose());
            let pair = format!("{user}:{}", password.expose());
            let pair = base64::engine::general_purpose::STANDARD.encode(pair);
            secrets.extend([Secret::new(pair), password.clone()]);
        }
        if let Some(token) = &webdav.token {
            builder = builder.token(token.expose());
            secrets.push(token.clone());
        }
        let wire = wire(system, config, webdav.url.scheme() == "https", lookup, secrets, cx)?;
        Ok(Objects {
            operator: built(system, Operator::new(builder))?,
            wire,
            config: config.clone(),
            is_webdav: true,
        })
    }
}

fn wire(
    system: &str,
    config: &Config,
    tls: bool,
    lookup: Arc<dyn Lookup>,
    secrets: Vec<Secret>,
    cx: &ConnectContext,
) -> Result<Arc<Wire>> {
    let resolver = GuardedResolver::new(lookup, config.private);
    let tls = if tls { Tls::Always } else { Tls::Never };
    let settings = Settings { read_timeout: cx.read_timeout, ..Settings::new(tls, resolver, cx.timeout) };
    Ok(Arc::new(Wire {
        client: client(system, &settings)?,
        private: config.private,
        connect_timeout: cx.timeout,
        max_answer: read::Bytes(config.max_bytes.0.saturating_add(MAX_WORDS)),
        secrets,
    }))
}

fn built(system: &str, operator: opendal_core::Result<Operator>) -> Result<Operator> {
    operator.map_err(|why| {
        Error::internal(format!("the store of system `{system}` cannot be used; check its config"))
            .detail(why)
    })
}
