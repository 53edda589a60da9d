//! Values as YAML, as somebody would write them: short ones in one line, long ones below each other.

use renkei_core::{Map, Value};

/// The longest line, where it can be helped.
const WIDTH: usize = 110;

/// `key: value` with so many spaces before each line, and a line break at the end.
pub(crate) fn entry(key: &str, value: &Value, indent: usize) -> String {
    let mut out = String::new();
    member(&mut out, key, value, indent);
    out
}

/// A list below its key: `- …` with so many spaces before, and a line break at the end.
pub(crate) fn items(items: &[Value], indent: usize) -> String {
    let mut out = String::new();
    for value in items {
        item(&mut out, value, indent);
    }
    out
}

/// A key as it is written.
pub(crate) fn key(key: &str) -> String {
    inline_text(key)
}

fn spaces(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn member(out: &mut String, name: &str, value: &Value, indent: usize) {
    spaces(out, indent);
    *out += &key(name);
    *out += ":";
    after(out, value, indent);
}

/// What stands behind `key:`.
fn after(out: &mut String, value: &Value, indent: usize) {
    let column = out.len() - out.rfind('\n').map_or(0, |at| at + 1) + 1;
    if let Some(text) = one_line(value, column) {
        *out += &format!(" {text}\n");
        return;
    }
    match value {
        Value::Object(map) => {
            *out += "\n";
            map.iter().for_each(|(key, value)| member(out, key, value, indent + 2));
        }
        Value::Array(list) => {
            *out += "\n";
            list.iter().for_each(|value| item(out, value, indent + 2));
        }
        Value::String(text) => long_text(out, text, indent + 2),
        scalar => *out += &format!(" {}\n", scalar.to_json()),
    }
}

fn item(out: &mut String, value: &Value, indent: usize) {
    spaces(out, indent);
    *out += "-";
    match value {
        Value::Object(map) if !map.is_empty() && !is_plain_row(value, indent + 2) => {
            for (at, (key, value)) in map.iter().enumerate() {
                if at == 0 {
                    *out += " ";
                    *out += &self::key(key);
                    *out += ":";
                    after(out, value, indent + 2);
                } else {
                    member(out, key, value, indent + 2);
                }
            }
        }
        value => after(out, value, indent),
    }
}

/// Whether a mapping in a list reads well in one line: it fits, and nothing in it is nested twice.
fn is_plain_row(value: &Value, column: usize) -> bool {
    let flat = |value: &Value| !matches!(value, Value::Object(map) if !map.is_empty());
    let mocks = |map: &Map| map.contains_key("request");
    value.as_object().is_some_and(|map| !mocks(map) && map.values().all(flat))
        && one_line(value, column).is_some()
}

/// The value in one line, if that fits behind so many letters.
fn one_line(value: &Value, column: usize) -> Option<String> {
    let text = match value {
        Value::String(text) if text.contains('\n') && as_block(text) => return None,
        Value::String(text) => block_text(text),
        Value::Object(map) if map.contains_key("request") => return None,
        value => flow(value),
    };
    let long = column + text.chars().count() > WIDTH;
    let breakable = match value {
        Value::String(text) => as_folded(text),
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    (!long || !breakable).then_some(text)
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => inline_text(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) if map.is_empty() => "{}".into(),
        Value::Object(map) => {
            let members = map.iter().map(|(name, value)| format!("{}: {}", key(name), flow(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_json(),
    }
}

/// A text between other things in one line.
fn inline_text(text: &str) -> String {
    if is_plain(text, &[',', '[', ']', '{', '}', '?']) { text.to_owned() } else { quoted(text) }
}

/// A text to the end of its line.
fn block_text(text: &str) -> String {
    if is_plain(text, &[]) { text.to_owned() } else { quoted(text) }
}

/// Whether a text is itself without quotation marks, for every reader of YAML.
fn is_plain(text: &str, without: &[char]) -> bool {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let letters = |letter: char| {
        letter.is_alphanumeric()
            || " _/.-+=?&%()*<>~;$!|,[]{}:'\"@".contains(letter) && !without.contains(&letter)
    };
    let first = text.chars().next().is_some_and(|first| first.is_alphabetic() || matches!(first, '_' | '/'));
    // A date or a time is a text here, but a number is none.
    let dated = text.len() >= 10
        && text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().filter(|byte| *byte == b'-').count() >= 2
        && text.chars().all(|letter| letter.is_ascii_digit() || "-:.TZ+".contains(letter));
    (first || dated)
        && text.chars().all(letters)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !WORDS.contains(&&*text.to_ascii_lowercase())
}

fn quoted(text: &str) -> String {
    match text.chars().all(|letter| {
        !letter.is_control() && !matches!(letter, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{85}')
    }) {
        true => format!("'{}'", text.replace('\'', "''")),
        // JSON's escapes are YAML's, too; what JSON leaves as it is may be none in YAML.
        false => {
            let mut out = String::from("\"");
            for letter in text.chars() {
                match letter {
                    '"' => out += "\\\"",
                    '\\' => out += "\\\\",
                    '\n' => out += "\\n",
                    '\t' => out += "\\t",
                    '\r' => out += "\\r",
                    letter
                        if letter.is_control() || matches!(letter, '\u{feff}' | '\u{2028}' | '\u{2029}') =>
                    {
                        out += &format!("\\u{:04x}", u32::from(letter));
                    }
                    letter => out.push(letter),
                }
            }
            out + "\""
        }
    }
}

/// Whether a text of several lines can stand as it is below its key.
fn as_block(text: &str) -> bool {
    let plain = |letter: char| {
        letter == '\n' || !letter.is_control() && !matches!(letter, '\u{feff}' | '\u{2028}' | '\u{2029}')
    };
    text.chars().all(plain)
        && !text.starts_with([' ', '\n'])
        && !text.lines().any(|line| line.ends_with(' '))
        && !text.trim_end_matches('\n').is_empty()
        // Without a break at its end, or with one.
        && !text.ends_with("\n\n")
}

/// Whether a long text can be broken at its spaces.
fn as_folded(text: &str) -> bool {
    as_block(text) && !text.contains('\n') && text.contains(' ')
}

/// Behind its key, below it: line by line, or folded.
fn long_text(out: &mut String, text: &str, indent: usize) {
    if text.contains('\n') {
        *out += if text.ends_with('\n') { " |\n" } else { " |-\n" };
        for line in text.trim_end_matches('\n').split('\n') {
            if !line.is_empty() {
                spaces(out, indent);
            }
            *out += line;
            *out += "\n";
        }
        return;
    }
    *out += " >-\n";
    let mut rest = text;
    while !rest.is_empty() {
        let (line, next) = folded(rest, WIDTH.saturating_sub(indent).max(20));
        spaces(out, indent);
        *out += line;
        *out += "\n";
        rest = next;
    }
}

/// The longest beginning that ends before a single space, and what follows that; the whole where there is none.
fn folded(text: &str, width: usize) -> (&str, &str) {
    let bytes = text.as_bytes();
    let is_single = |at: usize| {
        bytes[at] == b' '
            && at > 0
            && bytes[at - 1] != b' '
            && bytes.get(at + 1).is_some_and(|next| *next != b' ')
    };
    if text.chars().count() <= width {
        return (text, "");
    }
    let spaces = (0..bytes.len()).filter(|at| is_single(*at));
    let mut chosen = None;
    for at in spaces {
        if text[..at].chars().count() > width && chosen.is_some() {
            break;
        }
        chosen = Some(at);
    }
    chosen.map_or((text, ""), |at| (&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use renkei_core::Diagnostics;

    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json(json.as_bytes()).unwrap()
    }

    fn read(text: &str) -> Value {
        let mut d = Diagnostics::default();
        let node = crate::yaml::read(0, text, &mut d);
        assert!(!d.has_errors(), "{text}\n{:?}", d.iter().map(|d| &d.message).collect::<Vec<_>>());
        node.unwrap().to_value()
    }

    #[test]
    fn short_things_stand_in_a_line_and_long_ones_below_each_other() {
        let wide = "x".repeat(100);
        let mock = value(&format!(
            r#"[{{"request":"GET /customers/7?expand=orders","body":{{"id":7,"name":"Ada","tags":[]}}}},
                {{"request":{{"sql":"select a, b from t where {wide} = 'a  b' and c = 1","params":["12.50",null,true]}},
                  "rows":[{{"a":1,"b":"{wide}"}},{{"a":2,"b":"no"}}]}}]"#
        ));
        let text = format!("mocks:\n{}", items(mock.as_array().unwrap(), 2));
        assert_eq!(
            text,
            format!(
                "mocks:
  - request: GET /customers/7?expand=orders
    body: {{ id: 7, name: Ada, tags: [] }}
  - request:
      sql: >-
        select a, b from t where
        {wide} =
        'a  b' and c = 1
      params: ['12.50', null, true]
    rows:
      - a: 1
        b: {wide}
      - {{ a: 2, b: 'no' }}
"
            )
        );
        assert_eq!(read(&text).get("mocks"), Some(&mock));
    }

    #[test]
    fn every_text_comes_back() {
        let wide = "word ".repeat(60);
        let texts = [
            "",
            " ",
            "a",
            "a b",
            " a",
            "a ",
            "no",
            "NULL",
            "~",
            "1",
            "1.5",
            "-1",
            "1e4",
            "0x10",
            "007",
            "a: b",
            "a:",
            "a #b",
            "#a",
            "- a",
            "-",
            "? a",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "{a}",
            "[a]",
            "a, b",
            "'",
            "\"",
            "a'b",
            "${.x}",
            "$$",
            "\\",
            "a\\nb",
            "a\nb",
            "a\nb\n",
            "a\n\n",
            "\na",
            " a\nb",
            "a \nb",
            "a\n  b\n\nc",
            "\t",
            "a\tb",
            "a\tb\nc",
            "\r",
            "a\r\nb",
            "\u{0}",
            "\u{7f}",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "é漢😀",
            "2026-01-31",
            "2026-01-31T12:30:00.25Z",
            "12:30:00",
            "---",
            "...",
            "<<",
            "=",
            "a | b",
            "> a",
            "| a",
            "true ",
            "a?b=c&d",
            "http://a/b?c",
            "key: 'v' # no",
            "\u{a0}",
            "x\u{1b}[0m",
            &wide,
            wide.trim(),
        ];
        for text in texts {
            for other in [&Value::from(text), &Value::from(vec![Value::from(text), 1i64.into()])] {
                let nested = Value::from([("k", other.clone()), (text, Value::from([("a", other.clone())]))]);
                if !text.is_empty() && text != "k" && text != "<<" {
                    assert_eq!(read(&entry("top", &nested, 0)).get("top"), Some(&nested), "{text:?}");
                }
                let list = vec![other.clone(), Value::from([("request", other.clone()), ("b", 1i64.into())])];
                let text = format!("top:\n{}", items(&list, 4));
                assert_eq!(read(&text).get("top").unwrap().as_array(), Some(&list[..]), "{text}");
            }
        }
    }
}
