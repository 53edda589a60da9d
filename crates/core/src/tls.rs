//! Certificates, keys and versions of TLS, as a config names them.

use std::fmt;

use crate::{
    Definitions, Diagnostic, Diagnostics, FromNode, Node, NodeKind, Schema, Secret, Value, read::wrong,
};

/// A PEM file (RFC 7468), or its text, such as `'${env.TLS_KEY}'`.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// Relative to the folder of the config.
    File(String),
    Text(Secret),
}

impl Pem {
    /// For messages: the path in backticks, or that it is the text.
    pub fn quoted(&self) -> String {
        match self {
            Pem::File(path) => format!("`{path}`"),
            Pem::Text(_) => "the PEM text".to_owned(),
        }
    }
}

/// Never the text.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.quoted())
    }
}

impl FromNode for Pem {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::Unknown => Some(Pem::Text(Secret::new("unknown"))),
            NodeKind::String(text) if text.value.contains("-----BEGIN ") => {
                Some(Pem::Text(Secret::new(text.value.clone())))
            }
            // A text of several lines is no path, and may hold what must not be shown.
            NodeKind::String(text) if text.value.is_empty() || text.value.contains('\n') => {
                let message = "this is neither a path nor a PEM text";
                d.push(
                    Diagnostic::error(node.span, message)
                        .hint("a PEM text has a line such as `-----BEGIN CERTIFICATE-----`"),
                );
                None
            }
            NodeKind::String(text) => Some(Pem::File(text.value.to_string())),
            _ => wrong(node, "a path, or a PEM text", d),
        }
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([("type", "string"), ("x-type", "path")])
    }
}

/// The versions of TLS that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl FromNode for TlsVersion {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        // Without quotes it is a number, which is as clear.
        let text = match &node.kind {
            NodeKind::Unknown => return Some(TlsVersion::Tls12),
            NodeKind::String(text) => text.value.to_string(),
            NodeKind::Number(number) => number.to_string(),
            _ => return wrong(node, "`1.2` or `1.3`", d),
        };
        match &*text {
            "1.2" => Some(TlsVersion::Tls12),
            "1.3" => Some(TlsVersion::Tls13),
            _ => wrong(node, "`1.2` or `1.3`: older versions of TLS are not spoken", d),
        }
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([("enum", Value::from(vec!["1.2".into(), "1.3".into(), 1.2.into(), 1.3.into()]))])
    }
}
