//! The types that configs are made of.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use indexmap::IndexMap;
use url::Url;

use super::{FromNode, wrong};
use crate::{Definitions, Diagnostic, Diagnostics, Node, NodeKind, Number, Schema, Secret, Value, duration};

fn of_type(name: &str) -> Schema {
    Value::from([("type", name)])
}

/// A number in quotes, or from the environment, where a number or a flag is due.
fn quoted(node: &Node, expected: &str, d: &mut Diagnostics) {
    let message = format!("expected {expected}, found the text `{}`", node.as_str().unwrap_or_default());
    d.push(Diagnostic::error(node.span, message).hint(
        "write it without quotes; a value of the environment is a text, `${env.X | tonumber}` makes it a number",
    ));
}

impl FromNode for bool {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::Bool(flag) => Some(*flag),
            NodeKind::Unknown => Some(false),
            NodeKind::String(text) => {
                let meant = match text.value.to_ascii_lowercase().as_str() {
                    "yes" | "on" | "y" | "true" => {
                        "write `true`; in YAML 1.2 only `true` and `false` are flags"
                    }
                    "no" | "off" | "n" | "false" => {
                        "write `false`; in YAML 1.2 only `true` and `false` are flags"
                    }
                    _ => return wrong(node, "`true` or `false`", d),
                };
                let message = format!("expected `true` or `false`, found the text `{}`", text.value);
                d.push(Diagnostic::error(node.span, message).hint(meant));
                None
            }
            _ => wrong(node, "`true` or `false`", d),
        }
    }

    fn schema(_: &mut Definitions) -> Schema {
        of_type("boolean")
    }
}

macro_rules! integers {
    ($($type:ty => $expected:literal),+ $(,)?) => {$(
        impl FromNode for $type {
            fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
                match &node.kind {
                    NodeKind::Unknown => Some(1),
                    NodeKind::Number(number) => match number.to_string().parse() {
                        Ok(int) => Some(int),
                        Err(_) => wrong(node, $expected, d),
                    },
                    NodeKind::String(text) if text.value.parse::<$type>().is_ok() => {
                        quoted(node, $expected, d);
                        None
                    }
                    _ => wrong(node, $expected, d),
                }
            }

            fn schema(_: &mut Definitions) -> Schema {
                let mut schema = vec![("type", Value::from("integer"))];
                if <$type>::MIN == 0 {
                    schema.push(("minimum", Value::from(0i64)));
                }
                if <$type>::BITS < 64 {
                    schema.push(("maximum", Value::from(<$type>::MAX as u64)));
                }
                Value::Object(Arc::new(schema.into_iter().map(|(key, value)| (key.into(), value)).collect()))
            }
        }
    )+};
}

integers! {
    u16 => "a whole number from 0 to 65535",
    u32 => "a whole number from 0 to 4294967295",
    u64 => "a whole number that is not negative",
    usize => "a whole number that is not negative",
    i64 => "a whole number",
}

impl FromNode for f64 {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::Number(number) if number.as_f64().is_finite() => Some(number.as_f64()),
            NodeKind::Unknown => Some(1.0),
            NodeKind::String(text) if Number::parse(&text.value).is_some() => {
                quoted(node, "a number", d);
                None
            }
            _ => wrong(node, "a number", d),
        }
    }

    fn schema(_: &mut Definitions) -> Schema {
        of_type("number")
    }
}

impl FromNode for Arc<str> {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::String(text) => Some(text.value.clone()),
            NodeKind::Unknown => Some("unknown".into()),
            NodeKind::Number(_) | NodeKind::Bool(_) => {
                let value = node.to_value();
                let message = format!("expected a text, found `{value}`");
                d.push(
                    Diagnostic::error(node.span, message).hint(format!("put it in quotes: `\"{value}\"`")),
                );
                None
            }
            _ => wrong(node, "a text", d),
        }
    }

    fn schema(_: &mut Definitions) -> Schema {
        of_type("string")
    }
}

impl FromNode for String {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        Arc::<str>::from_node(node, d).map(|text| text.as_ref().to_owned())
    }

    fn schema(_: &mut Definitions) -> Schema {
        of_type("string")
    }
}

impl FromNode for PathBuf {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        let text = Arc::<str>::from_node(node, d)?;
        if text.is_empty() {
            return wrong(node, "a path", d);
        }
        Some(PathBuf::from(&*text))
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([("type", "string"), ("x-type", "path")])
    }
}

impl FromNode for Secret {
    /// What is there instead is not shown: it may be the secret.
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::String(text) => Some(Secret::new(text.value.clone())),
            NodeKind::Unknown => Some(Secret::new("unknown")),
            _ => {
                let message = format!("expected a secret text, found {}", node.what());
                d.push(
                    Diagnostic::error(node.span, message)
                        .hint("put it in quotes, or better: take it from the environment, '${env.NAME}'"),
                );
                None
            }
        }
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([("type", Value::from("string")), ("x-type", "secret".into())])
    }
}

