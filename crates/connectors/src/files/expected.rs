//! What a config test expects of a request to files: what `Task::show` gives, in short forms, and back.

use renkei_core::{Diagnostic, Diagnostics, Map, Node, NodeKind, Value, diagnostic::suggest, read::wrong};

use super::operation::Verb;

const EXPECTED: &str = "a request such as `read notes/a.md`, or a mapping such as `{ write: notes/a.md }`";

/// Whether a text can say it: it needs a path and nothing more.
fn is_short(verb: Verb) -> bool {
    matches!(verb, Verb::List | Verb::Read | Verb::Stat | Verb::Delete)
}

/// A request as a test expects it: `read notes/a.md`, or members of an operation.
pub(super) fn read(node: &Node, d: &mut Diagnostics) -> Option<Value> {
    let mut map = Map::new();
    let entries = match &node.kind {
        NodeKind::String(text) => {
            let (word, path) = text.value.split_once(' ').unwrap_or((&text.value, ""));
            let Some(verb) = Verb::parse(word).filter(|verb| is_short(*verb) && !path.is_empty()) else {
                return wrong(node, EXPECTED, d);
            };
            map.insert(verb.word().into(), from_top(path));
            return Some(map.into());
        }
        NodeKind::Map(entries) => entries,
        _ => return wrong(node, EXPECTED, d),
    };
    let verbs: Vec<Verb> = entries.iter().filter_map(|entry| Verb::parse(&entry.key)).collect();
    let allowed: Vec<&str> = match verbs[..] {
        [] => Verb::ALL.iter().flat_map(|verb| verb.keys().iter().copied().chain([verb.word()])).collect(),
        [verb] => verb.keys().iter().copied().chain([verb.word()]).collect(),
        [first, second, ..] => {
            let message = format!("a request does one thing, not `{}` and `{}`", first.word(), second.word());
            d.push(Diagnostic::error(node.span, message).hint("keep one of them"));
            return None;
        }
    };
    for entry in entries {
        let key = &*entry.key;
        if !allowed.contains(&key) {
            let what = verbs.first().map_or("to files".to_owned(), |verb| format!("to `{}`", verb.word()));
            let diagnostic = Diagnostic::error(entry.key_span, format!("a request {what} has no `{key}`"));
            let mut words = allowed.clone();
            words.sort_unstable();
            words.dedup();
            d.push(match suggest(key, words.iter().copied()) {
                Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
                None => diagnostic.hint(format!("it may have `{}`", words.join("`, `"))),
            });
            return None;
        }
        let value = match (key, entry.value.as_str()) {
            ("to", Some(path)) => from_top(path),
            (key, Some(path)) if Verb::parse(key).is_some() => from_top(path),
            (key, None) if key == "to" || Verb::parse(key).is_some() => {
                return wrong(&entry.value, "a path such as `notes/a.md`", d);
            }
            // It is written as JSON.
            ("content", None) => entry.value.to_value().to_json().into(),
            _ => entry.value.to_value(),
        };
        map.insert(entry.key.clone(), value);
    }
    Some(map.into())
}

/// As it is shown: the top is `.`, a folder has no `/` at its end.
fn from_top(path: &str) -> Value {
    match path.trim_end_matches('/') {
        "" => ".".into(),
        path => path.into(),
    }
}

/// The shortest form of a request.
pub(super) fn write(shown: &Value) -> Value {
    let Some(map) = shown.as_object().filter(|map| map.len() == 1) else { return shown.clone() };
    let verb = map.first().and_then(|(word, path)| Some((Verb::parse(word)?, path.as_str()?)));
    match verb {
        Some((verb, path)) if is_short(verb) => format!("{} {path}", verb.word()).into(),
        _ => shown.clone(),
    }
}
