//! What is asked, what is made of the answers, and what is refused.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use renkei_core::{
    CallContext, Diagnostics, Effect, Error, Kind, Result, Value,
    ask::{Abilities, Answer, Asker, Asking, Question},
    tool::{ToolResult, Tools},
};
use tokio::time::{Instant, sleep};

use crate::fake::{Bench, Fake, Named, Tool, context, read, systems, value};

/// Answers one after the other, each after `takes`.
struct Person {
    abilities: Abilities,
    answers: Mutex<Vec<Answer>>,
    takes: Duration,
    asked: Mutex<Vec<(String, Value)>>,
    dropped: AtomicUsize,
}

impl Person {
    fn new(answers: Vec<Answer>) -> Arc<Self> {
        Arc::new(Person {
            abilities: Abilities::ALL,
            answers: Mutex::new(answers),
            takes: Duration::from_secs(90),
            asked: Mutex::default(),
            dropped: AtomicUsize::new(0),
        })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }
}

struct Waiting<'p>(&'p Person, bool);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl Asker for Person {
    fn abilities(&self) -> Abilities {
        self.abilities
    }

    async fn ask(&self, path: &str, question: &Question) -> Result<Answer> {
        let shown = match question {
            Question::Form(form) => form.text().into(),
            other => other.to_value(),
        };
        self.asked.lock().unwrap().push((path.to_owned(), shown));
        let mut waiting = Waiting(self, false);
        sleep(self.takes).await;
        waiting.1 = true;
        let mut answers = self.answers.lock().unwrap();
        if answers.is_empty() {
            Err(Error::new(Kind::Rejected, "nobody is there"))
        } else {
            Ok(answers.remove(0))
        }
    }
}

async fn call(action: &str, arguments: &str, person: &Arc<Person>, limit: u64) -> (Bench, ToolResult) {
    let bench = Bench::new(Tool { action: Some(action.to_owned()), ..Tool::default() });
    let asking = Asking::Live { asker: person.clone(), limit: Duration::from_secs(limit) };
    let cx = CallContext { asking, ..context() };
    let result = bench.engine.call(cx, "t", value(arguments), None).await.unwrap();
    (bench, result)
}

fn given(result: &ToolResult) -> Result<Value, String> {
    match &result.error {
        None => Ok(result.structured.as_ref().unwrap().clone()),
        Some(error) => Err(error.to_string()),
    }
}

const DELETE: &str = r#"{ "ask": "Really delete ${.id}?", "then": { "call": { "crm": { "effect": "write", "value": "${.id}" } } } }"#;

fn accept(json: &str) -> Answer {
    Answer::Accepted(value(json))
}

