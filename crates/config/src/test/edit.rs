//! Writes what was recorded into the file of its test: line by line, so that everything else stays as it is.

use std::sync::Arc;

use renkei_core::{Diagnostics, Entry, Node, Span, Value};

use super::MARK;
use crate::yaml::{self, write as yaml_text};

/// What was recorded of one test.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Where its name stands.
    pub test: Span,
    /// By system, each with its mocks. None: nothing came to it.
    pub mocks: Vec<(Arc<str>, Vec<Value>)>,
    /// Systems in whose mocks a secret is shown as `***`.
    pub masked: Vec<Arc<str>>,
    /// Whether these are all mocks of the test, so that others go.
    pub whole: bool,
    /// What the test expects from now on.
    pub expect: Option<Value>,
}

/// Lines that are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The first one's number, from 1, in the text as it was.
    pub line: usize,
    pub removed: Vec<String>,
    pub added: Vec<String>,
}

/// A file with recordings in it.
#[derive(Clone, Debug)]
pub struct Edited {
    pub text: String,
    pub changes: Vec<Change>,
    /// Tests that nothing can be written into, and why.
    pub refused: Vec<(Span, String)>,
}

/// Whole lines, and what comes in their place.
struct Cut {
    start: usize,
    end: usize,
    with: String,
}

/// Writes recordings into the text of their file, which has been read without an error.
pub fn write(file: u16, text: &str, recorded: &[Recorded]) -> Edited {
    let windows = text.contains("\r\n");
    let mut text = text.to_owned();
    if !text.ends_with('\n') {
        text += if windows { "\r\n" } else { "\n" };
    }
    let root = yaml::read(file, &text, &mut Diagnostics::default());
    let tests = root.as_ref().and_then(|root| root.get("tests")).and_then(Node::as_map).unwrap_or_default();
    let (mut cuts, mut refused) = (Vec::new(), Vec::new());
    for recorded in recorded {
        let test = tests.iter().find(|test| test.key_span == recorded.test);
        let own = test.ok_or_else(|| "it is not found in the file any more".to_owned());
        match own.and_then(|test| Place { text: &text, test }.cuts(recorded)) {
            Ok(own) => cuts.extend(own),
            Err(why) => refused.push((recorded.test, why)),
        }
    }
    for cut in &mut cuts {
        if windows {
            cut.with = cut.with.replace('\n', "\r\n");
        }
    }
    cuts.retain(|cut| text.get(cut.start..cut.end) != Some(&*cut.with));
    cuts.sort_by_key(|cut| cut.start);
    let lines = |part: &str| part.lines().map(str::to_owned).collect::<Vec<String>>();
    let changes = cuts.iter().map(|cut| Change {
        line: 1 + text[..cut.start].matches('\n').count(),
        removed: lines(&text[cut.start..cut.end]),
        added: lines(&cut.with),
    });
    let changes = changes.collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for cut in &cuts {
        out += &text[at..cut.start];
        out += &cut.with;
        at = cut.end;
    }
    out += &text[at..];
    Edited { text: out, changes, refused }
}

/// A test in its file.
struct Place<'a> {
    text: &'a str,
    test: &'a Entry,
}

impl Place<'_> {
    fn cuts(&self, recorded: &Recorded) -> Result<Vec<Cut>, String> {
        let entries = self.test.value.as_map().unwrap_or_default();
        let indent = self.indent("the test", self.test.key_span.end as usize, entries)?;
        let named = |key: &str| entries.iter().position(|entry| &*entry.key == key);
        let mut cuts = Vec::new();
        match named("mocks").map(|at| &entries[at]) {
            None => {
                // Before what is expected, and before its comments.
                let last = named("expect").and_then(|at| at.checked_sub(1)).unwrap_or(entries.len() - 1);
                let at = self.region(&entries[last]).1;
                cuts.push(Cut { start: at, end: at, with: mocks(recorded, indent) });
            }
            Some(entry) => {
                let own = entry.value.as_map().unwrap_or_default();
                let all = own.iter().all(|own| recorded.mocks.iter().any(|(name, _)| *name == own.key));
                if recorded.whole || all {
                    let (start, end) = self.region(entry);
                    cuts.push(Cut { start, end, with: mocks(recorded, indent) });
                } else {
                    let indent = self.indent("`mocks`", entry.key_span.end as usize, own)?;
                    for own in own {
                        let Some((name, answers)) = recorded.mocks.iter().find(|(name, _)| *name == own.key)
                        else {
                            continue;
                        };
                        let (start, end) = self.region(own);
                        cuts.push(Cut { start, end, with: of_system(recorded, name, answers, indent) });
                    }
                }
            }
        }
        if let Some(expect) = &recorded.expect {
            let (start, end) = match named("expect") {
                Some(at) => self.region(&entries[at]),
                None => {
                    let at = self.region(&entries[entries.len() - 1]).1;
                    (at, at)
                }
            };
            let mut with = format!("{}expect: {MARK}\n", " ".repeat(indent));
            for (key, value) in expect.as_object().into_iter().flatten() {
                with += &yaml_text::entry(key, value, indent + 2);
            }
            cuts.push(Cut { start, end, with });
        }
        Ok(cuts)
    }

    /// The column of the entries, each of which begins a line of its own behind `after`.
    fn indent(&self, what: &str, after: usize, entries: &[Entry]) -> Result<usize, String> {
        let mut at = after;
        let mut column = None;
        for entry in entries {
            let start = entry.key_span.start as usize;
            let before = &self.text[self.line_of(start)..start];
            let own_line = before.bytes().all(|byte| byte == b' ') && start >= at;
            if !own_line || column.is_some_and(|column| column != before.len()) {
                return Err(format!(
                    "{what} is written in one line or refers to another place of the file; write each of its keys into a line of its own"
                ));
            }
            column = Some(before.len());
            at = start + 1;
        }
        column.ok_or_else(|| format!("{what} is empty"))
    }

    fn line_of(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |at| at + 1)
    }

    /// The lines of an entry, with what stands behind it in the last one.
    fn region(&self, entry: &Entry) -> (usize, usize) {
        let start = self.line_of(entry.key_span.start as usize);
        let end = entry.value.span.end.max(entry.key_span.end) as usize;
        let end = self.text[..end].trim_end().len();
        (start, self.text[end..].find('\n').map_or(self.text.len(), |at| end + at + 1))
    }
}

