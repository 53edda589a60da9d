//! Questions of a call at the terminal.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use renkei_core::{
    Error, Kind, Map, Result, Value,
    ask::{Abilities, Answer, Asker, Asking, Question},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines, Stdin},
    sync::Mutex,
};

/// Whoever sits at the terminal; nobody if there is none. All questions of a call have at most `limit`.
pub(crate) fn asking(limit: Duration) -> Asking {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Asking::Nobody;
    }
    let lines = Mutex::new(BufReader::new(tokio::io::stdin()).lines());
    Asking::Live { asker: Arc::new(Person { lines }), limit }
}

/// One question at a time.
struct Person {
    lines: Mutex<Lines<BufReader<Stdin>>>,
}

#[async_trait]
impl Asker for Person {
    fn abilities(&self) -> Abilities {
        Abilities { form: true, url: true, ..Abilities::default() }
    }

    async fn ask(&self, _: &str, question: &Question) -> Result<Answer> {
        let mut lines = self.lines.lock().await;
        match question {
            Question::Form(form) => {
                say(&format!("\n{}\n", form.text()));
                fill_in(&form.schema, &mut lines).await
            }
            Question::Url { message, url, .. } => {
                say(&format!("\n{message}\n{url}\n"));
                yes_or_no(&mut lines).await
            }
            Question::Sample(_) | Question::Roots => {
                Err(Error::new(Kind::Rejected, "ask: there is nobody but a person").lacking(question.needs()))
            }
        }
    }
}

type Reader = Lines<BufReader<Stdin>>;

async fn yes_or_no(lines: &mut Reader) -> Result<Answer> {
    loop {
        say("[y]es or [n]o: ");
        match next(lines).await?.as_deref().map(str::trim) {
            None => return Ok(Answer::Cancelled),
            Some("y" | "Y" | "yes") => return Ok(Answer::Accepted(Value::object())),
            Some("n" | "N" | "no") => return Ok(Answer::Declined),
            Some(_) => {}
        }
    }
}

/// Field by field; an empty line takes the default, or leaves out what may be left out.
async fn fill_in(schema: &Value, lines: &mut Reader) -> Result<Answer> {
    let fields = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    if fields.is_empty() {
        return yes_or_no(lines).await;
    }
    let required = schema.get("required").and_then(Value::as_array).unwrap_or_default();
    say("An empty line takes what stands in brackets; Ctrl-D gives up.\n");
    let mut content = Map::new();
    for (name, field) in &fields {
        let needed = required.iter().any(|other| other.as_str() == Some(name));
        loop {
            say(&prompt(name, field, needed));
            let Some(line) = next(lines).await? else { return Ok(Answer::Cancelled) };
            match (line.trim(), field.get("default")) {
                ("", Some(default)) => {
                    content.insert(name.clone(), default.clone());
                }
                ("", None) if needed => continue,
                ("", None) => {}
                (text, _) => {
                    content.insert(name.clone(), typed(text, field));
                }
            }
            break;
        }
    }
    Ok(Answer::Accepted(content.into()))
}

fn prompt(name: &str, field: &Value, needed: bool) -> String {
    let word = |key: &str| field.get(key).and_then(Value::as_str);
    let mut text = word("title").unwrap_or(name).to_owned();
    if let Some(description) = word("description") {
        text += &format!(" – {description}");
    }
    let choices = choices(field);
    if !choices.is_empty() {
        text += &format!("\n  {}\n", choices.join("\n  "));
    }
    if word("type") == Some("array") {
        text += " (several, with commas between)";
    }
    match field.get("default") {
        Some(default) => text += &format!(" [{}]", plain(default)),
        None if !needed => text += " []",
        None => {}
    }
    text + ": "
}

/// What may be typed, with its title.
fn choices(field: &Value) -> Vec<String> {
    let place = field.get("items").unwrap_or(field);
    let words = place.get("enum").and_then(Value::as_array).unwrap_or_default().iter().map(plain);
    let titled =
        place.get("oneOf").or_else(|| place.get("anyOf")).and_then(Value::as_array).unwrap_or_default();
    let titled = titled
        .iter()
        .filter_map(|one| Some(format!("{} – {}", plain(one.get("const")?), plain(one.get("title")?))));
    words.chain(titled).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::String(text) => text.to_string(),
        other => other.to_json(),
    }
}

/// As the field wants it; what does not fit is said by the check of the form.
fn typed(text: &str, field: &Value) -> Value {
    let json = || Value::from_json(text.as_bytes()).unwrap_or_else(|_| text.into());
    match field.get("type").and_then(Value::as_str) {
        Some("boolean") => match text {
            "y" | "Y" | "yes" => true.into(),
            "n" | "N" | "no" => false.into(),
            _ => json(),
        },
        Some("integer" | "number") => json(),
        Some("array") => text.split(',').map(|part| Value::from(part.trim())).collect::<Vec<_>>().into(),
        _ => text.into(),
    }
}

/// Nothing at the end of the input.
async fn next(lines: &mut Reader) -> Result<Option<String>> {
    let read = lines.next_line().await;
    read.map_err(|error| Error::new(Kind::Cancelled, "read the answer from the terminal").detail(error))
}

fn say(text: &str) {
    let mut out = std::io::stderr().lock();
    // Whoever closed it reads nothing anyway.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_typed_becomes_what_the_field_wants() {
        for (text, field, expected) in [
            ("7", r#"{"type":"integer"}"#, "7"),
            ("x", r#"{"type":"integer"}"#, r#""x""#),
            ("yes", r#"{"type":"boolean"}"#, "true"),
            ("7", r#"{"type":"string"}"#, r#""7""#),
            ("a, b", r#"{"type":"array"}"#, r#"["a","b"]"#),
        ] {
            assert_eq!(typed(text, &value(field)).to_json(), expected);
        }
    }

    #[test]
    fn a_field_shows_what_may_be_typed() {
        let field = value(
            r#"{"type":"string","title":"Country","oneOf":[{"const":"de","title":"Germany"}],"default":"de"}"#,
        );
        assert_eq!(prompt("country", &field, false), "Country\n  de – Germany\n [de]: ");
        let field = value(r#"{"type":"string","description":"why"}"#);
        assert_eq!(prompt("reason", &field, true), "reason – why: ");
        assert_eq!(prompt("reason", &field, false), "reason – why []: ");
    }
}
