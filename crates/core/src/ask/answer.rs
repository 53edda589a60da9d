//! What came back.

use crate::Value;

/// The answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The user said yes, with what was filled in: an object.
    Accepted(Value),
    /// The user said no.
    Declined,
    /// The user said neither, and closed it.
    Cancelled,
    /// What the model wrote: `{ "role", "content", "model"?, "stopReason"? }`, as MCP writes it.
    Message(Value),
    /// `[{ "uri", "name"? }]`.
    Roots(Value),
}

impl Answer {
    /// With its article.
    pub fn what(&self) -> &'static str {
        match self {
            Answer::Accepted(_) | Answer::Declined | Answer::Cancelled => "the answer of a user",
            Answer::Message(_) => "a message of a model",
            Answer::Roots(_) => "a list of roots",
        }
    }

    /// For keeping it; [`Answer::from_value`] reads it.
    pub fn to_value(&self) -> Value {
        let (key, value) = match self {
            Answer::Accepted(content) => ("accept", content.clone()),
            Answer::Declined => ("decline", Value::Bool(true)),
            Answer::Cancelled => ("cancel", Value::Bool(true)),
            Answer::Message(message) => ("message", message.clone()),
            Answer::Roots(roots) => ("roots", roots.clone()),
        };
        Value::from([(key, value)])
    }

    /// Nothing if it is none.
    pub fn from_value(value: &Value) -> Option<Self> {
        let map = value.as_object().filter(|map| map.len() == 1)?;
        let (key, value) = map.first()?;
        match &**key {
            "accept" => Some(Answer::Accepted(value.clone())),
            "decline" => Some(Answer::Declined),
            "cancel" => Some(Answer::Cancelled),
            "message" => Some(Answer::Message(value.clone())),
            "roots" => Some(Answer::Roots(value.clone())),
            _ => None,
        }
    }
}
