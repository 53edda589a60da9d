//! One field of a form.

use std::sync::Arc;

use renkei_core::{
    Diagnostic, Diagnostics, Entry, Error, FromNode, Map, Node, NodeKind, Result, Scope, Tree, Value,
    read::wrong, template::Names,
};
use renkei_derive::FromNode;

use super::{
    super::{config::text, run},
    options::{Choice, ItemsConfig, Options},
};
use crate::engine::Input;

/// The words for a type: JSON Schema's `type`, and `format` where the word says it.
pub(super) const WORDS: [(&str, &str, Option<&str>); 8] = [
    ("string", "string", None),
    ("number", "number", None),
    ("integer", "integer", None),
    ("boolean", "boolean", None),
    ("email", "string", Some("email")),
    ("uri", "string", Some("uri")),
    ("date", "string", Some("date")),
    ("date-time", "string", Some("date-time")),
];

/// One field: a word such as `string`, `integer`, `boolean`, `email` or `date`, or all about it. It is needed
/// unless it is `optional: true` or has a `default`.
#[derive(Debug, FromNode)]
#[config(check = FieldConfig::check)]
#[expect(dead_code, reason = "templates are read from the tree; their fields are the manual")]
pub(super) struct FieldConfig {
    /// `string`, `number`, `integer`, `boolean`, `email`, `uri`, `date` or `date-time`; `array` where several of
    /// `items` may be chosen. Left out where there are options.
    r#type: Option<Arc<str>>,
    /// What people read instead of the name. May have templates.
    title: Option<Node>,
    /// What it is for. May have templates.
    description: Option<Node>,
    /// Whether it may be left out.
    #[config(default)]
    optional: bool,
    /// What stands there at first. May be a template.
    default: Option<Node>,
    /// The shortest text.
    #[config(rename = "minLength")]
    min_length: Option<u32>,
    /// The longest text.
    #[config(rename = "maxLength")]
    max_length: Option<u32>,
    /// The format of a text: `email`, `uri`, `date` or `date-time`.
    format: Option<Arc<str>>,
    /// The least number.
    minimum: Option<f64>,
    /// The greatest number.
    maximum: Option<f64>,
    /// What may be chosen: a list of texts, texts with their titles (`{ de: Germany }`), or a template that gives
    /// either.
    options: Option<Node>,
    /// Whether several of `options` may be chosen.
    #[config(default)]
    multiple: bool,
    /// How many are chosen at least.
    #[config(rename = "minItems")]
    min_items: Option<u32>,
    /// How many are chosen at most.
    #[config(rename = "maxItems")]
    max_items: Option<u32>,
    /// `options` in JSON Schema's words: a list of texts.
    r#enum: Option<Vec<Arc<str>>>,
    /// The titles of `enum`, as clients before 2025-11-25 take them.
    #[config(rename = "enumNames")]
    enum_names: Option<Vec<Arc<str>>>,
    /// `options` with titles in JSON Schema's words.
    #[config(rename = "oneOf")]
    one_of: Option<Vec<Choice>>,
    /// `options` of which several may be chosen, in JSON Schema's words.
    items: Option<ItemsConfig>,
}

