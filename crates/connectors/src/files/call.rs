//! One call: a task to the store, its answer into a reply.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{Call, CallContext, Reply, Request, Result, Value};

use super::{
    config::Config,
    error::Place,
    media,
    reply::{self, Reading},
    store::{Ask, Store, Written},
    task::Task,
};

/// A connected place of files.
pub(super) struct FilesCall {
    pub(super) name: Arc<str>,
    pub(super) config: Arc<Config>,
    pub(super) store: Arc<dyn Store>,
}

#[async_trait]
impl Call for FilesCall {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let task = Task::of(&self.name, &self.config, request)?;
        let place = Place { system: self.name.clone(), verb: task.verb() };
        let ask = Ask { place: place.clone(), attempt: cx.attempt.clone() };
        let store = &self.store;
        let (path, stat) = match task {
            Task::List { wanted, own_limit } => {
                let listing = store.list(ask, wanted.clone()).await?;
                return Ok(reply::listed(&self.config, listing, &wanted, own_limit));
            }
            Task::Read { path, from, limit, read_as } => {
                let reading = Reading::new(&place, &self.config, &path, from, limit);
                let part = store.read(ask, path.clone(), from, reading.most()).await?;
                return reading.reply(part, read_as);
            }
            Task::Delete { path, recursive } => {
                store.delete(ask, path.clone(), recursive).await?;
                return Ok(Reply::json(Value::from([("deleted", path.as_str())])));
            }
            Task::Write { path, bytes, content_type, when } => {
                let named = || media::of_name(path.as_str()).map(str::to_owned);
                let written = Written { bytes, content_type: content_type.or_else(named) };
                let stat = store.write(ask, path.clone(), written, when).await?;
                (path, stat)
            }
            Task::Append { path, bytes } => {
                let stat = store.append(ask, path.clone(), bytes).await?;
                (path, stat)
            }
            Task::Stat { path } => {
                let stat = store.stat(ask, path.clone()).await?;
                (path, stat)
            }
            Task::Copy { path, to, when } => {
                let stat = store.copy(ask, path, to.clone(), when).await?;
                (to, stat)
            }
            Task::Rename { path, to, when } => {
                let stat = store.rename(ask, path, to.clone(), when).await?;
                (to, stat)
            }
        };
        Ok(reply::known(&path, &stat))
    }
}
