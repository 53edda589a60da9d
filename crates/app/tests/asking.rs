//! Asking over the wire, message by message: what clients of both eras get, what is taken back, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "whatever fails here fails the test")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

/// A tool for each thing; `close` asks once, and changes something after.
const CONFIG: &str = "
server: { name: asking, limits: LIMITS }
systems:
  db: { sqlite: { path: ':memory:' } }
tools:
  close:
    description: Closes.
    input: { id: integer }
    ask: 'Close ${.id}?'
    then: { call: { db: 'create table closed (id)' } }
  who:
    description: Asks who.
    ask: { message: Who?, form: { name: { type: string, minLength: 2 }, age: { type: number, optional: true } } }
  pay:
    description: Sends to a page.
    ask: { message: Pay, url: 'https://pay.example.com/${$run}' }
  write:
    description: Has something written.
    ask: { sample: { messages: [{ user: Hi }, { assistant: Hello }, { user: Go on }], system: Be brief., max_tokens: 7, temperature: 0.5, stop: [END], model: { hints: [small], speed: 1 } } }
resources:
  note:
    uri: note://{id}
    ask: 'Show ${.id}?'
    then: { transform: 'note ${.id}' }
prompts:
  hello:
    ask: { message: Who?, form: { name: string } }
    messages: [{ user: 'Hello ${$result.name}' }]
";

/// A server over stdio, and its client's end.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    next: i64,
    _folder: tempfile::TempDir,
}

impl Client {
    fn start(limits: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("renkei.yaml");
        std::fs::write(&path, CONFIG.replace("LIMITS", limits)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_renkei"))
            .args(["serve", path.to_str().unwrap(), "--stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Client { child, input, output, next: 0, _folder: folder }
    }

    /// A client of the revision before, which can be asked everything.
    fn legacy(limits: &str) -> Self {
        let mut client = Self::start(limits);
        let capabilities = json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {} });
        client.request(
            "initialize",
            json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": { "name": "t", "version": "1" } }),
        );
        client.read();
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    fn send(&mut self, message: &Value) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{message}").unwrap();
        input.flush().unwrap();
    }

    fn request(&mut self, method: &str, params: Value) -> i64 {
        self.next += 1;
        let id = self.next;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    fn call(&mut self, tool: &str, arguments: Value) -> i64 {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).unwrap() > 0, "the server ended");
        serde_json::from_str(&line).unwrap()
    }

    fn reply(&mut self, question: &Value, result: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": result }));
    }

    /// A request of the era in which nothing is asked while a call waits.
    fn modern(&mut self, method: &str, mut params: Value) -> Value {
        let capabilities = json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {} });
        self.modern_with(method, &mut params, capabilities)
    }

    fn modern_with(&mut self, method: &str, params: &mut Value, capabilities: Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        });
        self.request(method, params.take());
        self.read()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.input.take();
        let _ = self.child.wait();
    }
}

fn text(message: &Value) -> &str {
    message["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{message}"))
}

#[test]
fn a_client_of_an_older_revision_answers_while_the_call_waits() {
    let mut client = Client::legacy("{}");
    client.call("close", json!({ "id": 7 }));
    let question = client.read();
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["message"], "Close 7?");
    assert_eq!(question["params"]["requestedSchema"], json!({ "type": "object", "properties": {} }));
    // Others are served meanwhile.
    let other = client.request("tools/list", json!({}));
    assert_eq!(client.read()["id"], other);
    client.reply(&question, json!({ "action": "accept", "content": {} }));
    assert_eq!(client.read()["result"]["isError"], false);
    client.call("close", json!({ "id": 7 }));
    let question = client.read();
    client.reply(&question, json!({ "action": "decline" }));
    assert!(text(&client.read()).contains("the user said no"), "a no is told");
}

#[test]
fn every_question_has_the_form_of_the_protocol() {
    let mut client = Client::legacy("{}");
    client.call("pay", json!({}));
    let question = client.read();
    assert_eq!(question["params"]["mode"], "url");
    assert!(question["params"]["url"].as_str().unwrap().starts_with("https://pay.example.com/"));
    assert!(!question["params"]["elicitationId"].as_str().unwrap().is_empty());
    client.reply(&question, json!({ "action": "accept" }));
    assert_eq!(client.read()["result"]["structuredContent"], json!({}));
    client.call("write", json!({}));
    let question = client.read();
    assert_eq!(question["method"], "sampling/createMessage");
    let message =
        |role: &str, text: &str| json!({ "role": role, "content": { "type": "text", "text": text } });
    let expected = json!({
        "messages": [message("user", "Hi"), message("assistant", "Hello"), message("user", "Go on")],
        "systemPrompt": "Be brief.", "maxTokens": 7, "temperature": 0.5, "stopSequences": ["END"],
        "modelPreferences": { "hints": [{ "name": "small" }], "speedPriority": 1.0 },
    });
    let params = question["params"].as_object().unwrap();
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&params[key], value, "{key}");
    }
    client.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "error": { "code": -1, "message": "User rejected sampling request" } }));
    assert!(text(&client.read()).contains("the client refused with `User rejected sampling request`"));
    // What does not fit is shown again.
    client.call("who", json!({}));
    let question = client.read();
    client.reply(&question, json!({ "action": "accept", "content": { "name": "A" } }));
    let again = client.read();
    assert!(again["params"]["message"].as_str().unwrap().ends_with("\n\nWho?"), "{again}");
    client
        .reply(&again, json!({ "action": "accept", "content": { "name": "Ann", "age": 3.5, "more": true } }));
    assert_eq!(client.read()["result"]["structuredContent"], json!({ "name": "Ann", "age": 3.5 }));
}

