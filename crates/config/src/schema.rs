//! The JSON Schema of the whole config, for editors and for the reference pages.
//!
//! It is put together from the types that read the config, so it cannot say something else.

use std::marker::PhantomData;

use renkei_core::{
    Definitions, Diagnostics, FromNode, Map, Node, Schema, Value, connector::call_definition,
    pattern::ACTION_DEFINITION,
};

use crate::{
    action::ActionConfig,
    group::GroupConfig,
    plan::Kinds,
    prompt::PromptConfig,
    queue::QueueConfig,
    resource::ResourceConfig,
    server::ServerConfig,
    test::{TestConfig, mock_schema},
    tool::ToolConfig,
};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The definition that stands for a string with a `${…}`.
pub(crate) const TEMPLATE: &str = "template";

/// The schema of the config, for everything that `kinds` know.
pub fn schema(kinds: &Kinds<'_>) -> Schema {
    let parts = Parts::new(kinds);
    let properties = object([
        (
            "renkei",
            object([
                ("const", Value::from(1i64)),
                ("description", "The version of the config language; may be left out.".into()),
            ]),
        ),
        ("server", parts.server),
        (
            "systems",
            object([
                ("type", "object".into()),
                (
                    "description",
                    "The systems outside, by name. A name has lower-case letters, digits and `_`.".into(),
                ),
                ("propertyNames", object([("pattern", "^[a-z_][a-z0-9_]{0,63}$".into())])),
                ("additionalProperties", parts.system),
            ]),
        ),
        (
            "actions",
            object([
                ("type", "object".into()),
                (
                    "description",
                    "Actions with a name, which `run` reuses. A name has lower-case letters, digits and `_`."
                        .into(),
                ),
                ("propertyNames", object([("pattern", "^[a-z_][a-z0-9_]{0,63}$".into())])),
                ("additionalProperties", parts.action),
            ]),
        ),
        (
            "resources",
            object([
                ("type", "object".into()),
                ("description", "What clients may read, by name. A name is what clients show where there is no title.".into()),
                ("additionalProperties", parts.resource),
            ]),
        ),
        (
            "prompts",
            object([
                ("type", "object".into()),
                ("description", "Messages that people start a conversation with, by name. A name has letters, digits, `_`, `-` and `.`.".into()),
                ("propertyNames", object([("pattern", "^[A-Za-z0-9_.-]{1,128}$".into())])),
                ("additionalProperties", parts.prompt),
            ]),
        ),
        (
            "tools",
            object([
                ("type", "object".into()),
                ("description", "The tools, by name. A name has letters, digits, `_`, `-` and `.`.".into()),
                ("propertyNames", object([("pattern", "^[A-Za-z0-9_.-]{1,128}$".into())])),
                ("additionalProperties", parts.tool),
            ]),
        ),
        (
            "queues",
            object([
                ("type", "object".into()),
                ("description", "Queues, by name, each with its worker. A name has lower-case letters, digits and `_`.".into()),
                ("propertyNames", object([("pattern", "^[a-z_][a-z0-9_]{0,63}$".into())])),
                ("additionalProperties", parts.queue),
            ]),
        ),
        (
            "groups",
            object([
                ("type", "object".into()),
                ("description", "Parts of what the config offers, by name, each with an endpoint of its own: `/mcp/NAME`.".into()),
                ("propertyNames", object([("pattern", "^[a-z0-9][a-z0-9_-]{0,63}$".into())])),
                ("additionalProperties", parts.group),
            ]),
        ),
        (
            "tests",
            object([
                ("type", "object".into()),
                ("description", "Tests of the tools, by name; `renkei test` runs them.".into()),
                ("additionalProperties", parts.test),
            ]),
        ),
    ]);
    object([
        ("$schema", DIALECT.into()),
        ("title", "Renkei".into()),
        (
            "description",
            "The config of Renkei: which systems there are, and which tools agents get on them.".into(),
        ),
        ("type", "object".into()),
        ("properties", properties),
        ("additionalProperties", false.into()),
        ("$defs", parts.definitions.into()),
    ])
}

/// The schemas of the parts, and the definitions that they point to.
pub(crate) struct Parts {
    pub(crate) server: Schema,
    pub(crate) system: Schema,
    pub(crate) action: Schema,
    pub(crate) tool: Schema,
    pub(crate) resource: Schema,
    pub(crate) prompt: Schema,
    pub(crate) queue: Schema,
    pub(crate) group: Schema,
    pub(crate) test: Schema,
    pub(crate) definitions: Map,
}

