//! Reads `call: { SYSTEM: OPERATION }`, and what stands beside the operation.

use std::sync::Arc;

use renkei_core::{
    ActionContext, ActionNode, CallNode, Definitions, Diagnostic, Effect, Entry, Map, Node, NodeKind,
    Pattern, PatternKind, Schema, Tree, Value,
    connector::{CALL_WORDS, call_definition},
    diagnostic::suggest,
    read::wrong,
};

use super::{invalidates, run::CallAction};

const REJECT_WHEN: &str = "reject_when";
const INVALIDATES: &str = "invalidates";

pub(crate) struct Kind;

impl PatternKind for Kind {
    fn name(&self) -> &'static str {
        "call"
    }

    fn schema(&self, ops: &[(&'static str, Schema)], defs: &mut Definitions) -> Schema {
        let ops: Vec<Value> = ops.iter().map(|(_, op)| with_reject_when(op, defs)).collect();
        let reference = |word| ("$ref", Value::from(format!("#/$defs/{}", call_definition(word))));
        let words = CALL_WORDS.map(|word| (Arc::from(word), Value::from([reference(word)])));
        let mut beside = Map::from_iter(words);
        beside.insert(INVALIDATES.into(), invalidates::schema());
        Value::from([
            ("type", Value::from("object")),
            ("description", "One call on one system; its reply is the result. One key names the system, its value is the operation in the words of its connector. Beside it may stand, for this call, instead of what the system says:".into()),
            ("properties", beside.into()),
            ("minProperties", 1i64.into()),
            // Each kind of system has a page of its own.
            ("additionalProperties", Value::from([("x-type", "operation".into()), ("anyOf", Value::from(ops))])),
        ])
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let (entry, beside) = take_apart(action.value, cx)?;
        let Some(system) = cx.systems.get(&entry.key) else {
            cx.diagnostics.push(unknown_system(entry, cx));
            return None;
        };
        let (op, reject_when) = take_reject_when(&entry.value, cx);
        let prepared = system.system.prepare(&op, &cx.names, cx.diagnostics);
        let (own, settings): (Vec<Entry>, Vec<Entry>) =
            beside.into_iter().partition(|entry| &*entry.key == INVALIDATES);
        let invalidates = match own.first() {
            Some(own) => invalidates::read(&own.value, &entry.key, cx),
            None => Some(Vec::new()),
        };
        let prepared = prepared?;
        let call = CallNode { op: &op, prepared: &prepared, settings: &settings };
        let settings = system.layers.read_call(&call, cx.diagnostics)?;
        if let Some(cache) = system.layers.cache_name(&settings) {
            cx.actions.keeps(&cache);
        }
        let open_world = !system.system.is_local();
        Some(Arc::new(CallAction::new(prepared, settings, reject_when?, invalidates?, open_world)))
    }
}

/// What may stand beside the operation.
fn is_beside(key: &str) -> bool {
    key == INVALIDATES || CALL_WORDS.contains(&key)
}

/// The system with its operation, and what stands beside it. A system may have the name of a word that may stand
/// beside an operation: it is the system where nothing else can be.
fn take_apart<'n>(node: &'n Node, cx: &mut ActionContext<'_>) -> Option<(&'n Entry, Vec<Entry>)> {
    let all = node.as_map().unwrap_or_default();
    let mut systems: Vec<&Entry> = all.iter().filter(|entry| !is_beside(&entry.key)).collect();
    if systems.is_empty() {
        systems = all.iter().filter(|entry| cx.systems.contains_key(&entry.key)).collect();
    }
    match systems[..] {
        [system] => {
            let beside =
                all.iter().filter(|entry| entry.key_span != system.key_span || entry.key != system.key);
            Some((system, beside.cloned().collect()))
        }
        [first, second, ..] => {
            cx.diagnostics.push(two_systems(first, second, cx));
            None
        }
        [] => wrong(node, "a system and its operation, such as `{ crm: GET /customers }`", cx.diagnostics),
    }
}

fn two_systems(first: &Entry, second: &Entry, cx: &ActionContext<'_>) -> Diagnostic {
    let unknown = [second, first].into_iter().find(|entry| !cx.systems.contains_key(&entry.key));
    let words = || CALL_WORDS.into_iter().chain([INVALIDATES]);
    if let Some(unknown) = unknown.filter(|entry| &*entry.key != REJECT_WHEN)
        && let Some(close) = suggest(&unknown.key, words())
    {
        let message = format!("unknown key `{}` beside the operation", unknown.key);
        return Diagnostic::error(unknown.key_span, message).hint(format!("did you mean `{close}`?"));
    }
    Diagnostic::error(second.key_span, "a `call` is one call on one system")
        .related(first.key_span, "the first system")
        .hint(match second.key.as_ref() {
            REJECT_WHEN => "put `reject_when` into the operation, beside its own keys".to_owned(),
            _ => {
                let words: Vec<String> = words().map(|word| format!("`{word}`")).collect();
                format!("keep one system; beside it may stand {}", words.join(", "))
            }
        })
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
