//! Resources, prompts and completion.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use indexmap::IndexMap;
use renkei_core::{
    ActionContext, ActionNode, Diagnostics, Kind, Pattern, Tree,
    complete::{CompletePlan, Completion, Partial},
    pattern::NoActions,
    prompt::{PromptPlan, Prompts},
    resource::{BodyPlan, Contents, ListPlan, ResourcePlan, Resources, Role},
    template::Names,
    tool::{Content, ContentPlan, ResourceBody},
    uri::UriTemplate,
};

use crate::{
    PATTERNS,
    engine::{Engine, Options},
    fake::{Fake, Ledger, context, node, systems, value},
};

pub(super) fn tree(json: &str) -> Tree {
    let vars = ["result", "result_meta", "item", "index"].map(Into::into).into();
    let names = Names { vars, ..Names::default() };
    Tree::read(&node(json), &names, &mut Diagnostics::default()).unwrap()
}

struct Bench {
    engine: Engine,
    ledger: Arc<Ledger>,
}

fn action(json: &str) -> Arc<dyn Pattern> {
    let systems = systems(Fake { ledger: Arc::default(), connect_takes: Duration::ZERO });
    let mut d = Diagnostics::default();
    let mut cx = ActionContext {
        systems: &systems,
        patterns: PATTERNS,
        actions: &NoActions,
        names: Names::default(),
        journaled: false,
        diagnostics: &mut d,
    };
    PATTERNS[0].read(&ActionNode::alone(&node(json)), &mut cx).unwrap()
}

