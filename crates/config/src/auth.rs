//! `server.auth`: who may call.

use std::sync::Arc;

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, FromNode, Node, NodeKind, Schema, Secret, Value, read::Spanned,
};
use renkei_derive::FromNode;

/// Who may call. Keys and tokens come in `Authorization: Bearer …`; a key also in `X-API-Key`.
#[derive(Clone, Debug, FromNode)]
#[config(check = check_auth)]
pub struct AuthConfig {
    /// Whether calls without a key or token are taken, too, as `anonymous`.
    #[config(default = false)]
    pub anonymous: bool,

    /// Keys of callers, known to the server by their hash only.
    #[config(default)]
    pub api_keys: Vec<ApiKeyConfig>,

    /// JSON Web Tokens, checked with a key that stands here. A token must have a subject (`sub`), which
    /// is the caller's name, and an expiry.
    #[config(default)]
    pub jwt: Vec<JwtConfig>,
}

/// The key of one caller.
#[derive(Clone, Debug, FromNode)]
pub struct ApiKeyConfig {
    /// The caller's name in the log and in `$caller.name`.
    pub name: Spanned<Arc<str>>,

    /// The key's SHA-256 in hexadecimal digits: `printf %s "$KEY" | sha256sum`. Keys are long and random:
    /// `openssl rand -hex 32`.
    pub sha256: Sha256Hex,
}

/// Tokens that one issuer signs with one key.
#[derive(Clone, Debug, FromNode)]
#[config(check = check_jwt)]
pub struct JwtConfig {
    /// How tokens are signed. It is never taken from the token.
    pub algorithm: JwtAlgorithm,

    /// The shared secret, for `HS…`: at least as many bytes as the hash, 32 for `HS256`.
    pub key: Option<Secret>,

    /// The public key in PEM, for the other algorithms.
    pub public_key: Option<String>,

    /// Who must have issued the token (`iss`).
    pub issuer: Option<String>,

    /// For whom the token must be minted (`aud`), one of these. Without any, a token that was minted for
    /// somebody is refused.
    #[config(default)]
    pub audience: Vec<String>,

    /// Whether a token without an expiry is taken.
    #[config(default = false)]
    pub expiry_optional: bool,
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromNode)]
pub enum JwtAlgorithm {
    #[config(rename = "HS256")]
    Hs256,
    #[config(rename = "HS384")]
    Hs384,
    #[config(rename = "HS512")]
    Hs512,
    #[config(rename = "RS256")]
    Rs256,
    #[config(rename = "RS384")]
    Rs384,
    #[config(rename = "RS512")]
    Rs512,
    #[config(rename = "PS256")]
    Ps256,
    #[config(rename = "PS384")]
    Ps384,
    #[config(rename = "PS512")]
    Ps512,
    #[config(rename = "ES256")]
    Es256,
    #[config(rename = "ES384")]
    Es384,
    #[config(rename = "EdDSA")]
    EdDsa,
}

impl JwtAlgorithm {
    /// The name that RFC 7518 gives it.
    pub fn as_str(self) -> &'static str {
        match self {
            JwtAlgorithm::Hs256 => "HS256",
            JwtAlgorithm::Hs384 => "HS384",
            JwtAlgorithm::Hs512 => "HS512",
            JwtAlgorithm::Rs256 => "RS256",
            JwtAlgorithm::Rs384 => "RS384",
            JwtAlgorithm::Rs512 => "RS512",
            JwtAlgorithm::Ps256 => "PS256",
            JwtAlgorithm::Ps384 => "PS384",
            JwtAlgorithm::Ps512 => "PS512",
            JwtAlgorithm::Es256 => "ES256",
            JwtAlgorithm::Es384 => "ES384",
            JwtAlgorithm::EdDsa => "EdDSA",
        }
    }

    /// The bytes that a shared secret needs; nothing for the algorithms with a public key.
    fn secret_bytes(self) -> Option<usize> {
        match self {
            JwtAlgorithm::Hs256 => Some(32),
            JwtAlgorithm::Hs384 => Some(48),
            JwtAlgorithm::Hs512 => Some(64),
            _ => None,
        }
    }
}

/// A SHA-256 in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sha256Hex(pub String);

