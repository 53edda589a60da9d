//! Files: a folder of this machine, a bucket, a WebDAV server.
//!
//! Reading order: `config` (what stands under `files:`), `operation` and `prepare` with `path` and `glob` (an
//! operation is taken apart once), `task` (the values of a request in their places), `call` (a task for a `store::Store`), `reply` (its answer
//! as a reply, with `media` to tell texts from other bytes), then the stores: `folder` and `object`. `error` says
//! what a failure means. `answer` and `expected` are for config tests.

mod config;

mod glob;
mod operation;
mod path;
mod prepare;

mod answer;
mod expected;

mod call;
mod error;
mod media;
mod reply;
mod store;
mod task;

mod folder;
mod object;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{
    ConnectContext, Connection, ConnectorKind, Definitions, Diagnostics, Error, FromNode as _, Node,
    PreparedOp, Request, Result, Schema, Secret, System, Value,
    connector::{Answer, Came},
    template::Names,
};

use self::{
    call::FilesCall,
    config::{Config, Place},
    folder::Folder,
    object::Objects,
    store::Store,
    task::Task,
};
use crate::http::guard::{Lookup, SystemLookup};

/// The kind `files`.
#[derive(Clone, Copy, Debug)]
pub struct Files;

impl ConnectorKind for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    fn schema(&self, defs: &mut Definitions) -> Schema {
        Config::schema(defs)
    }

    fn op_schema(&self, defs: &mut Definitions) -> Schema {
        operation::schema(defs)
    }

    fn answer_words(&self, defs: &mut Definitions) -> Vec<(&'static str, Schema)> {
        answer::words(defs)
    }

    fn read_answer(&self, node: &Node, d: &mut Diagnostics) -> Option<Arc<dyn Answer>> {
        answer::read(node, d)
    }

    fn read_request(&self, node: &Node, d: &mut Diagnostics) -> Option<Value> {
        expected::read(node, d)
    }

    fn write_answer(&self, came: &Came<'_>) -> Vec<Value> {
        answer::write(came)
    }

    fn write_request(&self, shown: &Value) -> Value {
        expected::write(shown)
    }

    fn read(&self, name: &str, node: &Node, d: &mut Diagnostics) -> Option<Arc<dyn System>> {
        let config = Arc::new(Config::from_node(node, d)?);
        Some(Arc::new(FilesSystem { name: name.into(), config }))
    }
}

/// A configured place of files.
#[derive(Debug)]
struct FilesSystem {
    name: Arc<str>,
    config: Arc<Config>,
}

#[async_trait]
impl System for FilesSystem {
    fn prepare(&self, op: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<PreparedOp> {
        prepare::prepare(&self.name, &self.config, op, names, d)
    }

    fn is_local(&self) -> bool {
        matches!(self.config.place(), Place::Folder(_))
    }

    fn secrets(&self) -> Vec<Secret> {
        let found = match self.config.place() {
            Place::S3(s3) => vec![&s3.access_key_id, &s3.secret_access_key, &s3.session_token],
            Place::Webdav(webdav) => vec![&webdav.password, &webdav.token],
            _ => Vec::new(),
        };
        found.into_iter().flatten().cloned().collect()
    }

    fn show(&self, request: &Request) -> Result<Value> {
        Ok(Task::of(&self.name, &self.config, request)?.show())
    }

    fn address(&self, request: &Request) -> Option<Vec<String>> {
        let plan = request.op.plan::<prepare::Plan>()?;
        let path = plan.path.render(&plan.slots, &request.params).ok()?;
        Some(path.as_str().split('/').map(Into::into).collect())
    }

    /// A folder must be there. A store elsewhere is not asked yet, so one that is down does not fail it:
    /// that is told by each call.
    async fn connect(&self, cx: &ConnectContext) -> Result<Connection> {
        self.connect_with(Arc::new(SystemLookup::new()), cx).await
    }
}

impl FilesSystem {
    async fn connect_with(&self, lookup: Arc<dyn Lookup>, cx: &ConnectContext) -> Result<Connection> {
        let (name, config) = (&self.name, &self.config);
        let store: Arc<dyn Store> = match config.place() {
            Place::Folder(root) => Arc::new(Folder::connect(name, config.clone(), root, cx).await?),
            Place::S3(s3) => Arc::new(Objects::s3(name, config, s3, lookup, cx)?),
            Place::Webdav(webdav) => Arc::new(Objects::webdav(name, config, webdav, lookup, cx)?),
            Place::Unknown => {
                return Err(Error::internal(format!(
                    "connect `{name}`: it is not known where its files are"
                )));
            }
        };
        let call = FilesCall { name: name.clone(), config: config.clone(), store };
        Ok(Connection::new(Arc::new(call)))
    }
}
