//! Arguments that the config declares as `date-time`, as the server understands them.
//!
//! MariaDB cuts the zone off a time, with a warning at most: `2026-01-31T10:00:00+02:00` would be ten o'clock in UTC.
//! An argument of type `date-time` has a zone; it is given as the same moment in UTC, which is the zone of the session.
//! Other texts are given as they are.

use std::sync::Arc;

use jiff::{Timestamp, tz::TimeZone};
use renkei_core::{Params, PreparedOp, Value, template::Names};

/// The slots of an operation that hold times, by their index.
#[derive(Clone, Debug, Default)]
pub(super) struct Instants(Vec<usize>);

impl Instants {
    pub(super) fn of(op: &PreparedOp, names: &Names<'_>) -> Instants {
        let properties = names.input.and_then(|schema| schema.get("properties"));
        let is_instant = |name: &str| {
            let schema = properties.and_then(|properties| properties.get(name));
            // Of the elements, where it is a list.
            let schema = schema.and_then(|schema| schema.get("items").or(Some(schema)));
            schema.and_then(|schema| schema.get("format")).and_then(Value::as_str) == Some("date-time")
        };
        let slots = op.slots.iter().enumerate();
        Instants(
            slots.filter(|(_, tree)| tree.argument().is_some_and(is_instant)).map(|(at, _)| at).collect(),
        )
    }

    /// The values of one call, with their times in UTC.
    pub(super) fn in_utc(&self, params: &Params) -> Params {
        if self.0.is_empty() {
            return params.clone();
        }
        let mut params = params.to_vec();
        for at in &self.0 {
            if let Some(Some(value)) = params.get_mut(*at) {
                *value = in_utc(value);
            }
        }
        params.into()
    }
}

fn in_utc(value: &Value) -> Value {
    match value {
        Value::String(text) => utc(text).map_or_else(|| value.clone(), Value::from),
        Value::Array(items) => items.iter().map(in_utc).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}

/// Nothing for a text that is no time with a zone: the server will say what it thinks of it.
fn utc(text: &str) -> Option<Arc<str>> {
    let moment: Timestamp = text.parse().ok()?;
    // Six digits are what the server keeps; it would round the rest.
    let time = moment.to_zoned(TimeZone::UTC).datetime();
    let micros = time.subsec_nanosecond() / 1_000;
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    Some(format!("{}{fraction}", time.strftime("%Y-%m-%dT%H:%M:%S")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_given_in_utc() {
        for (text, expected) in [
            ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00"),
            ("2026-01-31T10:00:00.5Z", "2026-01-31T10:00:00.500000"),
            ("2026-01-31T10:00:00.1234567Z", "2026-01-31T10:00:00.123456"),
            ("2026-01-01T01:00:00+02:00", "2025-12-31T23:00:00"),
        ] {
            assert_eq!(utc(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "2026-01-31", "2026-01-31T10:00:00", "10:00:00Z", "tomorrow"] {
            assert_eq!(utc(text), None, "{text}");
        }
    }
}
