//! Where two values differ.

use std::fmt;

use renkei_core::Value;

/// One place where what came is not what was expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Such as `items[2].name`; empty for the whole value.
    pub path: String,
    /// Nothing where nothing was expected.
    pub expected: Option<Value>,
    /// Nothing where something is missing.
    pub actual: Option<Value>,
}

/// How much of what came has to be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Members of objects may be left out. A list has to have as many elements.
    Part,
}

/// All places where `actual` is not as `expected` says, in the order of `expected`.
pub fn differences(expected: &Value, actual: &Value, extent: Extent) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(expected, actual, extent, &mut String::new(), &mut found);
    found
}

fn compare(expected: &Value, actual: &Value, extent: Extent, path: &mut String, found: &mut Vec<Difference>) {
    match (expected, actual) {
        (Value::Object(wanted), Value::Object(given)) => {
            for (key, value) in wanted.iter() {
                within(path, &member(path, key), |path| match given.get(key) {
                    Some(actual) => compare(value, actual, extent, path, found),
                    None => found.push(difference(path, Some(value), None)),
                });
            }
            let more = given.iter().filter(|(key, _)| extent == Extent::Whole && !wanted.contains_key(*key));
            for (key, value) in more {
                within(path, &member(path, key), |path| found.push(difference(path, None, Some(value))));
            }
        }
        (Value::Array(wanted), Value::Array(given)) => {
            for index in 0..wanted.len().max(given.len()) {
                within(path, &format!("[{index}]"), |path| match (wanted.get(index), given.get(index)) {
                    (Some(value), Some(actual)) => compare(value, actual, extent, path, found),
                    (value, actual) => found.push(difference(path, value, actual)),
                });
            }
        }
        (expected, actual) if expected == actual => {}
        (expected, actual) => found.push(difference(path, Some(expected), Some(actual))),
    }
}

fn within(path: &mut String, part: &str, then: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push_str(part);
    then(path);
    path.truncate(length);
}

fn member(path: &str, key: &str) -> String {
    let plain = key.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match (plain, path.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!(".{key}"),
        (false, _) => format!("[{}]", Value::from(key).to_json()),
    }
}

fn difference(path: &str, expected: Option<&Value>, actual: Option<&Value>) -> Difference {
    Difference { path: path.to_owned(), expected: expected.cloned(), actual: actual.cloned() }
}

/// The longest value that is shown whole.
const MAX_SHOWN: usize = 300;

/// A value as JSON, cut where it is long.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_json();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text,
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), shown);
        let place = if self.path.is_empty() { "as a whole" } else { &self.path };
        write!(f, "{place}\n  expected  {}\n  actual    {}", side(&self.expected), side(&self.actual))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(expected: &str, actual: &str, extent: Extent) -> Vec<String> {
        let value = |text: &str| Value::from_json(text.as_bytes()).unwrap();
        differences(&value(expected), &value(actual), extent)
            .into_iter()
            .map(|difference| {
                let side = |value: Option<Value>| value.map_or("-".to_owned(), |value| value.to_json());
                format!("{}: {} {}", difference.path, side(difference.expected), side(difference.actual))
            })
            .collect()
    }

    #[test]
    fn what_is_equal_has_no_differences() {
        for text in ["null", "1.10", "\"a\"", "[1,[2]]", r#"{"a":{"b":[]}}"#] {
            assert_eq!(paths(text, text, Extent::Whole), [""; 0]);
        }
        assert_eq!(paths("1.0", "1", Extent::Whole), [""; 0]);
        assert_eq!(paths(r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, Extent::Whole), [""; 0]);
    }

    #[test]
    fn each_place_is_named() {
        assert_eq!(
            paths(
                r#"{"a":[1,{"b":2}],"c":3,"x-y":1}"#,
                r#"{"a":[1,{"b":5},9],"d":4,"x-y":2}"#,
                Extent::Whole
            ),
            ["a[1].b: 2 5", "a[2]: - 9", "c: 3 -", r#"["x-y"]: 1 2"#, "d: - 4"]
        );
        assert_eq!(paths("1", "\"1\"", Extent::Whole), [r#": 1 "1""#]);
        assert_eq!(paths("[1,2]", "[1]", Extent::Part), ["[1]: 2 -"]);
    }

    #[test]
    fn members_may_be_left_out_of_a_part() {
        assert_eq!(paths(r#"{"a":{}}"#, r#"{"a":{"b":1},"c":2}"#, Extent::Part), [""; 0]);
        assert_eq!(paths(r#"{"a":{"b":2}}"#, r#"{"a":{"b":1},"c":2}"#, Extent::Part), ["a.b: 2 1"]);
        assert_eq!(paths(r#"[{}]"#, r#"[{"b":1},{}]"#, Extent::Part), ["[1]: - {}"]);
    }
}
