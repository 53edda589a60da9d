//! HTTP: the items are resources of a small REST service.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use renkei_connectors::http;
use renkei_core::{ConnectorKind, Value};
use tokio::sync::{oneshot, watch};

use crate::subject::{Ask, Capability, Control, Running, Size, Started, Subject, json, patiently};

pub(crate) const SECRET: &str = "open-sesame-4711";

pub(crate) struct Http;

#[async_trait]
impl Subject for Http {
    fn kind(&self) -> &'static dyn ConnectorKind {
        &http::Http
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::Secret, Capability::Slow]
    }

    fn op(&self, ask: Ask) -> Option<Value> {
        Some(json(match ask {
            Ask::Get => r#""GET /items/${.id}""#,
            Ask::Put => {
                r#"{"put": "/items/${.id}", "body": {"text": "${.text}", "number": "${.number}", "note": "${.note}"}}"#
            }
            Ask::Create => r#"{"post": "/items", "body": "${.}"}"#,
            Ask::List => r#""GET /items""#,
            Ask::Slow => r#""GET /slow""#,
            Ask::EchoSecret => r#""GET /echo""#,
        }))
    }

    fn config(&self) -> Value {
        json(r#"{"base_url": "https://items.example.com"}"#)
    }

    async fn start(&self, size: Size) -> Started {
        let shop = Arc::new(Items { items: Mutex::default(), slow: watch::channel(Slow::default()).0 });
        let server = Server::start("127.0.0.1:0".parse().unwrap(), shop.clone());
        let address = server.address;
        let max_body = if size == Size::Small { r#", "max_body": "1KB""# } else { "" };
        let config = format!(
            r#"{{"base_url": "http://{address}", "private": true, "auth": {{"bearer": "{SECRET}"}}{max_body}}}"#
        );
        Started {
            config: json(&config),
            base_dir: "/".into(),
            control: Box::new(Service { address, server: Mutex::new(Some(server)), shop }),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Slow {
    started: usize,
    ended: usize,
}

struct Items {
    items: Mutex<BTreeMap<i64, serde_json::Value>>,
    slow: watch::Sender<Slow>,
}

struct Service {
    address: SocketAddr,
    server: Mutex<Option<Server>>,
    shop: Arc<Items>,
}

#[async_trait]
impl Control for Service {
    async fn slow_started(&self) {
        patiently(self.shop.slow.subscribe().wait_for(|slow| slow.started > 0)).await.unwrap();
    }

    async fn slow_ended(&self, _: &Running) {
        patiently(self.shop.slow.subscribe().wait_for(|slow| slow.ended == slow.started)).await.unwrap();
    }

    async fn take_down(&self) {
        self.server.lock().unwrap().take();
    }

    async fn bring_back(&self) {
        *self.server.lock().unwrap() = Some(Server::start(self.address, self.shop.clone()));
    }
}

/// A server on a thread of its own: when it ends, so do all its connections.
struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(address: SocketAddr, shop: Arc<Items>) -> Server {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = async { axum::serve(listener, routes(shop)).await } => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Server { address, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn routes(shop: Arc<Items>) -> Router {
    Router::new()
        .route("/items", get(list).post(create))
        .route("/items/{id}", get(find).put(put))
        .route("/slow", get(slow))
        .route("/echo", get(echo))
        .with_state(shop)
}

/// The item with all its members, whatever was left out.
fn whole(id: i64, item: &serde_json::Value) -> serde_json::Value {
    serde_json::json!({ "id": id, "text": item["text"], "number": item["number"], "note": item["note"] })
}

async fn list(State(shop): State<Arc<Items>>) -> Json<Vec<serde_json::Value>> {
    Json(shop.items.lock().unwrap().values().cloned().collect())
}

async fn find(
    State(shop): State<Arc<Items>>,
    Path(id): Path<i64>,
) -> Result<Json<serde_json::Value>, StatusCode> {
    shop.items.lock().unwrap().get(&id).cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn put(
    State(shop): State<Arc<Items>>,
    Path(id): Path<i64>,
    Json(item): Json<serde_json::Value>,
) -> StatusCode {
    shop.items.lock().unwrap().insert(id, whole(id, &item));
    StatusCode::NO_CONTENT
}

async fn create(State(shop): State<Arc<Items>>, Json(item): Json<serde_json::Value>) -> StatusCode {
    let Some(id) = item["id"].as_i64() else { return StatusCode::BAD_REQUEST };
    let mut items = shop.items.lock().unwrap();
    if items.contains_key(&id) {
        return StatusCode::CONFLICT;
    }
    items.insert(id, whole(id, &item));
    StatusCode::CREATED
}

async fn slow(State(shop): State<Arc<Items>>) {
    struct Ended(Arc<Items>);
    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.slow.send_modify(|slow| slow.ended += 1);
        }
    }
    let _ended = Ended(shop.clone());
    shop.slow.send_modify(|slow| slow.started += 1);
    std::future::pending().await
}

async fn echo(headers: HeaderMap) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, format!("what you sent makes no sense: {headers:?}"))
}
