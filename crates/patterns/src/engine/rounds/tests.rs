//! Calls in several rounds, and everything that a client might try with what it carries between them.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use renkei_core::{
    CallContext, Error, Kind, Principal, Secret, Value,
    ask::{Abilities, Answer, Asked, Asking, Question, Rounds},
    principal::How,
    tool::{ToolResult, Tools},
};

use super::{super::Options, Limits};
use crate::fake::{Bench, Tool, context, value};

/// Shows its run in the question and in what it does.
const DELETE: &str = r#"{ "ask": "Delete ${.id} in ${$run} at ${$now}?", "then": { "call": { "crm": { "effect": "write", "value": "${$run + \" \" + $now}" } } } }"#;

fn tool(action: &str) -> Tool {
    Tool { action: Some(action.to_owned()), ..Tool::default() }
}

fn bench(action: &str) -> Bench {
    Bench::layered("{}", vec![("t", tool(action)), ("u", tool(action))])
}

fn limited(action: &str, ask: Limits) -> Bench {
    Bench::with(tool(action), Options { ask, ..Options::default() }, Duration::ZERO, 0)
}

fn caller(name: &str, how: How, claims: &str) -> Principal {
    Principal { name: name.into(), how, claims: value(claims) }
}

fn ann() -> Principal {
    caller("ann", How::Jwt, r#"{ "iss": "a", "exp": 1 }"#)
}

/// One request of a client.
#[derive(Clone)]
struct Request {
    tool: &'static str,
    arguments: Value,
    caller: Principal,
    state: Option<String>,
    answers: Vec<(&'static str, Answer)>,
}

impl Default for Request {
    fn default() -> Self {
        let arguments = value(r#"{ "id": 7, "more": { "a": 1, "b": 2 } }"#);
        Request { tool: "t", arguments, caller: ann(), state: None, answers: Vec::new() }
    }
}

impl Request {
    async fn send(&self, bench: &Bench) -> ToolResult {
        let answers = self.answers.iter().map(|(path, answer)| (Arc::from(*path), answer.clone()));
        let rounds =
            Rounds { abilities: Abilities::ALL, state: self.state.clone(), answers: answers.collect() };
        let asking = Asking::Rounds(Arc::new(rounds));
        let cx = CallContext { principal: Arc::new(self.caller.clone()), asking, ..context() };
        bench.engine.call(cx, self.tool, self.arguments.clone(), None).await.unwrap()
    }

    async fn asked(&self, bench: &Bench) -> Asked {
        let result = self.send(bench).await;
        let error = result.error.unwrap_or_else(|| panic!("nothing was asked: {:?}", result.structured));
        Asked::clone(error.asked().unwrap_or_else(|| panic!("nothing was asked: {error}")))
    }
}

fn yes() -> Answer {
    Answer::Accepted(Value::object())
}

fn text(asked: &Asked, path: &str) -> String {
    match &asked.questions[path] {
        Question::Form(form) => form.text(),
        other => other.to_value().to_json(),
    }
}

fn done(bench: &Bench) -> usize {
    bench.ledger.calls.lock().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_call_comes_again_with_its_answer_and_is_the_same_run() {
    let bench = bench(DELETE);
    let asked = Request::default().asked(&bench).await;
    assert_eq!(done(&bench), 0);
    let question = text(&asked, "ask");
    // The members in another order, and another token of the same caller.
    let again = Request {
        state: Some(asked.state),
        answers: vec![("ask", yes()), ("other", Answer::Declined)],
        arguments: value(r#"{ "more": { "b": 2, "a": 1 }, "id": 7 }"#),
        caller: caller("ann", How::Jwt, r#"{ "iss": "a", "exp": 2 }"#),
        ..Request::default()
    };
    let result = again.send(&bench).await;
    let result = result.structured.unwrap_or_else(|| panic!("{:?}", result.error));
    let run = result.get("result").unwrap().as_str().unwrap().replace(' ', " at ");
    assert_eq!(question, format!("Delete 7 in {run}?"));
    assert_eq!(done(&bench), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_answered_is_asked_again() {
    let bench = bench(DELETE);
    let asked = Request::default().asked(&bench).await;
    let roots = Answer::Roots(Value::from(Vec::new()));
    for answers in [vec![], vec![("asks", yes())], vec![("ask", roots)]] {
        // Each time with a state of its own.
        let state = Request::default().asked(&bench).await.state;
        let again = Request { state: Some(state.clone()), answers, ..Request::default() }.asked(&bench).await;
        assert_eq!(again.questions.len(), 1);
        assert_ne!(again.state, state);
    }
    // Before a change, an answer counts only to a question that was put.
    let unasked = Request { answers: vec![("ask", yes())], ..Request::default() };
    unasked.asked(&bench).await;
    assert_eq!(done(&bench), 0);
    assert!(!asked.state.contains("Delete"));
    // Where nothing is changed, a client may know the questions beforehand.
    let reads = self::bench(r#"{ "ask": "Well?" }"#);
    assert!(unasked.send(&reads).await.error.is_none());
}

#[tokio::test(start_paused = true)]
async fn questions_beside_each_other_go_out_at_once_and_those_that_follow_later() {
    let form = |name: &str| format!(r#""ask": {{ "message": "{name}?", "form": {{ "{name}": "string" }} }}"#);
    let action = format!(
        r#"{{ "aggregate": {{ "name": {{ {} }}, "look": {{ "call": {{ "crm": {{ "value": "x" }} }} }}, "roots": {{ "ask": {{ "roots": true }} }},
            "last": {{ "ask": "${{$name.name}} in ${{$look}} with ${{$roots | length}}?", "then": {{ "call": {{ "crm": {{ "effect": "write", "value": "${{$key}}" }} }} }} }} }} }}"#,
        form("name")
    );
    let bench = bench(&action);
    let first = Request::default().asked(&bench).await;
    assert_eq!(first.questions.keys().map(|path| &**path).collect::<Vec<_>>(), ["name", "roots"]);
    let name = Answer::Accepted(value(r#"{ "name": "Ann" }"#));
    // One of two: the other is asked again, and the first is not.
    let part = Request { state: Some(first.state), answers: vec![("name", name)], ..Request::default() };
    let part = part.asked(&bench).await;
    assert_eq!(part.questions.keys().map(|path| &**path).collect::<Vec<_>>(), ["roots"]);
    let roots = Answer::Roots(value(r#"[{ "uri": "file:///a" }]"#));
    let second = Request { state: Some(part.state), answers: vec![("roots", roots)], ..Request::default() };
    let second = second.asked(&bench).await;
    assert_eq!(text(&second, "last"), "Ann in x with 1?");
    let third = Request { state: Some(second.state), answers: vec![("last", yes())], ..Request::default() };
    let result = third.send(&bench).await;
    assert!(result.error.is_none(), "{:?}", result.error);
    let calls = bench.ledger.calls.lock().unwrap();
    let effects: Vec<_> = calls.iter().map(|call| call.effect).collect();
    // It was looked once a round, and changed once.
    assert_eq!(effects.iter().filter(|effect| **effect == renkei_core::Effect::Read).count(), 4);
    assert_eq!(effects.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_answer_belongs_to_the_words_of_its_question() {
    let action = r#"{ "aggregate": { "there": { "call": { "crm": { "value": "${$now}" } } }, "sure": { "ask": "Delete ${$there}?" } } }"#;
    let bench = bench(action);
    let asked = Request::default().asked(&bench).await;
    // Another run of the same: its `$now` is another one, and so is the question.
    let table = super::Table::new(Limits::default());
    let (caller, arguments) = (ann(), Request::default().arguments);
    let owner = super::state::Owner { kind: "tool", name: "t", caller: &caller, arguments: &arguments };
    let mut state = table.states.open(owner, &asked.state, super::now_ms()).unwrap();
    state.start.now = "1970-01-01T00:00:00Z".into();
    let changed = table.states.seal(owner, &state).unwrap();
    let again = Request { state: Some(changed), answers: vec![("sure", yes())], ..Request::default() };
    assert_eq!(text(&again.asked(&bench).await, "sure"), "Delete 1970-01-01T00:00:00Z?");
    let same = Request { state: Some(asked.state), answers: vec![("sure", yes())], ..Request::default() };
    assert!(same.send(&bench).await.error.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_form_that_does_not_fit_comes_back_with_the_reason() {
    let action =
        r#"{ "ask": { "message": "Who?", "form": { "name": { "type": "string", "minLength": 2 } } } }"#;
    let bench = bench(action);
    let mut state = Request::default().asked(&bench).await.state;
    for _ in 0..2 {
        let wrong = Answer::Accepted(value(r#"{ "name": "A" }"#));
        let again = Request { state: Some(state), answers: vec![("ask", wrong)], ..Request::default() }
            .asked(&bench)
            .await;
        assert!(text(&again, "ask").starts_with("Please check what you filled in:\n- `name`: "));
        state = again.state;
    }
    let right = Answer::Accepted(value(r#"{ "name": "Ann" }"#));
    let result = Request { state: Some(state), answers: vec![("ask", right)], ..Request::default() }
        .send(&bench)
        .await;
    assert_eq!(result.structured.unwrap(), value(r#"{ "name": "Ann" }"#));
}

#[tokio::test(start_paused = true)]
async fn rounds_and_what_is_carried_have_their_limits() {
    let form = r#"{ "ask": { "message": "Who?", "form": { "name": "string" } } }"#;
    let bench = limited(form, Limits { rounds: 3, ..Limits::default() });
    let mut request = Request::default();
    for _ in 1..3 {
        request.state = Some(request.asked(&bench).await.state);
    }
    let error = request.send(&bench).await.error.unwrap();
    assert_eq!(
        error.to_string(),
        "get its answers in 3 rounds, the most there are (`server.limits.ask_rounds`)"
    );

    let two = r#"{ "aggregate": { "a": { "ask": { "message": "a", "form": { "x": "string" } } }, "b": { "needs": ["a"], "ask": "b" } } }"#;
    let bench = limited(two, Limits { state_bytes: 2000, ..Limits::default() });
    let state = Some(Request::default().asked(&bench).await.state);
    let long = Answer::Accepted(Value::from([("x", "x".repeat(3000))]));
    let error =
        Request { state, answers: vec![("a", long)], ..Request::default() }.send(&bench).await.error.unwrap();
    let expected = "keep the answers so far: they have more than `2000` bytes (`server.limits.ask_state`)";
    assert_eq!((error.kind(), error.to_string()), (Kind::Rejected, expected.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_cannot_be_asked_learns_what_it_lacks() {
    let bench = bench(DELETE);
    let rounds =
        Rounds { abilities: Abilities { sample: true, ..Abilities::default() }, ..Rounds::default() };
    let cx = CallContext { asking: Asking::Rounds(Arc::new(rounds)), ..context() };
    let result = bench.engine.call(cx, "t", value(r#"{ "id": 7 }"#), None).await.unwrap();
    assert_eq!(result.error.unwrap().lacks(), Some(renkei_core::ask::Ability::Form));
}

const UNKNOWN: &str = "`requestState` is none that this server gave to this caller for ";

/// Each attack starts from a state that waits for a yes, and tries to have something deleted with it.
#[tokio::test(start_paused = true)]
async fn attacks_on_the_state_are_refused() {
    let bench = bench(DELETE);
    let other =
        limited(DELETE, Limits { key: Some(Secret::new("the key of another server")), ..Limits::default() });
    let now = limited(DELETE, Limits { time: Duration::ZERO, ..Limits::default() });
    let cut = |text: &str, range: std::ops::Range<usize>| text[range].to_owned();
    let flipped = |text: &str, at: usize| {
        let mut bytes = text.to_owned().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let good = async || Request::default().asked(&bench).await.state;
    let answered =
        |state: String| Request { state: Some(state), answers: vec![("ask", yes())], ..Request::default() };
    let state = good().await;
    let cursor = super::super::cursor::Cursors::new(None)
        .seal(
            super::super::cursor::Owner {
                tool: "t",
                caller: &ann(),
                arguments: &Request::default().arguments,
            },
            &renkei_core::Position { page: None, skip: 1 },
        )
        .unwrap();
    let as_prompt = {
        let table = super::Table::new(Limits::default());
        let (caller, arguments) = (ann(), Request::default().arguments);
        let owner = |kind| super::state::Owner { kind, name: "t", caller: &caller, arguments: &arguments };
        let opened = table.states.open(owner("tool"), &good().await, super::now_ms()).unwrap();
        table.states.seal(owner("prompt"), &opened).unwrap()
    };
    let args = |json: &str| Request { arguments: value(json), ..answered(String::new()) };
    let other_args = "`requestState` was given for other arguments";
    let mut attacks: Vec<(&str, Request, &str)> = vec![
        ("nothing at all", answered(String::new()), UNKNOWN),
        ("made up", answered("AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHHIIIIJJJJ".into()), UNKNOWN),
        ("readable JSON", answered(r#"{"run":"x","round":1}"#.into()), UNKNOWN),
        ("no base64", answered("山 and river".into()), UNKNOWN),
        ("the end cut off", answered(cut(&state, 0..state.len() - 4)), UNKNOWN),
        ("the start cut off", answered(cut(&state, 1..state.len())), UNKNOWN),
        ("only the nonce", answered(cut(&state, 0..16)), UNKNOWN),
        ("longer", answered(format!("{state}-TAMPERED")), UNKNOWN),
        ("twice", answered(format!("{state}{state}")), UNKNOWN),
        ("another nonce", answered(flipped(&state, 3)), UNKNOWN),
        ("another content", answered(flipped(&state, state.len() / 2)), UNKNOWN),
        ("huge", answered("A".repeat(5_000_000)), UNKNOWN),
        ("of another server", answered(Request::default().asked(&other).await.state), UNKNOWN),
        ("a cursor of the same tool", answered(cursor), UNKNOWN),
        ("of a prompt with the same name", answered(as_prompt), UNKNOWN),
        (
            "expired",
            answered(Request::default().asked(&now).await.state),
            "the answer came too late: `requestState` has expired",
        ),
    ];
    for (what, caller) in [
        ("another caller's", caller("bob", How::Jwt, r#"{ "iss": "a" }"#)),
        ("of the same name elsewhere", caller("ann", How::Jwt, r#"{ "iss": "b" }"#)),
        ("of the same name without an issuer", caller("ann", How::Jwt, "{}")),
        ("of the same name with a key", caller("ann", How::ApiKey, r#"{ "iss": "a" }"#)),
        ("by nobody", Principal::anonymous()),
    ] {
        attacks.push((what, Request { caller, ..answered(good().await) }, UNKNOWN));
    }
    attacks.push(("another tool's", Request { tool: "u", ..answered(good().await) }, UNKNOWN));
    for arguments in [
        "{}",
        r#"{ "id": 8, "more": { "a": 1, "b": 2 } }"#,
        r#"{ "id": "7", "more": { "a": 1, "b": 2 } }"#,
        r#"{ "id": 7, "more": { "a": 1, "b": 2 }, "x": null }"#,
        r#"{ "id": 7 }"#,
    ] {
        attacks.push((
            "other arguments",
            Request { state: Some(good().await), ..args(arguments) },
            other_args,
        ));
    }
    assert!(attacks.len() >= 25);
    for (what, request, expected) in &attacks {
        let result = request.send(&bench).await;
        let error = result.error.unwrap_or_else(|| panic!("{what}: {:?}", result.structured));
        refused(what, &error, expected);
        assert_eq!(done(&bench), 0, "{what}");
    }
    // Once it is used, it is used, whatever became of it and whoever tries.
    let first = answered(state);
    assert!(first.send(&bench).await.error.is_none());
    for _ in 0..2 {
        refused("again", &first.send(&bench).await.error.unwrap(), "`requestState` was used already");
    }
    assert_eq!(done(&bench), 1);
    // A no, or no answer, uses it up as well.
    let state = good().await;
    let no = Request { answers: vec![("ask", Answer::Declined)], ..answered(state.clone()) };
    assert_eq!(no.send(&bench).await.error.unwrap().kind(), Kind::Rejected);
    refused(
        "a yes after a no",
        &answered(state).send(&bench).await.error.unwrap(),
        "`requestState` was used already",
    );
    // Two at the same moment.
    let request = answered(good().await);
    let (one, two) = tokio::join!(request.send(&bench), request.send(&bench));
    assert_eq!([one, two].iter().filter(|result| result.error.is_none()).count(), 1);
    assert_eq!(done(&bench), 2);
    // A server that follows with another config knows what was used.
    let request = answered(good().await);
    assert!(request.send(&bench).await.error.is_none());
    let next = bench.followed(1, "{}", vec![("t", tool(DELETE))]);
    refused("after a reload", &request.send(&next).await.error.unwrap(), "`requestState` was used already");
}

fn refused(what: &str, error: &Error, expected: &str) {
    assert_eq!((error.kind(), error.protocol_code()), (Kind::Invalid, Some(-32602)), "{what}: {error}");
    assert!(error.to_string().starts_with(expected), "{what}: {error}");
}

#[test]
fn a_state_is_what_it_was() {
    let states = super::state::States::new(Some(&Secret::new("a key for tests")), 64_000);
    let (caller, arguments) = (ann(), value(r#"{ "id": 7 }"#));
    let owner = super::state::Owner { kind: "tool", name: "t", caller: &caller, arguments: &arguments };
    let state = super::state::State {
        start: renkei_core::call::RunStart { id: "run".into(), now: "now".into() },
        round: 2,
        expires_ms: 1_000,
        nonce: [7; 16],
        asked: IndexMap::from([("a/b".into(), [1; 16])]),
        answered: IndexMap::from([("c".into(), ([2; 16], Answer::Accepted(value(r#"{ "n": 1.10 }"#))))]),
    };
    let sealed = states.seal(owner, &state).unwrap();
    let opened = states.open(owner, &sealed, 999).unwrap();
    assert_eq!(format!("{opened:?}"), format!("{state:?}"));
    assert!(states.open(owner, &sealed, 1_000).unwrap_err().to_string().contains("expired"));
    // Two of the same never look the same.
    assert_ne!(states.seal(owner, &state).unwrap(), sealed);
}
