//! What operators see of tasks and do to them, by tools.

use serde_json::{Value, json};

use crate::{
    ledger::Ledger,
    server::{Serving, renkei},
};

#[test]
fn tools_that_a_config_declares_list_show_and_cancel_tasks() {
    let ledger = Ledger::start();
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "systems:
  ledger:
    http: {{ base_url: '{}', private: true }}
tools:
  effect:
    description: One effect.
    input: {{ n: integer }}
    task: required
    call: {{ ledger: {{ post: /, body: {{ key: '${{$key}}', n: '${{.n}}' }} }} }}
  list: {{ description: Lists., input: {{ status: {{ type: string, optional: true }} }}, task_list: {{ status: '${{.status}}', limit: 2 }} }}
  show: {{ description: Shows., input: {{ id: string }}, task_show: {{ id: '${{.id}}' }} }}
  cancel: {{ description: Cancels., input: {{ id: string }}, task_cancel: {{ id: '${{.id}}' }} }}
",
        ledger.url
    );
    std::fs::write(folder.path().join("renkei.yaml"), config).unwrap();
    let server = Serving::start(folder.path());
    let call = |tool: &str, arguments: Value| {
        let result = server.call(tool, arguments)["result"].clone();
        assert_ne!(result["isError"], true, "{result}");
        result["structuredContent"].clone()
    };
    let begin = |n: i64| {
        let begun = server.call("effect", json!({ "n": n }));
        begun["result"]["taskId"].as_str().unwrap_or_else(|| panic!("{begun}")).to_owned()
    };
    let done = begin(1);
    server.ended(&done);
    let shown = call("show", json!({ "id": done }));
    assert_eq!(
        (&shown["status"], &shown["principal"]),
        (&json!("completed"), &json!("anonymous")),
        "{shown}"
    );
    assert!(shown["result"]["structured"]["receipt"].is_string(), "{shown}");

    ledger.hold_from(Some(2));
    let held = begin(2);
    ledger.wait_for(2);
    let working = call("list", json!({ "status": "working" }));
    assert_eq!(working["tasks"].as_array().unwrap().len(), 1, "{working}");
    assert_eq!((&working["tasks"][0]["id"], &working["more"]), (&json!(held), &json!(false)), "{working}");
    assert_eq!(call("cancel", json!({ "id": held })), json!({ "id": held, "was": "working" }));
    assert_eq!(server.ended(&held)["status"], "cancelled");
    ledger.hold_from(None);
    assert_eq!(call("cancel", json!({ "id": held }))["was"], "cancelled");

    server.ended(&begin(3));
    let all = call("list", json!({}));
    assert_eq!((all["tasks"].as_array().unwrap().len(), &all["more"]), (2, &json!(true)), "{all}");
    for (tool, arguments, text) in [
        ("list", json!({ "status": "asleep" }), "`asleep` is no status of a task: working"),
        ("show", json!({ "id": "0123" }), "there is no task `0123`"),
        ("cancel", json!({ "id": "" }), "there is no task"),
    ] {
        let said = server.call(tool, arguments)["result"]["content"][0]["text"].to_string();
        assert!(said.contains(text), "{said}");
    }
    // They see what the commands see.
    let (code, text) = renkei(folder.path(), &["task", "show", &held, "--json"]);
    assert_eq!(code, 0, "{text}");
    let by_command: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(by_command["updated"], call("show", json!({ "id": held }))["updated"]);
}
