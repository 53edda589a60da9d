//! What a program writes that is no message: into the log, bounded in length and in number.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use renkei_core::Secret;
use tokio::{io::AsyncRead, time::Instant};

use super::lines::{Line, Lines};
use crate::mcp::message::shown;

/// The longest line of standard error that is read whole.
const MAX_LINE: usize = 8 << 10;
/// So many lines get into the log in so long; the rest is counted.
const LINES: u32 = 50;
const SPAN: Duration = Duration::from_secs(10);
/// The last lines, which say why a program ended.
const LAST: usize = 5;

/// Writes what a program says into the log.
pub(super) struct Noise<'a> {
    system: &'a str,
    secrets: &'a [Secret],
    state: Mutex<State>,
}

struct State {
    since: Instant,
    written: u32,
    left_out: u64,
    last: VecDeque<String>,
}

impl<'a> Noise<'a> {
    pub(super) fn new(system: &'a str, secrets: &'a [Secret]) -> Self {
        let state = State { since: Instant::now(), written: 0, left_out: 0, last: VecDeque::new() };
        Noise { system, secrets, state: Mutex::new(state) }
    }

    /// Takes a line of standard error.
    pub(super) fn said(&self, line: &[u8]) {
        let text = self.text(line);
        if self.may_write() {
            tracing::info!(system = self.system, "the server writes: {text}");
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.len() == LAST {
            state.last.pop_front();
        }
        state.last.push_back(text);
    }

    /// Takes a line of standard output that is no message.
    pub(super) fn garbage(&self, line: &[u8]) {
        if self.may_write() {
            let text = self.text(line);
            tracing::warn!(
                system = self.system,
                "the server writes what is no message to its standard output: {text}"
            );
        }
    }

    fn text(&self, line: &[u8]) -> String {
        let text = String::from_utf8_lossy(line);
        let text = self.secrets.iter().fold(text.into_owned(), |text, secret| secret.redact(&text));
        shown(&text)
    }

    fn may_write(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.since.elapsed() >= SPAN {
            if state.left_out > 0 {
                let count = state.left_out;
                tracing::warn!(system = self.system, "{count} more lines of the server were left out");
            }
            (state.since, state.written, state.left_out) = (Instant::now(), 0, 0);
        }
        let may = state.written < LINES;
        if may {
            state.written += 1;
        } else {
            state.left_out += 1;
        }
        may
    }

    /// The last lines of standard error.
    pub(super) fn last(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
    }

    /// Reads standard error to its end.
    pub(super) async fn hear(&self, stderr: impl AsyncRead + Unpin) {
        let mut lines = Lines::new(stderr, MAX_LINE);
        // What cannot be read is at its end.
        while let Ok(Some(line)) = lines.next().await {
            match line {
                Line::Whole(line) | Line::Long { head: line, .. } => self.said(&line),
            }
        }
    }
}
