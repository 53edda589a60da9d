//! One breaker a host: that of `base_url` has the system's. What other hosts do, which a redirect led to, neither opens
//! it nor closes it; and an open one refuses only what would have gone to its own host.

use std::{pin::Pin, sync::Arc};

use renkei_core::{Background, Call, Diagnostics, Error, Kind, Reply, connector::SystemPlan};
use renkei_testkit::fault::{Answer, FaultServer};

use super::{HttpSystem, connect, context, json, node, prepare, request, system_at, texts, value};

/// Nothing is cached, so nothing goes on when a call has ended.
struct Nothing;

impl Background for Nothing {
    fn run(&self, _: Pin<Box<dyn Future<Output = ()> + Send>>) {
        panic!("work was left behind");
    }
}

fn guarded(system: &HttpSystem) -> Arc<dyn Call> {
    let config = r#"{"retry": "off", "breaker": {"failures": 3, "rate": "1%", "reset": "1h"}}"#;
    let mut d = Diagnostics::default();
    let layers = renkei_layers::LAYERS.read(&node(config), &mut d);
    assert!(d.is_empty(), "{:?}", texts(&d));
    let shared = Arc::new(HttpSystem { name: system.name.clone(), config: system.config.clone() });
    let plan = SystemPlan { name: "shop".into(), kind: "http", system: shared, layers, fingerprint: 0 };
    plan.layers.start(&plan, Arc::new(Nothing)).around(connect(system))
}

async fn ask(system: &HttpSystem, call: &Arc<dyn Call>, op: &str) -> Result<Reply, Error> {
    call.call(&context(), &request(prepare(system, op), value("{}")).unwrap()).await
}

#[tokio::test]
async fn what_another_host_does_is_not_this_ones() {
    let (home, broken) = (FaultServer::start().await, FaultServer::start().await);
    let nobody = FaultServer::refused().await;
    broken.on("/", [Answer::Close]);
    broken.on("/error", [Answer::status(503)]);
    home.on("/here", [Answer::json("1")]);
    home.on("/down", [Answer::Close]);
    home.on("/to-nobody", [Answer::redirect(302, &format!("http://{nobody}/"))]);
    home.on("/to-broken", [Answer::redirect(307, &format!("{}/", broken.url()))]);
    home.on("/to-error", [Answer::redirect(302, &format!("{}/error", broken.url()))]);
    // A redirect that stays is the system's own.
    home.on("/stays", [Answer::redirect(302, "/down")]);
    let system = system_at(&home.url(), r#""redirects": 3"#);
    let call = guarded(&system);
    for op in ["GET /to-nobody", "GET /to-broken", "GET /to-error"] {
        for _ in 0..5 {
            let error = ask(&system, &call, op).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Unavailable, "{op}: {error}");
            assert!(!error.public().contains("`breaker`"), "{op}: {error}");
        }
    }
    assert_eq!(json(ask(&system, &call, "GET /here").await).as_i64(), Some(1));
    for op in ["GET /stays", "GET /down", "GET /stays"] {
        let error = ask(&system, &call, op).await.unwrap_err();
        assert!(!error.public().contains("`breaker`"), "{op}: {error}");
    }
    let before = home.received().len();
    for op in ["GET /here", "GET /to-broken"] {
        let error = ask(&system, &call, op).await.unwrap_err();
        assert!(error.public().contains("`breaker` is open"), "{op}: {error}");
    }
    // Neither of them was asked.
    assert_eq!(home.received().len(), before);
    // Another system has its own.
    let other = system_at(&broken.url(), "");
    let error = ask(&other, &guarded(&other), "GET /error").await.unwrap_err();
    assert!(!error.public().contains("`breaker`"), "{error}");
}
