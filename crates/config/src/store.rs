//! `server.store` – where durable data is kept.

use std::path::PathBuf;

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, FromNode, Node, NodeKind, Schema, Secret, Value, read::wrong,
};
use renkei_derive::FromNode;
use url::Url;

/// Where durable data is kept, and with which keys.
#[derive(Clone, Debug, Default)]
pub struct StoreConfig {
    pub place: StorePlace,
    /// The first one encrypts, all of them decrypt; empty for a store without encryption.
    pub keys: Vec<Secret>,
}

/// Which database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// A database file of this machine.
    Sqlite(PathBuf),
    /// The URL of a PostgreSQL database; it may hold a password.
    Postgres(Secret),
}

/// The long form.
#[derive(Clone, Debug, FromNode)]
#[config(check = check)]
struct StoreForm {
    /// `sqlite:PATH` (relative to the config's folder) or `postgres://…`.
    #[config(default = "sqlite:renkei.db")]
    url: StorePlace,
    /// Encrypts stored arguments, results and messages (AES-256-GCM). At least 32 characters, best from
    /// `openssl rand -hex 32`. Whoever loses it loses what it encrypted.
    key: Option<Secret>,
    /// Keys that were `key` before: they still decrypt.
    #[config(default)]
    old_keys: Vec<Secret>,
}

/// Characters of a key, at least.
const MIN_KEY: usize = 32;

fn check(form: &StoreForm, node: &Node, d: &mut Diagnostics) {
    let place = |key: &str| node.get(key).map_or(node.span, |value| value.span);
    let short = |secret: &Secret| secret.expose().len() < MIN_KEY && !node.has_unknown();
    for (key, short) in [("key", form.key.iter().any(short)), ("old_keys", form.old_keys.iter().any(short))] {
        if short {
            let message = format!("the key of the store has less than {MIN_KEY} characters");
            d.push(
                Diagnostic::error(place(key), message).hint(
                    "make one with `openssl rand -hex 32`, and read it with `${env.X}` or `${file[…]}`",
                ),
            );
        }
    }
    if form.key.is_none() && !form.old_keys.is_empty() {
        d.push(
            Diagnostic::error(place("old_keys"), "there are old keys, and none that encrypts")
                .hint("add `key:`"),
        );
    }
}

impl Default for StorePlace {
    fn default() -> Self {
        StorePlace::Sqlite("renkei.db".into())
    }
}

impl FromNode for StoreConfig {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        if node.as_map().is_none() {
            return Some(StoreConfig { place: StorePlace::from_node(node, d)?, keys: Vec::new() });
        }
        let form = StoreForm::from_node(node, d)?;
        Some(StoreConfig { place: form.url, keys: form.key.into_iter().chain(form.old_keys).collect() })
    }

    fn schema(defs: &mut Definitions) -> Schema {
        let forms = vec![StorePlace::schema(defs), StoreForm::schema(defs)];
        Value::from([("oneOf", Value::from(forms))])
    }
}

impl FromNode for StorePlace {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        let text = match &node.kind {
            NodeKind::Unknown => return Some(StorePlace::default()),
            NodeKind::String(text) => &text.value,
            _ => return wrong(node, "a store such as `sqlite:renkei.db` or `postgres://…`", d),
        };
        if let Some(path) = text.strip_prefix("sqlite:")
            && !path.trim_start_matches('/').is_empty()
        {
            return Some(StorePlace::Sqlite(path.into()));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return match Url::parse(text) {
                Ok(url) if url.host_str().is_some() => Some(StorePlace::Postgres(Secret::new(text.clone()))),
                _ => {
                    d.push(
                        Diagnostic::error(node.span, "this is not the URL of a PostgreSQL database")
                            .hint("write `postgres://user:password@host:5432/database`"),
                    );
                    None
                }
            };
        }
        d.push(Diagnostic::error(node.span, "this is not a store").hint(
            "write `sqlite:PATH`, such as `sqlite:renkei.db`, or `postgres://user:password@host/database`",
        ));
        None
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([("type", "string"), ("pattern", "^(sqlite:.+|postgres(ql)?://.+)$")])
    }
}
