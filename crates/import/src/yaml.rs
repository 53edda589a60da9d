//! Prints YAML as a person would write it: short things on one line, long ones below each other.

use renkei_core::Value;

/// Lines are not longer than this, where they can be shorter.
const WIDTH: usize = 110;

/// What is printed.
#[derive(Clone, Debug)]
pub(crate) enum Yaml {
    /// A number, a flag, null.
    Word(String),
    Text(String),
    /// Several lines that are kept as they are.
    Lines(String),
    List(Vec<Yaml>),
    Map(Vec<Entry>),
    /// A mapping whose entries stand below each other, however short.
    Tall(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) value: Yaml,
    /// Lines above it.
    pub(crate) comment: Vec<String>,
}

pub(crate) fn entry(key: impl Into<String>, value: impl Into<Yaml>) -> Entry {
    Entry { key: key.into(), value: value.into(), comment: Vec::new() }
}

impl From<bool> for Yaml {
    fn from(flag: bool) -> Self {
        Yaml::Word(flag.to_string())
    }
}

impl From<i64> for Yaml {
    fn from(number: i64) -> Self {
        Yaml::Word(number.to_string())
    }
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Yaml::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Yaml::Text(text)
    }
}

impl From<Vec<Entry>> for Yaml {
    fn from(entries: Vec<Entry>) -> Self {
        Yaml::Map(entries)
    }
}

/// The entries of a mapping, at this depth.
pub(crate) fn print(entries: &[Entry], indent: usize) -> String {
    let mut out = String::new();
    print_map(entries, indent, &mut out);
    out
}

/// A comment, broken into lines.
pub(crate) fn print_comment(text: &str, indent: usize) -> String {
    let lines = wrap(text, WIDTH - indent - 2);
    lines.iter().map(|line| format!("{:indent$}# {line}\n", "")).collect()
}

fn print_map(entries: &[Entry], indent: usize, out: &mut String) {
    for Entry { key, value, comment } in entries {
        for line in comment {
            out.push_str(&print_comment(line, indent));
        }
        let start = format!("{:indent$}{}:", "", scalar(key, false));
        out.push_str(&start);
        let short =
            short(value, false).filter(|text| start.chars().count() + 1 + text.chars().count() <= WIDTH);
        match (value, short) {
            (_, Some(text)) => {
                out.push(' ');
                out.push_str(&text);
                out.push('\n');
            }
            (Yaml::Map(inner) | Yaml::Tall(inner), None) => {
                out.push('\n');
                print_map(inner, indent + 2, out);
            }
            (Yaml::List(items), None) => {
                out.push('\n');
                print_list(items, indent + 2, out);
            }
            (Yaml::Lines(text), None) => {
                out.push_str(" |-\n");
                for line in text.lines() {
                    out.push_str(&format!("{:indent$}{line}\n", "", indent = indent + 2));
                }
            }
            (Yaml::Text(text), None) if folds(text) => {
                out.push_str(" >-\n");
                for line in wrap(text, WIDTH - indent - 2) {
                    out.push_str(&format!("{:indent$}{line}\n", "", indent = indent + 2));
                }
            }
            (Yaml::Text(text) | Yaml::Word(text), None) => {
                out.push(' ');
                out.push_str(&scalar(text, false));
                out.push('\n');
            }
        }
    }
}

/// In brackets, on several lines.
fn print_list(items: &[Yaml], indent: usize, out: &mut String) {
    let mut line = format!("{:indent$}[", "");
    for (at, item) in items.iter().enumerate() {
        let end = if at + 1 == items.len() { "]" } else { "," };
        let text = format!("{}{end}", short(item, true).unwrap_or_default());
        if at > 0 {
            match line.chars().count() + 1 + text.chars().count() <= WIDTH {
                true => line.push(' '),
                false => {
                    out.push_str(&line);
                    out.push('\n');
                    line = format!("{:indent$} ", "");
                }
            }
        }
        line.push_str(&text);
    }
    out.push_str(&line);
    out.push('\n');
}

/// Whether breaking the text at its spaces changes nothing.
fn folds(text: &str) -> bool {
    !text.contains("  ")
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.chars().any(char::is_control)
}

/// On one line, where it may stand so.
fn short(value: &Yaml, in_flow: bool) -> Option<String> {
    Some(match value {
        Yaml::Word(word) => word.clone(),
        Yaml::Text(text) => scalar(text, in_flow),
        Yaml::Lines(_) | Yaml::Tall(_) => return None,
        Yaml::List(items) => {
            let items = items.iter().map(|item| short(item, true)).collect::<Option<Vec<_>>>()?;
            format!("[{}]", items.join(", "))
        }
        Yaml::Map(entries) if entries.is_empty() => "{}".into(),
        Yaml::Map(entries) => {
            let part = |entry: &Entry| {
                let value = short(&entry.value, true).filter(|_| entry.comment.is_empty())?;
                Some(format!("{}: {value}", scalar(&entry.key, true)))
            };
            let entries = entries.iter().map(part).collect::<Option<Vec<_>>>()?;
            format!("{{ {} }}", entries.join(", "))
        }
    })
}

/// A text, with quotation marks where it would be read as something else.
fn scalar(text: &str, in_flow: bool) -> String {
    if text.chars().any(|letter| {
        letter.is_control() || letter == '\u{feff}' || letter == '\u{2028}' || letter == '\u{2029}'
    }) {
        // JSON is YAML, and escapes them.
        return Value::from(text).to_json();
    }
    if is_plain(text, in_flow) { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

fn is_plain(text: &str, in_flow: bool) -> bool {
    let begins = text.chars().next().is_some_and(|letter| letter.is_alphabetic() || letter == '_');
    let closes = |letter| in_flow && matches!(letter, ',' | '[' | ']' | '{' | '}');
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    begins
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.chars().any(closes)
        && !text.ends_with([':', ' '])
        && !words.contains(&text.to_ascii_lowercase().as_str())
}

/// Words on lines of at most so many letters; a longer word stands alone.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_tall() {
        let arguments = vec![
            entry("id", "integer"),
            entry("state", vec![entry("enum", Yaml::List(vec!["no".into(), "it's".into(), "a, b".into()]))]),
            entry(
                "note",
                vec![entry("type", "string"), entry("description", "x ".repeat(70).trim().to_owned())],
            ),
        ];
        let mut sql = entry("sql", Yaml::Lines("select 1\nfrom t".into()));
        sql.comment.push("why".into());
        let text = print(&[entry("input", Yaml::Tall(arguments)), entry("call", vec![sql])], 2);
        insta::assert_snapshot!(text, @r"
          input:
            id: integer
            state: { enum: ['no', it's, 'a, b'] }
            note:
              type: string
              description: >-
                x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x
                x x x x x x x x x x x x x x x x x x x
          call:
            # why
            sql: |-
              select 1
              from t
        ");
    }
}
