//! Writes the line.

use async_trait::async_trait;
use renkei_core::{
    Effect, Outcome, Pattern, Result, RunContext, Tree, Value,
    run::{Level, Line},
};
use tracing::{debug, error, info, warn};

/// Longer texts are cut: a log is for reading.
const MAX_LETTERS: usize = 8000;

#[derive(Debug)]
pub(crate) struct LogAction {
    pub(super) level: Level,
    pub(super) message: Tree,
    pub(super) fields: Option<Tree>,
}

#[async_trait]
impl Pattern for LogAction {
    fn effect(&self) -> Effect {
        Effect::Read
    }

    fn open_world(&self) -> bool {
        false
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let scope = cx.scope("log", input.clone());
        let message = match self.message.render(&scope)? {
            Some(Value::String(text)) => one_line(&text),
            other => one_line(&other.unwrap_or_default().to_json()),
        };
        let given = match &self.fields {
            Some(fields) => fields.render(&scope)?,
            None => None,
        };
        let shown = given.as_ref().map(|fields| one_line(&fields.to_json()));
        let (run, trace, fields) = (&**cx.id(), cx.call.trace.id(), shown.as_deref());
        match self.level {
            Level::Debug => debug!(run, trace, fields, "{message}"),
            Level::Info => info!(run, trace, fields, "{message}"),
            Level::Warning => warn!(run, trace, fields, "{message}"),
            Level::Error => error!(run, trace, fields, "{message}"),
        }
        // What is too long for the log is too long for a client.
        let fits = shown.as_ref().is_none_or(|shown| shown.len() < MAX_LETTERS);
        cx.line(Line { level: self.level, message, fields: given.filter(|_| fits) });
        Ok(Outcome::json(input))
    }
}

/// A value must not write lines of its own into the log, nor colours.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for letter in text.chars().take(MAX_LETTERS) {
        match letter.is_control() {
            true => line.extend(letter.escape_default()),
            false => line.push(letter),
        }
    }
    line
}
