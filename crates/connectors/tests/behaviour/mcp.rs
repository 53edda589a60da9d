//! MCP: the items are kept by a server behind streamable HTTP, in each era.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_connectors::mcp;
use renkei_core::{ConnectorKind, Value};
use renkei_testkit::upstream::{Served, Upstream};
use tokio::sync::Mutex;

use crate::{
    http::SECRET,
    subject::{Ask, Capability, Control, Running, Size, Started, Subject, json},
};

#[derive(Clone, Copy)]
pub(crate) enum Mcp {
    Modern,
    Legacy,
}

impl Mcp {
    fn mode(self) -> &'static str {
        match self {
            Mcp::Modern => "modern",
            Mcp::Legacy => "legacy",
        }
    }

    /// What the server notices when a call is given up.
    fn given_up(self) -> &'static str {
        match self {
            Mcp::Modern => "abandoned",
            Mcp::Legacy => "notifications/cancelled",
        }
    }
}

#[async_trait]
impl Subject for Mcp {
    fn kind(&self) -> &'static dyn ConnectorKind {
        &mcp::Mcp
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::Secret, Capability::Slow]
    }

    fn op(&self, ask: Ask) -> Option<Value> {
        Some(json(match ask {
            Ask::Get => {
                r#"{"tool": "get", "arguments": {"id": "${.id}"}, "effect": "read", "errors": {"*not found*": "not_found"}}"#
            }
            Ask::Put => r#"{"tool": "put", "arguments": "${.}", "effect": "idempotent"}"#,
            Ask::Create => r#"{"tool": "create", "arguments": "${.}", "errors": {"*already*": "conflict"}}"#,
            Ask::List => r#"{"tool": "list", "effect": "read", "as": "json"}"#,
            Ask::Slow => r#"{"tool": "slow", "effect": "read"}"#,
            Ask::EchoSecret => r#"{"tool": "tell_secret", "effect": "read"}"#,
        }))
    }

    fn config(&self) -> Value {
        json(r#"{"url": "https://items.example.com/mcp"}"#)
    }

    async fn start(&self, size: Size) -> Started {
        let upstream = Upstream::new().await;
        let served = upstream.serve(0, &[self.mode()], &[]).await;
        let limit = match size {
            Size::Default => "10MB",
            Size::Small => "1KB",
        };
        let url = served.url();
        let config = json(&format!(
            r#"{{"url": "{url}", "private": true, "auth": {{"bearer": "{SECRET}"}}, "max_message": "{limit}"}}"#
        ));
        let port = served.port();
        let control =
            Server { mcp: *self, upstream: Arc::new(upstream), port, served: Mutex::new(Some(served)) };
        Started { config, base_dir: "/".into(), control: Box::new(control) }
    }
}

struct Server {
    mcp: Mcp,
    upstream: Arc<Upstream>,
    port: u16,
    served: Mutex<Option<Served>>,
}

#[async_trait]
impl Control for Server {
    async fn slow_started(&self) {
        // One more than have ended.
        let ended = self.upstream.count(self.mcp.given_up());
        self.upstream.wait("slow started", ended + 1).await;
    }

    async fn slow_ended(&self, _: &Running) {
        let started = self.upstream.count("slow started");
        self.upstream.wait(self.mcp.given_up(), started).await;
    }

    async fn take_down(&self) {
        if let Some(served) = self.served.lock().await.take() {
            served.stop().await;
        }
    }

    async fn bring_back(&self) {
        *self.served.lock().await = Some(self.upstream.serve(self.port, &[self.mcp.mode()], &[]).await);
    }
}
