//! Checks arguments against a tool's schema and says, all at once, what to change.
//!
//! Numbers keep their digits: the check looks at a copy, the arguments go on as they came. Members
//! that are not there get their `default`. A null for a member that may be left out, and may not be
//! null, counts as left out: many clients fill in nulls.

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind as Wrong, paths::LocationSegment};
use renkei_core::{Error, Map, Result, Value, diagnostic::suggest};

use super::{
    plain::Plain,
    schema::{self, resolve},
    shape::shape,
};

/// So many problems are listed; more would only hide them.
const LISTED: usize = 12;
/// A given value is shown up to so many characters.
const SHOWN: usize = 60;
/// Defaults are filled in this deep.
const DEPTH: usize = 16;

/// The compiled input schema of a tool.
#[derive(Debug)]
pub(crate) struct Input {
    schema: Value,
    plain: Option<Plain>,
    validator: Validator,
}

impl Input {
    pub(crate) fn new(schema: &Value) -> Result<Self, String> {
        let validator = schema::compile(schema)?;
        Ok(Input { schema: schema.clone(), plain: Plain::of(schema), validator })
    }

    /// The arguments with defaults, or an `invalid` error that lists all that is wrong.
    pub(crate) fn check(&self, tool: &str, arguments: Value) -> Result<Value> {
        let given = match arguments {
            Value::Null => Value::object(),
            other => other,
        };
        self.fit(given).map_err(|problems| Error::invalid(self.explain(tool, problems)))
    }

    /// The value with defaults, or all that is wrong with it.
    pub(crate) fn fit(&self, value: Value) -> Result<Value, Vec<String>> {
        if self.plain.as_ref().is_some_and(|plain| plain.is_right(&value)) {
            return Ok(value);
        }
        let filled = fill(&self.schema, &self.schema, value, DEPTH);
        let copy = serde_json::Value::from(&filled);
        // By far the quicker question.
        if self.validator.is_valid(&copy) {
            return Ok(filled);
        }
        let errors: Vec<_> = self.validator.iter_errors(&copy).collect();
        if let Some(without) = self.without_nulls(&filled, &errors) {
            return Ok(without);
        }
        Err(errors.iter().flat_map(|error| self.problems(error)).collect())
    }

    /// The arguments without the nulls that are wrong, if that is all that is wrong.
    fn without_nulls(&self, filled: &Value, errors: &[ValidationError<'_>]) -> Option<Value> {
        let mut without = filled.clone();
        for error in errors {
            if !error.instance().is_null() {
                return None;
            }
            let path: Vec<_> = error.instance_path().segments().collect();
            without = remove(&without, &path);
        }
        let without = fill(&self.schema, &self.schema, without, DEPTH);
        self.validator.is_valid(&serde_json::Value::from(&without)).then_some(without)
    }

    fn explain(&self, tool: &str, problems: Vec<String>) -> String {
        let mut text = format!("the arguments of `{tool}` do not fit:");
        let mut problems = problems.into_iter();
        for problem in problems.by_ref().take(LISTED) {
            text += "\n- ";
            text += &problem;
        }
        let more = problems.count();
        if more > 0 {
            text += &format!("\n- and {more} more");
        }
        text += &format!("\nexpected: {}", shape(&self.schema, &self.schema));
        text
    }

    fn problems(&self, error: &ValidationError<'_>) -> Vec<String> {
        let at = place(error);
        match error.kind() {
            Wrong::AdditionalProperties { unexpected } | Wrong::UnevaluatedProperties { unexpected } => {
                let known = self.properties_at(error);
                unexpected.iter().map(|name| unknown(error, name, &known)).collect()
            }
            Wrong::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                let root = error.instance_path().as_str().is_empty();
                let full = if root { name.to_owned() } else { format!("{at}.{name}") };
                let expected = self.property(error, name).map(|s| shape(&self.schema, s));
                vec![match expected {
                    Some(expected) => format!("`{full}` is missing: {expected}"),
                    None => format!("`{full}` is missing"),
                }]
            }
            kind => vec![format!("`{at}`: {}", describe(kind, error))],
        }
    }

    /// The schema of the object that `error` is about: its keyword's parent.
    fn parent(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let path: Vec<_> = error.schema_path().segments().collect();
        let mut found = &self.schema;
        for segment in path.iter().take(path.len().saturating_sub(1)) {
            found = match segment {
                LocationSegment::Property(name) => resolve(&self.schema, found).get(name)?,
                LocationSegment::Index(index) => match found {
                    Value::Array(items) => items.get(*index)?,
                    other => resolve(&self.schema, other).get(&index.to_string())?,
                },
            };
        }
        Some(resolve(&self.schema, found))
    }

