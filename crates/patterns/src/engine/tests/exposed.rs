//! Tools of other servers: what is listed of them, and that their results stay what they are.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use renkei_core::{
    Diagnostics, Kind, System as _,
    connector::{Offer, OfferedTool, SystemPlan},
    template::Names,
    tool::{Annotations, Content, ToolPlan, ToolResult, Tools},
};

use crate::{
    engine::{Engine, Options, exposed_plans},
    fake::{Fake, Ledger, Reports, Tool, context, node, systems, value},
};

/// A tool that gives back its arguments, so that they are its result.
fn offered(name: &str, input_schema: &str, output_schema: Option<&str>) -> OfferedTool {
    doing(r#"{ "value": "${.}" }"#, name, input_schema, output_schema)
}

fn doing(op: &str, name: &str, input_schema: &str, output_schema: Option<&str>) -> OfferedTool {
    let fake = Fake { ledger: Arc::new(Ledger::default()), connect_takes: Duration::ZERO };
    let names = Names::default();
    let op = fake.prepare(&node(op), &names, &mut Diagnostics::default());
    OfferedTool {
        name: name.into(),
        title: None,
        description: String::new(),
        input_schema: value(input_schema),
        output_schema: output_schema.map(value),
        annotations: Annotations { read_only: Some(true), ..Annotations::default() },
        icons: Vec::new(),
        op: Arc::new(op.unwrap()),
    }
}

fn fake() -> IndexMap<Arc<str>, SystemPlan> {
    systems(Fake { ledger: Arc::new(Ledger::default()), connect_takes: Duration::ZERO })
}

fn engine(offered: Vec<OfferedTool>, options: Options) -> (Engine, Vec<String>) {
    let systems = fake();
    let own: Vec<ToolPlan> = vec![Tool::default().plan("own", &systems)];
    let offers = [("crm".into(), Arc::new(Offer { tools: offered, notices: Vec::new() }))];
    let (plans, left_out) = exposed_plans(&systems, &own, &offers);
    let engine = Engine::new(systems, own.into_iter().chain(plans).collect(), options).unwrap();
    engine.start();
    (engine, left_out)
}

async fn call(engine: &Engine, tool: &str, arguments: &str) -> ToolResult {
    engine.call(context(), tool, value(arguments), None).await.unwrap()
}

const OBJECT: &str = r#"{"type":"object"}"#;

#[tokio::test(start_paused = true)]
async fn a_result_is_passed_on_as_it_came() {
    let (engine, _) = engine(vec![offered("echo", OBJECT, None)], Options::default());
    let part = r#"{"type":"text","text":"a","annotations":{"priority":1.0},"_meta":{"x":1}}"#;
    let link = r#"{"type":"resource_link","uri":"a:b","name":"b","size":7}"#;
    let result = format!(r#"{{"content":[{part},{link}],"structuredContent":{{"n":1.10}}}}"#);
    let result = call(&engine, "echo", &result).await;
    assert!(result.error.is_none(), "{:?}", result.error);
    assert_eq!(result.content, [Content::Part(value(part)), Content::Part(value(link))]);
    assert_eq!(result.structured.unwrap().to_json(), r#"{"n":1.10}"#);
    // An error keeps its parts, and is one here, too.
    let result =
        call(&engine, "echo", r#"{"content":[{"type":"text","text":"no such page"}],"isError":true}"#).await;
    let error = result.error.unwrap();
    assert_eq!((error.kind(), result.content.len()), (Kind::Rejected, 1));
    assert_eq!(error.public(), "`echo` failed: no such page");
    // Clients of the legacy era take objects only.
    let result = call(&engine, "echo", r#"{"content":[],"structuredContent":[1]}"#).await;
    assert_eq!(result.structured.unwrap().to_json(), r#"{"result":[1]}"#);
}

#[tokio::test(start_paused = true)]
async fn schemas_are_published_as_they_are_and_wrong_ones_harm_nobody() {
    // The pattern is none that we can check in linear time.
    let odd = r#"{"type":"object","properties":{"a":{"pattern":"(?=x)"}},"$schema":"http://json-schema.org/draft-07/schema#"}"#;
    let list = r#"{"type":"array"}"#;
    let tools = vec![offered("odd", odd, Some(list)), offered("good", OBJECT, Some(OBJECT))];
    let (engine, left_out) = engine(tools, Options::default());
    assert_eq!(left_out, [""; 0]);
    let names: Vec<&str> = engine.list().iter().map(|tool| &*tool.name).collect();
    assert_eq!(names, ["own", "odd", "good"]);
    let odd_one = engine.find("odd").unwrap();
    assert_eq!(odd_one.input_schema.to_json(), odd);
    assert_eq!(odd_one.output_schema.as_ref().unwrap().get("type").unwrap().to_json(), r#""object""#);
    assert!(odd_one.read_only && odd_one.description.is_empty());
    assert!(call(&engine, "odd", r#"{"content":[],"a":"y"}"#).await.error.is_none());
    // What can be checked is: nothing is sent then.
    let strict = r#"{"type":"object","required":["a"]}"#;
    let (engine, _) = self::engine(vec![offered("strict", strict, None)], Options::default());
    assert_eq!(call(&engine, "strict", "{}").await.error.unwrap().kind(), Kind::Invalid);
}

/// What it says of its progress, and nothing of our own stages around it.
#[tokio::test(start_paused = true)]
async fn progress_is_that_of_the_other_server() {
    let op = r#"{ "do": "shares", "value": "${.shares}" }"#;
    let (engine, _) = engine(vec![doing(op, "work", OBJECT, None)], Options::default());
    let reports = Arc::new(Reports::default());
    let input = value(r#"{ "shares": [0.25, 0.5, 1] }"#);
    engine.call(context(), "work", input, Some(reports.clone())).await.unwrap();
    let reports = reports.0.lock().unwrap();
    let told: Vec<_> = reports.iter().map(|report| (report.total, report.message.as_deref())).collect();
    assert_eq!(told, [(Some(1.0), Some("0.25")), (Some(1.0), Some("0.5")), (Some(1.0), Some("1"))]);
    assert!(reports.iter().zip([0.25, 0.5, 1.0]).all(|(report, share)| (report.done - share).abs() < 0.01));
}

#[tokio::test(start_paused = true)]
async fn names_that_meet_are_told_and_the_configs_own_stays() {
    let tools = ["own", "a", "a", "task_status"].map(|name| offered(name, OBJECT, None)).into();
    let (engine, left_out) = engine(tools, Options::default());
    assert_eq!(engine.list().len(), 2);
    assert_eq!(left_out.len(), 3, "{left_out:?}");
    assert!(
        left_out.iter().all(|text| text.contains("`crm`") && text.contains("`rename` or `prefix`")),
        "{left_out:?}"
    );
    assert!(!engine.find("own").unwrap().description.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_kept_and_told() {
    let options = || Options { result_bytes: 100, ..Options::default() };
    let (engine, _) = engine(vec![offered("echo", OBJECT, None)], options());
    let large = format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, "x".repeat(200));
    let result = call(&engine, "echo", &large).await;
    assert!(result.error.is_none());
    assert!(
        matches!(&result.content[0], Content::Text(text) if text.contains("`server.limits.result_bytes`"))
    );
    assert!(matches!(&result.content[1], Content::Link { .. }));
    // A promised structure cannot be left out.
    let (engine, _) = self::engine(vec![offered("echo", OBJECT, Some(OBJECT))], options());
    let error = call(&engine, "echo", &large).await.error.unwrap();
    assert!(error.public().contains("ask for less"), "{error}");
}
