//! Reads `call: { SYSTEM: OPERATION }`.

use std::sync::Arc;

use renkei_core::{
    ActionContext, ActionNode, Definitions, Diagnostic, Effect, Entry, Map, Node, NodeKind, Pattern,
    PatternKind, Schema, Tree, Value, diagnostic::suggest, read::wrong,
};

use super::run::CallAction;

const REJECT_WHEN: &str = "reject_when";

pub(crate) struct Kind;

impl PatternKind for Kind {
    fn name(&self) -> &'static str {
        "call"
    }

    fn schema(&self, ops: &[(&'static str, Schema)], defs: &mut Definitions) -> Schema {
        let ops: Vec<Value> = ops.iter().map(|(_, op)| with_reject_when(op, defs)).collect();
        Value::from([
            ("type", Value::from("object")),
            ("description", "One call on one system; its reply is the result. The key names the system, the value is the operation in the words of its connector.".into()),
            ("minProperties", 1i64.into()),
            ("maxProperties", 1i64.into()),
            // Each kind of system has a page of its own.
            ("additionalProperties", Value::from([("x-type", "operation".into()), ("anyOf", Value::from(ops))])),
        ])
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let entry = one_entry(action.value, cx)?;
        let Some(system) = cx.systems.get(&entry.key) else {
            cx.diagnostics.push(unknown_system(entry, cx));
            return None;
        };
        let (op, reject_when) = take_reject_when(&entry.value, cx);
        let op = system.system.prepare(&op, &cx.names, cx.diagnostics);
        Some(Arc::new(CallAction::new(op?, reject_when?, !system.system.is_local())))
    }
}

fn one_entry<'n>(node: &'n Node, cx: &mut ActionContext<'_>) -> Option<&'n Entry> {
    match node.as_map() {
        Some([entry]) => Some(entry),
        Some([first, second, ..]) => {
            cx.diagnostics.push(
                Diagnostic::error(second.key_span, "a `call` is one call on one system")
                    .related(first.key_span, "the first system")
                    .hint(match second.key.as_ref() {
                        REJECT_WHEN => "put `reject_when` into the operation, beside its own keys",
                        _ => "keep one system",
                    }),
            );
            None
        }
        _ => wrong(node, "a system and its operation, such as `{ crm: GET /customers }`", cx.diagnostics),
    }
}

fn unknown_system(entry: &Entry, cx: &ActionContext<'_>) -> Diagnostic {
    let known = || cx.systems.keys().map(AsRef::as_ref);
    let diagnostic = Diagnostic::error(entry.key_span, format!("there is no system `{}`", entry.key));
    match suggest(&entry.key, known()) {
        Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
        None if cx.systems.is_empty() => diagnostic.hint("declare it under `systems`"),
        None => {
            let names: Vec<String> = known().map(|name| format!("`{name}`")).collect();
            diagnostic.hint(format!("declare it under `systems`; there are {}", names.join(", ")))
        }
    }
}

/// The operation without `reject_when`, and its template; the outer `None` means a problem.
fn take_reject_when(op: &Node, cx: &mut ActionContext<'_>) -> (Node, Option<Option<Tree>>) {
    let Some(found) = op.entry(REJECT_WHEN) else { return (op.clone(), Some(None)) };
    let rest = op.as_map().unwrap_or_default().iter().filter(|entry| &*entry.key != REJECT_WHEN);
    let op = Node { kind: NodeKind::Map(rest.cloned().collect()), span: op.span };

    let names = cx.names.with(["result", "result_meta"]);
    if !matches!(found.value.kind, NodeKind::String(_)) {
        return (op, wrong(&found.value, "a template such as `${$result.ok == false}`", cx.diagnostics));
    }
    let tree = Tree::read(&found.value, &names, cx.diagnostics);
    if tree.as_ref().is_some_and(|tree| tree.literal().is_some()) {
        cx.diagnostics.push(
            Diagnostic::error(found.value.span, "`reject_when` is the same for every reply").hint(
                "ask the reply: `${$result.ok == false}`, or a text for the reason: `${$result.error}`",
            ),
        );
        return (op, None);
    }
    (op, tree.map(Some))
}

/// The connector's schema of an operation, its mappings with `reject_when` added: a definition gets it
/// where it stands, for operations are what `call` takes and nothing else.
fn with_reject_when(op: &Schema, defs: &mut Definitions) -> Schema {
    let Value::Object(map) = op else { return op.clone() };
    if let Some(name) = op.get("$ref").and_then(|r| r.as_str()?.strip_prefix("#/$defs/")) {
        if let Some(target @ Value::Object(_)) = defs.map.get(name).cloned() {
            let target = with_reject_when(&target, defs);
            defs.map.insert(name.into(), target);
        }
        return op.clone();
    }
    let mut map = Map::clone(map);
    for key in ["oneOf", "anyOf"] {
        if let Some(forms) = op.get(key).and_then(Value::as_array) {
            let forms: Vec<Value> = forms.iter().map(|form| with_reject_when(form, defs)).collect();
            map.insert(key.into(), forms.into());
        }
    }
    if let Some(properties) = op.get("properties").and_then(Value::as_object) {
        let mut properties = properties.clone();
        properties.insert(
            REJECT_WHEN.into(),
            Value::from([
                ("type", "string"),
                ("description", "A template on the reply (`$result`, `$result_meta`): true, or a text that says why, makes it a refusal (`rejected`); false, null and absent do not. `${$result.error}` refuses with the system's own words."),
            ]),
        );
        map.insert("properties".into(), properties.into());
    }
    map.into()
}

/// What the request may do when it is repeated: a write that carries this run's key is idempotent.
pub(super) fn request_effect(effect: Effect, keyed: bool) -> Effect {
    if keyed { effect.min(Effect::Idempotent) } else { effect }
}
