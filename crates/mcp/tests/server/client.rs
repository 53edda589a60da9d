//! Our own client against our own server, over a socket.

use renkei_mcp::{
    Site,
    client::{Client, Era},
    router,
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    fake::Fake,
    wire::{LEGACY, MODERN},
};

#[tokio::test]
async fn lists_and_calls_in_both_eras() {
    let (fake, _events) = Fake::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let app = router(Site::new(fake.endpoints(Default::default()), shutdown.clone()));
    let served = tokio::spawn(async move { axum::serve(listener, app).await });
    for (era, version) in [(Era::Legacy, LEGACY), (Era::Modern, MODERN)] {
        let mut client = Client::connect(&url, era, "test").await.unwrap();
        assert_eq!(client.version(), version);
        let tools = client.list_tools().await.unwrap();
        assert_eq!(tools[0]["name"], "echo");
        let result = client.call_tool("echo", json!({"a": 1}), |_| {}).await.unwrap();
        assert_eq!(result["structuredContent"], json!({"a": 1}));
        let mut seen = Vec::new();
        let result =
            client.call_tool("progress", json!(null), |progress| seen.push(progress.done)).await.unwrap();
        assert_eq!(result["content"][0]["text"], "done");
        assert!(seen.starts_with(&[1.0]), "{seen:?}");
        let error = client.call_tool("nope", json!({}), |_| {}).await.unwrap_err();
        assert!(error.to_string().contains("unknown tool `nope`"), "{error}");
        client.close().await.unwrap();
    }
    served.abort();
}
