//! Reads `switch` and `else`.

use std::sync::Arc;

use renkei_core::{
    ActionContext, ActionNode, Definitions, Diagnostic, FromNode, Node, NodeKind, Pattern, PatternKind,
    Schema, Span, Value,
    pattern::{ACTION_DEFINITION, Holder, with_action},
    read::wrong,
};
use renkei_derive::FromNode;

use super::run::{Case, SwitchAction};
use crate::condition::{Condition, When};

const ELSE: &str = "else";
const MAX_CASES: usize = 64;

/// One case: exactly one action, and when it is the one.
#[derive(Debug, FromNode)]
#[expect(dead_code, reason = "the template is read from the tree; the field is its manual")]
struct CaseConfig {
    /// A template that gives true or false.
    when: When,
}

pub(crate) struct Kind;

impl PatternKind for Kind {
    fn name(&self) -> &'static str {
        "switch"
    }

    fn schema(&self, _: &[(&'static str, Schema)], defs: &mut Definitions) -> Schema {
        let case = CaseConfig::schema(defs);
        let whole = with_action(&case, defs);
        if let Some(name) = case.get("$ref").and_then(|r| r.as_str()?.strip_prefix("#/$defs/")) {
            defs.map.insert(name.into(), whole);
        }
        Value::from([
            ("type", Value::from("array")),
            ("description", "The first of several cases whose `when` gives true; its result is the result. If none fits it is `else`, and without that an error.".into()),
            ("minItems", 1i64.into()),
            ("maxItems", MAX_CASES.into()),
            ("items", case),
        ])
    }

    fn companions(&self, _: &mut Definitions) -> Vec<(&'static str, Schema)> {
        let schema = Value::from([
            ("$ref", Value::from(format!("#/$defs/{ACTION_DEFINITION}"))),
            ("unevaluatedProperties", false.into()),
            ("description", "What is done if no case of `switch` fits.".into()),
        ]);
        vec![(ELSE, schema)]
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let nodes = match action.value.as_seq() {
            Some(nodes) if !nodes.is_empty() => nodes,
            _ => {
                let expected = "a list of cases, such as `- { when: '${.express}', call: … }`";
                return wrong(action.value, expected, cx.diagnostics);
            }
        };
        if nodes.len() > MAX_CASES {
            let message = format!("{} cases; a `switch` has at most {MAX_CASES}", nodes.len());
            let hint = "look the case up in one template, or put some into a `switch` of their own";
            cx.diagnostics.push(Diagnostic::error(action.key, message).hint(hint));
            return None;
        }
        // All are read before the first problem ends it: every one is to be seen.
        let cases: Vec<_> = nodes.iter().enumerate().map(|(at, node)| case(at, node, cx)).collect();
        let otherwise = match action.companion(ELSE) {
            Some(entry) => Some(inner("the `else`", entry.key_span, &[], &entry.value, cx)?),
            None => None,
        };
        Some(Arc::new(SwitchAction { cases: cases.into_iter().collect::<Option<_>>()?, otherwise }))
    }
}

fn case(at: usize, node: &Node, cx: &mut ActionContext<'_>) -> Option<Case> {
    let name = format!("case {} of the `switch`", at + 1);
    let span = node.as_map().and_then(|members| members.first()).map_or(node.span, |first| first.key_span);
    let action = inner(&name, span, &["when"], node, cx);
    let Some(when) = node.entry("when") else {
        if node.as_map().is_some() {
            let hint = "add `when: '${…}'`; what is done if no case fits is `else:`, beside `switch:`";
            cx.diagnostics.push(Diagnostic::error(span, format!("{name} has no `when`")).hint(hint));
        }
        return None;
    };
    let when = Condition::read(&when.value, &cx.names, cx.diagnostics);
    Some(Case { when: when?, action: action? })
}

fn inner(
    name: &str,
    at: Span,
    keys: &[&str],
    node: &Node,
    cx: &mut ActionContext<'_>,
) -> Option<Arc<dyn Pattern>> {
    let NodeKind::Map(members) = &node.kind else {
        let message = format!("{name} is {}, not a mapping", node.what());
        cx.diagnostics.push(Diagnostic::error(at, message).hint("give it an action: `{ call: … }`"));
        return None;
    };
    let holder = Holder { kind: name, name, at, keys };
    let members = holder.known(members, cx.patterns, cx.diagnostics);
    holder.action(&members, cx)
}