#[test]
fn a_question_that_nobody_waits_for_is_taken_back() {
    let mut client = Client::legacy("{ ask: 300ms }");
    let call = client.call("who", json!({}));
    let question = client.read();
    client.send(
        &json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": call } }),
    );
    let taken_back = client.read();
    assert_eq!(taken_back["method"], "notifications/cancelled");
    assert_eq!(taken_back["params"]["requestId"], question["id"]);
    // By its limit as well, and then the call ends.
    let call = client.call("who", json!({}));
    let question = client.read();
    let mut rest = [client.read(), client.read()];
    rest.sort_by_key(|message| message["id"].is_null());
    assert_eq!(rest[0]["id"], call);
    assert!(text(&rest[0]).contains("get an answer within 300ms"), "{}", rest[0]);
    assert_eq!(rest[1]["params"]["requestId"], question["id"]);
}

#[test]
fn one_question_too_many_is_refused() {
    let mut client = Client::legacy("{ asks: 1 }");
    client.call("who", json!({}));
    let question = client.read();
    client.call("who", json!({}));
    assert!(text(&client.read()).contains("the server waits for `1` answers already"));
    client.reply(&question, json!({ "action": "cancel" }));
    assert!(text(&client.read()).contains("closed the question"));
    client.call("who", json!({}));
    assert_eq!(client.read()["method"], "elicitation/create");
}

#[test]
fn a_client_of_today_comes_again_with_the_answers() {
    let mut client = Client::start("{}");
    let asked = client.modern("tools/call", json!({ "name": "close", "arguments": { "id": 7 } }));
    let asked = &asked["result"];
    assert_eq!(asked["resultType"], "input_required");
    assert_eq!(asked["inputRequests"]["ask"]["method"], "elicitation/create");
    assert_eq!(asked["inputRequests"]["ask"]["params"]["message"], "Close 7?");
    let again = json!({
        "name": "close", "arguments": { "id": 7 },
        "requestState": asked["requestState"], "inputResponses": { "ask": { "action": "accept", "content": {} } },
    });
    let done = client.modern("tools/call", again.clone());
    assert_eq!(done["result"]["resultType"], "complete");
    assert_eq!(done["result"]["isError"], false, "{done}");
    let twice = client.modern("tools/call", again);
    assert_eq!(twice["error"]["code"], -32602);
    assert!(twice["error"]["message"].as_str().unwrap().starts_with("`requestState` was used already"));
    // Prompts and resources, too.
    let asked = client.modern("prompts/get", json!({ "name": "hello" }));
    let state = &asked["result"]["requestState"];
    let answer = json!({ "ask": { "action": "accept", "content": { "name": "Ann" } } });
    let got = client
        .modern("prompts/get", json!({ "name": "hello", "requestState": state, "inputResponses": answer }));
    assert_eq!(got["result"]["messages"][0]["content"]["text"], "Hello Ann", "{got}");
    let asked = client.modern("resources/read", json!({ "uri": "note://7" }));
    let state = asked["result"]["requestState"].clone();
    let answer = json!({ "ask": { "action": "accept" } });
    let read = |uri: &str| json!({ "uri": uri, "requestState": state, "inputResponses": answer });
    assert_eq!(client.modern("resources/read", read("note://8"))["error"]["code"], -32602);
    assert_eq!(client.modern("resources/read", read("note://7"))["result"]["contents"][0]["text"], "note 7");
}

#[test]
fn what_a_client_of_today_cannot_or_gets_wrong_is_an_error_of_the_protocol() {
    let mut client = Client::start("{}");
    for (tool, lacks) in [
        ("close", json!({ "elicitation": { "form": {} } })),
        ("pay", json!({ "elicitation": { "url": {} } })),
        ("write", json!({ "sampling": {} })),
    ] {
        let mut params = json!({ "name": tool, "arguments": if tool == "close" { json!({ "id": 1 }) } else { json!({}) } });
        let answer = client.modern_with("tools/call", &mut params, json!({}));
        assert_eq!(answer["error"]["code"], -32021, "{answer}");
        assert_eq!(answer["error"]["data"]["requiredCapabilities"], lacks);
    }
    for (response, why) in [
        (
            json!(12345),
            "the answer under `inputResponses.ask` is none: it is of type `number`, not an object",
        ),
        (json!({ "action": "maybe" }), "the answer under `inputResponses.ask` is none: its `action` is not"),
        (
            json!({ "action": "accept", "content": "yes" }),
            "the answer under `inputResponses.ask` is none: its `content` is",
        ),
    ] {
        let answer = client.modern(
            "tools/call",
            json!({ "name": "who", "arguments": {}, "inputResponses": { "ask": response } }),
        );
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().starts_with(why), "{answer}");
    }
    // Every digit of what was filled in arrives.
    let asked = client.modern("tools/call", json!({ "name": "who", "arguments": {} }));
    let state = asked["result"]["requestState"].as_str().unwrap().to_owned();
    client.next += 1;
    let id = client.next;
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}"#;
    let line = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"_meta":{meta},"name":"who","arguments":{{}},"requestState":"{state}","inputResponses":{{"ask":{{"action":"accept","content":{{"name":"Ann","age":1.10000000000000000001}}}}}}}}}}"#
    );
    writeln!(client.input.as_mut().unwrap(), "{line}").unwrap();
    let mut read = String::new();
    client.output.read_line(&mut read).unwrap();
    assert!(read.contains(r#""structuredContent":{"name":"Ann","age":1.10000000000000000001}"#), "{read}");
}