impl Parts {
    pub(crate) fn new(kinds: &Kinds<'_>) -> Self {
        let mut defs = Definitions::default();
        let server = ServerConfig::schema(&mut defs);
        let system = system(kinds, &mut defs);
        // All so far belongs to `server` and `systems`, where every value may come from the environment.
        for (_, schema) in &mut defs.map {
            *schema = with_templates(schema);
        }
        let (server, system) = (with_templates(&server), with_templates(&system));
        for (word, schema) in kinds.layers.call_properties(&mut defs) {
            defs.map.insert(call_definition(word).into(), schema);
        }
        let patterns = any_action(kinds, &mut defs);
        let action = with_action(&ActionConfig::schema(&mut defs), &patterns, &mut defs);
        let tool = with_action(&ToolConfig::schema(&mut defs), &patterns, &mut defs);
        let resource = with_optional_action(&ResourceConfig::schema(&mut defs), &patterns, &mut defs);
        let prompt = with_optional_action(&PromptConfig::schema(&mut defs), &patterns, &mut defs);
        let queue = QueueConfig::schema(&mut defs);
        let group = GroupConfig::schema(&mut defs);
        let test = TestConfig::schema(&mut defs);
        let (name, mock) = mock_schema(kinds, &mut defs);
        defs.map.insert(name.into(), mock);
        defs.map.insert(ACTION_DEFINITION.into(), patterns);
        defs.map.insert(
            TEMPLATE.into(),
            object([
                ("type", "string".into()),
                ("pattern", "\\$\\{".into()),
                ("description", "A text with `${…}`, such as `${env.TOKEN}`.".into()),
            ]),
        );
        defs.map.sort_keys();
        Parts { server, system, action, tool, resource, prompt, queue, group, test, definitions: defs.map }
    }
}

fn system(kinds: &Kinds<'_>, defs: &mut Definitions) -> Schema {
    let mut properties = Map::new();
    for kind in kinds.connectors {
        let schema = kind.schema(defs);
        properties.insert(kind.name().into(), schema);
    }
    for (name, schema) in kinds.layers.properties(defs) {
        properties.insert(name.into(), schema);
    }
    object([
        ("type", "object".into()),
        (
            "description",
            "A system outside: exactly one key says what it is, the others how calls to it are made.".into(),
        ),
        ("properties", properties.into()),
        ("additionalProperties", false.into()),
        ("oneOf", one_of_keys(kinds.connectors.iter().map(|kind| kind.name()))),
    ])
}

