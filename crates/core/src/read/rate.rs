//! Rates as people write them: `50/s`, `100/m`.

use std::{fmt, time::Duration};

use super::{FromNode, wrong};
use crate::{Definitions, Diagnostics, Node, NodeKind, Schema, Value, duration};

/// So many in so much time: `50/s`, `100/m`, `1000/h`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub count: u32,
    pub per: Duration,
}

impl Rate {
    /// The time from one to the next.
    pub fn interval(self) -> Duration {
        self.per / self.count.max(1)
    }

    /// Reads a rate of 1 to 1,000,000.
    pub fn parse(text: &str) -> Option<Self> {
        let (count, unit) = text.split_once('/')?;
        let count = count.trim().parse().ok().filter(|count| (1..=1_000_000).contains(count))?;
        let per = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        Some(Rate { count, per: Duration::from_secs(per) })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, duration::format(self.per).trim_start_matches('1'))
    }
}

impl FromNode for Rate {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        let parsed = match &node.kind {
            NodeKind::Unknown => Some(Rate { count: 1, per: Duration::from_secs(1) }),
            NodeKind::String(text) => Rate::parse(&text.value),
            _ => None,
        };
        parsed.or_else(|| wrong(node, "a rate such as `50/s`, `100/m` or `1000/h`, of 1 to 1000000", d))
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([
            ("type", "string"),
            ("pattern", "^[0-9]+ */ *[smhd]$"),
            ("x-type", "rate such as `50/s`"),
        ])
    }
}
