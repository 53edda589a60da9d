//! Reference pages in Markdown, generated from the same schemas as the editors' one.

mod metrics;

use renkei_core::{Definitions, Map, PatternKind, Schema, Value, pattern::ACTION_DEFINITION};

use crate::{
    plan::Kinds,
    schema::{Parts, definition_of, resolve},
};

const HEAD: &str =
    "<!-- Generated from the config types by `cargo xtask docs`. Edit the doc comments there. -->\n\n";

/// File names and texts: a page for each word of the top level, each pattern and each connector.
pub fn reference(kinds: &Kinds<'_>) -> Vec<(String, String)> {
    let parts = Parts::new(kinds);
    let mut defs = Definitions::default();
    let mut pages = vec![
        page("server.md", "server", "What stands under `server:`.", &parts.server, &parts.definitions),
        holder(
            "actions.md",
            "actions",
            "What stands under `actions: { NAME: … }`. An action with a name has exactly one action in it; `run: NAME` \
             runs it.",
            &parts.action,
            kinds,
            &parts,
        ),
        holder(
            "tools.md",
            "tools",
            "What stands under `tools: { NAME: … }`. A tool has exactly one action.",
            &parts.tool,
            kinds,
            &parts,
        ),
        holder(
            "resources.md",
            "resources",
            "What stands under `resources: { NAME: … }`. What a resource holds is given by exactly one of an action, \
             `text`, `blob` and `file`; `text`, `blob` and `output` may also shape what the action gave.",
            &parts.resource,
            kinds,
            &parts,
        ),
        holder(
            "prompts.md",
            "prompts",
            "What stands under `prompts: { NAME: … }`. A prompt may have one action, whose result its messages use.",
            &parts.prompt,
            kinds,
            &parts,
        ),
        page(
            "queues.md",
            "queues",
            "What stands under `queues: { NAME: … }`.",
            &parts.queue,
            &parts.definitions,
        ),
        page(
            "groups.md",
            "groups",
            "What stands under `groups: { NAME: … }`.",
            &parts.group,
            &parts.definitions,
        ),
        page(
            "tests.md",
            "tests",
            "What stands under `tests: { NAME: … }`, in the config or in `*.test.yaml` files beside it. `renkei test` runs \
             them.",
            &parts.test,
            &parts.definitions,
        ),
        systems(kinds, &parts),
        metrics::page(),
    ];
    for kind in kinds.patterns {
        pages.push(pattern(*kind, kinds, &parts));
    }
    for kind in kinds.connectors {
        let name = kind.name();
        let system =
            parts.system.get("properties").and_then(|all| all.get(name)).cloned().unwrap_or_default();
        let mut writer = Writer::new(&parts.definitions);
        writer.out += HEAD;
        writer.out += &format!("# {name}\n\n");
        writer.section(&format!("`systems: {{ NAME: {{ {name}: … }} }}`"), &system);
        let op = kind.op_schema(&mut defs);
        writer.section(&format!("`call: {{ NAME: … }}` on a system of kind `{name}`"), &op);
        writer.finish_definitions();
        pages.push((format!("{name}.md"), writer.finish()));
    }
    pages
}

fn page(file: &str, title: &str, lead: &str, schema: &Schema, definitions: &Map) -> (String, String) {
    let mut writer = Writer::new(definitions);
    writer.out += HEAD;
    writer.out += &format!("# {title}\n\n{lead}\n\n");
    writer.body(schema);
    writer.finish_definitions();
    (file.to_owned(), writer.finish())
}

/// What holds an action: the action's keys have pages of their own.
fn holder(
    file: &str,
    title: &str,
    lead: &str,
    schema: &Schema,
    kinds: &Kinds<'_>,
    parts: &Parts,
) -> (String, String) {
    let mut of_actions: Vec<&str> = Vec::new();
    for kind in kinds.patterns {
        of_actions.push(kind.name());
        of_actions.extend(kind.companions(&mut Definitions::default()).into_iter().map(|(name, _)| name));
    }
    let all = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let own: Map = all.into_iter().filter(|(name, _)| !of_actions.contains(&&**name)).collect();
    let mut schema = schema.as_object().cloned().unwrap_or_default();
    schema.insert("properties".into(), own.into());
    let mut writer = Writer::new(&parts.definitions);
    writer.patterns = kinds.patterns.iter().map(|kind| kind.name()).collect();
    writer.out += HEAD;
    writer.out += &format!("# {title}\n\n{lead}\n\n");
    writer.body(&schema.into());
    writer.choice_of_actions(if matches!(title, "resources" | "prompts") { "at most" } else { "exactly" });
    writer.finish_definitions();
    (file.to_owned(), writer.finish())
}

