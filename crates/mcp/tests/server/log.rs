//! What the log says of calls that do not end in the engine.

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
            .with_env_filter(EnvFilter::new("renkei_mcp=info,audit=info"))
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

/// The engine writes the audit. What never reaches it is told here, and so are faults.
#[tokio::test]
async fn what_does_not_reach_the_engine_is_told_here() {
    let (log, _guard) = Log::start();
    let face = Face::new();
    let ada = Principal { name: "ada".into(), how: How::Jwt, claims: CoreValue::object() };
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let call = |tool: &str| {
        let arguments = json!({"secret": "hunter2"});
        let params = json!({"name": tool, "arguments": arguments, "_meta": {"traceparent": traceparent}});
        modern("tools/call", params).from(ada.clone()).build()
    };
    for tool in ["echo", "refuse", "panic", "made_up"] {
        face.send(call(tool)).await.text().await;
    }
    let lines = log.lines();
    let audit: Vec<_> = lines.iter().filter(|line| line["target"] == "audit").collect();
    assert_eq!(audit.len(), 1, "{lines:?}");
    let fields = &audit[0]["fields"];
    assert_eq!((&fields["name"], &fields["outcome"]), (&json!("made_up"), &json!("not_found")));
    assert_eq!((&fields["principal"], &fields["auth"]), (&json!("ada"), &json!("jwt")));
    assert_eq!(fields["trace"], "0af7651916cd43dd8448eb211c80319c");
    let panic = lines.iter().find(|line| line["level"] == "ERROR").unwrap();
    assert_eq!(panic["fields"]["panic"], "a fault of the tool");
    assert!(!format!("{lines:?}").contains("hunter2"), "arguments are not logged");
}
