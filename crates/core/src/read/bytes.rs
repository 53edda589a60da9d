//! Sizes as people write them: `64KB`, `10MB`, `1MiB`, or a plain number of bytes.

use std::fmt;

use super::{FromNode, wrong};
use crate::{Definitions, Diagnostic, Diagnostics, Node, NodeKind, Schema, Value};

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// Larger units first, so that writing picks the largest that fits exactly.
const UNITS: [(&str, u64); 9] = [
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl Bytes {
    /// Reads a size: a whole number and a unit (`B`, `KB` = 1000, `KiB` = 1024, and so on).
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = text[..digits].parse().ok()?;
        let unit = text[digits..].trim_start();
        let (_, size) = UNITS.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name))?;
        number.checked_mul(*size).map(Bytes)
    }

    /// For limits in memory; sizes beyond this machine's memory are its maximum.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |size: u64| self.0 >= size && self.0.is_multiple_of(size);
        let (unit, size) = UNITS.iter().find(|(_, size)| fits(*size)).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

impl FromNode for Bytes {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        const EXPECTED: &str = "a size such as `64KB`, `10MB` or `1MiB`";
        match &node.kind {
            NodeKind::Unknown => Some(Bytes(1 << 20)),
            NodeKind::Number(number) => match number.as_i64().map(u64::try_from) {
                Some(Ok(bytes)) => Some(Bytes(bytes)),
                _ => wrong(node, EXPECTED, d),
            },
            NodeKind::String(text) => Self::parse(&text.value).or_else(|| {
                let message = format!("`{}` is not a size", text.value);
                d.push(Diagnostic::error(node.span, message).hint("write a whole number with a unit: `64KB`, `10MB`, `1MiB`; KB, MB and GB are powers of 1000, KiB, MiB and GiB of 1024"));
                None
            }),
            _ => wrong(node, EXPECTED, d),
        }
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([
            ("type", Value::from(vec!["string".into(), "integer".into()])),
            ("pattern", r"^[0-9]+ *([KkMmGgTt][Ii]?)?[Bb]$".into()),
            ("minimum", Value::from(0i64)),
            ("x-type", "size".into()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["0B", "1B", "64KB", "10MB", "1MiB", "3GiB", "1500B", "1TB"] {
            assert_eq!(Bytes::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Bytes::parse("64 kb"), Some(Bytes(64_000)));
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "MB", "1", "1.5MB", "-1MB", "1XB", "99999999999999999999B", "99999999999TB", "1 M B"]
        {
            assert_eq!(Bytes::parse(text), None, "{text}");
        }
    }
}