impl FromNode for Sha256Hex {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        let text = match &node.kind {
            NodeKind::Unknown => return Some(Sha256Hex("0".repeat(64))),
            NodeKind::String(text) => &text.value,
            // Digits alone read as a number.
            _ => {
                let message = format!("expected a SHA-256 as a text, found {}", node.what());
                d.push(Diagnostic::error(node.span, message).hint("put it in quotes"));
                return None;
            }
        };
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            // What stands here may be the key itself: it is not repeated.
            d.push(
                Diagnostic::error(
                    node.span,
                    "a SHA-256 has 64 hexadecimal digits, and this is something else",
                )
                .hint("write the hash, never the key: `printf %s \"$KEY\" | sha256sum`"),
            );
            return None;
        }
        Some(Sha256Hex(text.to_ascii_lowercase()))
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([("type", "string"), ("pattern", "^[0-9A-Fa-f]{64}$")])
    }
}

fn check_auth(auth: &AuthConfig, node: &Node, d: &mut Diagnostics) {
    if !auth.anonymous && auth.api_keys.is_empty() && auth.jwt.is_empty() {
        d.push(
            Diagnostic::error(node.span, "nobody could call: there is no key and no token to show")
                .hint("add `api_keys` or `jwt`, or say `anonymous: true`"),
        );
    }
    for (at, key) in auth.api_keys.iter().enumerate() {
        if &*key.name.value == "anonymous" {
            d.push(
                Diagnostic::error(key.name.span, "`anonymous` is the name of callers without a key")
                    .hint("choose another name"),
            );
        }
        let earlier = &auth.api_keys[..at];
        if let Some(first) = earlier.iter().find(|other| other.name.value == key.name.value) {
            d.push(
                Diagnostic::error(key.name.span, format!("two API keys have the name `{}`", key.name.value))
                    .related(first.name.span, "first here")
                    .hint("name them apart, such as `ci-2026` and `ci-2027`"),
            );
        }
        if let Some(first) = earlier.iter().find(|other| other.sha256 == key.sha256) {
            d.push(
                Diagnostic::error(
                    key.name.span,
                    format!("`{}` and `{}` have the same key", first.name.value, key.name.value),
                )
                .related(first.name.span, "first here")
                .hint("give every caller a key of its own"),
            );
        }
    }
}

fn check_jwt(jwt: &JwtConfig, node: &Node, d: &mut Diagnostics) {
    let algorithm = jwt.algorithm.as_str();
    let place = |key: &str| node.entry(key).map_or(node.span, |entry| entry.key_span);
    match (jwt.algorithm.secret_bytes(), &jwt.key, &jwt.public_key) {
        (_, Some(_), Some(_)) => d.push(
            Diagnostic::error(place("public_key"), "`key` and `public_key` exclude each other")
                .related(place("key"), "the first one")
                .hint("`key` is for `HS…`, `public_key` for the other algorithms"),
        ),
        (Some(_), None, _) => d.push(
            Diagnostic::error(place("algorithm"), format!("`{algorithm}` needs the shared secret"))
                .hint("add `key: '${env.JWT_KEY}'`"),
        ),
        (None, _, None) => d.push(
            Diagnostic::error(place("algorithm"), format!("`{algorithm}` needs the issuer's public key"))
                .hint("add `public_key: '${file[\"issuer.pem\"]}'`"),
        ),
        (Some(bytes), Some(key), None) => {
            let has = key.expose().len();
            if has < bytes {
                d.push(
                    Diagnostic::error(
                        place("key"),
                        format!("the secret has {has} bytes, and `{algorithm}` needs {bytes}"),
                    )
                    .hint("make one: `openssl rand -hex 32`"),
                );
            }
        }
        (None, None, Some(pem)) => {
            if pem.contains("PRIVATE KEY-----") {
                d.push(
                    Diagnostic::error(place("public_key"), "this is a private key")
                        .hint("the server needs only the public one: `openssl pkey -in private.pem -pubout`"),
                );
            } else if !pem.trim_start().starts_with("-----BEGIN") {
                d.push(
                    Diagnostic::error(place("public_key"), "this is not a key in PEM")
                        .hint("it begins with `-----BEGIN PUBLIC KEY-----`; read it from a file: '${file[\"issuer.pem\"]}'"),
                );
            }
        }
    }
}
