//! `complete:` – what a half-typed argument may become.

use std::sync::Arc;

use indexmap::IndexMap;
use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Entry, FromNode, Node, NodeKind, Schema, Tree, Value,
    complete::CompletePlan, diagnostic::suggest, pattern::Holder,
};
use renkei_derive::FromNode;

use crate::{
    action::World,
    resource::{check_reads, check_silent, mapping, properties},
    schema::ActionBeside,
    tool::{absent_or, names, with_results},
};

/// The values of one argument: a list, or a query. Read only to have a schema; [`read_all`] does the reading.
#[derive(Clone, Debug)]
pub(crate) struct CompleteConfig;

impl FromNode for CompleteConfig {
    fn from_node(_: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(CompleteConfig)
    }

    fn schema(defs: &mut Definitions) -> Schema {
        let scalar = Value::from([("type", vec![Value::from("string"), "number".into(), "boolean".into()])]);
        let list = Value::from([
            ("type", Value::from("array")),
            ("items", scalar),
            ("description", "The values; those that begin with what is typed are offered.".into()),
        ]);
        Value::from([("anyOf", vec![list, ActionBeside::<QueryConfig>::schema(defs)])])
    }
}

/// An action that gives the values. Its templates see what is typed as `.value`, and the other arguments, as far
/// as they are known, under `.arguments`. At most 100 values are offered, in the order of the result.
#[derive(Clone, Debug, FromNode)]
#[expect(dead_code, reason = "templates are read from the tree; the fields are the manual")]
pub(crate) struct QueryConfig {
    /// A list of texts, such as `${$result | map(.name)}`; what the action gave if left out. A row with one
    /// column counts as its value.
    values: Option<Node>,
}

const KEYS: [&str; 1] = ["values"];

/// Reads `complete:` of `holder`, whose arguments are those of `input`. An argument with an `enum` is completed
/// from it.
pub(crate) fn read_all(
    generic: &Node,
    holder: &str,
    input: Option<&Value>,
    world: &World<'_>,
    d: &mut Diagnostics,
) -> Option<IndexMap<Arc<str>, CompletePlan>> {
    let mut plans: IndexMap<Arc<str>, CompletePlan> =
        input.into_iter().flat_map(|input| properties(input).filter_map(|name| words(input, name))).collect();
    let Some(node) = generic.get("complete") else { return Some(plans) };
    let members = mapping(node, "`complete`", "write `complete: { country: [jp, de] }`", d)?;
    let mut good = true;
    for member in members {
        if let Some(input) = input
            && !properties(input).any(|name| *name == *member.key)
        {
            d.push(unknown(member, holder, input));
            good = false;
        }
        match read(member, input, world, d) {
            Some(plan) => {
                plans.insert(member.key.clone(), plan);
            }
            None => good = false,
        }
    }
    good.then_some(plans)
}

fn words(input: &Value, name: &str) -> Option<(Arc<str>, CompletePlan)> {
    let values = input.get("properties")?.get(name)?.get("enum")?.as_array()?;
    let values = values.iter().filter(|value| !value.is_null());
    let texts = values.map(|value| value.as_str().map_or_else(|| value.to_json().into(), Arc::from));
    Some((name.into(), CompletePlan::Values(texts.collect())))
}

fn unknown(member: &Entry, holder: &str, input: &Value) -> Diagnostic {
    let diagnostic = Diagnostic::error(member.key_span, format!("{holder} has no argument `{}`", member.key));
    match suggest(&member.key, properties(input)) {
        Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
        None => diagnostic.hint("`complete` names arguments of `input`, or variables of the URI"),
    }
}

fn read(
    member: &Entry,
    input: Option<&Value>,
    world: &World<'_>,
    d: &mut Diagnostics,
) -> Option<CompletePlan> {
    match &member.value.kind {
        NodeKind::Seq(items) => {
            let texts: Vec<Option<Arc<str>>> = items.iter().map(|item| text(item, d)).collect();
            texts.into_iter().collect::<Option<_>>().map(CompletePlan::Values)
        }
        NodeKind::Map(members) => query(member, members, input, world, d),
        _ => {
            let message = format!("values are a list or an action, and this is {}", member.value.what());
            let hint = "write `[red, green]`, or `{ call: { db: 'select name from colours where name like ${.value + \"%\"}' } }`";
            d.push(Diagnostic::error(member.value.span, message).hint(hint));
            None
        }
    }
}

fn text(item: &Node, d: &mut Diagnostics) -> Option<Arc<str>> {
    match &item.kind {
        NodeKind::String(text) if text.value.contains("${") => {
            let hint = "write the values out, or let an action give them: `{ call: … }`";
            d.push(Diagnostic::error(item.span, "a value of a list is no template").hint(hint));
            None
        }
        NodeKind::String(text) => Some(text.value.clone()),
        NodeKind::Number(_) | NodeKind::Bool(_) => Some(item.to_value().to_json().into()),
        _ => {
            let message = format!("a value is a text, and this is {}", item.what());
            d.push(Diagnostic::error(item.span, message).hint("write the texts that one may choose from"));
            None
        }
    }
}

fn query(
    entry: &Entry,
    members: &[Entry],
    input: Option<&Value>,
    world: &World<'_>,
    d: &mut Diagnostics,
) -> Option<CompletePlan> {
    let name = format!("`complete` of `{}`", entry.key);
    let holder = Holder { kind: "a completion", name: &name, at: entry.key_span, keys: &KEYS };
    let members = holder.known(members, world.patterns, d);
    let generic = holder.own(&members);
    let schema = schema(input);
    let scope = names(Some(&schema));
    let action = holder.action(&members, &mut world.context(scope.clone(), d));
    check_reads(action.as_deref(), &name, entry, d);
    check_silent(action.as_deref(), &name, entry.key_span, d);
    let scope = with_results(&scope, action.as_deref(), true);
    let values = generic.get("values").map(|node| Tree::read(node, &scope, d));
    Some(CompletePlan::Query { action: action?, values: absent_or(values)? })
}

/// Of `{ value, arguments }`: what the templates may refer to.
fn schema(input: Option<&Value>) -> Value {
    let text = || Value::from([("type", "string")]);
    let given: renkei_core::Map =
        input.into_iter().flat_map(properties).map(|name| (name.into(), text())).collect();
    let closed = |properties: Value| {
        Value::from([
            ("type", "object".into()),
            ("properties", properties),
            ("additionalProperties", false.into()),
        ])
    };
    closed(Value::from([("value", text()), ("arguments", closed(given.into()))]))
}
