//! JSON text in and out (RFC 8259).
//!
//! Our own reader, because `serde_json` either rounds numbers or, with its `arbitrary_precision`
//! feature, breaks the untagged types of the MCP library (decision 0002).

use std::{fmt, sync::Arc};

use super::{Map, Number, Value, scan};

/// Arrays and objects may be nested this deep; the reader refuses more.
pub const MAX_DEPTH: usize = 128;

/// Why a text is not JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct JsonError {
    pub what: &'static str,
    /// Offset in bytes.
    pub at: usize,
}

impl Value {
    /// Reads one JSON value that fills `text`. A repeated key keeps its last value.
    pub fn from_json(text: &[u8]) -> Result<Value, JsonError> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let text =
            std::str::from_utf8(text).map_err(|e| JsonError { what: "not UTF-8", at: e.valid_up_to() })?;
        let mut reader = Reader { text, bytes: text.as_bytes(), at: 0 };
        reader.space();
        let value = reader.value(0)?;
        reader.space();
        match reader.bytes.get(reader.at) {
            None => Ok(value),
            Some(_) => Err(reader.fail("text after the value")),
        }
    }

    /// Writes compact JSON.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    /// Writes indented JSON, two spaces a level.
    pub fn to_json_pretty(&self) -> String {
        let mut out = String::new();
        self.write_pretty(&mut out, 0);
        out
    }

    /// Appends compact JSON to `out`.
    pub fn write_json(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(true) => out.push_str("true"),
            Value::Bool(false) => out.push_str("false"),
            Value::Number(number) => number.write(out),
            Value::String(text) => write_string(text, out),
            Value::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Value::Object(map) => {
                out.push('{');
                for (i, (key, value)) in map.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    write_string(key, out);
                    out.push(':');
                    value.write_json(out);
                }
                out.push('}');
            }
        }
    }

    fn write_pretty(&self, out: &mut String, level: usize) {
        let line = |out: &mut String, level: usize| {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", level));
        };
        match self {
            Value::Array(items) if !items.is_empty() => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    line(out, level + 1);
                    item.write_pretty(out, level + 1);
                }
                line(out, level);
                out.push(']');
            }
            Value::Object(map) if !map.is_empty() => {
                out.push('{');
                for (i, (key, value)) in map.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    line(out, level + 1);
                    write_string(key, out);
                    out.push_str(": ");
                    value.write_pretty(out, level + 1);
                }
                line(out, level);
                out.push('}');
            }
            other => other.write_json(out),
        }
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(scan::plain(rest.as_bytes()));
        out.push_str(plain);
        let Some(&byte) = special.as_bytes().first() else { break };
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                let _ = fmt::Write::write_fmt(out, format_args!("\\u{byte:04x}"));
            }
        }
        // All that are special are of one byte.
        rest = &special[1..];
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn fail(&self, what: &'static str) -> JsonError {
        JsonError { what, at: self.at }
    }

    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        match self.bytes.get(self.at) {
            None => Err(self.fail("the text ends where a value is due")),
            Some(b'"') => self.string().map(Value::String),
            Some(b'{' | b'[') if depth >= MAX_DEPTH => Err(self.fail("nested more than 128 deep")),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.fail("not a JSON value")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fail("not a JSON value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        while matches!(self.bytes.get(self.at), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        let Some(number) = Number::parse(&self.text[start..self.at]) else {
            return Err(JsonError { what: "not a JSON number", at: start });
        };
        Ok(Value::Number(number))
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(items.into());
        }
        loop {
            self.space();
            items.push(self.value(depth + 1)?);
            self.space();
            if self.eat(b']') {
                return Ok(items.into());
            }
            if !self.eat(b',') {
                return Err(self.fail("`,` or `]` is due"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut map = Map::new();
        self.space();
        if self.eat(b'}') {
            return Ok(map.into());
        }
        loop {
            self.space();
            if self.bytes.get(self.at) != Some(&b'"') {
                return Err(self.fail("a key in quotes is due"));
            }
            let key = self.string()?;
            self.space();
            if !self.eat(b':') {
                return Err(self.fail("`:` is due"));
            }
            self.space();
            let value = self.value(depth + 1)?;
            map.insert(key, value);
            self.space();
            if self.eat(b'}') {
                return Ok(map.into());
            }
            if !self.eat(b',') {
                return Err(self.fail("`,` or `}` is due"));
            }
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn string(&mut self) -> Result<Arc<str>, JsonError> {
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut plain = start;
        loop {
            self.at += scan::plain(&self.bytes[self.at..]);
            match self.bytes.get(self.at) {
                None => return Err(self.fail("a string without its closing quote")),
                Some(b'"') => {
                    let tail = &self.text[plain..self.at];
                    self.at += 1;
                    return Ok(match owned {
                        None => tail.into(),
                        Some(mut text) => {
                            text.push_str(tail);
                            text.into()
                        }
                    });
                }
                Some(b'\\') => {
                    let text = owned.get_or_insert_default();
                    text.push_str(&self.text[plain..self.at]);
                    self.at += 1;
                    let decoded = self.escape()?;
                    owned.get_or_insert_default().push(decoded);
                    plain = self.at;
                }
                Some(0..=0x1f) => return Err(self.fail("a control character in a string")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.fail("an unfinished escape"))?;
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(self.fail("an unknown escape")),
        })
    }

    /// A lone surrogate has no character and becomes U+FFFD, as elsewhere on the web.
    fn unicode(&mut self) -> Result<char, JsonError> {
        let first = self.hex()?;
        if (0xd800..0xdc00).contains(&first) && self.bytes[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.hex()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let digits = self.bytes.get(self.at..self.at + 4).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|d| std::str::from_utf8(d).ok());
        let code = digits.and_then(|d| u32::from_str_radix(d, 16).ok());
        let code = code.ok_or_else(|| self.fail("`\\u` wants four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_order_survive() {
        let text = r#"{"z":1.10,"a":123456789012345678901234567890,"e":1e400,"n":-0,"i":-7}"#;
        assert_eq!(Value::from_json(text.as_bytes()).unwrap().to_json(), text);
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in [
            "",
            "01",
            "+1",
            "1.",
            ".5",
            "nul",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "\"\u{1}\"",
            "1 2",
            "\"\\x\"",
            "NaN",
            "\"",
            "[",
            "{\"a\"",
            "\"\\u12\"",
        ] {
            assert!(Value::from_json(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Value::from_json(b"\"\xff\"").is_err());
        let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
        assert_eq!(Value::from_json(deep.as_bytes()).unwrap_err().what, "nested more than 128 deep");
    }

    #[test]
    fn escapes() {
        let value = Value::from_json(br#""a\u00e9\ud83d\ude00\ud83d x\n\"""#).unwrap();
        assert_eq!(value.as_str(), Some("a\u{e9}\u{1f600}\u{fffd} x\n\""));
        assert_eq!(Value::from("\u{1}\"\\").to_json(), r#""\u0001\"\\""#);
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_serde(text in "[\\[\\]{},:\"0-9eE.+\\-ntrufalse\\\\ ]{0,24}") {
            let ours = Value::from_json(text.as_bytes());
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            // Ours also keeps numbers beyond a double's range, and lone surrogates.
            if let Ok(theirs) = &theirs {
                proptest::prop_assert_eq!(ours.as_ref().map(serde_json::Value::from), Ok(theirs.clone()));
            }
        }
    }
}
