//! What a config test expects of a call of a tool: what `show` gives, in short forms, and back.

use renkei_core::{
    Diagnostic, Diagnostics, Map, Node, NodeKind, Request, Result, Value, diagnostic::suggest, read::wrong,
};

use super::prepare::Plan;

const EXPECTED: &str = "the name of a tool, or a mapping such as `{ tool: get_time, arguments: { … } }`";
const KEYS: [&str; 2] = ["tool", "arguments"];

/// The request as data: `{ tool: get_time, arguments: { zone: UTC } }`.
pub(super) fn show(plan: &Plan, request: &Request) -> Result<Value> {
    let arguments = plan.arguments(request)?;
    Ok(Value::from([("tool", Value::from(plan.tool.clone())), ("arguments", arguments.into())]))
}

/// A request as a test expects it.
pub(super) fn read(node: &Node, d: &mut Diagnostics) -> Option<Value> {
    let entries = match &node.kind {
        NodeKind::String(text) => return Some(Value::from([("tool", text.value.clone())])),
        NodeKind::Map(entries) => entries,
        _ => return wrong(node, EXPECTED, d),
    };
    let mut map = Map::new();
    for entry in entries {
        let key = &*entry.key;
        if !KEYS.contains(&key) {
            let diagnostic = Diagnostic::error(entry.key_span, format!("a call of a tool has no `{key}`"));
            d.push(match suggest(key, KEYS) {
                Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
                None => diagnostic.hint("it has `tool` and `arguments`"),
            });
            return None;
        }
        if key == "tool" && entry.value.as_str().is_none() {
            return wrong(&entry.value, "the name of a tool", d);
        }
        map.insert(entry.key.clone(), entry.value.to_value());
    }
    Some(map.into())
}

/// The shortest form of a request.
pub(super) fn write(shown: &Value) -> Value {
    let has_arguments =
        shown.get("arguments").and_then(Value::as_object).is_some_and(|arguments| !arguments.is_empty());
    match shown.get("tool") {
        Some(tool) if !has_arguments => tool.clone(),
        _ => shown.clone(),
    }
}
