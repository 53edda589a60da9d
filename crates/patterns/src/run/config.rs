//! Reads `run: NAME` and `with:`.

use std::sync::Arc;

use renkei_core::{
    ActionContext, ActionNode, Definitions, Diagnostic, Pattern, PatternKind, Schema, Tree, Value,
    read::wrong,
};

use super::run::RunAction;
use crate::engine::Input;

const WITH: &str = "with";

pub(crate) struct Kind;

impl PatternKind for Kind {
    fn name(&self) -> &'static str {
        "run"
    }

    fn schema(&self, _: &[(&'static str, Schema)], _: &mut Definitions) -> Schema {
        Value::from([
            ("type", Value::from("string")),
            (
                "description",
                "The name of one of the `actions`; its result is the result. `with` gives its input.".into(),
            ),
        ])
    }

    fn companions(&self, _: &mut Definitions) -> Vec<(&'static str, Schema)> {
        let description = "The input of the action that `run` names, by name; its values may be templates. The action sees nothing else.";
        let schema = Value::from([("type", "object"), ("description", description)]);
        vec![(WITH, schema)]
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let with = match action.companion(WITH) {
            None => Some(None),
            Some(entry) if entry.value.as_map().is_some() => {
                Tree::read(&entry.value, &cx.names, cx.diagnostics).map(Some)
            }
            Some(entry) => {
                wrong(&entry.value, "the action's input by name, such as `{ id: '${.id}' }`", cx.diagnostics)
            }
        };
        let Some(name) = action.value.as_str() else {
            return wrong(action.value, "the name of one of the `actions`", cx.diagnostics);
        };
        let plan = cx.actions.get(name, action.value.span, cx.diagnostics)?;
        let with = with?;
        let input = match Input::new(&plan.input_schema) {
            Ok(input) => input,
            Err(why) => {
                let message = format!("the input of the action `{name}` cannot be checked: {why}");
                cx.diagnostics
                    .push(Diagnostic::error(action.value.span, message).hint("mend its `input_schema`"));
                return None;
            }
        };
        check_names(action, &plan.input_schema, cx)?;
        Some(Arc::new(RunAction { plan, with, input }))
    }
}

/// What is missing or too much in `with`, as far as the names tell.
fn check_names(action: &ActionNode<'_>, schema: &Value, cx: &mut ActionContext<'_>) -> Option<()> {
    let given = action.companion(WITH);
    let members = given.and_then(|entry| entry.value.as_map()).unwrap_or_default();
    let required = schema.get("required").and_then(Value::as_array).unwrap_or_default();
    let missing: Vec<&str> = required
        .iter()
        .filter_map(Value::as_str)
        .filter(|name| !members.iter().any(|member| *member.key == **name))
        .collect();
    let known = schema.get("properties").and_then(Value::as_object);
    let closed = schema.get("additionalProperties").and_then(Value::as_bool) == Some(false);
    let name = action.value.as_str().unwrap_or_default();
    let mut good = true;
    if !missing.is_empty() {
        let list: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
        let message = format!("the action `{name}` also needs {}", list.join(", "));
        let hint = format!("add `with: {{ {}: … }}`", missing[0]);
        cx.diagnostics.push(
            Diagnostic::error(given.map_or(action.value.span, |entry| entry.key_span), message).hint(hint),
        );
        good = false;
    }
    let strays =
        members.iter().filter(|member| closed && known.is_none_or(|known| !known.contains_key(&*member.key)));
    for stray in strays {
        let diagnostic =
            Diagnostic::error(stray.key_span, format!("the action `{name}` has no input `{}`", stray.key));
        let known: Vec<&str> =
            known.map(|known| known.keys().map(|key| &**key).collect()).unwrap_or_default();
        let close = renkei_core::diagnostic::suggest(&stray.key, known.iter().copied());
        cx.diagnostics.push(match close {
            Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
            None => diagnostic.hint("remove it, or declare it in the action's `input`"),
        });
        good = false;
    }
    good.then_some(())
}