#[tokio::test(start_paused = true)]
async fn a_yes_goes_on_and_a_no_does_not() {
    let person = Person::new(vec![accept("{}")]);
    let (bench, result) = call(DELETE, r#"{ "id": 7 }"#, &person, 600).await;
    assert_eq!(given(&result).unwrap(), value(r#"{ "result": 7 }"#));
    assert_eq!(person.asked.lock().unwrap()[0], ("ask".to_owned(), "Really delete 7?".into()));
    assert_eq!(bench.ledger.calls.lock().unwrap().len(), 1);
    for (answer, why) in [
        (Answer::Declined, "go on: the user said no"),
        (Answer::Cancelled, "go on: the user closed the question without an answer"),
    ] {
        let (bench, result) = call(DELETE, r#"{ "id": 7 }"#, &Person::new(vec![answer]), 600).await;
        let error = result.error.unwrap();
        assert_eq!((error.kind(), error.to_string()), (Kind::Rejected, why.to_owned()));
        assert_eq!(bench.ledger.calls.lock().unwrap().len(), 0);
    }
    let declined =
        DELETE.replace("} } } }", r#"} } }, "declined": { "transform": "${$answer_meta.action}" } }"#);
    let (_, result) = call(&declined, r#"{ "id": 7 }"#, &Person::new(vec![Answer::Cancelled]), 600).await;
    assert_eq!(given(&result).unwrap(), value(r#"{ "result": "cancel" }"#));
}

/// The tool has 60 s, and a person takes 90 s to answer.
#[tokio::test(start_paused = true)]
async fn the_time_of_the_call_stands_still_while_somebody_thinks() {
    let person = Person::new(vec![accept("{}"), accept("{}")]);
    let slow = r#"{ "ask": "Well?", "then": { "aggregate": {
        "wait": { "timeout": "5s", "call": { "crm": { "do": "wait", "value": { "id": "w", "ms": 4000 } } } } } } }"#;
    let (_, result) = call(slow, "{}", &person, 600).await;
    assert!(given(&result).is_ok(), "{result:?}");
    let person = Person::new(vec![accept("{}")]);
    let started = Instant::now();
    let (bench, result) = call(DELETE, r#"{ "id": 7 }"#, &person, 30).await;
    assert_eq!(given(&result).unwrap_err(), "get an answer within 30s");
    assert_eq!(started.elapsed(), Duration::from_secs(30));
    assert_eq!(person.dropped.load(Ordering::Relaxed), 1);
    assert_eq!(bench.ledger.calls.lock().unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_form_that_does_not_fit_is_shown_again_with_the_reason() {
    let form = r#"{ "ask": { "message": "Who?", "form": { "name": { "type": "string", "minLength": 2 }, "age": { "type": "integer", "default": 30 } } } }"#;
    let person = Person::new(vec![accept(r#"{ "name": "A" }"#), accept(r#"{ "name": "Ann", "more": 1 }"#)]);
    let (_, result) = call(form, "{}", &person, 600).await;
    assert_eq!(given(&result).unwrap(), value(r#"{ "name": "Ann", "age": 30 }"#));
    let again = person.asked.lock().unwrap()[1].1.as_str().unwrap().to_owned();
    assert!(again.starts_with("Please check what you filled in:\n- `name`: "), "{again}");
    assert!(again.ends_with("\n\nWho?"), "{again}");
    let never = Person::new((0..9).map(|_| accept("{}")).collect());
    let (_, result) = call(form, "{}", &never, 6000).await;
    assert!(given(&result).unwrap_err().starts_with("get a form filled in right, in 3 tries: "));
    assert_eq!(never.asked().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_asked_is_told_what_it_takes_or_gets_the_answer_of_the_config() {
    let mute =
        Arc::new(Person { abilities: Abilities::default(), ..Arc::into_inner(Person::new(vec![])).unwrap() });
    let (_, result) = call(DELETE, r#"{ "id": 7 }"#, &mute, 600).await;
    let expected = "ask whoever called: it takes a client that can show its user a form (`elicitation`)";
    assert_eq!(given(&result).unwrap_err(), expected);
    let otherwise = r#"{ "ask": { "message": "Why?", "form": { "reason": "string" }, "otherwise": { "reason": "none, for ${.id}" } } }"#;
    let (_, result) = call(otherwise, r#"{ "id": 7 }"#, &mute, 600).await;
    assert_eq!(given(&result).unwrap(), value(r#"{ "reason": "none, for 7" }"#));
    let bench = Bench::new(Tool { action: Some(otherwise.to_owned()), ..Tool::default() });
    let result = bench.engine.call(context(), "t", value(r#"{ "id": 8 }"#), None).await.unwrap();
    assert_eq!(given(&result).unwrap(), value(r#"{ "reason": "none, for 8" }"#));
}

#[tokio::test(start_paused = true)]
async fn the_model_and_the_client_answer_too() {
    let message = value(
        r#"{ "role": "assistant", "content": { "type": "text", "text": "Paris" }, "model": "m", "stopReason": "endTurn" }"#,
    );
    let person = Person::new(vec![Answer::Message(message)]);
    let (_, result) =
        call(r#"{ "ask": { "sample": "The capital of ${.of}?" } }"#, r#"{ "of": "France" }"#, &person, 600)
            .await;
    let result = given(&result).unwrap();
    assert_eq!(result.get("text"), Some(&"Paris".into()));
    assert_eq!(result.get("stop_reason"), Some(&"endTurn".into()));
    let asked = person.asked.lock().unwrap()[0].1.to_json();
    assert_eq!(asked, r#"{"sample":{"messages":[{"user":"The capital of France?"}],"max_tokens":1000}}"#);

    let wants_tool = value(
        r#"{ "role": "assistant", "content": [{ "type": "tool_use", "id": "1", "name": "look", "input": { "a": 1 } }] }"#,
    );
    let person = Person::new(vec![Answer::Message(wants_tool)]);
    let tools = r#"{ "ask": { "sample": { "messages": [{ "user": "?" }, { "assistant": "!" }], "max_tokens": 5,
        "tools": { "look": { "input_schema": { "type": "object" } } } } } }"#;
    let (_, result) = call(tools, "{}", &person, 600).await;
    let calls = given(&result).unwrap().get("tool_calls").unwrap().to_json();
    assert_eq!(calls, r#"[{"id":"1","name":"look","input":{"a":1}}]"#);

    let roots = value(r#"[{ "uri": "file:///a" }]"#);
    let person = Person::new(vec![Answer::Roots(roots.clone())]);
    let (_, result) = call(r#"{ "ask": { "roots": true } }"#, "{}", &person, 600).await;
    assert_eq!(given(&result).unwrap().get("result"), Some(&roots));
    // Nobody says no to a list of roots.
    let (_, result) =
        call(r#"{ "ask": { "roots": true } }"#, "{}", &Person::new(vec![Answer::Declined]), 600).await;
    assert_eq!(
        given(&result).unwrap_err(),
        "use the answer: it is the answer of a user, and a list of roots was asked for"
    );
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_field_goes_into_the_schema() {
    let form = r#"{ "ask": { "message": "m", "form": {
        "mail": "email",
        "size": { "type": "number", "minimum": 1.50, "maximum": 3, "default": 2.5, "title": "Size of ${.id}" },
        "ok": { "type": "boolean", "optional": true },
        "one": { "options": "${.list}" },
        "titled": { "options": { "a": "A", "b": "B" }, "default": "a" },
        "several": { "options": ["x", "y"], "multiple": true, "minItems": 1 },
        "older": { "enum": ["o"], "enumNames": ["O"] },
        "spec": { "type": "array", "items": { "anyOf": [{ "const": "c", "title": "C" }] } } } } }"#;
    struct Seen(Mutex<Value>);
    #[async_trait]
    impl Asker for Seen {
        fn abilities(&self) -> Abilities {
            Abilities::ALL
        }
        async fn ask(&self, _: &str, question: &Question) -> Result<Answer> {
            if let Question::Form(form) = question {
                *self.0.lock().unwrap() = form.schema.clone();
            }
            Ok(Answer::Declined)
        }
    }
    let seen = Arc::new(Seen(Mutex::default()));
    let bench = Bench::new(Tool { action: Some(form.to_owned()), ..Tool::default() });
    let asking = Asking::Live { asker: seen.clone(), limit: Duration::from_secs(1) };
    let arguments = value(r#"{ "id": 7, "list": ["p", "q"] }"#);
    bench.engine.call(CallContext { asking, ..context() }, "t", arguments, None).await.unwrap();
    let schema = seen.0.lock().unwrap().to_json();
    let expected = [
        r#"{"type":"object","properties":{"mail":{"type":"string","format":"email"},"#,
        r#""size":{"type":"number","title":"Size of 7","minimum":1.50,"maximum":3,"default":2.5},"#,
        r#""ok":{"type":"boolean"},"one":{"type":"string","enum":["p","q"]},"#,
        r#""titled":{"type":"string","oneOf":[{"const":"a","title":"A"},{"const":"b","title":"B"}],"default":"a"},"#,
        r#""several":{"type":"array","minItems":1,"items":{"type":"string","enum":["x","y"]}},"#,
        r#""older":{"type":"string","enum":["o"],"enumNames":["O"]},"#,
        r#""spec":{"type":"array","items":{"anyOf":[{"const":"c","title":"C"}]}}},"#,
        r#""required":["mail","one","several","older","spec"]}"#,
    ];
    assert_eq!(schema, expected.concat());
}

fn said(action: &str) -> Vec<String> {
    let systems = systems(Fake { ledger: Default::default(), connect_takes: Duration::ZERO });
    let mut d = Diagnostics::default();
    let read = read(action, &Named { systems: &systems, actions: &[] }, &mut d);
    assert!(read.is_some() || d.has_errors(), "{action}");
    d.iter().map(|d| d.message.clone()).collect()
}

#[test]
fn nothing_is_changed_before_an_answer() {
    let write = r#"{ "call": { "crm": { "effect": "write", "value": 1 } } }"#;
    let read = r#"{ "call": { "crm": { "effect": "read", "value": 1 } } }"#;
    let changed = |what: &str, asks: &str| {
        format!("`{what}` may change something before the question of `{asks}` is answered")
    };
    let with = |action: &str, more: &str| action.replacen('{', &format!("{{ {more}, "), 1);
    // Beside the question, and before it.
    assert_eq!(
        said(&format!(r#"{{ "aggregate": {{ "a": {{ "ask": "?" }}, "b": {write} }} }}"#)),
        [changed("b", "a")]
    );
    let before = with(r#"{ "ask": "?" }"#, r#""needs": ["b"]"#);
    assert_eq!(
        said(&format!(r#"{{ "aggregate": {{ "a": {before}, "b": {write} }} }}"#)),
        [changed("b", "a")]
    );
    // After it, however long the way; and reads wherever they are.
    let (later, last) = (with(read, r#""needs": ["a"]"#), with(write, r#""needs": ["c"]"#));
    let good =
        format!(r#"{{ "aggregate": {{ "a": {{ "ask": "?" }}, "b": {read}, "c": {later}, "d": {last} }} }}"#);
    assert_eq!(said(&good), [""; 0]);
    // Two that ask and change cannot both be first.
    let both = format!(r#"{{ "ask": "?", "then": {write} }}"#);
    let second = with(&both, r#""needs": ["a"]"#);
    assert_eq!(said(&format!(r#"{{ "aggregate": {{ "a": {both}, "b": {second} }} }}"#)), [changed("a", "b")]);
    assert_eq!(said(&both), [""; 0]);
    // Elements.
    let each = "an action for each element that asks may not change something as well";
    assert_eq!(
        said(&format!(r#"{{ "map": {{ "in": "${{.ids}}", "ask": "?", "then": {write} }} }}"#)),
        [each]
    );
    let branch = with(&both, r#""for_each": "${.ids}""#);
    assert_eq!(said(&format!(r#"{{ "aggregate": {{ "a": {branch} }} }}"#)), [each]);
    assert_eq!(said(r#"{ "map": { "in": "${.ids}", "ask": "?" } }"#), [""; 0]);
}

#[test]
fn its_effect_is_what_follows() {
    let systems = systems(Fake { ledger: Default::default(), connect_takes: Duration::ZERO });
    let mut d = Diagnostics::default();
    let named = Named { systems: &systems, actions: &[] };
    let action = read(DELETE, &named, &mut d).unwrap();
    assert_eq!((action.effect(), action.asks(), action.height()), (Effect::Write, true, 2));
    let action = read(r#"{ "ask": "?" }"#, &named, &mut d).unwrap();
    assert_eq!((action.effect(), action.asks(), action.open_world()), (Effect::Read, true, false));
}

#[test]
fn says_what_is_wrong() {
    for (action, expected) in [
        (
            r#"{ "ask": 1 }"#,
            "expected a text that is a yes or no, or a question such as `{ message: …, form: … }`, found the number `1`",
        ),
        (r#"{ "ask": {} }"#, "the user would not know what is asked"),
        (
            r#"{ "ask": { "message": "m", "roots": true } }"#,
            "nobody would read the message: `roots` has none",
        ),
        (
            r#"{ "ask": { "message": "m", "form": {}, "url": "https://x" } }"#,
            "`form` and `url` are two questions",
        ),
        (r#"{ "ask": { "message": "m", "frm": {} } }"#, "unknown key `frm`"),
        (r#"{ "ask": { "sample": "x" }, "declined": { "transform": 1 } }"#, "only a user can say no"),
        (
            r#"{ "ask": { "message": "m", "form": { "a": "strng" } } }"#,
            "a form has no fields of type `strng`",
        ),
        (
            r#"{ "ask": { "message": "m", "form": { "a": { "type": "integer", "minLength": 3 } } } }"#,
            "`minLength` does not fit a field of this kind",
        ),
        (
            r#"{ "ask": { "message": "m", "form": { "a": { "type": "integer", "minimum": 1.5 } } } }"#,
            "`minimum` of whole numbers is none",
        ),
        (
            r#"{ "ask": { "message": "m", "form": { "a": { "type": "integer", "default": "x" } } } }"#,
            "the default of the field `a` does not fit: ",
        ),
        (
            r#"{ "ask": { "message": "m", "form": { "a": { "options": [] } } } }"#,
            "the field `a` has no options to choose from",
        ),
        (
            r#"{ "ask": { "message": "m", "form": { "a": { "options": ["x", "x"] } } } }"#,
            "the field `a` has the option `x` twice",
        ),
        (
            r#"{ "ask": { "message": "m", "form": { "a": { "options": ["x"], "enum": ["x"] } } } }"#,
            "`options` and `enum` say the same thing twice",
        ),
        (
            r#"{ "ask": { "message": "m", "form": { "a": { "enum": ["x"], "enumNames": [] } } } }"#,
            "`enum` and `enumNames` differ in length",
        ),
        (
            r#"{ "ask": { "sample": { "messages": "x", "max_tokens": 0 } } }"#,
            "the model could answer nothing",
        ),
        (
            r#"{ "ask": { "sample": { "messages": "x", "tool_choice": "auto" } } }"#,
            "there are no tools to choose from",
        ),
        (
            r#"{ "ask": { "sample": { "messages": "x", "model": { "cost": 2 } } } }"#,
            "how much something matters is a number from 0 to 1",
        ),
        (r#"{ "ask": "${$answer}" }"#, "`$answer` is not known here"),
        (
            r#"{ "transform": 1, "then": { "transform": 2 } }"#,
            "`then` belongs to `ask`, and the tool `t` has `transform`",
        ),
    ] {
        let said = said(action);
        assert!(said.iter().any(|message| message.starts_with(expected)), "{action}: {said:?}");
    }
}