/// Any action: exactly one key names a pattern. Other keys may stand beside it.
fn any_action(kinds: &Kinds<'_>, defs: &mut Definitions) -> Schema {
    let ops: Vec<(&'static str, Schema)> =
        kinds.connectors.iter().map(|kind| (kind.name(), kind.op_schema(defs))).collect();
    let mut properties = Map::new();
    for kind in kinds.patterns {
        let schema = kind.schema(&ops, defs);
        properties.insert(kind.name().into(), schema);
        for (name, schema) in kind.companions(defs) {
            properties.insert(name.into(), schema);
        }
    }
    object([
        ("type", "object".into()),
        ("description", "An action: exactly one key names its pattern.".into()),
        ("properties", properties.into()),
        ("oneOf", one_of_keys(kinds.patterns.iter().map(|kind| kind.name()))),
    ])
}

/// The mapping that `reference` points to, with an action in it.
fn with_action(reference: &Schema, action: &Schema, defs: &mut Definitions) -> Schema {
    let generic = resolve(reference, &defs.map).clone();
    if let Some(name) = definition_of(reference) {
        // The mapping as a whole takes its place.
        defs.map.shift_remove(name);
    }
    let mut out = generic.as_object().cloned().unwrap_or_default();
    let mut properties = generic.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let own = action.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    properties.extend(own);
    out.insert("properties".into(), properties.into());
    out.insert("oneOf".into(), action.get("oneOf").cloned().unwrap_or_default());
    out.insert("not".into(), required(&["input", "input_schema"]));
    out.into()
}

/// The same where an action may be there or not.
fn with_optional_action(reference: &Schema, action: &Schema, defs: &mut Definitions) -> Schema {
    let Value::Object(map) = with_action(reference, action, defs) else { return Value::Bool(true) };
    let mut out = Map::clone(&map);
    let mut choices = out.get("oneOf").and_then(Value::as_array).unwrap_or_default().to_vec();
    choices.push(object([("not", object([("anyOf", choices.clone().into())]))]));
    out.insert("oneOf".into(), choices.into());
    out.shift_remove("not");
    out.into()
}

/// A mapping with the keys of `T` and an action, inside something else. Read only to have a schema.
#[derive(Clone, Debug)]
pub(crate) struct ActionBeside<T>(PhantomData<T>);

impl<T: FromNode> FromNode for ActionBeside<T> {
    fn from_node(_: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(ActionBeside(PhantomData))
    }

    fn schema(defs: &mut Definitions) -> Schema {
        let reference = T::schema(defs);
        let Some(name) = definition_of(&reference) else { return reference };
        // The definition itself says that it has an action, too: it is no mapping without one.
        let Some(Value::Object(generic)) = defs.map.get(name) else { return reference };
        let mut out = Map::clone(generic);
        out.shift_remove("additionalProperties");
        out.insert(
            "allOf".into(),
            vec![object([("$ref", format!("#/$defs/{ACTION_DEFINITION}").into())])].into(),
        );
        out.insert("unevaluatedProperties".into(), false.into());
        defs.map.insert(name.into(), out.into());
        reference
    }
}

fn required(keys: &[&'static str]) -> Schema {
    object([("required", keys.iter().map(|key| Value::from(*key)).collect::<Vec<_>>().into())])
}

fn one_of_keys(keys: impl Iterator<Item = &'static str>) -> Value {
    keys.map(|key| required(&[key])).collect::<Vec<_>>().into()
}

/// The name of the definition that a schema is nothing but a reference to.
pub(crate) fn definition_of(schema: &Schema) -> Option<&str> {
    // An action with keys beside it refers to the action and is more than that.
    if schema.get("properties").is_some() {
        return None;
    }
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

/// The schema itself, where `schema` only points to a definition.
pub(crate) fn resolve<'a>(schema: &'a Schema, definitions: &'a Map) -> &'a Schema {
    definition_of(schema).and_then(|name| definitions.get(name)).unwrap_or(schema)
}

/// Lets a template stand wherever a scalar that is not just any text is due: only a text without a
/// pattern takes one anyway.
fn with_templates(schema: &Schema) -> Schema {
    let Value::Object(map) = schema else { return schema.clone() };
    let types: Vec<&str> = match map.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let scalar = types.iter().any(|name| matches!(*name, "integer" | "number" | "boolean"))
        || types.contains(&"string") && (map.contains_key("pattern") || map.contains_key("format"));
    if scalar || map.contains_key("const") || map.contains_key("enum") {
        let (mut outer, mut inner) = (Map::new(), Map::new());
        for (key, value) in map.iter() {
            // What editors show stays where they look.
            let place = if matches!(&**key, "description" | "default") { &mut outer } else { &mut inner };
            place.insert(key.clone(), value.clone());
        }
        let template = object([("$ref", format!("#/$defs/{TEMPLATE}").into())]);
        outer.insert("anyOf".into(), vec![Value::from(inner), template].into());
        return outer.into();
    }
    let inside = map.iter().map(|(key, value)| {
        let value = match (&**key, value) {
            ("properties" | "patternProperties", Value::Object(members)) => members
                .iter()
                .map(|(name, schema)| (name.clone(), with_templates(schema)))
                .collect::<Map>()
                .into(),
            ("items" | "additionalProperties", schema) => with_templates(schema),
            ("oneOf" | "anyOf" | "allOf", Value::Array(all)) => words_with_template(all),
            _ => value.clone(),
        };
        (key.clone(), value)
    });
    inside.collect::<Map>().into()
}

/// The choices, with one template among them if there are words: in a `oneOf` each with its own would
/// match twice.
fn words_with_template(choices: &[Value]) -> Value {
    let is_word = |schema: &Value| schema.get("const").is_some();
    let mut out: Vec<Value> = choices
        .iter()
        .map(|choice| if is_word(choice) { choice.clone() } else { with_templates(choice) })
        .collect();
    if choices.iter().any(is_word) {
        out.push(object([("$ref", format!("#/$defs/{TEMPLATE}").into())]));
    }
    out.into()
}

pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::from(members)
}
