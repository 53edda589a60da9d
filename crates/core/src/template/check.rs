//! What the declared input says about a path.
//!
//! Only what is certain is said: a schema that refers elsewhere or is open knows nothing.

use crate::{Value, diagnostic::suggest};

/// The JSON Schema of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    schema: &'a Value,
}

#[derive(Debug)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) hint: String,
}

impl<'a> Input<'a> {
    pub(super) fn new(schema: &'a Value) -> Self {
        Input { schema }
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.schema.get("properties").is_some_and(|members| members.get(name).is_some())
    }

    /// The schema of the elements, if it is known.
    pub(super) fn element(self) -> Option<Self> {
        self.schema.get("items").map(Input::new)
    }

    /// The schema of a member, if it is known; a problem, if there can be no such member.
    pub(super) fn member(self, name: &str) -> Result<Option<Self>, Problem> {
        let kind = self.schema.get("type").and_then(Value::as_str);
        if let Some(kind @ ("string" | "integer" | "number" | "boolean" | "array")) = kind {
            return Err(Problem {
                message: format!("`.{name}` is a member of {} {kind}, which has none", article(kind)),
                hint: match kind {
                    "array" => format!("name an element, `[0].{name}`, or take all: `map(.{name})`"),
                    _ => "leave it out".into(),
                },
            });
        }
        let members = self.schema.get("properties").and_then(Value::as_object);
        if let Some(member) = members.and_then(|members| members.get(name)) {
            return Ok(Some(Input::new(member)));
        }
        if !self.is_closed() {
            return Ok(None);
        }
        let known: Vec<&str> =
            members.into_iter().flat_map(|members| members.keys()).map(|key| &**key).collect();
        let hint = match suggest(name, known.iter().copied()) {
            Some(close) => format!("did you mean `{}`?", access(close)),
            None if known.is_empty() => "the input has no members; declare one under `input:`".into(),
            None => {
                let list: Vec<_> = known.iter().map(|name| format!("`{}`", access(name))).collect();
                format!("there are {}; others are declared under `input:`", list.join(", "))
            }
        };
        Err(Problem { message: format!("`{}` is not in the input", access(name)), hint })
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