    fn property(&self, error: &ValidationError<'_>, name: &str) -> Option<&Value> {
        self.parent(error)?.get("properties")?.get(name)
    }

    fn properties_at(&self, error: &ValidationError<'_>) -> Vec<&str> {
        let properties = self.parent(error).and_then(|parent| parent.get("properties")?.as_object());
        properties.map(|map| map.keys().map(AsRef::as_ref).collect()).unwrap_or_default()
    }
}

/// `items[2].price`; `arguments` for the whole.
pub(super) fn place(error: &ValidationError<'_>) -> String {
    let mut text = String::new();
    for segment in error.instance_path().segments() {
        match segment {
            LocationSegment::Index(index) => text += &format!("[{index}]"),
            LocationSegment::Property(name) if text.is_empty() => text += &name,
            LocationSegment::Property(name) => text += &format!(".{name}"),
        }
    }
    if text.is_empty() { "arguments".into() } else { text }
}

fn unknown(error: &ValidationError<'_>, name: &str, known: &[&str]) -> String {
    let whole = error.instance_path().as_str().is_empty();
    let text = match whole {
        true => format!("`{name}` is not an argument of this tool"),
        false => format!("`{name}` does not belong into `{}`", place(error)),
    };
    match suggest(name, known.iter().copied()) {
        Some(close) => format!("{text}; did you mean `{close}`?"),
        None if known.is_empty() && whole => format!("{text}; it takes no arguments"),
        None => format!("{text}; leave it out"),
    }
}

/// What is wrong with one value: what was expected, and what came instead.
pub(super) fn describe(kind: &Wrong, error: &ValidationError<'_>) -> String {
    let given = || shown(error.instance());
    match kind {
        Wrong::Type { kind } => {
            let expected = match kind {
                jsonschema::error::TypeKind::Single(name) => name.to_string(),
                jsonschema::error::TypeKind::Multiple(names) => {
                    names.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(" or ")
                }
            };
            let given_type = type_of(error.instance());
            let hint = type_hint(&expected, error.instance());
            match error.instance().as_ref() {
                serde_json::Value::Null => format!("must not be null; expected {expected}"),
                _ => format!("expected {expected}, got the {given_type} {}{hint}", given()),
            }
        }
        Wrong::Enum { options } => {
            let options: Vec<String> = match &**options {
                serde_json::Value::Array(options) => options.iter().map(ToString::to_string).collect(),
                other => vec![other.to_string()],
            };
            let text = format!("{} is not one of {}", given(), options.join(", "));
            match suggest(&error.instance().to_string(), options.iter().map(String::as_str)) {
                Some(close) => format!("{text}; did you mean {close}?"),
                None => text,
            }
        }
        Wrong::Constant { expected_value } => format!("must be {expected_value}, got {}", given()),
        Wrong::Minimum { limit } => format!("{} is too small: at least {limit}", given()),
        Wrong::ExclusiveMinimum { limit } => format!("{} is too small: more than {limit}", given()),
        Wrong::Maximum { limit } => format!("{} is too large: at most {limit}", given()),
        Wrong::ExclusiveMaximum { limit } => format!("{} is too large: less than {limit}", given()),
        Wrong::MultipleOf { multiple_of } => format!("{} is not a multiple of {multiple_of}", given()),
        Wrong::MinLength { limit } => format!("{} is too short: at least {limit} characters", given()),
        Wrong::MaxLength { limit } => {
            let length = error.instance().as_str().map_or(0, |text| text.chars().count());
            format!("{length} characters are too long: at most {limit}")
        }
        Wrong::Pattern { pattern } => format!("{} does not match the pattern {pattern}", given()),
        Wrong::Format { format } => format!("{} is not a valid {}", given(), format_hint(format)),
        Wrong::MinItems { limit } => format!("too few elements ({}): at least {limit}", count(error)),
        Wrong::MaxItems { limit } => format!("too many elements ({}): at most {limit}", count(error)),
        Wrong::UniqueItems => "has the same element twice".into(),
        Wrong::MinProperties { limit } => format!("too few members ({}): at least {limit}", count(error)),
        Wrong::MaxProperties { limit } => format!("too many members ({}): at most {limit}", count(error)),
        Wrong::AnyOf { context } | Wrong::OneOfNotValid { context } => {
            let forms: Vec<String> = context
                .iter()
                .filter_map(|form| form.first())
                .map(|inner| {
                    let what = describe(inner.kind(), inner);
                    if inner.instance_path() == error.instance_path() {
                        what
                    } else {
                        format!("`{}`: {what}", place(inner))
                    }
                })
                .collect();
            format!("{} fits none of the {} allowed forms: {}", given(), context.len(), forms.join("; or: "))
        }
        Wrong::OneOfMultipleValid { .. } => {
            format!("{} fits more than one form, and must fit exactly one", given())
        }
        Wrong::Required { property } => format!("{property} is missing"),
        Wrong::AdditionalProperties { unexpected } | Wrong::UnevaluatedProperties { unexpected } => {
            format!("{} is not allowed", unexpected.join(", "))
        }
        _ => error.masked_with("the value").to_string(),
    }
}

