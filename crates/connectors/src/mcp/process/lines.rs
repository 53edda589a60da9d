//! Reads lines of at most so many bytes. What is longer is read away, and told.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader};

/// How much of a line that is too long is kept, at its begin and at its end.
const KEPT: usize = 512;

/// A line, without its end.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// Too long: its begin and its end.
    Long {
        head: Vec<u8>,
        tail: Vec<u8>,
    },
}

pub(super) struct Lines<R> {
    reader: R,
    limit: usize,
    line: Vec<u8>,
    /// The last bytes of a line that is too long.
    tail: Option<Vec<u8>>,
}

impl<R: tokio::io::AsyncRead + Unpin> Lines<BufReader<R>> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Lines { reader: BufReader::new(reader), limit, line: Vec::new(), tail: None }
    }
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// The next line that is not empty; nothing at the end. Can be dropped while it waits.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let bytes = self.reader.fill_buf().await?;
            if bytes.is_empty() {
                // A last line without an end is one, too.
                return Ok(self.take());
            }
            let (part, used, is_end) = match bytes.iter().position(|byte| *byte == b'\n') {
                Some(at) => (&bytes[..at], at + 1, true),
                None => (bytes, bytes.len(), false),
            };
            match &mut self.tail {
                Some(tail) => keep_last(tail, part),
                None if self.line.len() + part.len() > self.limit => {
                    let mut tail = self.line.split_off(self.line.len().min(KEPT));
                    keep_last(&mut tail, part);
                    self.line.shrink_to_fit();
                    self.tail = Some(tail);
                }
                None => self.line.extend_from_slice(part),
            }
            self.reader.consume(used);
            if is_end && let Some(line) = self.take() {
                return Ok(Some(line));
            }
        }
    }

    fn take(&mut self) -> Option<Line> {
        let mut line = std::mem::take(&mut self.line);
        if let Some(tail) = self.tail.take() {
            return Some(Line::Long { head: line, tail });
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        (!line.is_empty()).then_some(Line::Whole(line))
    }
}

fn keep_last(tail: &mut Vec<u8>, part: &[u8]) {
    let part = &part[part.len().saturating_sub(KEPT)..];
    tail.extend_from_slice(part);
    tail.drain(..tail.len().saturating_sub(KEPT));
}

/// The id of an answer that was too long, where its begin or its end tells: one that stands outside of everything else.
pub(super) fn id_of(head: &[u8], tail: &[u8]) -> Option<u64> {
    let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(tail));
    let digits = |text: &str| -> Option<(u64, usize)> {
        let length = text.bytes().take_while(u8::is_ascii_digit).count();
        Some((text[..length].parse().ok()?, length))
    };
    let compact: String = head.chars().filter(|letter| !letter.is_whitespace()).take(64).collect();
    let after =
        compact.strip_prefix(r#"{"jsonrpc":"2.0","id":"#).or_else(|| compact.strip_prefix(r#"{"id":"#));
    if let Some((id, length)) = after.and_then(digits)
        && after.is_some_and(|after| after[length..].starts_with(','))
    {
        return Some(id);
    }
    let compact: String = tail.chars().filter(|letter| !letter.is_whitespace()).collect();
    let body = compact.strip_suffix('}')?;
    let body = body.strip_suffix(r#","jsonrpc":"2.0""#).unwrap_or(body);
    let at = body.rfind(r#","id":"#)?;
    let text = &body[at + r#","id":"#.len()..];
    digits(text).filter(|(_, length)| *length == text.len()).map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8], limit: usize) -> Vec<Line> {
        let mut lines = Lines::new(text, limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    fn whole(text: &str) -> Line {
        Line::Whole(text.into())
    }

    #[tokio::test]
    async fn a_line_ends_with_its_end_or_the_input() {
        assert_eq!(lines(b"a\r\n\n\nb\nc", 10).await, [whole("a"), whole("b"), whole("c")]);
        assert_eq!(lines(b"0123456789\nx", 10).await, [whole("0123456789"), whole("x")]);
    }

    #[tokio::test]
    async fn a_long_line_is_read_away() {
        let text = format!("{}\nnext\n", "x".repeat(100_000));
        let all = lines(text.as_bytes(), 1_000).await;
        assert!(matches!(&all[0], Line::Long { head, tail } if head.len() <= KEPT && tail.len() == KEPT));
        assert_eq!(all[1], whole("next"));
    }

    #[test]
    fn an_answer_that_is_too_long_says_whose_it_is() {
        let id = |head: &str, tail: &str| id_of(head.as_bytes(), tail.as_bytes());
        assert_eq!(id(r#"{"jsonrpc": "2.0", "id": 12, "result": {"#, "xx"), Some(12));
        assert_eq!(id(r#"{"result":{"#, r#"xx"}]},"jsonrpc":"2.0","id":7}"#), Some(7));
        assert_eq!(id(r#"{"result":{"#, r#"xx"}]}, "id": 7, "jsonrpc": "2.0"}"#), Some(7));
        // In the middle of something else it says nothing.
        assert_eq!(id(r#"{"result":{"id":7,"#, r#"","id":7}]}}"#), None);
        assert_eq!(id("garbage", "garbage"), None);
    }
}
