//! Puts the question, and does what follows from the answer.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{
    Effect, Error, Kind, Outcome, Pattern, Payload, Result, RunContext, Scope, Tree, Value,
    ask::{Answer, Form, Question},
};
use url::Url;

use super::{
    form::FormPlan,
    sample::{SamplePlan, message},
};

/// People read messages; a longer one is refused.
const MAX_LETTERS: usize = 10_000;

#[derive(Debug)]
pub(crate) struct AskAction {
    pub(super) what: What,
    pub(super) otherwise: Option<Tree>,
    pub(super) timeout: Option<Duration>,
    pub(super) then: Option<Arc<dyn Pattern>>,
    pub(super) declined: Option<Arc<dyn Pattern>>,
}

#[derive(Debug)]
pub(super) enum What {
    Form { message: Tree, form: FormPlan },
    Url { message: Tree, url: Tree },
    Sample(Box<SamplePlan>),
    Roots,
}

impl AskAction {
    fn actions(&self) -> impl Iterator<Item = &Arc<dyn Pattern>> {
        self.then.iter().chain(&self.declined)
    }

    fn question(&self, scope: &Scope) -> Result<Question> {
        let timeout = self.timeout;
        Ok(match &self.what {
            What::Form { message, form } => {
                let (schema, check) = form.render(scope)?;
                Question::Form(Form {
                    message: text(message, scope, "message")?,
                    schema,
                    check,
                    again: None,
                    timeout,
                })
            }
            What::Url { message, url } => {
                let (message, url) = (text(message, scope, "message")?, text(url, scope, "url")?);
                let parsed = Url::parse(&url).ok();
                if !parsed.is_some_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host()) {
                    return Err(Error::internal(format!(
                        "send the user to `{url}`: it is no `https` or `http` URL"
                    )));
                }
                Question::Url { message, url, timeout }
            }
            What::Sample(sample) => Question::Sample(sample.render(scope, timeout)?),
            What::Roots => Question::Roots,
        })
    }

    /// What the answer is as a value, and what is known about it.
    async fn answer(&self, cx: &RunContext, input: &Value) -> Result<(Value, &'static str)> {
        let scope = cx.scope("ask", input.clone());
        match (cx.ask(None, self.question(&scope)?).await, &self.otherwise) {
            (Err(error), Some(otherwise)) if error.lacks().is_some() => {
                Ok((otherwise.render(&scope)?.unwrap_or_default(), "none"))
            }
            (Err(error), _) => Err(error),
            (Ok(Answer::Accepted(content)), _) => Ok((content, "accept")),
            (Ok(Answer::Declined), _) => Ok((Value::Null, "decline")),
            (Ok(Answer::Cancelled), _) => Ok((Value::Null, "cancel")),
            (Ok(Answer::Message(answered)), _) => Ok((message(&answered), "accept")),
            (Ok(Answer::Roots(roots)), _) => Ok((roots, "accept")),
        }
    }
}

#[async_trait]
impl Pattern for AskAction {
    fn effect(&self) -> Effect {
        self.actions().map(|action| action.effect()).max().unwrap_or(Effect::Read)
    }

    fn open_world(&self) -> bool {
        self.actions().any(|action| action.open_world())
    }

    fn asks(&self) -> bool {
        true
    }

    fn height(&self) -> usize {
        1 + self.actions().map(|action| action.height()).max().unwrap_or_default()
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let (answer, action) = self.answer(cx, &input).await?;
        let meta = Value::from([("action", action)]);
        let (next, name) = match action {
            "decline" | "cancel" => (&self.declined, "declined"),
            _ => (&self.then, "then"),
        };
        if let Some(next) = next {
            let cx = cx.child(name).with_vars([("answer".into(), answer), ("answer_meta".into(), meta)]);
            let outcome = next.run(&cx, input).await?;
            // What the one binds, the other does not.
            return Ok(Outcome { results: Vec::new(), ..outcome });
        }
        match action {
            "decline" => Err(Error::new(Kind::Rejected, "go on: the user said no")),
            "cancel" => {
                Err(Error::new(Kind::Rejected, "go on: the user closed the question without an answer"))
            }
            _ => Ok(Outcome { value: Payload::Json(answer), meta, ..Outcome::json(Value::Null) }),
        }
    }
}

/// A text for people.
pub(super) fn text(tree: &Tree, scope: &Scope, what: &str) -> Result<Arc<str>> {
    match tree.render(scope)? {
        Some(Value::String(text)) if !text.is_empty() && text.chars().count() <= MAX_LETTERS => Ok(text),
        Some(Value::String(text)) if text.is_empty() => {
            Err(Error::internal(format!("ask: the `{what}` is empty")))
        }
        Some(Value::String(_)) => {
            Err(Error::internal(format!("ask: the `{what}` has more than {MAX_LETTERS} characters")))
        }
        Some(scalar @ (Value::Number(_) | Value::Bool(_))) => Ok(scalar.to_json().into()),
        other => {
            let found = found(other.as_ref());
            Err(Error::internal(format!("ask: the `{what}` is {found}, not a text")))
        }
    }
}

/// What a template gave instead of what was due.
pub(super) fn found(value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".to_owned(), |value| format!("of type `{}`", value.type_name()))
}