fn count(error: &ValidationError<'_>) -> usize {
    match error.instance().as_ref() {
        serde_json::Value::Array(items) => items.len(),
        serde_json::Value::Object(map) => map.len(),
        _ => 0,
    }
}

fn shown(value: &serde_json::Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

fn type_of(value: &serde_json::Value) -> &'static str {
    Value::from(value).type_name()
}

/// What most often lies behind a wrong type.
fn type_hint(expected: &str, given: &serde_json::Value) -> &'static str {
    let is = |name: &str| expected.split(" or ").any(|one| one == name);
    match given {
        serde_json::Value::String(text) if is("integer") && text.parse::<i64>().is_ok() => {
            "; write it without quotes"
        }
        serde_json::Value::String(text) if is("number") && text.parse::<f64>().is_ok() => {
            "; write it without quotes"
        }
        serde_json::Value::String(text) if is("boolean") && matches!(text.as_str(), "true" | "false") => {
            "; write it without quotes"
        }
        serde_json::Value::String(text)
            if (is("object") && text.starts_with('{')) || (is("array") && text.starts_with('[')) =>
        {
            "; give the value itself, not its JSON as text"
        }
        serde_json::Value::Number(_) | serde_json::Value::Bool(_) if is("string") => "; write it in quotes",
        serde_json::Value::Array(_) => "",
        _ if is("array") => "; put it into a list",
        _ => "",
    }
}

fn format_hint(format: &str) -> &str {
    match format {
        "date" => "date (such as 2026-07-28)",
        "date-time" => "date-time (such as 2026-07-28T14:30:00Z)",
        "time" => "time (such as 14:30:00Z)",
        "uuid" => "UUID (such as 018f3c5e-7a9b-7c1d-9e2f-3a4b5c6d7e8f)",
        "email" => "email address",
        "uri" => "URI (such as https://example.com/a)",
        "ipv4" => "IPv4 address",
        "ipv6" => "IPv6 address",
        other => other,
    }
}

/// Fills in the defaults of members that are not there.
fn fill(root: &Value, schema: &Value, value: Value, depth: usize) -> Value {
    let schema = resolve(root, schema);
    if depth == 0 {
        return value;
    }
    match &value {
        Value::Object(map) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return value };
            let mut filled: Option<Map> = None;
            for (name, property) in properties {
                let new = match map.get(name) {
                    Some(old) => {
                        let new = fill(root, property, old.clone(), depth - 1);
                        if new == *old { continue } else { new }
                    }
                    None => match resolve(root, property).get("default") {
                        Some(default) => default.clone(),
                        None => continue,
                    },
                };
                filled.get_or_insert_with(|| Map::clone(map)).insert(name.clone(), new);
            }
            filled.map_or(value, Value::from)
        }
        Value::Array(items) => match schema.get("items") {
            Some(each) => {
                items.iter().map(|item| fill(root, each, item.clone(), depth - 1)).collect::<Vec<_>>().into()
            }
            None => value,
        },
        _ => value,
    }
}

fn remove(value: &Value, path: &[LocationSegment<'_>]) -> Value {
    let [first, rest @ ..] = path else { return value.clone() };
    match (value, first) {
        (Value::Object(map), segment) => {
            let name = segment.to_string();
            let mut map = Map::clone(map);
            if rest.is_empty() {
                map.shift_remove(name.as_str());
            } else if let Some(member) = map.get_mut(name.as_str()) {
                *member = remove(member, rest);
            }
            map.into()
        }
        (Value::Array(items), LocationSegment::Index(index)) if !rest.is_empty() => {
            let mut items = Vec::clone(items);
            if let Some(item) = items.get_mut(*index) {
                *item = remove(item, rest);
            }
            items.into()
        }
        _ => value.clone(),
    }
}