impl FromNode for Duration {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        const EXPECTED: &str = "a duration such as `250ms`, `5s` or `1m30s`";
        match &node.kind {
            NodeKind::Unknown => Some(Duration::from_secs(1)),
            NodeKind::String(text) => match duration::parse(&text.value) {
                Ok(duration) => Some(duration),
                Err(_) => {
                    d.push(Diagnostic::error(node.span, format!("`{}` is not a duration", text.value)).hint(
                        "write whole numbers with a unit (`ms`, `s`, `m`, `h`, `d`): `250ms`, `5s`, `1m30s`",
                    ));
                    None
                }
            },
            NodeKind::Number(number) => {
                d.push(
                    Diagnostic::error(node.span, format!("expected {EXPECTED}, found the number `{number}`"))
                        .hint(format!("add a unit: `{number}s` for seconds, `{number}ms` for milliseconds")),
                );
                None
            }
            _ => wrong(node, EXPECTED, d),
        }
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([
            ("type", "string"),
            ("pattern", "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"),
            ("x-type", "duration"),
        ])
    }
}

impl FromNode for Url {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        const UNKNOWN: &str = "http://unknown.invalid/";
        let text: Arc<str> = match &node.kind {
            NodeKind::Unknown => UNKNOWN.into(),
            NodeKind::String(text) => text.value.clone(),
            _ => return wrong(node, "a URL such as `https://api.example.com`", d),
        };
        match Url::parse(&text) {
            Ok(url) => Some(url),
            Err(cause) => {
                // A URL may hold a password, so it is not repeated here.
                d.push(
                    Diagnostic::error(node.span, format!("this is not a URL: {cause}"))
                        .hint("write it whole, with its scheme: `https://api.example.com/v1`"),
                );
                None
            }
        }
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([("type", "string"), ("format", "uri")])
    }
}

impl FromNode for SocketAddr {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        let text: Arc<str> = match &node.kind {
            NodeKind::Unknown => return Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            NodeKind::String(text) => text.value.clone(),
            NodeKind::Number(port) => {
                let message =
                    format!("expected an address such as `127.0.0.1:8383`, found the number `{port}`");
                d.push(Diagnostic::error(node.span, message).hint(format!("write `127.0.0.1:{port}`")));
                return None;
            }
            _ => return wrong(node, "an address such as `127.0.0.1:8383`", d),
        };
        match text.parse() {
            Ok(address) => Some(address),
            Err(_) => {
                d.push(
                    Diagnostic::error(node.span, format!("`{text}` is not an address to listen on")).hint(
                        "write an IP address and a port: `127.0.0.1:8383`, `[::1]:8383`, or `0.0.0.0:8383` for all interfaces",
                    ),
                );
                None
            }
        }
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([("type", "string"), ("x-type", "address")])
    }
}

impl<T: FromNode> FromNode for Option<T> {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match node.kind {
            NodeKind::Unknown => Some(None),
            _ => T::from_node(node, d).map(Some),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        T::schema(defs)
    }

    fn missing() -> Option<Self> {
        Some(None)
    }
}

impl<T: FromNode> FromNode for Box<T> {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        T::from_node(node, d).map(Box::new)
    }

    fn schema(defs: &mut Definitions) -> Schema {
        T::schema(defs)
    }
}

impl<T: FromNode> FromNode for Vec<T> {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::Unknown => Some(Vec::new()),
            NodeKind::Seq(items) => {
                let read: Vec<Option<T>> = items.iter().map(|item| T::from_node(item, d)).collect();
                read.into_iter().collect()
            }
            NodeKind::String(_) | NodeKind::Number(_) | NodeKind::Map(_) => {
                let message = format!("expected a list, found {}", node.what());
                d.push(
                    Diagnostic::error(node.span, message)
                        .hint("put it in brackets, `[ … ]`, or write each item on a line after `- `"),
                );
                None
            }
            _ => wrong(node, "a list", d),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        Value::from([("type", Value::from("array")), ("items", T::schema(defs))])
    }
}

impl<T: FromNode> FromNode for IndexMap<Arc<str>, T> {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::Unknown => Some(IndexMap::new()),
            NodeKind::Map(entries) => {
                let read: Vec<Option<(Arc<str>, T)>> = entries
                    .iter()
                    .map(|entry| Some((entry.key.clone(), T::from_node(&entry.value, d)?)))
                    .collect();
                read.into_iter().collect()
            }
            _ => wrong(node, "a mapping of names to values", d),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        Value::from([("type", Value::from("object")), ("additionalProperties", T::schema(defs))])
    }
}

/// Kept as it is, for what is read later: templates, parts of another kind.
impl FromNode for Node {
    fn from_node(node: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(node.clone())
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::Bool(true)
    }
}

impl FromNode for Value {
    fn from_node(node: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(node.to_value())
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::Bool(true)
    }
}
