//! What a config test expects of a request to a database: [`show`](super::show()) in short forms, and back.

use renkei_core::{Diagnostic, Diagnostics, Map, Node, NodeKind, Value};

use super::show::plain;

const REQUEST_KEYS: [&str; 3] = ["sql", "params", "transaction"];

/// A request in its shortest form: [`ConnectorKind::write_request`] of every SQL system. A statement without
/// values is its text.
///
/// [`ConnectorKind::write_request`]: renkei_core::ConnectorKind::write_request
pub fn write_request(shown: &Value) -> Value {
    let short = |part: &Value| match (part.get("sql"), part.get("params").and_then(Value::as_array)) {
        (Some(sql), Some([])) => sql.clone(),
        _ => part.clone(),
    };
    match shown.get("transaction").and_then(Value::as_array) {
        Some(parts) => Value::from([("transaction", parts.iter().map(short).collect::<Vec<_>>())]),
        None => short(shown),
    }
}

/// A request as a test expects it: [`ConnectorKind::read_request`] of every SQL system. A text is the statement
/// as it is sent; in which white space it is written does not matter.
///
/// [`ConnectorKind::read_request`]: renkei_core::ConnectorKind::read_request
pub fn read_request(node: &Node, d: &mut Diagnostics) -> Option<Value> {
    let part = |node: &Node, d: &mut Diagnostics| -> Option<Value> {
        if let Some(text) = node.as_str() {
            return Some(Value::from([("sql", plain(text))]));
        }
        let Some(entries) = node.as_map() else {
            return renkei_core::read::wrong(node, "a statement, or a mapping with `sql` and `params`", d);
        };
        let mut map = Map::new();
        for entry in entries {
            let value = match (&*entry.key, entry.value.as_str()) {
                ("sql", Some(text)) => plain(text).into(),
                ("sql", None) => return renkei_core::read::wrong(&entry.value, "a statement", d),
                ("params", _) if entry.value.as_seq().is_none() => {
                    return renkei_core::read::wrong(
                        &entry.value,
                        "the list of the values that are bound",
                        d,
                    );
                }
                ("params", _) => entry.value.to_value(),
                (other, _) => {
                    let diagnostic = Diagnostic::error(
                        entry.key_span,
                        format!("a request to an SQL system has no `{other}`"),
                    );
                    d.push(match renkei_core::diagnostic::suggest(other, REQUEST_KEYS) {
                        Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
                        None => diagnostic.hint("it has `sql` and `params`, or `transaction`"),
                    });
                    return None;
                }
            };
            map.insert(entry.key.clone(), value);
        }
        Some(map.into())
    };
    match node.get("transaction").map(|list| &list.kind) {
        None => part(node, d),
        Some(NodeKind::Seq(parts)) => {
            let parts: Option<Vec<Value>> = parts.iter().map(|node| part(node, d)).collect();
            Some(Value::from([("transaction", parts?)]))
        }
        Some(_) => renkei_core::read::wrong(node.get("transaction")?, "the list of its statements", d),
    }
}