impl FieldConfig {
    fn check(&self, node: &Node, d: &mut Diagnostics) {
        let at = |key: &str| node.entry(key).map_or(node.span, |entry| entry.key_span);
        let mut refuse = |key: &str, message: String, hint: &str| {
            d.push(Diagnostic::error(at(key), message).hint(hint));
        };
        let sources = [
            ("options", self.options.is_some()),
            ("enum", self.r#enum.is_some()),
            ("oneOf", self.one_of.is_some()),
            ("items", self.items.is_some()),
        ];
        let sources: Vec<&str> =
            sources.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect();
        if let [first, second, ..] = sources[..] {
            refuse(second, format!("`{first}` and `{second}` say the same thing twice"), "keep one of them");
        }
        let kind = self.kind();
        if kind.is_none() {
            let words = WORDS.map(|(word, ..)| format!("`{word}`")).join(", ");
            let word = self.r#type.as_deref().unwrap_or_default();
            refuse(
                "type",
                format!("a form has no fields of type `{word}`"),
                &format!("there are {words}; `options` for a choice"),
            );
        }
        let has_options = !sources.is_empty();
        if has_options && self.r#type.as_deref().is_some_and(|word| !matches!(word, "string" | "array")) {
            refuse("type", "options are texts".to_owned(), "leave `type` out");
        }
        let is_text = !has_options && kind.is_some_and(|(name, _)| name == "string");
        let is_number = kind.is_some_and(|(name, _)| matches!(name, "number" | "integer"));
        for (key, given, fits) in [
            ("minLength", self.min_length.is_some(), is_text),
            ("maxLength", self.max_length.is_some(), is_text),
            ("format", self.format.is_some(), is_text),
            ("minimum", self.minimum.is_some(), is_number),
            ("maximum", self.maximum.is_some(), is_number),
            ("multiple", self.multiple, self.options.is_some()),
            ("minItems", self.min_items.is_some(), self.is_multiple()),
            ("maxItems", self.max_items.is_some(), self.is_multiple()),
            ("enumNames", self.enum_names.is_some(), self.r#enum.is_some()),
        ] {
            if given && !fits {
                refuse(
                    key,
                    format!("`{key}` does not fit a field of this kind"),
                    "remove it, or change the `type`",
                );
            }
        }
        for (key, bound) in [("minimum", self.minimum), ("maximum", self.maximum)] {
            let is_whole = bound.is_none_or(|bound| bound.fract() == 0.0);
            if !is_whole && kind.is_some_and(|(name, _)| name == "integer") {
                refuse(
                    key,
                    format!("`{key}` of whole numbers is none"),
                    "write a whole number, or take `number` as the type",
                );
            }
        }
        if let Some(format) = &self.format
            && !WORDS.iter().any(|(_, _, known)| *known == Some(&**format))
        {
            refuse(
                "format",
                format!("clients know no format `{format}`"),
                "there are `email`, `uri`, `date` and `date-time`",
            );
        }
    }

    fn is_multiple(&self) -> bool {
        self.multiple || self.items.is_some()
    }

    /// JSON Schema's `type`, and the `format` that the word says.
    fn kind(&self) -> Option<(&'static str, Option<&'static str>)> {
        match self.r#type.as_deref() {
            None => Some(("string", None)),
            Some("array") => self.is_multiple().then_some(("string", None)),
            Some(word) => {
                WORDS.iter().find(|(known, ..)| *known == word).map(|(_, name, format)| (*name, *format))
            }
        }
    }
}

/// A field as it is put into a schema.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: Arc<str>,
    pub(super) required: bool,
    title: Option<Tree>,
    description: Option<Tree>,
    default: Option<Tree>,
    /// What never changes: `type`, `format`, lengths and ranges.
    fixed: Map,
    options: Option<Options>,
}

