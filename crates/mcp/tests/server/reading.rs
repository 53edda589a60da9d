//! Resources, prompts and completion on the wire, in both eras.

use std::{future::pending, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use renkei_core::{
    CallContext, Error, Kind, Principal, Result, Value as CoreValue,
    complete::{Completion, Partial},
    principal::How,
    prompt::{ArgumentInfo, Message, PromptInfo, Prompts},
    resource::{Annotations, Contents, Listing, ResourceInfo, Resources, Role, Watch},
    tool::{Content, ResourceBody},
};
use renkei_mcp::{Endpoints, Info, Limits, Server, Site, router};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::{
    fake::Fake,
    wire::{Face, modern},
};

pub(crate) struct Library {
    templates: Vec<ResourceInfo>,
    prompts: Vec<PromptInfo>,
    /// Every watch hears of each.
    pub(crate) changes: broadcast::Sender<()>,
}

/// A watch of whatever.
struct Told(broadcast::Receiver<()>);

fn info(uri: &str) -> ResourceInfo {
    ResourceInfo {
        uri: uri.into(),
        name: uri.into(),
        title: Some("A title".into()),
        description: None,
        mime_type: Some("text/plain".into()),
        size: Some(3),
        annotations: Annotations { audience: vec![Role::User, Role::Assistant], priority: Some(0.5) },
        icons: vec![],
    }
}

impl Library {
    pub(crate) fn new() -> Arc<Self> {
        let argument =
            ArgumentInfo { name: "a".into(), title: None, description: Some("An a".into()), required: true };
        let prompt = |name: &str| PromptInfo {
            name: name.into(),
            title: None,
            description: Some("A prompt".into()),
            icons: vec![],
            arguments: vec![argument.clone()],
        };
        Arc::new(Library {
            templates: ["x://a/{id}", "x://b/{id}", "x://c/{id}"].map(info).into(),
            prompts: ["p", "q", "r"].map(prompt).into(),
            changes: broadcast::Sender::new(4),
        })
    }
}

#[async_trait]
impl Resources for Library {
    async fn list(&self, _: CallContext) -> Result<Listing> {
        let resources = ["x:1", "x:2", "x:3"].map(info).into();
        Ok(Listing { resources, missing: vec!["one list is missing".into()], queried: true })
    }

    fn fixed(&self) -> Vec<ResourceInfo> {
        ["x:1", "x:2", "x:3"].map(info).into()
    }

    fn templates(&self) -> &[ResourceInfo] {
        &self.templates
    }

    async fn read(&self, _: CallContext, uri: &str) -> Result<Contents> {
        let body = match uri {
            "x:1" => ResourceBody::Text("abc".into()),
            "x:2" => ResourceBody::Blob(Bytes::from_static(b"\x00\xff")),
            "x:hang" => pending().await,
            "x:panic" => panic!("a fault of the resource"),
            "x:down" => return Err(Error::unavailable("the system is away")),
            "x:odd" => return Err(Error::invalid("the arguments do not fit")),
            _ => return Err(Error::new(Kind::NotFound, "there is no such resource")),
        };
        let meta = Some(CoreValue::from([("part", 1i64)]));
        let private = uri == "x:2";
        Ok(Contents { mime_type: None, body, meta, ttl: Duration::from_millis(1500), private })
    }

    async fn complete(&self, _: CallContext, uri: &str, partial: Partial) -> Result<Completion> {
        Ok(Completion { values: vec![uri.into(), format!("{partial:?}")], total: 2 })
    }

    async fn watch(self: Arc<Self>, cx: CallContext, uri: &str) -> Result<Box<dyn Watch>> {
        self.read(cx, uri).await?;
        Ok(Box::new(Told(self.changes.subscribe())))
    }

    fn has_watched(&self) -> bool {
        true
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(20)
    }
}

#[async_trait]
impl Watch for Told {
    async fn changed(&mut self) {
        self.0.recv().await.unwrap();
    }
}

#[async_trait]
impl Prompts for Library {
    fn list(&self) -> &[PromptInfo] {
        &self.prompts
    }

    async fn get(&self, _: CallContext, name: &str, arguments: CoreValue) -> Result<Vec<Message>> {
        if name != "p" {
            return Err(Error::new(Kind::NotFound, "there is no such prompt"));
        }
        let text = |role, text: String| Message { role, content: Content::Text(text) };
        Ok(vec![text(Role::User, arguments.to_json()), text(Role::Assistant, "yes".into())])
    }

    async fn complete(&self, _: CallContext, name: &str, partial: Partial) -> Result<Completion> {
        let values = (0..100).map(|n| format!("{name} {} {n}", partial.value)).collect();
        Ok(Completion { values, total: 500 })
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(20)
    }
}

/// A face with a library, and with pages of two entries.
fn face() -> Face {
    face_of(Library::new())
}

pub(crate) fn face_of(library: Arc<Library>) -> Face {
    site_of(library).0
}

/// The same with what it serves, to be replaced.
pub(crate) fn site_of(library: Arc<Library>) -> (Face, Arc<Site>) {
    let (fake, events) = Fake::new();
    let shutdown = CancellationToken::new();
    let site = Site::new(endpoints(&fake, library), shutdown.clone());
    (Face { router: router(site.clone()), fake, events, shutdown }, site)
}

pub(crate) fn endpoints(fake: &Arc<Fake>, library: Arc<Library>) -> Endpoints {
    let info = Info {
        name: "fake".into(),
        title: None,
        version: "1".into(),
        description: None,
        instructions: None,
        icons: vec![],
    };
    let limits = Limits { list_page: 2, subscriptions: 2, ..Limits::default() };
    let server = Server::new(fake.clone(), info, limits);
    Endpoints::new(server.with_resources(library.clone()).with_prompts(library))
}

/// A modern request with the header that names what is asked for.
async fn ask(face: &Face, method: &str, params: Value) -> Value {
    let name = params["uri"].as_str().map(str::to_owned);
    let mut post = modern(method, params);
    if let Some(name) = name {
        post = post.header("mcp-name", &name);
    }
    face.send(post.build()).await.json().await
}

#[tokio::test]
async fn only_what_is_there_is_offered() {
    let face = face();
    let result = ask(&face, "server/discover", json!({})).await;
    assert_eq!(
        result["result"]["capabilities"],
        json!({
            "completions": {},
            "logging": {},
            "prompts": {"listChanged": true},
            "resources": {"listChanged": true, "subscribe": true},
            "tools": {"listChanged": true}
        })
    );
    let plain = Face::new();
    let session = plain.initialize().await;
    for method in ["resources/list", "resources/templates/list", "prompts/list"] {
        assert_eq!(ask(&plain, method, json!({})).await["error"]["code"], -32601, "{method}");
        let legacy = plain.legacy(&session, method, json!({})).await.message().await;
        assert_eq!(legacy["error"]["code"], -32601, "{method}");
    }
    assert_eq!(ask(&plain, "resources/read", json!({"uri": "x:1"})).await["error"]["code"], -32601);
    // Parameters that do not fit are not an unknown method.
    assert_eq!(ask(&face, "prompts/get", json!({"nome": "p"})).await["error"]["code"], -32602);
}

#[tokio::test]
async fn lists_come_in_pages_with_cursors_of_their_own() {
    let face = face();
    let session = face.initialize().await;
    for (method, key, name) in [
        ("resources/list", "resources", "uri"),
        ("resources/templates/list", "resourceTemplates", "uriTemplate"),
        ("prompts/list", "prompts", "name"),
        ("tools/list", "tools", "name"),
    ] {
        let first = ask(&face, method, json!({})).await["result"].clone();
        assert_eq!(first[key].as_array().unwrap().len(), 2, "{method}");
        assert_eq!(first["cacheScope"], "public");
        let ttl = if method == "resources/list" { 0 } else { 60_000 };
        assert_eq!(first["ttlMs"], ttl, "{method}");
        let cursor = first["nextCursor"].clone();
        let second = ask(&face, method, json!({"cursor": cursor})).await["result"].clone();
        assert_ne!(second[key][0][name], first[key][0][name]);
        let legacy = face.legacy(&session, method, json!({"cursor": cursor})).await.message().await;
        assert_eq!(legacy["result"][key], second[key], "{method}");
        assert_eq!(legacy["result"].get("ttlMs"), None);
        let wrong = ask(&face, method, json!({"cursor": "bm9uZSAy"})).await;
        assert_eq!(wrong["error"]["code"], -32602, "{method}");
    }
    let list = ask(&face, "resources/list", json!({})).await;
    assert_eq!(list["result"]["_meta"]["renkei/incomplete"], json!(["one list is missing"]));
    assert_eq!(
        list["result"]["resources"][0],
        json!({"uri": "x:1", "name": "x:1", "title": "A title", "mimeType": "text/plain", "size": 3,
               "annotations": {"audience": ["user", "assistant"], "priority": 0.5}})
    );
}

#[tokio::test]
async fn a_read_gives_contents_and_how_long_to_keep_them() {
    let face = face();
    let result = ask(&face, "resources/read", json!({"uri": "x:1"})).await["result"].clone();
    assert_eq!(result["contents"], json!([{"uri": "x:1", "text": "abc", "_meta": {"part": 1}}]));
    assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(1500), &json!("public")));
    assert_eq!(result["resultType"], "complete");
    let own = ask(&face, "resources/read", json!({"uri": "x:2"})).await["result"].clone();
    assert_eq!(own["contents"][0]["blob"], "AP8=");
    assert_eq!(own["cacheScope"], "private");
    let named = Principal { name: "ann".into(), how: How::ApiKey, claims: CoreValue::object() };
    let post = modern("resources/read", json!({"uri": "x:1"})).header("mcp-name", "x:1").from(named);
    assert_eq!(face.send(post.build()).await.json().await["result"]["cacheScope"], "private");

    let session = face.initialize().await;
    let legacy = face.legacy(&session, "resources/read", json!({"uri": "x:1"})).await.message().await;
    assert_eq!(legacy["result"].as_object().unwrap().keys().collect::<Vec<_>>(), ["contents"]);
}

