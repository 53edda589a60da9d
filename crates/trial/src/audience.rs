//! Answers the questions of a call as the test says.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use indexmap::{IndexMap, IndexSet};
use renkei_core::{
    Error, Kind, Result, Value,
    ask::{Abilities, Answer, Asker, Asking, Question},
};

use crate::compare::shown;

/// Whom a test asks, and what became of it.
#[derive(Debug)]
pub(crate) struct Audience {
    answers: IndexMap<Arc<str>, Value>,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    paths: IndexSet<Arc<str>>,
    problems: Vec<(String, Option<String>)>,
}

impl Audience {
    pub(crate) fn new(answers: &IndexMap<Arc<str>, Value>) -> Arc<Self> {
        Arc::new(Audience { answers: answers.clone(), heard: Mutex::default() })
    }

    pub(crate) fn asking(self: &Arc<Self>) -> Asking {
        // In virtual time nobody waits.
        Asking::Live { asker: self.clone(), limit: Duration::from_secs(24 * 3600) }
    }

    /// What is wrong, each with what helps to understand it: questions without an answer, answers without a question.
    pub(crate) fn problems(&self) -> Vec<(String, Option<String>)> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = self.answers.keys().filter(|path| !heard.paths.contains(*path));
        let unused = unused.map(|path| (format!("nothing was asked at `{path}`, which has an answer"), None));
        heard.problems.iter().cloned().chain(unused).collect()
    }

    fn problem(&self, message: String, question: &Question) -> Error {
        let note = format!("the question: {}", shown(&question.to_value()));
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.problems.push((message.clone(), Some(note)));
        Error::new(Kind::Rejected, message)
    }
}

#[async_trait]
impl Asker for Audience {
    fn abilities(&self) -> Abilities {
        Abilities::ALL
    }

    async fn ask(&self, path: &str, question: &Question) -> Result<Answer> {
        let Some(answer) = self.answers.get(path) else {
            return Err(self.problem(format!("a question came at `{path}`, which has no answer"), question));
        };
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).paths.insert(path.into());
        if let Question::Form(form) = question
            && let Some(why) = &form.again
        {
            return Err(
                self.problem(format!("the answer at `{path}` does not fit the form: {why}"), question)
            );
        }
        match (answer.as_str(), question) {
            (Some("unable"), _) => {
                Err(Error::new(Kind::Rejected, "ask: the test says that the client cannot")
                    .lacking(question.needs()))
            }
            (Some("accept"), Question::Form(_) | Question::Url { .. }) => {
                Ok(Answer::Accepted(Value::object()))
            }
            (Some("decline"), Question::Form(_) | Question::Url { .. }) => Ok(Answer::Declined),
            (Some("cancel"), Question::Form(_) | Question::Url { .. }) => Ok(Answer::Cancelled),
            (Some(text), Question::Sample(_)) => {
                Ok(Answer::Message(said(Value::from([("type", "text"), ("text", text)]))))
            }
            (None, Question::Form(_)) if answer.as_object().is_some() => Ok(Answer::Accepted(answer.clone())),
            (None, Question::Sample(_)) if answer.get("type").is_some() || answer.as_array().is_some() => {
                Ok(Answer::Message(said(answer.clone())))
            }
            (None, Question::Roots) if answer.as_array().is_some() => Ok(Answer::Roots(answer.clone())),
            _ => {
                let what = question.what();
                Err(self.problem(format!("the answer at `{path}` is none to {what}"), question))
            }
        }
    }
}

/// What the model says, in a part or several as MCP writes them.
fn said(content: Value) -> Value {
    Value::from([
        ("role", Value::from("assistant")),
        ("content", content),
        ("model", "test".into()),
        ("stopReason", "endTurn".into()),
    ])
}