/// The page of a pattern.
fn pattern(kind: &dyn PatternKind, kinds: &Kinds<'_>, parts: &Parts) -> (String, String) {
    let name = kind.name();
    let action = parts.definitions.get(ACTION_DEFINITION).and_then(|action| action.get("properties"));
    let schema = |key: &str| action.and_then(|all| all.get(key)).cloned().unwrap_or_default();
    let mut writer = Writer::new(&parts.definitions);
    writer.patterns = kinds.patterns.iter().map(|kind| kind.name()).collect();
    writer.out += HEAD;
    writer.out += &format!("# {name}\n\n");
    writer.section(&format!("`{name}: …`"), &schema(name));
    for (companion, _) in kind.companions(&mut Definitions::default()) {
        writer.section(&format!("`{companion}: …`, beside `{name}`"), &schema(companion));
    }
    writer.finish_definitions();
    (format!("{name}.md"), writer.finish())
}

/// The layers, which every system has.
fn systems(kinds: &Kinds<'_>, parts: &Parts) -> (String, String) {
    let mut writer = Writer::new(&parts.definitions);
    writer.out += HEAD;
    writer.out += "# systems\n\nWhat stands under `systems: { NAME: … }`: exactly one key says what the system is, \
                   the others how calls to it are made.\n\n";
    let all = parts.system.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    writer.out += "| key | what it is |\n| --- | --- |\n";
    for kind in kinds.connectors {
        writer.out += &format!("| [`{0}`]({0}.md) | a system of kind `{0}` |\n", kind.name());
    }
    writer.out.push('\n');
    let layers =
        all.into_iter().filter(|(name, _)| !kinds.connectors.iter().any(|kind| kind.name() == &**name));
    let layers =
        Value::from([("type", Value::from("object")), ("properties", layers.collect::<Map>().into())]);
    writer.body(&layers);
    writer.finish_definitions();
    ("systems.md".into(), writer.finish())
}

/// Writes sections; definitions that they point to come once, at the end.
struct Writer<'a> {
    out: String,
    definitions: &'a Map,
    /// Names of definitions to write, in the order in which they were met.
    queue: Vec<String>,
    written: usize,
    /// The patterns that have pages.
    patterns: Vec<&'static str>,
}

impl<'a> Writer<'a> {
    fn new(definitions: &'a Map) -> Self {
        Writer { out: String::new(), definitions, queue: Vec::new(), written: 0, patterns: Vec::new() }
    }

    fn finish(self) -> String {
        let mut text = self.out.trim_end().to_owned();
        text.push('\n');
        text
    }

    fn section(&mut self, title: &str, schema: &Schema) {
        self.out += &format!("## {title}\n\n");
        self.body(schema);
    }

    fn finish_definitions(&mut self) {
        while self.written < self.queue.len() {
            let name = self.queue[self.written].clone();
            self.written += 1;
            let Some(schema) = self.definitions.get(name.as_str()) else { continue };
            self.section(short(&name), schema);
        }
    }

    fn body(&mut self, schema: &Schema) {
        let schema = &match is_action(schema) {
            true => schema.clone(),
            false => resolve(schema, self.definitions).clone(),
        };
        if let Some(text) = schema.get("description").and_then(Value::as_str) {
            self.out += &format!("{text}\n\n");
        }
        match (schema.get("properties").and_then(Value::as_object), choices(schema)) {
            (Some(properties), _) if !properties.is_empty() => {
                self.table(schema, properties);
                if is_action(schema) {
                    self.choice_of_actions("exactly");
                }
            }
            _ if is_action(schema) => self.choice_of_actions("exactly"),
            (_, Some(choices)) => self.choices(choices),
            _ => {
                let text = self.type_of(schema);
                self.out += &format!("{text}\n\n");
            }
        }
    }

    fn choice_of_actions(&mut self, how_many: &str) {
        let pages: Vec<String> = self.patterns.iter().map(|name| format!("[`{name}`]({name}.md)")).collect();
        self.out += &format!("And the keys of {how_many} one action: {}.\n\n", pages.join(", "));
    }

    fn table(&mut self, schema: &Schema, properties: &Map) {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .unwrap_or_default()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        self.out += "| key | type | default | meaning |\n| --- | --- | --- | --- |\n";
        for (name, property) in properties {
            let type_text = self.type_of(property);
            let default = match property.get("default") {
                Some(Value::String(text)) => format!("`{text}`"),
                Some(value) => format!("`{value}`"),
                None if required.contains(&&**name) => "required".into(),
                None => String::new(),
            };
            let text = property.get("description").and_then(Value::as_str).unwrap_or_default();
            self.out += &format!("| `{name}` | {} | {default} | {} |\n", cell(&type_text), cell(text));
        }
        self.out.push('\n');
    }

