//! The connector on real folders, and against other people's S3 and WebDAV servers.

mod folder;
mod hard;
mod offline;
mod paths;
mod remote;
mod round_trip;

use std::{ops::Deref, path::PathBuf, sync::Arc};

use renkei_core::{ConnectContext, Error, PreparedOp, Reply, Request, System, Value};
use tempfile::TempDir;

use crate::fixture::{self, Client, context, json, node, prepare};

fn read_system(config: &str) -> Result<Arc<dyn System>, Vec<String>> {
    fixture::read_system(&super::Files, &json(config))
}

fn request(op: PreparedOp, input: &Value) -> Request {
    fixture::request(op, &input.to_json())
}

/// A connected system.
struct Docs {
    /// `root` is the folder of the system, beside it there may be what it must never reach.
    folder: TempDir,
    client: Client,
}

impl Docs {
    /// A folder of this machine; `more` are members of the config, as JSON.
    async fn new(more: &str) -> Docs {
        let comma = if more.is_empty() { "" } else { ", " };
        Self::with(&format!("{{\"root\": \"root\"{comma}{more}}}")).await
    }

    async fn with(config: &str) -> Docs {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("root")).unwrap();
        let system = read_system(config).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let mut client = Client::unconnected(system);
        client.connect(&ConnectContext::new(folder.path())).await.unwrap();
        Docs { folder, client }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path)
    }

    /// Writes a file behind the connector's back.
    fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    async fn ask(&self, text: &str, input: &Value) -> Result<Reply, Error> {
        self.run(text, &input.to_json()).await
    }

    /// The paths that a list gives, with spaces between them.
    async fn list(&self, text: &str, input: &str) -> String {
        let value = self.reply(text, input).await.value.into_value();
        let paths =
            value.as_array().unwrap().iter().map(|entry| entry.get("path").unwrap().as_str().unwrap());
        paths.collect::<Vec<_>>().join(" ")
    }

    /// Everything in the folder and beside it, links not followed.
    fn everything(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.folder.path().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                found.push(entry.path().strip_prefix(self.folder.path()).unwrap().display().to_string());
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }
}

impl Deref for Docs {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
