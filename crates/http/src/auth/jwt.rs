//! JSON Web Tokens that are checked with a key from the config.
//!
//! The algorithm comes from the config, never from the token: otherwise a token could say "none", or use a
//! public key as a shared secret (RFC 8725, section 3.1).

use std::{fmt, sync::Arc};

use jsonwebtoken::{DecodingKey, Validation, errors::ErrorKind};
use renkei_core::{Principal, Secret, Value, principal::How};

use super::{Refused, wrong};

/// Seconds by which the clocks of the issuer and of this server may differ.
const CLOCK_SKEW: u64 = 60;

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// Reads the name that RFC 7518 gives it: `HS256`, `EdDSA`, ….
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Algorithm::Hs256,
            "HS384" => Algorithm::Hs384,
            "HS512" => Algorithm::Hs512,
            "RS256" => Algorithm::Rs256,
            "RS384" => Algorithm::Rs384,
            "RS512" => Algorithm::Rs512,
            "PS256" => Algorithm::Ps256,
            "PS384" => Algorithm::Ps384,
            "PS512" => Algorithm::Ps512,
            "ES256" => Algorithm::Es256,
            "ES384" => Algorithm::Es384,
            "EdDSA" => Algorithm::EdDsa,
            _ => return None,
        })
    }

    fn theirs(self) -> jsonwebtoken::Algorithm {
        match self {
            Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
            Algorithm::Hs384 => jsonwebtoken::Algorithm::HS384,
            Algorithm::Hs512 => jsonwebtoken::Algorithm::HS512,
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
            Algorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
            Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
            Algorithm::Ps384 => jsonwebtoken::Algorithm::PS384,
            Algorithm::Ps512 => jsonwebtoken::Algorithm::PS512,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// Which tokens are taken.
#[derive(Clone, Debug)]
pub struct JwtOptions {
    pub algorithm: Algorithm,
    /// The shared secret for `HS…`; the public key in PEM for the others.
    pub key: Secret,
    /// Who must have issued the token; anybody who has the key without it.
    pub issuer: Option<String>,
    /// For whom it must be minted, one of these. Without any, a token minted for somebody is refused.
    pub audience: Vec<String>,
    /// Whether a token may be valid for ever.
    pub expiry_optional: bool,
}

/// A key, ready to check tokens with.
#[derive(Clone)]
pub struct JwtKey {
    key: Arc<DecodingKey>,
    validation: Arc<Validation>,
    issuer: Option<String>,
}

impl JwtKey {
    /// The error is a sentence for the operator; it holds nothing of the key.
    pub fn new(options: &JwtOptions) -> Result<Self, String> {
        let algorithm = options.algorithm.theirs();
        let mut validation = Validation::new(algorithm);
        validation.leeway = CLOCK_SKEW;
        validation.validate_nbf = true;
        validation.required_spec_claims.insert("sub".to_owned());
        if options.expiry_optional {
            validation.required_spec_claims.remove("exp");
        }
        if let Some(issuer) = &options.issuer {
            validation.required_spec_claims.insert("iss".to_owned());
            validation.set_issuer(std::slice::from_ref(issuer));
        }
        if !options.audience.is_empty() {
            validation.required_spec_claims.insert("aud".to_owned());
            validation.set_audience(&options.audience);
        }
        let key = Arc::new(decoding_key(options)?);
        Ok(JwtKey { key, validation: Arc::new(validation), issuer: options.issuer.clone() })
    }

    fn check(&self, token: &str) -> Result<Principal, Failure> {
        let data = jsonwebtoken::decode::<serde_json::Value>(token, &self.key, &self.validation)
            .map_err(|error| Failure::of(error.kind()))?;
        // An extension that we do not know is one that we do not honour (RFC 7515, section 4.1.11).
        if data.header.crit.is_some() {
            return Err(Failure::Claims("it has a `crit` header"));
        }
        let claims = data.claims;
        // The library takes an array of issuers, which no standard knows.
        if self.issuer.is_some() && claims["iss"].as_str() != self.issuer.as_deref() {
            return Err(Failure::Claims("it was issued by somebody else"));
        }
        // A present audience of another shape than the standard's would pass where none is configured.
        if self.validation.aud.is_none() && !claims["aud"].is_null() {
            return Err(Failure::Claims("it is for somebody else"));
        }
        let subject = claims["sub"].as_str().filter(|subject| !subject.is_empty());
        let Some(subject) = subject else { return Err(Failure::Claims("it names nobody")) };
        Ok(Principal { name: subject.into(), how: How::Jwt, claims: Value::from(&claims) })
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtKey")
            .field("algorithms", &self.validation.algorithms)
            .field("issuer", &self.issuer)
            .field("audience", &self.validation.aud)
            .finish_non_exhaustive()
    }
}

/// A shared secret must be as long as the hash (RFC 7518, section 3.2).
fn decoding_key(options: &JwtOptions) -> Result<DecodingKey, String> {
    let key = options.key.expose();
    let pem = key.as_bytes();
    let secret = |bytes: usize| {
        if key.trim_start().starts_with("-----BEGIN") {
            return Err("a shared secret is needed for `HS…`, and this is a key in PEM".to_owned());
        }
        if key.len() < bytes {
            let has = key.len();
            return Err(format!("the shared secret has {has} bytes and needs at least {bytes}"));
        }
        Ok(DecodingKey::from_secret(pem))
    };
    if key.contains("PRIVATE KEY-----") {
        return Err("this is a private key: the server needs only the public one".to_owned());
    }
    let public = |made: jsonwebtoken::errors::Result<DecodingKey>, kind: &str| {
        made.map_err(|_| format!("this is not {kind} public key in PEM (`-----BEGIN PUBLIC KEY-----`)"))
    };
    match options.algorithm {
        Algorithm::Hs256 => secret(32),
        Algorithm::Hs384 => secret(48),
        Algorithm::Hs512 => secret(64),
        Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512 => public(DecodingKey::from_rsa_pem(pem), "an RSA"),
        Algorithm::Es256 | Algorithm::Es384 => public(DecodingKey::from_ec_pem(pem), "an EC"),
        Algorithm::EdDsa => public(DecodingKey::from_ed_pem(pem), "an Ed25519"),
    }
}

/// Why a token is refused.
enum Failure {
    /// It is not a token of this key.
    Foreign,
    /// It is, but it does not fit; the signature was checked before, so the sender may know why.
    Claims(&'static str),
}

impl Failure {
    fn of(kind: &ErrorKind) -> Self {
        Failure::Claims(match kind {
            ErrorKind::ExpiredSignature => "it has expired",
            ErrorKind::ImmatureSignature => "it is not valid yet",
            ErrorKind::InvalidIssuer => "it was issued by somebody else",
            ErrorKind::InvalidAudience => "it is for somebody else",
            ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
                "exp" => "it has no `exp`",
                "sub" => "it has no `sub`",
                "iss" => "it has no `iss`",
                _ => "it has no `aud`",
            },
            ErrorKind::InvalidClaimFormat(_) => "`exp` or `nbf` is not a number",
            _ => return Failure::Foreign,
        })
    }
}

/// The bearer of a token that one of the keys takes. Nothing if it is no token of theirs.
pub(super) fn check(keys: &[JwtKey], token: &str) -> Option<Result<Principal, Refused>> {
    let mut refused = None;
    for key in keys {
        match key.check(token) {
            Ok(principal) => return Some(Ok(principal)),
            Err(Failure::Foreign) => {}
            Err(Failure::Claims(reason)) => refused = Some(wrong(&format!("the token is refused: {reason}"))),
        }
    }
    refused
}