pub(super) fn resource(uri: &str, call: Option<&str>, body: BodyPlan) -> ResourcePlan {
    let uri = UriTemplate::parse(uri).unwrap();
    let text = r#"{ "type": "string" }"#;
    let properties: Vec<String> = uri
        .variables()
        .map(|name| {
            format!("\"{name}\": {}", if &**name == "id" { r#"{ "type": "integer" }"# } else { text })
        })
        .collect();
    let schema = format!(r#"{{ "type": "object", "properties": {{ {} }} }}"#, properties.join(", "));
    ResourcePlan {
        name: "r".into(),
        uri,
        title: None,
        description: Some("about".into()),
        mime_type: None,
        size: None,
        annotations: Default::default(),
        icons: Vec::new(),
        input_schema: value(&schema),
        action: call.map(action),
        body,
        list: None,
        complete: IndexMap::new(),
        ttl: Duration::from_secs(7),
        watch: None,
        timeout: None,
    }
}

fn bench(resources: Vec<ResourcePlan>, prompts: Vec<PromptPlan>, options: Options) -> Bench {
    let ledger = Arc::new(Ledger::default());
    let systems = systems(Fake { ledger: ledger.clone(), connect_takes: Duration::ZERO });
    let engine = Engine::new(systems, Vec::new(), options).unwrap().offering(resources, prompts).unwrap();
    engine.start();
    Bench { engine, ledger }
}

fn one(plan: ResourcePlan) -> Bench {
    bench(vec![plan], Vec::new(), Options::default())
}

fn text(contents: &Contents) -> &str {
    match &contents.body {
        ResourceBody::Text(text) => text,
        ResourceBody::Blob(_) => panic!("{contents:?}"),
    }
}

const ECHO: &str = r#"{ "crm": { "value": "${.}" } }"#;

#[tokio::test(start_paused = true)]
async fn a_template_gives_its_variables_to_the_action() {
    let bench = one(resource("shop://x/{id}{?q}", Some(ECHO), BodyPlan::Result(None)));
    let read = bench.engine.read(context(), "shop://x/12345678901234567890?q=a%20b").await.unwrap();
    assert_eq!(text(&read), r#"{"id":12345678901234567890,"q":"a b"}"#);
    assert_eq!(read.mime_type.as_deref(), Some("application/json"));
    assert_eq!(read.ttl, Duration::from_secs(7));
    let error = bench.engine.read(context(), "shop://x/one").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("integer"), "{error}");
    let error = bench.engine.read(context(), "shop://y/1").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (Kind::NotFound, "there is no resource `shop://y/1`")
    );
    // Neither went to the system.
    assert_eq!(bench.ledger.calls.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_plain_uri_goes_before_a_template() {
    let fixed = resource("shop://x/1", None, BodyPlan::Text(tree(r#""the first""#)));
    let template = resource("shop://x/{name}", None, BodyPlan::Text(tree(r#""name ${.name}""#)));
    let bench = bench(vec![template, fixed], Vec::new(), Options::default());
    assert_eq!(text(&bench.engine.read(context(), "shop://x/1").await.unwrap()), "the first");
    assert_eq!(text(&bench.engine.read(context(), "shop://x/2").await.unwrap()), "name 2");
    assert_eq!(bench.engine.templates().len(), 1);
    assert_eq!(Resources::list(&bench.engine, context()).await.unwrap().resources.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn bodies_of_every_kind() {
    let blob = r#"{ "crm": { "do": "blob", "value": "image/png" } }"#;
    let folder = std::env::temp_dir().join(format!("renkei-resources-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.md"), "# Hello").unwrap();
    std::fs::write(folder.join("a.bin"), [0xff, 0xfe]).unwrap();
    let options = Options { base_dir: folder.clone(), content_bytes: 20, ..Options::default() };
    let plans = vec![
        resource("x:blob", Some(blob), BodyPlan::Result(None)),
        resource(
            "x:shaped",
            Some(ECHO),
            BodyPlan::Result(Some(tree(r#"{ "is": "${$result_meta.status}" }"#))),
        ),
        resource("x:text", Some(ECHO), BodyPlan::Text(tree(r#""status ${$result_meta.status}""#))),
        resource("x:base64", None, BodyPlan::Blob(tree(r#""/w==""#))),
        resource("x:wrong", None, BodyPlan::Blob(tree(r#""no base64""#))),
        resource("x:file", None, BodyPlan::File("a.md".into())),
        resource("x:bytes", None, BodyPlan::File("a.bin".into())),
        resource("x:gone", None, BodyPlan::File("gone.md".into())),
        resource("x:large", None, BodyPlan::Text(tree(r#""123456789012345678901""#))),
    ];
    let bench = bench(plans, Vec::new(), options);
    let read = async |uri: &str| match bench.engine.read(context(), uri).await {
        Ok(Contents { mime_type, body: ResourceBody::Text(text), .. }) => format!("{mime_type:?} {text}"),
        Ok(Contents { mime_type, body: ResourceBody::Blob(bytes), .. }) => format!("{mime_type:?} {bytes:?}"),
        Err(error) => format!("{}: {error}", error.kind()),
    };
    assert_eq!(read("x:blob").await, r#"Some("image/png") b"\x89PNG""#);
    assert_eq!(read("x:shaped").await, r#"Some("application/json") {"is":200}"#);
    assert_eq!(read("x:text").await, r#"Some("text/plain") status 200"#);
    assert_eq!(read("x:base64").await, r#"None b"\xff""#);
    assert!(read("x:wrong").await.starts_with("internal: the resource's `blob` does not work out"));
    assert_eq!(read("x:file").await, r##"Some("text/markdown") # Hello"##);
    assert_eq!(read("x:bytes").await, r#"None b"\xff\xfe""#);
    assert_eq!(read("x:gone").await, "not_found: the file behind the resource cannot be read");
    assert_eq!(
        read("x:large").await,
        "rejected: the resource has 21 bytes, and at most 20 bytes can be given (`server.limits.content_bytes`)"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

pub(super) fn listed(call: &str) -> ResourcePlan {
    let list = ListPlan {
        action: action(call),
        items: None,
        variables: IndexMap::from_iter([("name".into(), tree(r#""n${$item.id}""#))]),
        name: Some(tree(r#""${$index}: ${$item.id}""#)),
        title: None,
        description: None,
        mime_type: None,
        size: None,
    };
    ResourcePlan { list: Some(list), ..resource("x://{id}/{name}", None, BodyPlan::Text(tree(r#""x""#))) }
}

#[tokio::test(start_paused = true)]
async fn instances_come_from_a_query_and_are_capped() {
    let options = Options { listed_resources: 2, ..Options::default() };
    let bench = bench(vec![listed(r#"{ "crm": { "do": "many", "value": 5 } }"#)], Vec::new(), options);
    let listing = Resources::list(&bench.engine, context()).await.unwrap();
    let found: Vec<_> = listing.resources.iter().map(|info| (&*info.uri, &*info.name)).collect();
    assert_eq!(found, [("x://0/n0", "0: 0"), ("x://1/n1", "1: 1")]);
    assert_eq!(listing.resources[0].description.as_deref(), Some("about"));
    assert_eq!(listing.missing, ["the list of `r` is cut after 2: 3 more are left out"]);
    assert!(listing.queried);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_takes_nothing_else_with_it() {
    for (call, says) in [
        (r#"{ "crm": { "do": "busy", "value": 1 } }"#, "503"),
        (r#"{ "crm": { "do": "panic", "value": 1 } }"#, "fault"),
        (r#"{ "crm": { "value": "text" } }"#, "not an array"),
        (r#"{ "crm": { "value": [{ "number": 1 }] } }"#, "the variable `id`"),
    ] {
        let fixed = resource("x:fixed", None, BodyPlan::Text(tree(r#""x""#)));
        let bench = bench(vec![fixed, listed(call)], Vec::new(), Options::default());
        let listing = Resources::list(&bench.engine, context()).await.unwrap();
        assert_eq!(listing.resources.len(), 1);
        assert!(listing.missing[0].contains(says), "{:?}", listing.missing);
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_has_a_deadline_and_a_place_under_the_limit() {
    let plan = resource("x:hang", Some(r#"{ "crm": { "do": "hang", "value": 1 } }"#), BodyPlan::Result(None));
    let options = Options { concurrent_calls: 1, ..Options::default() };
    let timeout = Some(Duration::from_secs(5));
    let bench = bench(vec![ResourcePlan { timeout, ..plan }], Vec::new(), options);
    let (first, second) =
        tokio::join!(bench.engine.read(context(), "x:hang"), bench.engine.read(context(), "x:hang"));
    assert_eq!(first.unwrap_err().kind(), Kind::Timeout);
    assert_eq!(second.unwrap_err().kind(), Kind::RateLimited);
    assert_eq!(bench.ledger.open.load(Ordering::SeqCst), 0);
    assert_eq!(Resources::timeout(&bench.engine), Duration::from_secs(60));
}

pub(super) fn partial(name: &str, typed: &str) -> Partial {
    Partial { name: name.into(), value: typed.into(), given: vec![("other".into(), "7".into())] }
}

pub(super) fn prompt(call: Option<&str>, complete: CompletePlan) -> PromptPlan {
    let message = |role, text: &str| (role, ContentPlan::Text { text: tree(text) });
    PromptPlan {
        name: "p".into(),
        title: None,
        description: None,
        icons: Vec::new(),
        input_schema: value(
            r#"{ "type": "object", "required": ["id"], "additionalProperties": false, "properties": {
                "id": { "type": "integer", "title": "Number", "description": "Which." }, "tone": { "type": "string", "default": "dry" } } }"#,
        ),
        action: call.map(action),
        messages: vec![
            message(Role::User, r#""${.id + 1} ${.tone}""#),
            message(Role::User, r#""${.absent}""#),
            message(Role::Assistant, r#""${$result.id}""#),
        ],
        complete: IndexMap::from_iter([("tone".into(), complete)]),
        timeout: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_prompt_is_filled_in() {
    let none = CompletePlan::Values(Vec::new());
    let bench = bench(Vec::new(), vec![prompt(Some(ECHO), none)], Options::default());
    let info = &Prompts::list(&bench.engine)[0];
    let arguments: Vec<_> =
        info.arguments.iter().map(|a| (&*a.name, a.required, a.title.as_deref())).collect();
    assert_eq!(arguments, [("id", true, Some("Number")), ("tone", false, None)]);
    for given in [r#"{ "id": "6" }"#, r#"{ "id": 6, "tone": null }"#] {
        let messages = bench.engine.get(context(), "p", value(given)).await.unwrap();
        let texts: Vec<_> = messages.iter().map(|message| (message.role, message.content.clone())).collect();
        let expected = [(Role::User, "7 dry"), (Role::Assistant, "6")];
        assert_eq!(texts, expected.map(|(role, text)| (role, Content::Text(text.into()))));
    }
    for (given, says) in
        [("{}", "`id` is missing"), (r#"{ "id": "x" }"#, "integer"), (r#"{ "id": "1", "ton": "" }"#, "ton")]
    {
        let error = bench.engine.get(context(), "p", value(given)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(bench.engine.get(context(), "q", value("{}")).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn completion_from_a_list_and_from_a_query() {
    let words = ["Dry", "drastic", "plain"].map(Into::into).into();
    let complete = async |plan, typed: &str| {
        let bench = bench(Vec::new(), vec![prompt(None, plan)], Options::default());
        Prompts::complete(&bench.engine, context(), "p", partial("tone", typed)).await
    };
    let found = complete(CompletePlan::Values(words), "DR").await.unwrap();
    assert_eq!(found, Completion { values: vec!["Dry".into(), "drastic".into()], total: 2 });

    let many = (0..150).map(|n| format!("v{n}").into()).collect();
    let found = complete(CompletePlan::Values(many), "").await.unwrap();
    assert_eq!((found.values.len(), found.total), (100, 150));

    let query =
        |call, values: Option<&str>| CompletePlan::Query { action: action(call), values: values.map(tree) };
    let rows =
        r#"{ "crm": { "value": [{ "name": "${.value}" }, { "name": "${.arguments.other}" }, 3, null] } }"#;
    assert_eq!(complete(query(rows, None), "a").await.unwrap().values, ["a", "7", "3"]);
    let shaped = complete(query(ECHO, Some(r#""${[$result.value, .value]}""#)), "a").await.unwrap();
    assert_eq!(shaped.values, ["a", "a"]);
    let error = complete(query(ECHO, None), "a").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    let error =
        complete(query(r#"{ "crm": { "value": [{ "a": 1, "b": 2 }] } }"#, None), "a").await.unwrap_err();
    assert!(error.to_string().contains("`complete` of `tone` in the prompt `p` gave"), "{error}");

    let bench = bench(
        vec![resource("x://{id}", None, BodyPlan::Text(tree(r#""x""#)))],
        vec![prompt(None, CompletePlan::Values(Vec::new()))],
        Options::default(),
    );
    // Without `complete` there is nothing to say; what does not exist is refused.
    let found = Resources::complete(&bench.engine, context(), "x://{id}", partial("id", "1")).await.unwrap();
    assert_eq!(found, Completion::default());
    for (uri, name) in [("x://{id}", "other"), ("x://1", "id")] {
        let error = Resources::complete(&bench.engine, context(), uri, partial(name, "")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
    }
    let error = Prompts::complete(&bench.engine, context(), "p", partial("other", "")).await.unwrap_err();
    assert_eq!(error.to_string(), "the prompt `p` has no argument `other`");
}
