//! Who asks.

use std::sync::Arc;

use crate::{Map, Value};

/// The caller, as the face that let it in established it.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// `anonymous`, the name of an API key, or the subject of a token.
    pub name: Arc<str>,
    pub how: How,
    /// What a token said about its bearer; an empty object otherwise.
    pub claims: Value,
}

/// How the principal proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Not at all.
    None,
    ApiKey,
    Jwt,
}

impl How {
    pub fn as_str(self) -> &'static str {
        match self {
            How::None => "none",
            How::ApiKey => "api_key",
            How::Jwt => "jwt",
        }
    }
}

impl Principal {
    pub fn anonymous() -> Self {
        Principal { name: "anonymous".into(), how: How::None, claims: Value::object() }
    }

    /// Whether both are the same somebody. A name is unique only among those of one issuer.
    pub fn is_same(&self, other: &Principal) -> bool {
        self.how == other.how && self.name == other.name && self.claims.get("iss") == other.claims.get("iss")
    }

    /// `$caller` in templates: `{ "name", "auth", "claims" }`.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("name".into(), self.name.clone().into());
        map.insert("auth".into(), self.how.as_str().into());
        map.insert("claims".into(), self.claims.clone());
        map.into()
    }
}
