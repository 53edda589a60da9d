//! What the derived code calls: the keys of a mapping, the words of an enum, and their schemas.

use super::FromNode;
use crate::{
    Definitions, Diagnostic, Diagnostics, Entry, Map, Node, NodeKind, Number, Schema, Span, Value,
    diagnostic::suggest, node::Text,
};

/// Says what is expected at `node` and what is there instead. Always nothing, for `return`.
pub fn wrong<T>(node: &Node, expected: &str, d: &mut Diagnostics) -> Option<T> {
    let found = match &node.kind {
        NodeKind::Bool(flag) => format!("`{flag}`"),
        NodeKind::Number(number) => format!("the number `{number}`"),
        NodeKind::String(text) if text.value.chars().count() <= 60 => format!("the text `{}`", text.value),
        NodeKind::String(_) => "a long text".into(),
        NodeKind::Map(entries) if entries.is_empty() => "an empty mapping".into(),
        _ => node.what().into(),
    };
    let diagnostic = Diagnostic::error(node.span, format!("expected {expected}, found {found}"));
    d.push(match &node.kind {
        NodeKind::Null => diagnostic.hint("give it a value, or remove the key"),
        _ => diagnostic,
    });
    None
}

/// The keys of a mapping that a struct is read from.
#[derive(Debug)]
pub struct Fields<'n> {
    node: &'n Node,
    entries: &'n [Entry],
    /// Misspelt keys and what they are meant for. They are read as that, so that what stands under
    /// them is checked and the right key is not missed.
    meant: Vec<(String, &'n Entry)>,
}

impl<'n> Fields<'n> {
    /// Nothing, with a diagnostic, if `node` is no mapping. Keys outside `known` are reported.
    pub fn new(node: &'n Node, known: &[&str], d: &mut Diagnostics) -> Option<Self> {
        let entries = match &node.kind {
            NodeKind::Map(entries) => entries.as_slice(),
            NodeKind::Unknown => &[],
            _ => return wrong(node, &format!("a mapping with {}", list(known, "and")), d),
        };
        let mut meant: Vec<(String, &Entry)> = Vec::new();
        for entry in entries.iter().filter(|entry| !known.contains(&&*entry.key)) {
            let close = unknown_word(entry.key_span, "key", &entry.key, known, d);
            let taken = |key: &str| node.entry(key).is_some() || meant.iter().any(|(known, _)| known == key);
            if let Some(close) = close.filter(|close| !taken(close)) {
                meant.push((close.to_owned(), entry));
            }
        }
        Some(Fields { node, entries, meant })
    }

    /// The value of `key`. A missing key is reported, unless the type has a value for that.
    pub fn read<T: FromNode>(&self, key: &str, d: &mut Diagnostics) -> Option<T> {
        self.read_present(key, d).unwrap_or_else(|| {
            T::missing().or_else(|| {
                d.push(
                    Diagnostic::error(self.node.span, format!("the key `{key}` is missing"))
                        .label("in this mapping")
                        .hint(format!("add `{key}: …`")),
                );
                None
            })
        })
    }

    /// The value of `key`, or `default` if the key is not there.
    pub fn read_or<T: FromNode>(
        &self,
        key: &str,
        default: impl FnOnce() -> T,
        d: &mut Diagnostics,
    ) -> Option<T> {
        self.read_present(key, d).unwrap_or_else(|| Some(default()))
    }

    fn read_present<T: FromNode>(&self, key: &str, d: &mut Diagnostics) -> Option<Option<T>> {
        if matches!(self.node.kind, NodeKind::Unknown) {
            return Some(T::from_node(self.node, d));
        }
        let meant = || self.meant.iter().find(|(known, _)| known == key).map(|(_, entry)| *entry);
        let entry = self.entries.iter().find(|entry| &*entry.key == key).or_else(meant)?;
        Some(T::from_node(&entry.value, d))
    }

    /// Whether all of the mapping is known, so that a check of its values makes sense.
    pub fn is_known(&self) -> bool {
        !self.node.has_unknown()
    }
}