fn mocks(recorded: &Recorded, indent: usize) -> String {
    let systems = recorded.mocks.iter().filter(|(_, answers)| !answers.is_empty());
    let all: String = systems.map(|(name, answers)| of_system(recorded, name, answers, indent + 2)).collect();
    if all.is_empty() { all } else { format!("{}mocks:\n{all}", " ".repeat(indent)) }
}

fn of_system(recorded: &Recorded, name: &Arc<str>, answers: &[Value], indent: usize) -> String {
    let masked = if recorded.masked.contains(name) { "; a secret is shown as ***" } else { "" };
    let head = format!("{}{}:", " ".repeat(indent), yaml_text::key(name));
    match answers {
        // Nothing came to it, and that is how it stays.
        [] => format!("{head} [] {MARK}\n"),
        answers => format!("{head} {MARK}{masked}\n{}", yaml_text::items(answers, indent + 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# All of it.
tests:
  # The first one.
  first one:
    tool: a   # this one
    arguments:
      text: |
        one
        two

    # What comes of it.
    expect: { result: 1 }

  second:
    tool: a
    mocks:
      crm: record
      # By hand.
      stock: [{ reply: 1 }]
  third: { tool: a }
  last:
    tool: a
    mocks:
      crm: # recorded
        - request: GET /
          body: 1
    expect: # recorded
      result: 1
    now: 2026-01-01T00:00:00Z";

    fn recorded(name: &str, whole: bool, expect: bool) -> Recorded {
        let mut d = Diagnostics::default();
        let root = yaml::read(0, FILE, &mut d).unwrap();
        let test = root.get("tests").unwrap().entry(name).unwrap().key_span;
        let mock = Value::from([("request", "GET /a"), ("body", "b: c")]);
        Recorded {
            test,
            mocks: vec![("crm".into(), vec![mock])],
            masked: if whole { Vec::new() } else { vec!["crm".into()] },
            whole,
            expect: expect.then(|| Value::from([("result", "x")])),
        }
    }

    #[test]
    fn only_what_was_recorded_changes() {
        let all = [
            recorded("first one", true, false),
            recorded("second", false, true),
            recorded("third", true, true),
            recorded("last", true, true),
        ];
        let edited = write(0, FILE, &all);
        assert_eq!(edited.refused.len(), 1);
        assert!(edited.refused[0].1.contains("written in one line"), "{}", edited.refused[0].1);
        let expected = FILE
            .replace(
                "        two\n",
                "        two\n    mocks:\n      crm: # recorded\n        - request: GET /a\n          body: 'b: c'\n",
            )
            .replace(
                "      crm: record\n",
                "      crm: # recorded; a secret is shown as ***\n        - request: GET /a\n          body: 'b: c'\n",
            )
            .replace(
                "[{ reply: 1 }]\n",
                "[{ reply: 1 }]\n    expect: # recorded\n      result: x\n",
            )
            .replace("request: GET /\n          body: 1\n", "request: GET /a\n          body: 'b: c'\n")
            .replace("# recorded\n      result: 1", "# recorded\n      result: x");
        assert_eq!(edited.text, expected + "\n");
        assert_eq!(edited.changes.len(), 5);
        assert_eq!((edited.changes[1].line, edited.changes[1].removed.len()), (17, 1));
        // Once more: nothing is left to do.
        let windows = FILE.replace('\n', "\r\n");
        let mut d = Diagnostics::default();
        let root = yaml::read(0, &windows, &mut d).unwrap();
        let test = root.get("tests").unwrap().entry("last").unwrap().key_span;
        let again = write(0, &windows, &[Recorded { test, ..recorded("last", true, true) }]);
        assert!(again.text.contains("request: GET /a\r\n") && !again.text.replace("\r\n", "").contains('\n'));
    }
}
