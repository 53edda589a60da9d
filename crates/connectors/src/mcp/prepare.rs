//! Takes an operation apart at start.

use std::sync::Arc;

use renkei_core::{
    Diagnostic, Diagnostics, Effect, Error, FromNode as _, Map, Node, NodeKind, PreparedOp, Request, Result,
    Tree, Value, template::Names,
};

use super::operation::{Errors, Op, ReadAs};
use crate::slots::{Slot, Slots};

/// What this connector keeps of an operation.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) tool: Arc<str>,
    arguments: Option<Slot>,
    /// The argument that carries the key of the step.
    key: Option<Arc<str>>,
    pub(super) read_as: Option<ReadAs>,
    pub(super) errors: Errors,
    /// The value is the whole result, for somebody who passes it on.
    pub(super) is_passed_on: bool,
    slots: Slots,
}

/// The longest name of a tool.
pub(super) const MAX_NAME: usize = 128;

const FORM: &str = "write `{ tool: NAME, arguments: { … } }`, or the name alone";

/// Checks an operation and takes it apart.
pub(super) fn prepare(
    system: &Arc<str>,
    node: &Node,
    names: &Names<'_>,
    d: &mut Diagnostics,
) -> Option<PreparedOp> {
    let mut slots = Slots::default();
    let (op, arguments) = match &node.kind {
        NodeKind::String(text) => {
            let tool = renkei_core::read::Spanned { value: text.value.to_string(), span: node.span };
            let (read_as, errors) = (None, Errors::default());
            (Op { tool, arguments: None, effect: None, idempotency_key: None, read_as, errors }, None)
        }
        NodeKind::Map(_) => {
            let op = Op::from_node(node, d);
            let arguments = match node.get("arguments") {
                Some(arguments) => Some(read_arguments(arguments, names, &mut slots, d)?),
                None => None,
            };
            (op?, arguments)
        }
        _ => {
            d.push(
                Diagnostic::error(node.span, format!("expected a call of a tool, found {}", node.what()))
                    .hint(FORM),
            );
            return None;
        }
    };
    check_name(&op.tool.value, op.tool.span, d)?;
    let key = op.idempotency_key.as_deref().map(Arc::from);
    if let Some(key) = &key {
        check_key(key, node, d)?;
    }
    let tool: Arc<str> = op.tool.value.into();
    Some(PreparedOp {
        system: system.clone(),
        label: tool.clone(),
        effect: op.effect.map_or(Effect::Write, Effect::from),
        carries_key: key.is_some(),
        slots: slots.trees.clone(),
        pages: None,
        plan: Box::new(Plan {
            tool,
            arguments,
            key,
            read_as: op.read_as,
            errors: op.errors,
            is_passed_on: false,
            slots,
        }),
    })
}

/// The call of a tool of which the whole result is passed on. `arguments` is the template of its arguments.
pub(super) fn passed_on(
    system: &Arc<str>,
    tool: &str,
    arguments: &Node,
    effect: Effect,
    d: &mut Diagnostics,
) -> Option<PreparedOp> {
    let mut slots = Slots::default();
    let arguments = Some(read_arguments(arguments, &Names::default(), &mut slots, d)?);
    let tool: Arc<str> = tool.into();
    Some(PreparedOp {
        system: system.clone(),
        label: tool.clone(),
        effect,
        carries_key: false,
        slots: slots.trees.clone(),
        pages: None,
        plan: Box::new(Plan {
            tool,
            arguments,
            key: None,
            read_as: None,
            errors: Errors::default(),
            is_passed_on: true,
            slots,
        }),
    })
}

fn read_arguments(node: &Node, names: &Names<'_>, slots: &mut Slots, d: &mut Diagnostics) -> Option<Slot> {
    if !matches!(node.kind, NodeKind::Map(_) | NodeKind::String(_) | NodeKind::Unknown) {
        d.push(
            Diagnostic::error(node.span, format!("`arguments` is {}", node.what()))
                .hint("write a mapping of names to values, or a template that gives an object: `${.}`"),
        );
        return None;
    }
    let tree = Tree::read(node, names, d)?;
    if let Some(value) = tree.literal()
        && value.as_object().is_none()
    {
        d.push(
            Diagnostic::error(node.span, format!("`arguments` is {}, not an object", value.type_name()))
                .hint("write a mapping of names to values, or a template that gives an object: `${.}`"),
        );
        return None;
    }
    Some(slots.add(tree, "`arguments`"))
}

/// A name that a server may give a tool.
fn check_name(name: &str, span: renkei_core::Span, d: &mut Diagnostics) -> Option<()> {
    let (message, hint) = if name.contains("${") {
        let hint = "which tool is called is not for the model to choose; use `switch` between calls";
        ("the name of a tool has no templates".to_owned(), hint)
    } else if name.is_empty() || name.len() > MAX_NAME {
        (format!("the name of a tool has 1 to {MAX_NAME} bytes, this has {}", name.len()), FORM)
    } else if name.contains(char::is_control) || name.trim() != name {
        ("the name of a tool has no spaces around it and no control characters".to_owned(), FORM)
    } else {
        return Some(());
    };
    d.push(Diagnostic::error(span, message).hint(hint));
    None
}

fn check_key(key: &str, node: &Node, d: &mut Diagnostics) -> Option<()> {
    let entry = node.entry("idempotency_key");
    let span = entry.map_or(node.span, |entry| entry.value.span);
    if key.is_empty() {
        let hint = "name the tool's argument, such as `request_id`";
        d.push(Diagnostic::error(span, "`idempotency_key` is empty").hint(hint));
        return None;
    }
    let given = node.get("arguments").and_then(|arguments| arguments.entry(key));
    if let Some(given) = given {
        let message = format!("the argument `{key}` is set by `arguments` and by `idempotency_key`");
        d.push(
            Diagnostic::error(span, message).hint("leave one of the two out").related(given.key_span, "here"),
        );
        return None;
    }
    Some(())
}

impl Plan {
    pub(super) fn of<'r>(request: &'r Request, system: &Arc<str>) -> Result<&'r Plan> {
        request.op.plan::<Plan>().filter(|_| request.op.system == *system).ok_or_else(|| {
            let other = &request.op.system;
            Error::internal(format!("use `{system}`: the operation was prepared for the system `{other}`"))
        })
    }

    /// The arguments with their values in place. Whatever is wrong with one is found here, before anything is sent.
    pub(super) fn arguments(&self, request: &Request) -> Result<Map> {
        let mut arguments = match self.arguments {
            None => Map::new(),
            Some(slot) => match self.slots.value(slot, &request.params)? {
                None | Some(Value::Null) => Map::new(),
                Some(Value::Object(map)) => Map::clone(map),
                Some(other) => {
                    let why = format!("is {}, not an object", other.type_name());
                    return Err(self.slots.refuse(slot, &why, "give an object"));
                }
            },
        };
        if let Some(name) = &self.key {
            let key = request.vars.get("key").filter(|key| key.as_str().is_some());
            let Some(key) = key else {
                return Err(Error::internal(format!(
                    "there is no key for the argument `{name}`; nothing was sent"
                )));
            };
            arguments.insert(name.clone(), key.clone());
        }
        Ok(arguments)
    }
}
