//! Schemas that stand in the config: are they JSON Schema 2020-12, whole, and free of slips of the hand?

use renkei_core::{Diagnostic, Diagnostics, Entry, Node, NodeKind, Span, Value, diagnostic::suggest};

/// All keywords of JSON Schema 2020-12, those of `format` and content included, and older ones that its
/// meta-schema still knows.
const KEYWORDS: [&str; 59] = [
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$ref",
    "$schema",
    "$vocabulary",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxContains",
    "maximum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "minContains",
    "minimum",
    "minItems",
    "minLength",
    "minProperties",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
];
/// Keywords whose value is a schema, …
const ONE: [&str; 11] = [
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// … a list of schemas, …
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// … or a mapping of names to schemas.
const MAPS: [&str; 5] = ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];

/// Reports keywords that JSON Schema does not have: it would pass over them silently. `x-…` is free.
pub(super) fn check_keywords(node: &Node, more: &[&str], d: &mut Diagnostics) -> bool {
    let mut good = true;
    each_keyword(node, &mut |entry| {
        let key = &*entry.key;
        if KEYWORDS.contains(&key) || key.starts_with("x-") {
            return;
        }
        if more.contains(&key) && node.entry(key).is_some_and(|own| own.key_span == entry.key_span) {
            return;
        }
        good = false;
        let diagnostic = Diagnostic::error(entry.key_span, format!("unknown keyword `{key}` in a schema"));
        d.push(match suggest(key, KEYWORDS.iter().chain(more).copied()) {
            Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
            None => diagnostic.hint("JSON Schema 2020-12 has no such keyword; own ones begin with `x-`"),
        });
    });
    good
}

/// Calls `see` with every keyword of the schema and of those inside it.
fn each_keyword(node: &Node, see: &mut dyn FnMut(&Entry)) {
    for entry in node.as_map().unwrap_or_default() {
        see(entry);
        let key = &*entry.key;
        if ONE.contains(&key) {
            each_keyword(&entry.value, see);
        } else if LISTS.contains(&key) {
            entry.value.as_seq().unwrap_or_default().iter().for_each(|item| each_keyword(item, see));
        } else if MAPS.contains(&key) {
            let members = entry.value.as_map().unwrap_or_default();
            members.iter().for_each(|member| each_keyword(&member.value, see));
        }
    }
}

/// Whether `schema`, which stands at `node`, is a schema that can be used as it is.
pub(super) fn check(node: &Node, schema: &Value, d: &mut Diagnostics) -> bool {
    let mut good = true;
    each_keyword(node, &mut |entry| {
        if !matches!(&*entry.key, "$ref" | "$dynamicRef" | "$schema") {
            return;
        }
        let target = entry.value.as_str().unwrap_or_default();
        if &*entry.key == "$schema" {
            if !target.trim_end_matches('#').ends_with("json-schema.org/draft/2020-12/schema") {
                good = false;
                d.push(
                    Diagnostic::error(entry.value.span, "only JSON Schema 2020-12 is known here")
                        .hint("remove `$schema`: 2020-12 is the default"),
                );
            }
        } else if !target.starts_with('#') {
            good = false;
            d.push(
                Diagnostic::error(entry.value.span, format!("`{target}` is outside of this schema"))
                    .hint("copy it into `$defs` and refer to it with `#/$defs/name`; nothing is fetched"),
            );
        }
    });
    if !good {
        return false;
    }
    let plain = serde_json::Value::from(schema);
    if let Err(error) = jsonschema::draft202012::meta::validate(&plain) {
        let path = error.instance_path().to_string();
        let found = at_pointer(node, &path);
        let keyword = path.rsplit('/').next().unwrap_or_default();
        d.push(match keyword {
            "type" => Diagnostic::error(
                found,
                format!("{} is not a type of JSON Schema", shorten(&error.instance().to_string())),
            )
            .hint("the types: `string`, `integer`, `number`, `boolean`, `object`, `array`, `null`"),
            "pattern" => bad_pattern(found, &plain, &path),
            _ => {
                let message = format!("`{keyword}` is wrong in this schema: {}", shorten(&error.to_string()));
                Diagnostic::error(found, message).hint("schemas are JSON Schema 2020-12")
            }
        });
        return false;
    }
    if let Err(error) = options().build(&plain) {
        let path = error.instance_path().to_string();
        let found = at_pointer(node, &path);
        d.push(match error.kind() {
            jsonschema::error::ValidationErrorKind::Format { .. } => bad_pattern(found, &plain, &path),
            _ => {
                let message = format!("this is not a valid schema: {}", shorten(&error.to_string()));
                Diagnostic::error(found, message).hint("schemas are JSON Schema 2020-12")
            }
        });
        return false;
    }
    true
}

/// As the engine compiles it: patterns run in linear time, so that no argument can hold it up.
fn options() -> jsonschema::ValidationOptions<'static> {
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .offline()
}

fn bad_pattern(span: Span, schema: &serde_json::Value, path: &str) -> Diagnostic {
    let pattern = schema.pointer(path).or(schema.get("pattern")).and_then(|pattern| pattern.as_str());
    let pattern = shorten(pattern.unwrap_or_default());
    Diagnostic::error(span, format!("`{pattern}` is not a regular expression that can be used here"))
        .hint("patterns run in linear time, so look-around and back-references are left out; a literal `[`, `(`, `.` … wants a backslash")
}

/// Whether a default is a value that its own schema takes.
pub(super) fn check_default(default: &Node, schema: &Value, d: &mut Diagnostics) -> bool {
    let value = serde_json::Value::from(&default.to_value());
    let schema = serde_json::Value::from(schema);
    // A schema that cannot be built was reported already.
    let Ok(validator) = options().build(&schema) else { return false };
    let Err(error) = validator.validate(&value) else { return true };
    let message = format!("the default does not fit its own schema: {}", shorten(&error.to_string()));
    d.push(Diagnostic::error(default.span, message).hint("give a default that a caller could send, too"));
    false
}

/// Where the value that a JSON pointer names stands.
fn at_pointer(node: &Node, pointer: &str) -> Span {
    let mut here = node;
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let next = match &here.kind {
            NodeKind::Map(_) => here.get(&step),
            NodeKind::Seq(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        match next {
            Some(next) => here = next,
            None => break,
        }
    }
    here.span
}

fn shorten(text: &str) -> String {
    const LETTERS: usize = 160;
    match text.char_indices().nth(LETTERS) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}
