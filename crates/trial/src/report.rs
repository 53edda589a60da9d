//! What became of the tests: for people, for programs, and for CI systems.

use std::{fmt::Write as _, time::Duration};

use renkei_core::{Span, Value};

use crate::run::Verdict;

/// Says in which file and line something stands.
pub type Place<'a> = &'a dyn Fn(Span) -> (String, usize);

/// For people: each failure with its place and its differences, and a counting line.
pub fn text(verdicts: &[Verdict], place: Place<'_>, took: Duration) -> String {
    let mut out = String::new();
    for verdict in verdicts.iter().filter(|verdict| !verdict.passed()) {
        let (file, line) = place(verdict.test.span);
        let _ = writeln!(out, "FAILED  {}  ({file}:{line})", verdict.test.name);
        for problem in &verdict.problems {
            let _ = writeln!(out, "    {}", problem.to_string().replace('\n', "\n    "));
        }
        out.push('\n');
    }
    let failed = verdicts.iter().filter(|verdict| !verdict.passed()).count();
    let passed = verdicts.len() - failed;
    let _ = write!(out, "{passed} passed, {failed} failed; {} ms", took.as_millis());
    out
}

/// For programs: `{ "ok", "passed", "failed", "tests": [{ "name", "file", "line", "ok", "milliseconds", "problems" }] }`.
pub fn to_value(verdicts: &[Verdict], place: Place<'_>) -> Value {
    let failed = verdicts.iter().filter(|verdict| !verdict.passed()).count();
    let tests = verdicts.iter().map(|verdict| {
        let (file, line) = place(verdict.test.span);
        let problems: Vec<Value> =
            verdict.problems.iter().map(|problem| problem.to_string().into()).collect();
        Value::from([
            ("name", Value::from(verdict.test.name.clone())),
            ("file", file.into()),
            ("line", line.into()),
            ("ok", verdict.passed().into()),
            ("milliseconds", (verdict.took.as_secs_f64() * 1e3).into()),
            ("problems", problems.into()),
        ])
    });
    Value::from([
        ("ok", Value::from(failed == 0)),
        ("passed", (verdicts.len() - failed).into()),
        ("failed", failed.into()),
        ("tests", tests.collect::<Vec<_>>().into()),
    ])
}

/// For CI systems: JUnit's XML, a test case each.
pub fn junit(verdicts: &[Verdict], place: Place<'_>) -> String {
    let failed = verdicts.iter().filter(|verdict| !verdict.passed()).count();
    let time: f64 = verdicts.iter().map(|verdict| verdict.took.as_secs_f64()).sum();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let counts =
        format!("tests=\"{}\" failures=\"{failed}\" errors=\"0\" time=\"{time:.6}\"", verdicts.len());
    let _ = writeln!(out, "<testsuites name=\"renkei\" {counts}>\n  <testsuite name=\"renkei\" {counts}>");
    for verdict in verdicts {
        let (file, line) = place(verdict.test.span);
        let _ = write!(
            out,
            "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" line=\"{line}\" time=\"{:.6}\"",
            escaped(&verdict.test.name),
            escaped(&verdict.test.tool),
            escaped(&file),
            verdict.took.as_secs_f64(),
        );
        if verdict.passed() {
            out.push_str("/>\n");
            continue;
        }
        out.push_str(">\n");
        let texts: Vec<String> = verdict.problems.iter().map(ToString::to_string).collect();
        let message = verdict.problems.first().map(|problem| &*problem.message).unwrap_or_default();
        let _ = writeln!(
            out,
            "      <failure message=\"{}\">{}</failure>\n    </testcase>",
            escaped(message),
            escaped(&texts.join("\n"))
        );
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// A text for XML; what XML 1.0 cannot hold is shown as a replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            letter if letter.is_control() => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}
