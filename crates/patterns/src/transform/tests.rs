//! What a value from templates becomes.

use renkei_core::{Value, tool::Tools};

use crate::fake::{Bench, Tool, context, value};

async fn of(tree: &str, arguments: &str) -> Value {
    let tool = Tool { action: Some(format!(r#"{{ "transform": {tree} }}"#)), ..Tool::default() };
    let bench = Bench::new(tool);
    let info = bench.engine.find("t").unwrap();
    assert!(info.read_only && !info.open_world);
    let result = bench.engine.call(context(), "t", value(arguments), None).await.unwrap();
    assert!(bench.ledger.calls.lock().unwrap().is_empty());
    result.structured.unwrap()
}

#[tokio::test(start_paused = true)]
async fn its_value_is_the_result() {
    let tree = r#"{ "sum": "${.a + .b}", "as_it_is": 1.10, "gone": "${.none}", "list": ["${.a}"] }"#;
    assert_eq!(of(tree, r#"{ "a": 1, "b": 2 }"#).await.to_json(), r#"{"sum":3,"as_it_is":1.10,"list":[1]}"#);
    assert_eq!(of(r#""${.none}""#, "{}").await.to_json(), r#"{"result":null}"#);
    assert_eq!(of("null", "{}").await.to_json(), r#"{"result":null}"#);
}
