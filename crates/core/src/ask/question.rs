//! What is asked.

use std::{fmt, sync::Arc, time::Duration};

use super::{Ability, Answer};
use crate::{Error, Map, Number, Result, Value, resource::Role, tool::Content};

/// What is asked of a caller: of its user, its model, or itself.
#[derive(Clone, Debug)]
pub enum Question {
    /// Its user fills in a form, which may have no fields: then it is a yes or no.
    Form(Form),
    /// Its user does something on a page, such as paying or signing in; what, does not pass through the caller.
    Url { message: Arc<str>, url: Arc<str>, timeout: Option<Duration> },
    /// Its model writes a message.
    Sample(Sample),
    /// Which folders it works in.
    Roots,
}

/// A form for the user.
#[derive(Clone, Debug)]
pub struct Form {
    pub message: Arc<str>,
    /// JSON Schema as MCP restricts it: an object of texts, numbers, flags and choices.
    pub schema: Value,
    pub check: Arc<dyn Check>,
    /// Why what was filled in before did not fit.
    pub again: Option<Arc<str>>,
    /// How long the answer may take, if less than the caller may take at all.
    pub timeout: Option<Duration>,
}

/// Knows whether a form is filled in right.
pub trait Check: Send + Sync + fmt::Debug {
    /// The content with what was left out and has a default.
    ///
    /// # Errors
    /// What to change, as sentences for who filled it in.
    fn check(&self, content: Value) -> Result<Value, String>;
}

/// What the model is to answer.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub messages: Vec<(Role, Part)>,
    pub system: Option<Arc<str>>,
    pub max_tokens: u64,
    pub temperature: Option<Number>,
    pub stop: Vec<Arc<str>>,
    pub model: ModelPreferences,
    pub tools: Vec<SampleTool>,
    /// `auto`, `required` or `none`.
    pub tool_choice: Option<Arc<str>>,
    pub timeout: Option<Duration>,
}

/// A part of a message to the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Content(Content),
    /// A part as MCP writes it, such as the use of a tool or its result; or a list of parts.
    Raw(Value),
}

/// Which model the caller might take. It decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelPreferences {
    /// Parts of names, the best first.
    pub hints: Vec<Arc<str>>,
    /// From 0 to 1 each: how much it matters.
    pub cost: Option<Number>,
    pub speed: Option<Number>,
    pub intelligence: Option<Number>,
}

/// A tool that the model may use; whoever asked carries it out.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleTool {
    pub name: Arc<str>,
    pub description: Option<Arc<str>>,
    pub input_schema: Value,
}

impl Question {
    /// What the caller must be able to.
    pub fn needs(&self) -> Ability {
        match self {
            Question::Form(_) => Ability::Form,
            Question::Url { .. } => Ability::Url,
            Question::Sample(sample) if sample.tools.is_empty() => Ability::Sample,
            Question::Sample(_) => Ability::SampleTools,
            Question::Roots => Ability::Roots,
        }
    }

    /// How long the answer may take, if less than the caller may take at all.
    pub fn timeout(&self) -> Option<Duration> {
        match self {
            Question::Form(Form { timeout, .. })
            | Question::Url { timeout, .. }
            | Question::Sample(Sample { timeout, .. }) => *timeout,
            Question::Roots => None,
        }
    }

    /// The answer as far as it is one: of the right kind, and its content as the form wants it.
    ///
    /// # Errors
    /// The same question with the reason, where it can be put once more; an error where it is no answer to it.
    pub fn judge(&self, answer: Answer) -> Result<Result<Answer, Question>> {
        if !self.takes(&answer) {
            let message =
                format!("use the answer: it is {}, and {} was asked for", answer.what(), self.what());
            return Err(Error::invalid(message));
        }
        match (self, answer) {
            (Question::Form(form), Answer::Accepted(content)) => match form.check.check(content) {
                Ok(content) => Ok(Ok(Answer::Accepted(content))),
                Err(why) => Ok(Err(Question::Form(Form { again: Some(why.into()), ..form.clone() }))),
            },
            // What the user did on the page stays there.
            (Question::Url { .. }, Answer::Accepted(_)) => Ok(Ok(Answer::Accepted(Value::object()))),
            (_, answer) => Ok(Ok(answer)),
        }
    }

    /// Whether it is an answer to such a question at all.
    pub fn takes(&self, answer: &Answer) -> bool {
        matches!(
            (self, answer),
            (
                Question::Form(_) | Question::Url { .. },
                Answer::Accepted(_) | Answer::Declined | Answer::Cancelled
            ) | (Question::Sample(_), Answer::Message(_))
                | (Question::Roots, Answer::Roots(_))
        )
    }

    /// Whether it is put once more, because what came back did not fit.
    pub fn is_again(&self) -> bool {
        matches!(self, Question::Form(Form { again: Some(_), .. }))
    }

    /// With its article.
    pub fn what(&self) -> &'static str {
        match self {
            Question::Form(_) => "a form",
            Question::Url { .. } => "a visit of a page",
            Question::Sample(_) => "a message of the model",
            Question::Roots => "a list of roots",
        }
    }

    /// The question for tests and digests: two are the same if this is. Why it is put once more is no part of it.
    pub fn to_value(&self) -> Value {
        match self {
            Question::Form(Form { message, schema, .. }) => {
                let form = [("message", Value::from(message.clone())), ("schema", schema.clone())];
                Value::from([("form", Value::from(form))])
            }
            Question::Url { message, url, .. } => {
                let page = [("message", Value::from(message.clone())), ("url", url.clone().into())];
                Value::from([("url", Value::from(page))])
            }
            Question::Sample(sample) => Value::from([("sample", sample.to_value())]),
            Question::Roots => Value::from([("roots", true)]),
        }
    }
}

impl Form {
    /// What is shown to the user: before the message, why it is asked once more.
    pub fn text(&self) -> String {
        match &self.again {
            Some(why) => format!("{why}\n\n{}", self.message),
            None => self.message.to_string(),
        }
    }
}

impl Sample {
    fn to_value(&self) -> Value {
        let mut map = Map::new();
        let messages = self.messages.iter().map(|(role, part)| {
            let role = match role {
                Role::User => "user",
                Role::Assistant => "assistant",
            };
            let part = match part {
                Part::Content(Content::Text(text)) => text.as_str().into(),
                Part::Content(other) => format!("{other:?}").into(),
                Part::Raw(value) => value.clone(),
            };
            Value::from([(role, part)])
        });
        map.insert("messages".into(), messages.collect::<Vec<_>>().into());
        if let Some(system) = &self.system {
            map.insert("system".into(), system.clone().into());
        }
        map.insert("max_tokens".into(), self.max_tokens.into());
        let tools = self.tools.iter().map(|tool| Value::from(tool.name.clone())).collect::<Vec<_>>();
        if !tools.is_empty() {
            map.insert("tools".into(), tools.into());
        }
        map.into()
    }
}