impl Field {
    pub(super) fn read(entry: &Entry, names: &Names<'_>, d: &mut Diagnostics) -> Option<Self> {
        if entry.key.is_empty() || entry.key.len() > 64 {
            let message = "the name of a field has 1 to 64 bytes";
            d.push(
                Diagnostic::error(entry.key_span, message)
                    .hint("choose a short name; what people read is `title`"),
            );
            return None;
        }
        let word;
        let node = match &entry.value.kind {
            NodeKind::Map(_) => &entry.value,
            NodeKind::String(_) => {
                let kind =
                    Entry { key: "type".into(), key_span: entry.value.span, value: entry.value.clone() };
                word = Node { kind: NodeKind::Map(vec![kind]), span: entry.value.span };
                &word
            }
            _ => return wrong(&entry.value, "a type such as `string`, or all about the field", d),
        };
        let before = d.has_errors();
        let config = FieldConfig::from_node(node, d);
        let mut words = |key: &str| node.get(key).map(|node| text(node, names, d));
        let (title, description) = (words("title"), words("description"));
        let default = node.get("default").map(|node| Tree::read(node, names, d));
        let config = config?;
        let options = Options::read(&config.sources(node), names, d);
        let (title, description, default) = (present(title)?, present(description)?, present(default)?);
        let options = options.ok()?;
        if d.has_errors() && !before {
            return None;
        }
        let (kind, format) = config.kind()?;
        let mut fixed = Map::new();
        let kind = if config.is_multiple() { "array" } else { kind };
        fixed.insert("type".into(), kind.into());
        if let Some(format) = format.map(Arc::<str>::from).or(config.format) {
            fixed.insert("format".into(), format.into());
        }
        let counts = [
            ("minLength", config.min_length),
            ("maxLength", config.max_length),
            ("minItems", config.min_items),
            ("maxItems", config.max_items),
        ];
        for (key, count) in counts.into_iter().filter_map(|(key, count)| Some((key, count?))) {
            fixed.insert(key.into(), i64::from(count).into());
        }
        // With the digits of the config.
        for (key, number) in ["minimum", "maximum"].into_iter().filter_map(|key| Some((key, node.get(key)?)))
        {
            fixed.insert(key.into(), number.to_value());
        }
        let required = !config.optional && default.is_none();
        Some(Field { name: entry.key.clone(), required, title, description, default, fixed, options })
    }

    /// Whether it is the same whenever it is asked.
    pub(super) fn is_fixed(&self) -> bool {
        let trees = [&self.title, &self.description, &self.default];
        trees.into_iter().flatten().all(|tree| tree.literal().is_some())
            && self.options.as_ref().is_none_or(Options::is_fixed)
    }

    /// Its schema.
    pub(super) fn render(&self, scope: &Scope) -> Result<Value> {
        let mut schema = Map::new();
        schema.insert("type".into(), self.fixed.get("type").cloned().unwrap_or_default());
        for (key, tree) in [("title", &self.title), ("description", &self.description)] {
            if let Some(tree) = tree {
                schema.insert(key.into(), run::text(tree, scope, key)?.into());
            }
        }
        schema.extend(self.fixed.iter().skip(1).map(|(key, value)| (key.clone(), value.clone())));
        if let Some(options) = &self.options {
            let multiple = self.fixed.get("type").and_then(Value::as_str) == Some("array");
            options.put_into(&mut schema, multiple, &self.name, scope)?;
        }
        // A default that is absent or null is none.
        let default = self.default.as_ref().map(|tree| tree.render(scope)).transpose()?.flatten();
        let Some(default) = default.filter(|default| !default.is_null()) else { return Ok(schema.into()) };
        let bare = Value::from(schema.clone());
        let checked = Input::new(&bare)
            .map_err(|why| format!("cannot be checked: {why}"))
            .and_then(|input| input.fit(default.clone()).map_err(|problems| problems.join("; ")));
        if let Err(why) = checked {
            let why = why.replace("`arguments`: ", "");
            return Err(Error::internal(format!(
                "ask: the default of the field `{}` does not fit: {why}",
                self.name
            )));
        }
        schema.insert("default".into(), default);
        Ok(schema.into())
    }
}

impl FieldConfig {
    /// What the options are read from.
    fn sources<'n>(&'n self, node: &'n Node) -> super::options::Sources<'n> {
        super::options::Sources {
            options: node.get("options"),
            plain: self.r#enum.as_deref(),
            names: self.enum_names.as_deref(),
            one_of: self.one_of.as_deref(),
            items: self.items.as_ref(),
            at: node.span,
        }
    }
}

/// `None` where something is there and wrong.
#[expect(clippy::option_option, reason = "absent and wrong are two things")]
fn present<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        Some(None) => None,
        Some(some) => Some(some),
        None => Some(None),
    }
}