    fn choices(&mut self, choices: &[Value]) {
        for choice in choices {
            let text = choice.get("description").and_then(Value::as_str);
            let only = choice.get("properties").and_then(Value::as_object);
            let head = match (choice.get("const"), only) {
                (Some(word), _) => format!("`{}`", word.as_str().unwrap_or_default()),
                (None, Some(members)) => {
                    let mut parts = Vec::new();
                    for (name, schema) in members {
                        let inner = schema.get("description").and_then(Value::as_str).unwrap_or_default();
                        let colon = if inner.is_empty() { "" } else { " – " };
                        parts.push(format!("`{name}:` {}{colon}{inner}", self.type_of(schema)));
                    }
                    parts.join("; ")
                }
                (None, None) => self.type_of(choice),
            };
            let text = text.map_or(String::new(), |text| format!(" – {text}"));
            self.out += &format!("- {}{}\n", head.replace('\n', " "), text.replace('\n', " "));
        }
        self.out.push('\n');
    }

    /// The type in a few words, with links to definitions.
    fn type_of(&mut self, schema: &Schema) -> String {
        if is_action(schema) && schema.get("properties").is_none() {
            return "action".into();
        }
        if let Some(name) = definition_of(schema) {
            let definition = self.definitions.get(name);
            if name == crate::schema::TEMPLATE {
                return "template".into();
            }
            if definition.is_some_and(is_short) {
                return self.type_of(&definition.cloned().unwrap_or_default());
            }
            if !self.queue.iter().any(|known| known == name) {
                self.queue.push(name.to_owned());
            }
            return format!("[{0}](#{1})", short(name), short(name).to_lowercase());
        }
        if let Some(word) = schema.get("x-type").and_then(Value::as_str) {
            return word.to_owned();
        }
        if let Some(choices) = choices(schema) {
            // That a template may stand there goes without saying on every line.
            let mut parts: Vec<String> = Vec::new();
            for choice in choices {
                let part = match choice.get("const") {
                    Some(Value::String(word)) => format!("`{word}`"),
                    Some(value) => format!("`{value}`"),
                    None => self.type_of(choice),
                };
                if part != "template" && !parts.contains(&part) {
                    parts.push(part);
                }
            }
            return parts.join(" or ");
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            return words
                .iter()
                .map(|word| match word.as_str() {
                    Some(text) => format!("`{text}`"),
                    None => format!("`{word}`"),
                })
                .collect::<Vec<_>>()
                .join(", ");
        }
        if let Some(word) = schema.get("const") {
            return format!("`{word}`");
        }
        match schema.get("type") {
            Some(Value::String(name)) => self.of_named(name, schema),
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).map(word).collect::<Vec<_>>().join(" or ")
            }
            _ => "anything".into(),
        }
    }

    fn of_named(&mut self, name: &str, schema: &Schema) -> String {
        match name {
            "array" => match schema.get("items") {
                Some(items) => format!("list of {}", self.type_of(items)),
                None => "list".into(),
            },
            "object" => match (schema.get("additionalProperties"), schema.get("properties")) {
                (Some(values @ Value::Object(_)), None) => {
                    format!("mapping of name to {}", self.type_of(values))
                }
                (_, Some(Value::Object(members))) if members.len() <= 2 => {
                    let parts: Vec<String> = members
                        .iter()
                        .map(|(key, value)| format!("{key}: {}", self.type_of(value)))
                        .collect();
                    format!("{{ {} }}", parts.join(", "))
                }
                _ => "mapping".into(),
            },
            "string" if schema.get("format").and_then(Value::as_str) == Some("uri") => "URL".into(),
            other => word(other).into(),
        }
    }
}

fn word(name: &str) -> &str {
    match name {
        "string" => "text",
        "integer" => "whole number",
        "boolean" => "true or false",
        other => other,
    }
}

/// Whether it refers to any action.
fn is_action(schema: &Schema) -> bool {
    schema
        .get("$ref")
        .and_then(|r| r.as_str()?.strip_prefix("#/$defs/"))
        .is_some_and(|name| name == ACTION_DEFINITION)
}

fn choices(schema: &Schema) -> Option<&[Value]> {
    let all = schema.get("oneOf").or(schema.get("anyOf"))?.as_array()?;
    // Of a mapping they only say which keys go together.
    all.iter().all(|choice| choice.get("required").is_none() || choice.get("type").is_some()).then_some(all)
}

/// Whether a definition needs no section of its own: words without a manual.
fn is_short(schema: &Schema) -> bool {
    choices(schema).is_some_and(|all| {
        all.iter().all(|choice| choice.get("properties").is_none() && choice.get("description").is_none())
    })
}

/// The last part of a definition's name, without `Config`.
fn short(name: &str) -> &str {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.strip_suffix("Config").filter(|rest| !rest.is_empty()).unwrap_or(last)
}

/// A text that fits into a cell of a table.
fn cell(text: &str) -> String {
    text.replace("\n\n", "<br><br>").replace('\n', "<br>").replace('|', "\\|")
}
