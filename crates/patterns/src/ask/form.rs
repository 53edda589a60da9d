//! The fields of a form: from the config to the restricted JSON Schema of MCP's elicitation, and the check of what
//! was filled in.
//!
//! All kinds of the specification are there: texts with length and format, numbers, flags, and choices – one or
//! several, with titles or without, and the older `enumNames`. Titles, defaults and options may come from templates,
//! so a form is put together anew each time.

mod field;
mod options;

use std::sync::Arc;

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Error, FromNode, Map, Node, NodeKind, Result, Schema, Scope, Value,
    ask::Check, read::wrong, template::Names,
};

use self::field::{Field, FieldConfig};
use crate::engine::Input;

/// People fill it in.
const MAX_FIELDS: usize = 50;

/// Stands in a config type for what [`FormPlan`] reads.
#[derive(Debug)]
pub(super) struct Fields;

impl FromNode for Fields {
    fn from_node(_: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(Fields)
    }

    fn schema(defs: &mut Definitions) -> Schema {
        let word = Value::from([
            ("type", Value::from("string")),
            ("enum", field::WORDS.map(|(word, ..)| Value::from(word)).to_vec().into()),
        ]);
        let full = FieldConfig::schema(defs);
        Value::from([
            ("type", Value::from("object")),
            ("maxProperties", MAX_FIELDS.into()),
            ("additionalProperties", Value::from([("anyOf", Value::from(vec![word, full]))])),
        ])
    }
}

/// The fields in their order. None at all is a yes or no.
#[derive(Debug, Default)]
pub(super) struct FormPlan {
    fields: Vec<Field>,
}

impl FormPlan {
    /// Nothing, with diagnostics, if something is wrong.
    pub(super) fn read(node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<Self> {
        let entries = match &node.kind {
            NodeKind::Map(entries) => entries,
            _ => return wrong(node, "fields by name, such as `{ reason: string }`", d),
        };
        if entries.len() > MAX_FIELDS {
            let message = format!("{} fields; a form has at most {MAX_FIELDS}", entries.len());
            d.push(Diagnostic::error(node.span, message).hint("ask for less at a time"));
            return None;
        }
        // All are read before the first problem ends it: every one is to be seen.
        let fields: Vec<Option<Field>> = entries.iter().map(|entry| Field::read(entry, names, d)).collect();
        let plan = FormPlan { fields: fields.into_iter().collect::<Option<_>>()? };
        plan.check_fixed(node, d).then_some(plan)
    }

    /// Whether what is known beforehand fits together, such as a default and its field.
    fn check_fixed(&self, node: &Node, d: &mut Diagnostics) -> bool {
        let mut good = true;
        let scope = Scope::new(Value::object());
        for field in self.fields.iter().filter(|field| field.is_fixed()) {
            let Err(error) = field.render(&scope) else { continue };
            let at = node.entry(&field.name).map_or(node.span, |entry| entry.key_span);
            let message = error.to_string();
            let message = message.strip_prefix("ask: ").unwrap_or(&message);
            d.push(Diagnostic::error(at, message).hint("mend the field"));
            good = false;
        }
        good
    }

    /// The schema that is sent, and the check of what comes back.
    pub(super) fn render(&self, scope: &Scope) -> Result<(Value, Arc<dyn Check>)> {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for field in &self.fields {
            properties.insert(field.name.clone(), field.render(scope)?);
            if field.required {
                required.push(Value::from(field.name.clone()));
            }
        }
        let mut schema = Map::new();
        schema.insert("type".into(), "object".into());
        schema.insert("properties".into(), properties.into());
        if !required.is_empty() {
            schema.insert("required".into(), required.into());
        }
        let schema = Value::from(schema);
        let input = Input::new(&schema)
            .map_err(|why| Error::internal(format!("ask: the form cannot be checked: {why}")))?;
        let names = self.fields.iter().map(|field| field.name.clone()).collect();
        Ok((schema, Arc::new(Filled { input, names })))
    }
}

/// Checks a form that was filled in.
#[derive(Debug)]
struct Filled {
    input: Input,
    names: Vec<Arc<str>>,
}

impl Check for Filled {
    /// What the form has no field for is left out: clients may send more.
    fn check(&self, content: Value) -> Result<Value, String> {
        let members = content.as_object().cloned().unwrap_or_default();
        let known: Map = members.into_iter().filter(|(name, _)| self.names.contains(name)).collect();
        self.input.fit(known.into()).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(|problem| format!("- {problem}")).collect();
            format!("Please check what you filled in:\n{}", lines.join("\n"))
        })
    }
}