/// Gives what was probably meant.
fn unknown_word<'k>(
    span: Span,
    what: &str,
    word: &str,
    known: &[&'k str],
    d: &mut Diagnostics,
) -> Option<&'k str> {
    let diagnostic = Diagnostic::error(span, format!("unknown {what} `{word}`"));
    let close = suggest(word, known.iter().copied());
    d.push(match close {
        Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
        None if known.is_empty() => diagnostic.hint("no keys are allowed here"),
        None => diagnostic.hint(format!("allowed here: {}", list(known, "and"))),
    });
    close
}

/// `` `a`, `b` and `c` ``
fn list(words: &[&str], last: &str) -> String {
    let mut out = String::new();
    for (at, word) in words.iter().enumerate() {
        match at {
            0 => {}
            _ if at + 1 == words.len() => out += &format!(" {last} "),
            _ => out += ", ",
        }
        out += &format!("`{word}`");
    }
    out
}

/// The one variant of an enum that a node names: by a word, or by the only key of a mapping.
#[derive(Debug)]
pub struct Variants<'n> {
    /// The variant's name in the config.
    pub name: &'n str,
    /// What stands under it; nothing where it is a word.
    pub value: Option<&'n Node>,
}

impl<'n> Variants<'n> {
    /// `words` stand alone, `keys` take a value. Nothing, with a diagnostic, for anything else.
    pub fn new(node: &'n Node, words: &[&'n str], keys: &[&'n str], d: &mut Diagnostics) -> Option<Self> {
        let all: Vec<&str> = words.iter().chain(keys).copied().collect();
        match &node.kind {
            NodeKind::Unknown => Some(match words.first() {
                Some(word) => Variants { name: word, value: None },
                None => Variants { name: keys.first()?, value: Some(node) },
            }),
            NodeKind::String(text) if words.contains(&&*text.value) => {
                Some(Variants { name: &text.value, value: None })
            }
            NodeKind::String(text) if keys.contains(&&*text.value) => {
                let word = &text.value;
                d.push(
                    Diagnostic::error(node.span, format!("`{word}` needs a value"))
                        .hint(format!("write `{{ {word}: … }}`")),
                );
                None
            }
            NodeKind::String(text) if keys.is_empty() => {
                unknown_word(node.span, "word", &text.value, &all, d);
                None
            }
            NodeKind::Map(entries) => Self::of_mapping(node, entries, words, keys, d),
            _ => {
                let mut expected = Vec::new();
                if !words.is_empty() {
                    expected.push(format!("one of the words {}", list(words, "or")));
                }
                if !keys.is_empty() {
                    expected.push(format!("a mapping with one of the keys {}", list(keys, "or")));
                }
                wrong(node, &expected.join(", or "), d)
            }
        }
    }

    fn of_mapping(
        node: &'n Node,
        entries: &'n [Entry],
        words: &[&str],
        keys: &[&str],
        d: &mut Diagnostics,
    ) -> Option<Self> {
        let mut chosen: Option<&Entry> = None;
        let mut good = true;
        for entry in entries {
            if words.contains(&&*entry.key) {
                let message = format!("`{}` is a word and takes no value", entry.key);
                d.push(
                    Diagnostic::error(entry.key_span, message).hint(format!("write just `{}`", entry.key)),
                );
                good = false;
            } else if !keys.contains(&&*entry.key) {
                unknown_word(entry.key_span, "key", &entry.key, keys, d);
                good = false;
            } else if let Some(first) = chosen {
                d.push(
                    Diagnostic::error(
                        entry.key_span,
                        format!("`{}` and `{}` exclude each other", first.key, entry.key),
                    )
                    .related(first.key_span, "the first one")
                    .hint(format!("keep exactly one of {}", list(keys, "and"))),
                );
                good = false;
            } else {
                chosen = Some(entry);
            }
        }
        match chosen {
            _ if !good => None,
            None => wrong(node, &format!("one of the keys {}", list(keys, "or")), d),
            Some(entry) => Some(Variants { name: &entry.key, value: Some(&entry.value) }),
        }
    }
}

