//! What the log says of calls.

use std::{
    io,
    sync::{Arc, Mutex},
};

use renkei_core::{Principal, Value as CoreValue, principal::How};
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::EnvFilter;

use crate::wire::{Face, modern};

/// Lines that were logged on this thread; the tests' runtime has no other.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> (Self, DefaultGuard) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_env_filter(EnvFilter::new("renkei_mcp=info"))
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn one_line_a_call_says_who_what_and_how_it_ended() {
    let (log, _guard) = Log::start();
    let face = Face::new();
    let ada = Principal { name: "ada".into(), how: How::Jwt, claims: CoreValue::object() };
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let call = |tool: &str| {
        let arguments = json!({"secret": "hunter2"});
        let params = json!({"name": tool, "arguments": arguments, "_meta": {"traceparent": traceparent}});
        modern("tools/call", params).from(ada.clone()).build()
    };
    for tool in ["echo", "refuse", "panic"] {
        face.send(call(tool)).await.text().await;
    }
    let lines = log.lines();
    let calls: Vec<_> = lines.iter().filter(|line| line["fields"]["message"] == "call").collect();
    assert_eq!(calls.len(), 3);
    for (call, (tool, outcome)) in
        calls.iter().zip([("echo", "ok"), ("refuse", "rejected"), ("panic", "internal")])
    {
        let fields = &call["fields"];
        assert_eq!(call["level"], "INFO");
        assert_eq!((&fields["tool"], &fields["outcome"]), (&json!(tool), &json!(outcome)));
        assert_eq!(fields["principal"], "ada");
        assert_eq!(fields["trace"], "0af7651916cd43dd8448eb211c80319c");
        assert!(fields["duration_ms"].is_u64());
    }
    assert_eq!(calls[1]["fields"]["error"], "the card was declined; use another one");
    let panic = lines.iter().find(|line| line["level"] == "ERROR").unwrap();
    assert_eq!(panic["fields"]["panic"], "a fault of the tool");
    assert!(!format!("{lines:?}").contains("hunter2"), "arguments are not logged");
}
