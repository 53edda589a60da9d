//! What is served is replaced while clients are there.

use std::sync::{Arc, Weak};

use http::StatusCode;
use renkei_mcp::{Endpoints, Info, Limits, Server, Site, router};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    fake::{Event, Fake},
    wire::{Answer, Face, Post, modern},
};

const HALF: &str = "/mcp/half";

/// A face on some tools, and on a group with the same; the site, to replace them.
struct Stage {
    face: Face,
    site: Arc<Site>,
}

fn endpoints(fake: &Arc<Fake>) -> Endpoints {
    let endpoints = fake.endpoints(Limits::default());
    endpoints.with_group("half".into(), fake.server(Limits::default()))
}

fn stage(names: &[&str]) -> Stage {
    let (fake, events) = Fake::of(names);
    let shutdown = CancellationToken::new();
    let site = Site::new(endpoints(&fake), shutdown.clone());
    Stage { face: Face { router: router(site.clone()), fake, events, shutdown }, site }
}

impl Stage {
    /// Serves other tools from now on.
    async fn replace(&self, names: &[&str]) -> mpsc::UnboundedReceiver<Event> {
        let (fake, events) = Fake::of(names);
        self.site.replace(endpoints(&fake)).await;
        events
    }

    async fn names(&self) -> String {
        let list = self.face.modern("tools/list", json!({})).await.json().await;
        let tools = list["result"]["tools"].as_array().unwrap().clone();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    }

    async fn listen(&self, filter: Value) -> Answer {
        let mut stream = self.face.modern("subscriptions/listen", json!({"notifications": filter})).await;
        let first = stream.message().await;
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
        stream
    }
}

#[tokio::test]
async fn a_call_ends_on_what_it_began_with() {
    let mut stage = stage(&["echo_when_told", "media"]);
    let session = stage.face.initialize().await;
    let call = json!({"name": "echo_when_told", "arguments": {"a": 1.50}});
    let requests = [
        modern("tools/call", call.clone()).build(),
        Post::new(json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call}))
            .session(&session)
            .build(),
    ];
    for request in requests {
        let router = stage.face.router.clone();
        let running = tokio::spawn(async move {
            let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
            http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes()
        });
        assert_eq!(stage.face.event().await, Event::Started);
        let _events = stage.replace(&["echo"]).await;
        assert_eq!(stage.names().await, "echo");
        let gone = stage.face.modern("tools/call", json!({"name": "echo_when_told"})).await.json().await;
        assert_eq!(gone["error"]["code"], -32602, "{gone}");
        stage.face.fake.told.notify_one();
        let answer = running.await.unwrap();
        let answer = std::str::from_utf8(&answer).unwrap();
        assert!(answer.contains(r#""structuredContent":{"a":1.5}"#), "{answer}");
        let back = endpoints(&stage.face.fake);
        stage.site.replace(back).await;
    }
}

#[tokio::test]
async fn older_clients_are_told_which_list_changed() {
    let stage = stage(&["echo"]);
    let session = stage.face.initialize().await;
    let mut stream = stage.face.send(Post::new(json!(null)).session(&session).method("GET", "")).await;
    // The same again: nobody is told. Then another list, twice.
    for names in [&["echo"][..], &["echo", "media"], &["media"]] {
        let _events = stage.replace(names).await;
    }
    for _ in 0..2 {
        assert_eq!(
            stream.message().await,
            json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        );
    }
    // The session lives on, and sees what is served now.
    let list = stage.face.legacy(&session, "tools/list", json!({})).await.message().await;
    assert_eq!(list["result"]["tools"][0]["name"], "media");
    stage.face.shutdown.cancel();
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn newer_clients_are_told_what_they_asked_for() {
    let stage = stage(&["echo"]);
    let mut stream = stage.listen(json!({"toolsListChanged": true, "promptsListChanged": true})).await;
    let mut other = stage.listen(json!({"promptsListChanged": true})).await;
    let _events = (stage.replace(&["echo"]).await, stage.replace(&["media"]).await);
    let told = stream.message().await;
    assert_eq!(told["method"], "notifications/tools/list_changed");
    assert!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].is_number(), "{told}");
    // Nothing else came in between, and the streams end when the server does.
    stage.face.shutdown.cancel();
    for stream in [&mut stream, &mut other] {
        assert!(stream.message().await["result"].is_object());
        assert_eq!(stream.next().await, None);
    }
}

