//! Reads a stream of events (`text/event-stream`) as it comes, with a limit for one event.

use std::{collections::VecDeque, time::Duration};

/// A server may ask for a pause before the stream is taken up again, but not for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(500);
/// A longer id is none that a header carries.
const MAX_ID: usize = 1024;

pub(super) struct Events {
    limit: usize,
    /// Of the line that is not whole yet.
    line: Vec<u8>,
    /// The last byte was a CR, whose LF may follow.
    after_return: bool,
    data: String,
    has_data: bool,
    id: Option<String>,
    last_id: Option<String>,
    pause: Duration,
    ready: VecDeque<String>,
}

impl Events {
    pub(super) fn new(limit: usize) -> Self {
        Events {
            limit,
            line: Vec::new(),
            after_return: false,
            data: String::new(),
            has_data: false,
            id: None,
            last_id: None,
            pause: PAUSE,
            ready: VecDeque::new(),
        }
    }

    /// Takes a piece of the stream. False when one event is larger than the limit.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            match byte {
                b'\n' if self.after_return => self.after_return = false,
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    self.end_line(&String::from_utf8_lossy(&line));
                }
                byte => {
                    self.after_return = false;
                    self.line.push(*byte);
                }
            }
            if self.line.len() + self.data.len() > self.limit.saturating_add(64) {
                return false;
            }
        }
        true
    }

    /// The data of the next event that is whole.
    pub(super) fn next(&mut self) -> Option<String> {
        self.ready.pop_front()
    }

    /// Of the last event that was whole.
    pub(super) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// How long to wait before the stream is taken up again.
    pub(super) fn pause(&self) -> Duration {
        self.pause
    }

    /// Another stream goes on: what was begun is begun again.
    pub(super) fn restart(&mut self) {
        self.line.clear();
        self.data.clear();
        (self.after_return, self.has_data, self.id) = (false, false, None);
    }

    fn end_line(&mut self, line: &str) {
        if line.is_empty() {
            if let Some(id) = self.id.take() {
                self.last_id = Some(id);
            }
            let data = std::mem::take(&mut self.data);
            if std::mem::take(&mut self.has_data) && !data.is_empty() {
                self.ready.push_back(data);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "id" if value.len() <= MAX_ID && !value.contains('\0') && !value.is_empty() => {
                self.id = Some(value.to_owned());
            }
            "retry" => {
                if let Ok(millis) = value.parse() {
                    self.pause = Duration::from_millis(millis).min(LONGEST_PAUSE);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> (Vec<String>, Events) {
        let mut events = Events::new(100);
        for piece in pieces {
            assert!(events.push(piece.as_bytes()), "{piece}");
        }
        let all = std::iter::from_fn(|| events.next()).collect();
        (all, events)
    }

    #[test]
    fn events_come_in_any_pieces() {
        let text = ": comment\r\nid: 7\r\nretry: 20\r\nevent: message\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\ndata:x\n\ndata: not whole";
        let whole = read(&[text]);
        let letters: Vec<String> = text.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        for (all, events) in [whole, read(&letters)] {
            assert_eq!(all, ["{\"a\":\n1}", "x"]);
            assert_eq!((events.last_id(), events.pause()), (Some("7"), Duration::from_millis(20)));
        }
        // An event without data only says where the stream is.
        let (all, events) = read(&["id: 1\ndata:\n\n"]);
        assert_eq!((all.len(), events.last_id()), (0, Some("1")));
    }

    #[test]
    fn an_event_has_a_limit() {
        let mut events = Events::new(100);
        assert!(events.push(b"data: 1\n\n".repeat(1_000).as_slice()));
        assert!(!events.push(format!("data: {}", "x".repeat(200)).as_bytes()));
        let mut events = Events::new(100);
        assert!(!events.push("data: 0123456789\n".repeat(20).as_bytes()));
    }
}
