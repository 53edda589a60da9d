//! Subscriptions to resources, in both eras.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    reading::{Library, endpoints, face_of, site_of},
    wire::{Answer, Face, Post, modern},
};

fn both() -> (Arc<Library>, Face) {
    let library = Library::new();
    (library.clone(), face_of(library))
}

async fn listen(face: &Face, uris: Value) -> Answer {
    let params = json!({"notifications": {"resourceSubscriptions": uris}});
    face.send(modern("subscriptions/listen", params).build()).await
}

#[tokio::test]
async fn a_session_hears_of_what_it_subscribed_to() {
    let (library, face) = both();
    let session = face.initialize().await;
    let mut stream = face.send(Post::new(json!(null)).session(&session).method("GET", "")).await;
    for _ in 0..2 {
        let answer =
            face.legacy(&session, "resources/subscribe", json!({"uri": "x:1"})).await.message().await;
        assert_eq!(answer["result"], json!({}));
    }
    // Asked for twice, it is told once.
    assert_eq!(library.changes.send(()).unwrap(), 1);
    let told = stream.message().await;
    assert_eq!(told["method"], "notifications/resources/updated");
    assert_eq!(told["params"], json!({"uri": "x:1"}));
    for _ in 0..2 {
        let answer =
            face.legacy(&session, "resources/unsubscribe", json!({"uri": "x:1"})).await.message().await;
        assert_eq!(answer["result"], json!({}));
    }
    while library.changes.receiver_count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_end_of_a_session_ends_its_subscriptions() {
    let (library, face) = both();
    let session = face.initialize().await;
    face.legacy(&session, "resources/subscribe", json!({"uri": "x:1"})).await.message().await;
    assert_eq!(library.changes.receiver_count(), 1);
    face.send(Post::new(json!(null)).session(&session).method("DELETE", "")).await;
    while library.changes.receiver_count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_newer_client_listens() {
    let (library, face) = both();
    let mut stream = listen(&face, json!(["x:1", "x:2"])).await;
    let acknowledged = stream.message().await;
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(acknowledged["params"]["notifications"], json!({"resourceSubscriptions": ["x:1", "x:2"]}));
    while library.changes.receiver_count() < 2 {
        tokio::task::yield_now().await;
    }
    library.changes.send(()).unwrap();
    let mut told = [stream.message().await, stream.message().await].map(|message| {
        assert_eq!(message["method"], "notifications/resources/updated");
        assert_eq!(message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
        message["params"]["uri"].as_str().unwrap().to_owned()
    });
    told.sort();
    assert_eq!(told, ["x:1", "x:2"]);
    drop(stream);
    while library.changes.receiver_count() > 0 {
        library.changes.send(()).ok();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_shutdown_ends_listening() {
    let (_library, face) = both();
    let mut stream = listen(&face, json!(["x:1"])).await;
    stream.message().await;
    face.shutdown.cancel();
    while stream.next().await.is_some() {}
}

/// Whoever is subscribed stays so, to what is served instead.
#[tokio::test]
async fn a_new_config_counts_as_a_change_and_is_followed() {
    let library = Library::new();
    let (face, site) = site_of(library.clone());
    let mut stream = listen(&face, json!(["x:1"])).await;
    stream.message().await;
    while library.changes.receiver_count() < 1 {
        tokio::task::yield_now().await;
    }
    let next = Library::new();
    site.replace(endpoints(&face.fake, next.clone())).await;
    assert_eq!(stream.message().await["params"]["uri"], "x:1");
    assert_eq!(library.changes.receiver_count(), 0);
    assert_eq!(next.changes.send(()).unwrap(), 1);
    assert_eq!(stream.message().await["params"]["uri"], "x:1");
}

#[tokio::test]
async fn what_cannot_be_had_is_said() {
    let (library, face) = both();
    let session = face.initialize().await;
    let subscribe = async |uri: &str| {
        face.legacy(&session, "resources/subscribe", json!({"uri": uri})).await.message().await
    };
    assert_eq!(subscribe("x:none").await["error"]["data"]["kind"], "not_found");
    assert_eq!(subscribe("x:1").await["result"], json!({}));
    assert_eq!(subscribe("x:2").await["result"], json!({}));
    let refused = subscribe("x:3").await["error"]["message"].to_string();
    assert!(refused.contains("`server.limits.subscriptions`"), "{refused}");
    assert_eq!(library.changes.receiver_count(), 2);
    // More than there may be are not granted.
    let mut stream = listen(&face, json!(["x:1", "x:2", "x:3"])).await;
    let granted = stream.message().await["params"]["notifications"]["resourceSubscriptions"].clone();
    assert_eq!(granted, json!(["x:1", "x:2"]));
    let mut stream = listen(&face, json!(["x:none"])).await;
    stream.message().await;
    assert_eq!(stream.message().await["error"]["data"]["kind"], "not_found");
    // Where nothing can be watched, nobody can subscribe.
    let plain = Face::new();
    let session = plain.initialize().await;
    let answer = plain.legacy(&session, "resources/subscribe", json!({"uri": "x:1"})).await.message().await;
    assert_eq!(answer["error"]["code"], -32601);
    let mut stream = listen(&plain, json!(["x:1"])).await;
    assert_eq!(stream.message().await["params"]["notifications"], json!({}));
}
