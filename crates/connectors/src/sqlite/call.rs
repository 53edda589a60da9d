//! One call: values into the statements, the statements to a thread.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{Call, CallContext, ConnectContext, Reply, Request, Result, call::Attempt};

use super::{
    Config,
    open::Place,
    pool::{Job, Pool},
    run::Work,
};
use crate::sql::Plan;

/// A connected database.
pub(super) struct SqliteCall {
    pool: Pool,
}

impl SqliteCall {
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Opens the first connection. The others are opened when they are needed.
    pub(super) async fn connect(
        system: Arc<str>,
        config: Arc<Config>,
        cx: &ConnectContext,
    ) -> Result<SqliteCall> {
        let path = if config.in_memory() { config.path.clone() } else { cx.base_dir.join(&config.path) };
        let pool = Pool::start(Place { system, path, config })?;
        let now = std::time::Instant::now();
        // A timeout beyond the end of time is none; opening a local file ends by itself.
        let deadline =
            now.checked_add(cx.timeout).unwrap_or(now + renkei_core::connector::DEFAULT_CONNECT_TIMEOUT);
        let attempt = Arc::new(Attempt::default());
        pool.run(Job { work: Work::Check, deadline, attempt, listener: None }).await?;
        Ok(SqliteCall { pool })
    }
}

#[async_trait]
impl Call for SqliteCall {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let plan = Plan::of(request, &self.pool.place().system)?;
        let rendered = plan.render(&request.params)?;
        let work = Work::Statements { op: request.op.clone(), rendered };
        let (deadline, attempt) = (cx.deadline.into_std(), cx.attempt.clone());
        self.pool.run(Job { work, deadline, attempt, listener: cx.listener.clone() }).await
    }
}
