//! Fails.

use async_trait::async_trait;
use renkei_core::{Effect, Error, Kind, Outcome, Pattern, Result, RunContext, Tree, Value};

/// A longer message is cut: models read it.
const MAX_LETTERS: usize = 2000;

#[derive(Debug)]
pub(crate) struct FailAction {
    pub(super) kind: Kind,
    pub(super) message: Tree,
    /// The code of an error of the protocol.
    pub(super) protocol: Option<i32>,
}

#[async_trait]
impl Pattern for FailAction {
    fn effect(&self) -> Effect {
        Effect::Read
    }

    fn open_world(&self) -> bool {
        false
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let message = match self.message.render(&cx.scope("fail", input))? {
            Some(Value::String(text)) => text.chars().take(MAX_LETTERS).collect(),
            Some(other) => other.to_json().chars().take(MAX_LETTERS).collect(),
            None => "no reason was given".to_owned(),
        };
        let error = Error::new(self.kind, message);
        Err(match self.protocol {
            Some(code) => error.protocol(code),
            None => error,
        })
    }
}
