//! What a half-typed argument may become.

use renkei_core::{
    CallContext, Effect, Error, Kind, Map, Result, Value, audit,
    complete::{CompletePlan, Completion, MAX_VALUES, Partial},
};

use super::{Engine, job::Job};

impl Engine {
    /// Completes by `plan`; nothing can be said without one.
    pub(super) async fn complete_by(
        &self,
        plan: Option<&CompletePlan>,
        (of, name): (&'static str, &str),
        cx: CallContext,
        partial: Partial,
    ) -> Result<Completion> {
        let (action, shape) = match plan {
            None => return Ok(Completion::default()),
            Some(CompletePlan::Values(values)) => {
                let fitting = values.iter().filter(|value| begins(value, &partial.value));
                return Ok(cut(fitting.map(ToString::to_string).collect()));
            }
            Some(CompletePlan::Query { action, values }) => (action, values),
        };
        let measures = audit::Measures::new("completion", name);
        let job = Job {
            measures: &measures,
            name,
            effect: Effect::Read,
            timeout: self.options.tool_timeout,
            shown: self.options.audited,
        };
        let asked = input(&partial);
        let run = async {
            let _place = self.place()?;
            let context = self.context(&job, cx.clone(), None);
            let outcome = self.act(&job, &context, &**action, asked.clone()).await?;
            let value = match shape {
                Some(values) => {
                    let scope = context.with_vars(outcome.vars()).scope("values", asked.clone());
                    values.render(&scope)?.unwrap_or_default()
                }
                None => outcome.value.into_value(),
            };
            texts(&value, &format!("the {of} `{name}`"), &partial.name).map(cut)
        };
        job.guarded(&cx, &asked, run).await
    }
}

/// `{ value, arguments }`.
fn input(partial: &Partial) -> Value {
    let given: Map =
        partial.given.iter().map(|(name, text)| (name.as_str().into(), text.as_str().into())).collect();
    Value::from([("value", partial.value.as_str().into()), ("arguments", Value::from(given))])
}

/// Case is no matter while one types.
fn begins(value: &str, typed: &str) -> bool {
    let mut letters = value.chars().flat_map(char::to_lowercase);
    typed.chars().flat_map(char::to_lowercase).all(|typed| letters.next() == Some(typed))
}

fn cut(mut values: Vec<String>) -> Completion {
    let total = values.len();
    values.truncate(MAX_VALUES);
    Completion { values, total }
}

/// An array of scalars; an object in it stands for its only member, as the row of a query for one column.
fn texts(value: &Value, holder: &str, argument: &str) -> Result<Vec<String>> {
    let wrong = |what: String| {
        Error::new(
            Kind::Internal,
            format!(
                "`complete` of `{argument}` in {holder} gave {what}, not a list of texts; the config must be mended"
            ),
        )
    };
    let items = match value {
        Value::Null => &[],
        Value::Array(items) => &items[..],
        other => return Err(wrong(format!("a value of type {}", other.type_name()))),
    };
    let text = |item: &Value| {
        let item = match item {
            Value::Object(members) if members.len() == 1 => members.values().next().unwrap_or(item),
            _ => item,
        };
        match item {
            Value::String(text) => Ok(Some(text.to_string())),
            Value::Number(_) | Value::Bool(_) => Ok(Some(item.to_json())),
            Value::Null => Ok(None),
            other => Err(wrong(format!("a list with a value of type {} in it", other.type_name()))),
        }
    };
    items.iter().filter_map(|item| text(item).transpose()).collect()
}