#[tokio::test]
async fn what_goes_wrong_is_each_eras_error() {
    let face = face();
    let session = face.initialize().await;
    for (uri, modern, legacy) in [
        ("x:none", -32602, -32002),
        ("x:odd", -32602, -32602),
        ("x:down", -32603, -32603),
        ("x:panic", -32603, -32603),
    ] {
        let error = ask(&face, "resources/read", json!({"uri": uri})).await["error"].clone();
        assert_eq!(error["code"], modern, "{uri}");
        let answer = face.legacy(&session, "resources/read", json!({"uri": uri})).await.message().await;
        assert_eq!(answer["error"]["code"], legacy, "{uri}");
        assert!(!error["message"].as_str().unwrap().contains("a fault of the resource"));
    }
    let error = ask(&face, "resources/read", json!({"uri": "x:none"})).await["error"].clone();
    assert_eq!(error["data"], json!({"uri": "x:none"}));
    let error = ask(&face, "prompts/get", json!({"name": "none"})).await["error"].clone();
    assert_eq!((&error["code"], &error["data"]), (&json!(-32602), &json!({"kind": "not_found"})));
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_read() {
    let (fake, _events) = Fake::new();
    let info = Info {
        name: "fake".into(),
        title: None,
        version: "1".into(),
        description: None,
        instructions: None,
        icons: vec![],
    };
    let limits = Limits { calls: 1, ..Limits::default() };
    let server = Server::new(fake, info, limits).with_resources(Library::new());
    let router = router(Site::new(Endpoints::new(server), CancellationToken::new()));
    let (fake, events) = Fake::new();
    let face = Face { fake, events, shutdown: CancellationToken::new(), router };
    let read = |uri: &str| modern("resources/read", json!({"uri": uri})).header("mcp-name", uri).build();
    let mut hanging = Box::pin(face.send(read("x:hang")));
    // The other request shows that the first one has its place, and then that it gave it back.
    loop {
        let answer = tokio::select! {
            biased;
            _ = &mut hanging => panic!("it hangs"),
            answer = face.send(read("x:1")) => answer,
        };
        if answer.json().await["error"]["code"] == -32603 {
            break;
        }
    }
    drop(hanging);
    while face.send(read("x:1")).await.json().await.get("result").is_none() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn prompts_and_completions() {
    let face = face();
    let session = face.initialize().await;
    let params = json!({"name": "p", "arguments": {"a": "1"}});
    let modern = ask(&face, "prompts/get", params.clone()).await["result"].clone();
    let legacy = face.legacy(&session, "prompts/get", params).await.message().await["result"].clone();
    assert_eq!(modern["messages"], legacy["messages"]);
    assert_eq!(
        legacy,
        json!({"description": "A prompt", "messages": [
            {"role": "user", "content": {"type": "text", "text": "{\"a\":\"1\"}"}},
            {"role": "assistant", "content": {"type": "text", "text": "yes"}}]})
    );
    let list = ask(&face, "prompts/list", json!({})).await;
    assert_eq!(
        list["result"]["prompts"][0],
        json!({"name": "p", "description": "A prompt",
               "arguments": [{"name": "a", "description": "An a", "required": true}]})
    );
    let params = json!({"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": "v"}});
    let found = ask(&face, "completion/complete", params).await["result"]["completion"].clone();
    assert_eq!(
        (&found["values"][0], &found["total"], &found["hasMore"]),
        (&json!("p v 0"), &json!(500), &json!(true))
    );
    let params = json!({"ref": {"type": "ref/resource", "uri": "x://a/{id}"}, "argument": {"name": "id", "value": "v"},
                        "context": {"arguments": {"b": "2", "a": "1"}}});
    let found = face.legacy(&session, "completion/complete", params).await;
    assert_eq!(found.status, StatusCode::OK);
    let mut found = found;
    let values = found.message().await["result"]["completion"]["values"].clone();
    assert_eq!(values[0], "x://a/{id}");
    assert!(values[1].as_str().unwrap().contains(r#"given: [("a", "1"), ("b", "2")]"#), "{values}");
}
