//! What the declared input, and the known shape of a reserved name, say about a path.
//!
//! Only what is certain is said: a schema that refers elsewhere or is open knows nothing.

use std::sync::LazyLock;

use crate::{Value, diagnostic::suggest};

/// What is known of a value: the JSON Schema of the input, of a reserved name, or of a part of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    schema: &'a Value,
    /// The reserved name that a path started at; nothing for the input.
    name: Option<&'a str>,
}

/// `$caller` is `{ name, auth, claims }`, and only the claims are open.
static CALLER: LazyLock<Value> = LazyLock::new(|| {
    let text = Value::from([("type", "string")]);
    let members = Value::from([("name", text.clone()), ("auth", text), ("claims", Value::object())]);
    Value::from([
        ("type", "object".into()),
        ("properties", members),
        ("additionalProperties", Value::Bool(false)),
    ])
});

static TEXT: LazyLock<Value> = LazyLock::new(|| Value::from([("type", "string")]));

#[derive(Debug)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) hint: String,
}

impl<'a> Input<'a> {
    pub(super) fn new(schema: &'a Value) -> Self {
        Input { schema, name: None }
    }

    /// What a reserved name (without its `$`) always is; nothing for what an action names.
    pub(super) fn reserved(name: &'a str) -> Option<Self> {
        let schema: &Value = match name {
            "caller" => &CALLER,
            "now" | "run" | "key" => &TEXT,
            _ => return None,
        };
        Some(Input { schema, name: Some(name) })
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.schema.get("properties").is_some_and(|members| members.get(name).is_some())
    }

    /// The schema of the elements, if it is known.
    pub(super) fn element(self) -> Option<Self> {
        self.schema.get("items").map(|schema| Input { schema, ..self })
    }

    /// The schema of a member, if it is known; a problem, if there can be no such member.
    pub(super) fn member(self, name: &str) -> Result<Option<Self>, Problem> {
        let kind = self.schema.get("type").and_then(Value::as_str);
        if let Some(kind @ ("string" | "integer" | "number" | "boolean" | "array")) = kind {
            return Err(Problem {
                message: format!("`.{name}` is a member of {} {kind}, which has none", article(kind)),
                hint: match (kind, self.name) {
                    (_, Some(own @ ("now" | "run" | "key"))) => format!("write `${own}`"),
                    ("array", _) => format!("name an element, `[0].{name}`, or take all: `map(.{name})`"),
                    _ => "leave it out".into(),
                },
            });
        }
        let members = self.schema.get("properties").and_then(Value::as_object);
        if let Some(member) = members.and_then(|members| members.get(name)) {
            return Ok(Some(Input { schema: member, ..self }));
        }
        if !self.is_closed() {
            return Ok(None);
        }
        let known: Vec<&str> =
            members.into_iter().flat_map(|members| members.keys()).map(|key| &**key).collect();
        let hint = match (suggest(name, known.iter().copied()), self.name) {
            (Some(close), _) => format!("did you mean `{}`?", access(close)),
            (None, None) if known.is_empty() => "the input has no members; declare one under `input:`".into(),
            (None, own) => {
                let list: Vec<_> = known.iter().map(|name| format!("`{}`", access(name))).collect();
                let elsewhere = own.map_or("; others are declared under `input:`", |_| "");
                format!("there are {}{elsewhere}", list.join(", "))
            }
        };
        let whole = self.name.map_or("the input".to_owned(), |name| format!("`${name}`"));
        Err(Problem { message: format!("`{}` is not in {whole}", access(name)), hint })
    }

    fn is_closed(self) -> bool {
        let elsewhere =
            ["$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "patternProperties", "if", "dependentSchemas"];
        self.schema.get("additionalProperties") == Some(&Value::Bool(false))
            && elsewhere.iter().all(|key| self.schema.get(key).is_none())
    }
}

/// How a template names a member: `.name`, or `.["first-name"]`.
pub(super) fn access(name: &str) -> String {
    let first = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    let plain = first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { format!(".{name}") } else { format!(".[{}]", Value::from(name)) }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'i']) { "an" } else { "a" }
}
