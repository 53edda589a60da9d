//! Files: the items are JSON files in a folder, a bucket or a WebDAV server.

use async_trait::async_trait;
use renkei_connectors::files;
use renkei_core::{ConnectorKind, Value};
use renkei_testkit::store::StoreServer;
use tempfile::TempDir;

use crate::{
    http::SECRET,
    subject::{Ask, Capability, Control, Running, Size, Started, Subject, id, json},
};

/// The places of files.
pub(crate) enum Files {
    Folder,
    S3,
    Webdav,
}

#[async_trait]
impl Subject for Files {
    fn kind(&self) -> &'static dyn ConnectorKind {
        &files::Files
    }

    fn capabilities(&self) -> &'static [Capability] {
        match self {
            // A disk has no secret, and nothing on it takes as long as one likes.
            Files::Folder => &[],
            Files::S3 | Files::Webdav => &[Capability::Secret, Capability::Slow],
        }
    }

    fn op(&self, ask: Ask) -> Option<Value> {
        let op = match (self, ask) {
            (_, Ask::Get) => r#"{"read": "${.id}.json", "as": "json"}"#,
            (_, Ask::Put) => r#"{"write": "${.id}.json", "content": "${.}"}"#,
            (_, Ask::Create) => r#"{"write": "${.id}.json", "content": "${.}", "if": "absent"}"#,
            (_, Ask::List) => r#""list .""#,
            (Files::Folder, Ask::Slow | Ask::EchoSecret) => return None,
            (_, Ask::Slow) => r#""read slow.json""#,
            (_, Ask::EchoSecret) => r#"{"write": "echo.json", "content": "a"}"#,
        };
        Some(json(op))
    }

    fn config(&self) -> Value {
        json(match self {
            Files::Folder => r#"{"root": "items"}"#,
            Files::S3 => r#"{"s3": {"bucket": "items", "region": "eu-central-1"}}"#,
            Files::Webdav => r#"{"webdav": {"url": "https://cloud.example.com/dav"}}"#,
        })
    }

    async fn start(&self, size: Size) -> Started {
        let limit = if size == Size::Small { r#", "max_bytes": "1KB""# } else { "" };
        let (config, base_dir, control): (_, _, Box<dyn Control>) = match self {
            Files::Folder => {
                let folder = tempfile::tempdir().unwrap();
                std::fs::create_dir(folder.path().join("items")).unwrap();
                // One thread, so that a call that does not free it is noticed by the next.
                let config = format!(r#"{{"root": "items", "parallel": 1{limit}}}"#);
                (config, folder.path().into(), Box::new(Disk { folder }))
            }
            Files::S3 => {
                let server = StoreServer::s3("bucket", "key", SECRET);
                let config = format!(
                    r#"{{"private": true{limit}, "s3": {{"bucket": "bucket", "region": "us-east-1", "prefix": "shop/items", "endpoint": "{}", "access_key_id": "key", "secret_access_key": "{SECRET}"}}}}"#,
                    server.url()
                );
                (config, "/".into(), Box::new(Remote { server }))
            }
            Files::Webdav => {
                let server = StoreServer::webdav("items", SECRET);
                let config = format!(
                    r#"{{"private": true{limit}, "webdav": {{"url": "{}/", "user": "items", "password": "{SECRET}"}}}}"#,
                    server.url()
                );
                (config, "/".into(), Box::new(Remote { server }))
            }
        };
        Started { config: json(&config), base_dir, control }
    }

    /// A list names the files; each is then read.
    async fn all(&self, running: &Running) -> Value {
        let list = running.get(Ask::List, &Value::object()).await;
        let mut items = Vec::new();
        for entry in list.as_array().unwrap() {
            let name = entry.get("path").and_then(Value::as_str).unwrap();
            items.push(running.get(Ask::Get, &id(name.trim_end_matches(".json").parse().unwrap())).await);
        }
        items.into()
    }
}

struct Disk {
    folder: TempDir,
}

impl Disk {
    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.folder.path().join(from), self.folder.path().join(to)).unwrap();
    }
}

#[async_trait]
impl Control for Disk {
    async fn slow_started(&self) {}

    async fn slow_ended(&self, running: &Running) {
        // It needs the only thread.
        let _ = running.ask(Ask::Get, &id(1)).await;
    }

    async fn take_down(&self) {
        self.rename("items", "away");
    }

    async fn bring_back(&self) {
        self.rename("away", "items");
    }
}

struct Remote {
    server: StoreServer,
}

#[async_trait]
impl Control for Remote {
    async fn slow_started(&self) {
        self.server.slow_started().await;
    }

    async fn slow_ended(&self, _: &Running) {
        self.server.slow_ended().await;
    }

    async fn take_down(&self) {
        self.server.take_down();
    }

    async fn bring_back(&self) {
        self.server.bring_back();
    }
}
