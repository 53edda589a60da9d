//! What a config test expects of a request over HTTP: what `show` gives, in short forms, and back.

use renkei_core::{Diagnostic, Diagnostics, Node, NodeKind, Value};

use super::wire;

const METHODS: [&str; 7] = ["get", "head", "options", "post", "put", "patch", "delete"];
const REQUEST_KEYS: [&str; 8] = ["method", "path", "query", "headers", "body", "form", "multipart", "raw"];

/// A request as a test expects it: `GET /customers/7?expand=orders`, or a mapping in which `get: /customers/7`
/// is short for `method` and `path`.
pub(super) fn read(node: &Node, d: &mut Diagnostics) -> Option<Value> {
    let mut map = renkei_core::Map::new();
    match &node.kind {
        NodeKind::String(text) => match text.value.split_once(' ') {
            Some((method, path)) if METHODS.contains(&&*method.to_ascii_lowercase()) => {
                target(method, path, node, &mut map, d)?;
            }
            _ => {
                return renkei_core::read::wrong(node, "a request such as `GET /customers/7`", d);
            }
        },
        NodeKind::Map(entries) => {
            let mut good = true;
            for entry in entries {
                let key = &*entry.key;
                if METHODS.contains(&key) {
                    match entry.value.as_str() {
                        Some(path) => good &= target(key, path, &entry.value, &mut map, d).is_some(),
                        None => {
                            renkei_core::read::wrong::<()>(&entry.value, "a path such as `/customers/7`", d);
                            good = false;
                        }
                    }
                } else if REQUEST_KEYS.contains(&key) {
                    let value = entry.value.to_value();
                    map.insert(
                        entry.key.clone(),
                        if matches!(key, "query" | "form") { texts(&value) } else { value },
                    );
                } else {
                    good = false;
                    let known: Vec<&str> = METHODS.iter().chain(&REQUEST_KEYS).copied().collect();
                    let diagnostic = Diagnostic::error(
                        entry.key_span,
                        format!("a request to an HTTP system has no `{key}`"),
                    );
                    d.push(match renkei_core::diagnostic::suggest(key, known) {
                        Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
                        None => diagnostic.hint(
                            "it has a method with its path (`get: /customers/7`), `query`, `headers` and `body`, `form`, `multipart` or `raw`",
                        ),
                    });
                }
            }
            if !good {
                return None;
            }
        }
        _ => return renkei_core::read::wrong(node, "a request such as `GET /customers/7`", d),
    }
    Some(map.into())
}

fn target(
    method: &str,
    target: &str,
    node: &Node,
    map: &mut renkei_core::Map,
    d: &mut Diagnostics,
) -> Option<()> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    if !path.starts_with('/') {
        d.push(
            Diagnostic::error(node.span, format!("the path `{path}` does not start with `/`"))
                .hint("write it as the operation has it, without the system's `base_url`"),
        );
        return None;
    }
    map.insert("method".into(), method.to_ascii_uppercase().into());
    map.insert("path".into(), path.into());
    if let Some(query) = query {
        map.insert("query".into(), wire::decoded_pairs(query.as_bytes()));
    }
    Some(())
}

/// What is a text on the wire, as a text: a test may write `limit: 3`.
fn texts(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), texts(value))).collect::<renkei_core::Map>().into()
        }
        Value::Array(items) => items.iter().map(texts).collect::<Vec<_>>().into(),
        Value::Null => Value::Null,
        scalar => wire::scalar(scalar).map_or_else(|| scalar.clone(), Value::from),
    }
}

/// The shortest form of a request: `GET /customers/7?expand=orders`, or a mapping with its method as key.
pub(super) fn write(shown: &Value) -> Value {
    let text = |key: &str| shown.get(key).and_then(Value::as_str);
    let (Some(method), Some(path), Some(all)) = (text("method"), text("path"), shown.as_object()) else {
        return shown.clone();
    };
    let rest = || all.iter().filter(|(key, _)| !matches!(&***key, "method" | "path"));
    if rest().next().is_none() {
        return format!("{method} {path}").into();
    }
    if rest().all(|(key, _)| &**key == "query")
        && let Some(query) = all.get("query").and_then(plain_query)
    {
        return format!("{method} {path}?{query}").into();
    }
    let mut map = renkei_core::Map::new();
    map.insert(method.to_ascii_lowercase().into(), path.into());
    map.extend(rest().map(|(key, value)| (key.clone(), value.clone())));
    map.into()
}

/// The query as text, where every name and value is plain enough to be read in one.
fn plain_query(query: &Value) -> Option<String> {
    let plain =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:,@".contains(&byte));
    let mut pairs = Vec::new();
    for (name, value) in query.as_object()? {
        let values = value.as_array().unwrap_or(std::slice::from_ref(value));
        for value in values {
            let value = value.as_str().filter(|value| plain(value) && plain(name))?;
            pairs.push(format!("{name}={value}"));
        }
    }
    Some(pairs.join("&"))
}
