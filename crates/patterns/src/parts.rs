//! An action made of parts that run beside each other: their progress, the size of what they gave, and what
//! is said when one of them ends the whole.

use std::sync::{Arc, Mutex, PoisonError};

use renkei_core::{
    Applied, Error, Result, RunContext, Value,
    run::{Line, Progress, ProgressSink},
};

/// What the parts of one action give together, at most; about the bytes that it takes as JSON.
pub(crate) const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;
/// So many notices are handed on; the rest is counted.
const MAX_NOTICES: usize = 20;

/// Joins the progress of the parts into that of the whole.
pub(crate) struct Parts {
    cx: RunContext,
    /// In the plural.
    noun: &'static str,
    /// Of each part, how far it is; 1 when it is done.
    shares: Mutex<Vec<f64>>,
}

impl Parts {
    /// Nothing if nobody wants to know.
    pub(crate) fn new(cx: &RunContext, total: usize, noun: &'static str) -> Option<Arc<Self>> {
        cx.wants_progress()
            .then(|| Arc::new(Parts { cx: cx.clone(), noun, shares: Mutex::new(vec![0.0; total]) }))
    }

    /// The context of the part `at`.
    pub(crate) fn context(self: &Arc<Self>, cx: &RunContext, at: usize, name: &str) -> RunContext {
        cx.with_progress(Arc::new(Share { parts: self.clone(), at, name: name.into() }))
    }

    pub(crate) fn done(&self, at: usize) {
        let message = |shares: &[f64]| {
            let done = shares.iter().filter(|share| **share >= 1.0).count();
            format!("{done} of {} {} done", shares.len(), self.noun)
        };
        self.report(at, 1.0, message);
    }

    fn report(&self, at: usize, share: f64, message: impl FnOnce(&[f64]) -> String) {
        // No code that can panic runs under the lock.
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = shares.get_mut(at).filter(|known| share > **known) else { return };
        *known = share;
        let progress = Progress {
            done: shares.iter().sum(),
            total: Some(shares.len() as f64),
            message: Some(message(&shares)),
        };
        drop(shares);
        self.cx.progress(progress);
    }
}

struct Share {
    parts: Arc<Parts>,
    at: usize,
    name: Arc<str>,
}

impl ProgressSink for Share {
    fn report(&self, progress: Progress) {
        let (Some(total), Some(message)) = (progress.total, progress.message) else { return };
        // Only its end makes a part done.
        let share = (progress.done / total).clamp(0.0, 0.99);
        self.parts.report(self.at, share, |_| format!("`{}`: {message}", self.name));
    }

    fn line(&self, line: Line) {
        self.parts.cx.line(line);
    }
}

/// Counts what is held until all parts are done.
#[derive(Debug, Default)]
pub(crate) struct Held {
    bytes: usize,
}

impl Held {
    pub(crate) fn add(&mut self, value: &Value) -> Result<()> {
        self.bytes = self.bytes.saturating_add(size(value));
        if self.bytes <= MAX_HELD_BYTES {
            return Ok(());
        }
        Err(Error::internal(format!(
            "hold the results, which are larger than {MAX_HELD_BYTES} bytes together; ask for less at once"
        )))
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| size(item) + 1).sum::<usize>() + 2,
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + size(value) + 4).sum::<usize>() + 2,
    }
}

/// Notices of parts, each with the name of its part; not more than a reader takes in.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    list: Vec<String>,
    more: usize,
}

impl Notices {
    pub(crate) fn add(&mut self, notice: String) {
        match self.list.len() < MAX_NOTICES {
            true => self.list.push(notice),
            false => self.more += 1,
        }
    }

    pub(crate) fn into_list(mut self) -> Vec<String> {
        if self.more > 0 {
            self.list.push(format!("{} more notices are left out", self.more));
        }
        self.list
    }
}

/// The error of one part that ended all: it must not hide what other parts did.
pub(crate) fn with_others(error: Error, done: &str, doubtful: &str) -> Error {
    let mut error = error;
    if !done.is_empty() {
        error = error.adding(format!("done already: {done}"));
    }
    if !doubtful.is_empty() {
        error = error.adding(format!("cut off, and perhaps done: {doubtful}"));
    }
    match done.is_empty() && doubtful.is_empty() {
        true => error,
        // Half of it happened: neither yes nor no.
        false => error.applied(Applied::Unknown),
    }
}