#[tokio::test]
async fn a_group_that_is_gone_may_come_again() {
    let stage = stage(&["echo"]);
    let session = stage.face.initialize_at(HALF).await;
    let list = || modern("tools/list", json!({})).at(HALF).build();
    let (fake, _events) = Fake::of(&["echo"]);
    stage.site.replace(fake.endpoints(Limits::default())).await;
    assert_eq!(stage.face.send(list()).await.status, StatusCode::NOT_FOUND);
    let answer = stage.face.legacy_at(HALF, &session, "tools/list", json!({})).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let _events = stage.replace(&["media"]).await;
    assert_eq!(stage.face.send(list()).await.status, StatusCode::OK);
    let answer = stage.face.legacy_at(HALF, &session, "tools/list", json!({})).await.message().await;
    assert_eq!(answer["result"]["tools"][0]["name"], "media");
}

/// A plan that nothing is under way on goes, whoever is connected.
#[tokio::test]
async fn clients_do_not_hold_what_is_replaced() {
    let (fake, _events) = Fake::of(&["echo"]);
    let held: Weak<Fake> = Arc::downgrade(&fake);
    let stage = {
        let mut stage = stage(&["media"]);
        stage.site.replace(endpoints(&fake)).await;
        stage.face.fake = fake.clone();
        stage
    };
    let session = stage.face.initialize().await;
    let _elsewhere = stage.face.initialize_at(HALF).await;
    let _stream = stage.face.send(Post::new(json!(null)).session(&session).method("GET", "")).await;
    let _listening = stage.listen(json!({"toolsListChanged": true})).await;
    let called = stage.face.legacy(&session, "tools/call", json!({"name": "echo"})).await.messages().await;
    assert_eq!(called[0]["result"]["isError"], false, "{called:?}");
    let (next, _events) = Fake::of(&["media"]);
    stage.site.replace(next.endpoints(Limits::default())).await;
    let Stage { face, site } = stage;
    drop((fake, face.fake));
    // The task of the call may still be on its way out.
    while held.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
    drop(site);
}

#[tokio::test]
async fn calls_under_way_count_for_the_limit_of_the_next() {
    let (fake, mut events) = Fake::new();
    let limits = || Limits { calls: 1, ..Limits::default() };
    let shutdown = CancellationToken::new();
    let site = Site::new(fake.endpoints(limits()), shutdown.clone());
    let router = router(site.clone());
    let request = modern("tools/call", json!({"name": "wait"})).build();
    let running = tokio::spawn(tower::ServiceExt::oneshot(router.clone(), request));
    assert_eq!(events.recv().await, Some(Event::Started));
    let (next, next_events) = Fake::new();
    site.replace(next.endpoints(limits())).await;
    let face = Face { router, fake: next, events: next_events, shutdown };
    let busy = face.modern("tools/call", json!({"name": "echo"})).await.json().await;
    assert_eq!(busy["result"]["isError"], true, "{busy}");
    running.abort();
}

/// The name and what it says of itself change, too.
#[tokio::test]
async fn new_clients_meet_the_new_server() {
    let stage = stage(&["echo"]);
    let info = Info {
        name: "another".into(),
        title: None,
        version: "2".into(),
        description: None,
        instructions: None,
        icons: vec![],
    };
    let (fake, _events) = Fake::new();
    stage.site.replace(Endpoints::new(Server::new(fake, info, Limits::default()))).await;
    let found = stage.face.modern("server/discover", json!({})).await.json().await;
    assert_eq!(found["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "another");
}