/// The default of a field, as it is written in `#[config(default = …)]`.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'static str),
}

impl Default {
    /// The default as the field's type.
    pub fn read<T: FromNode>(self) -> T {
        let kind = match self {
            Default::Bool(flag) => NodeKind::Bool(flag),
            Default::Int(int) => NodeKind::Number(Number::from(int)),
            Default::Float(float) => Number::from_f64(float).map_or(NodeKind::Null, NodeKind::Number),
            Default::Text(text) => NodeKind::String(Text::new(text)),
        };
        let node = Node { kind, span: Span::default() };
        T::from_node(&node, &mut Diagnostics::default())
            .expect("the type's schema was made, which reads every default once")
    }

    fn to_value(self) -> Value {
        match self {
            Default::Bool(flag) => flag.into(),
            Default::Int(int) => int.into(),
            Default::Float(float) => float.into(),
            Default::Text(text) => text.into(),
        }
    }
}

/// One property of a struct's schema; what the derived code says of a field.
pub fn described(schema: Schema, doc: &str, default: Option<Default>) -> Schema {
    let mut map = match schema {
        Value::Object(map) => Map::clone(&map),
        Value::Bool(false) => Map::from_iter([("not".into(), Value::object())]),
        _ => Map::new(),
    };
    if !doc.is_empty() {
        map.insert("description".into(), doc.into());
    }
    if let Some(default) = default {
        map.insert("default".into(), default.to_value());
    }
    map.into()
}

/// The schema of one field, given by the derived code.
#[derive(Debug)]
pub struct Property {
    pub name: &'static str,
    pub schema: Schema,
    pub required: bool,
}

impl Fields<'_> {
    /// The schema of a field of type `T`. Reads the default once, so that a wrong one is found by
    /// the first test that makes the schema.
    pub fn property<T: FromNode>(
        name: &'static str,
        doc: &str,
        default: Option<Default>,
        optional: bool,
        defs: &mut Definitions,
    ) -> Property {
        if let Some(default) = default {
            let _: T = default.read();
        }
        Property {
            name,
            schema: described(T::schema(defs), doc, default),
            required: !optional && default.is_none() && T::missing().is_none(),
        }
    }

    /// The schema of the struct.
    pub fn schema(doc: &str, properties: Vec<Property>) -> Schema {
        let required: Vec<Value> = properties.iter().filter(|p| p.required).map(|p| p.name.into()).collect();
        let mut map = Map::new();
        map.insert("type".into(), "object".into());
        if !doc.is_empty() {
            map.insert("description".into(), doc.into());
        }
        map.insert(
            "properties".into(),
            properties.into_iter().map(|p| (p.name.into(), p.schema)).collect::<Map>().into(),
        );
        if !required.is_empty() {
            map.insert("required".into(), required.into());
        }
        map.insert("additionalProperties".into(), false.into());
        map.into()
    }
}

impl Variants<'_> {
    /// The schema of a variant: a word without `value`, a mapping of one key with it.
    pub fn variant(name: &'static str, doc: &str, value: Option<Schema>) -> Schema {
        match value {
            None => described(Value::from([("const", name)]), doc, None),
            Some(schema) => Fields::schema(
                "",
                vec![Property { name, schema: described(schema, doc, None), required: true }],
            ),
        }
    }

    /// The schema of the enum.
    pub fn schema(doc: &str, variants: Vec<Schema>) -> Schema {
        described(Value::from([("oneOf", variants)]), doc, None)
    }
}

/// `module` is a `module_path!()`. Gives a name for `$defs` that no other type has:
/// `renkei_connectors::http::config` and `Auth` give `connectors.http.config.Auth`.
pub fn definition_name(module: &str, name: &str) -> String {
    let module = module.strip_prefix("renkei_").unwrap_or(module).replace("::", ".");
    format!("{module}.{name}")
}
