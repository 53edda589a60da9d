//! A part of what an engine offers.

use std::{sync::Arc, time::Duration};

use renkei_core::{
    Kind,
    complete::CompletePlan,
    group::GroupPlan,
    prompt::{PromptPlan, Prompts},
    resource::{BodyPlan, ResourcePlan, Resources},
    tool::{Content, ToolResult, Tools},
};

use super::resources::{listed, partial, prompt, resource, tree};
use crate::{
    engine::{Engine, Group, Options},
    fake::{Fake, Ledger, Tool, context, systems, value},
};

const MANY: &str = r#"{ "crm": { "do": "many", "value": 50 } }"#;

/// Of each kind `inside` and `outside`; the group has the former.
fn group(options: Options) -> (Arc<Engine>, Group, Arc<Ledger>) {
    let ledger = Arc::new(Ledger::default());
    let systems = systems(Fake { ledger: ledger.clone(), connect_takes: Duration::ZERO });
    let tools = ["inside", "outside"].map(|name| Tool::of(MANY).plan(name, &systems)).into();
    let fixed = |name: &str| {
        let plan = resource(&format!("x:{name}"), None, BodyPlan::Text(tree(r#""text""#)));
        ResourcePlan { name: name.into(), ..plan }
    };
    // `outside` lists instances, and would be asked first.
    let outside = ResourcePlan { name: "outside".into(), ..listed(MANY) };
    let template = resource("y://{id}", None, BodyPlan::Text(tree(r#""text""#)));
    let template = ResourcePlan { name: "inside".into(), ..template };
    let resources = vec![fixed("inside"), fixed("outside"), outside, template];
    let values = || CompletePlan::Values(vec!["dry".into()]);
    let prompts =
        ["outside", "inside"].map(|name| PromptPlan { name: name.into(), ..prompt(None, values()) }).into();
    let engine = Engine::new(systems, tools, options).unwrap().offering(resources, prompts).unwrap();
    engine.start();
    let engine = Arc::new(engine);
    let inside: Vec<Arc<str>> = vec!["inside".into()];
    let plan = GroupPlan {
        patterns: Vec::new(),
        name: "g".into(),
        title: None,
        description: None,
        instructions: None,
        tools: inside.clone(),
        resources: inside.clone(),
        prompts: inside,
    };
    (engine.clone(), Group::new(engine, &plan), ledger)
}

#[tokio::test(start_paused = true)]
async fn only_what_is_inside_is_listed_and_found() {
    let (_, group, ledger) = group(Options::default());
    let tools: Vec<&str> = Tools::list(&group).iter().map(|tool| &*tool.name).collect();
    assert_eq!(tools, ["inside"]);
    assert!(group.find("inside").is_some() && group.find("outside").is_none());
    let prompts: Vec<&str> = Prompts::list(&group).iter().map(|prompt| &*prompt.name).collect();
    assert_eq!(prompts, ["inside"]);
    let templates: Vec<&str> = group.templates().iter().map(|info| &*info.uri).collect();
    assert_eq!(templates, ["y://{id}"]);
    let listing = Resources::list(&group, context()).await.unwrap();
    let uris: Vec<&str> = listing.resources.iter().map(|info| &*info.uri).collect();
    assert_eq!((uris, listing.queried), (vec!["x:inside"], false));
    // What lists the others was not asked.
    assert_eq!(ledger.calls.lock().unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_outside_does_not_exist() {
    let (engine, group, ledger) = group(Options::default());
    assert!(group.call(context(), "outside", value("{}"), None).await.is_err());
    for uri in ["x:outside", "x://1/a"] {
        let (there, here) = (engine.read(context(), uri).await, group.read(context(), uri).await);
        assert!(there.is_ok());
        assert_eq!(here.unwrap_err().to_string(), format!("there is no resource `{uri}`"));
    }
    let error = group.get(context(), "outside", value(r#"{ "id": 1 }"#)).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::NotFound, "there is no prompt `outside`"));
    let error = Prompts::complete(&group, context(), "outside", partial("tone", "")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let template = "x://{id}/{name}";
    let error = Resources::complete(&group, context(), template, partial("id", "")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(ledger.calls.lock().unwrap().len(), 0);

    assert!(group.call(context(), "inside", value("{}"), None).await.unwrap().error.is_none());
    assert!(group.read(context(), "x:inside").await.is_ok() && group.read(context(), "y://1").await.is_ok());
    assert!(group.get(context(), "inside", value(r#"{ "id": 1 }"#)).await.is_ok());
    let found = Prompts::complete(&group, context(), "inside", partial("tone", "")).await.unwrap();
    assert_eq!(found.values, ["dry"]);
}

fn kept_uri(result: &ToolResult) -> &str {
    let link = result.content.iter().find_map(|part| match part {
        Content::Link { uri, .. } => Some(uri.as_str()),
        _ => None,
    });
    link.expect("the result is kept")
}

#[tokio::test(start_paused = true)]
async fn a_kept_result_is_read_where_its_tool_is() {
    let (engine, group, _) = group(Options { result_bytes: 50, ..Options::default() });
    let inside = engine.call(context(), "inside", value("{}"), None).await.unwrap();
    let outside = engine.call(context(), "outside", value("{}"), None).await.unwrap();
    assert!(group.read(context(), kept_uri(&inside)).await.is_ok());
    let error = group.read(context(), kept_uri(&outside)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(engine.read(context(), kept_uri(&outside)).await.is_ok());
    let own = group.call(context(), "inside", value("{}"), None).await.unwrap();
    assert!(group.read(context(), kept_uri(&own)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn kept_results_go_to_the_next_engine() {
    let options = || Options { result_bytes: 50, ..Options::default() };
    let (old, _, _) = group(options());
    let kept = old.call(context(), "inside", value("{}"), None).await.unwrap();
    let systems = systems(Fake { ledger: Arc::default(), connect_takes: Duration::ZERO });
    let next = Engine::new(systems, Vec::new(), options()).unwrap().following(&old);
    drop(old);
    assert!(next.read(context(), kept_uri(&kept)).await.is_ok());
}
