//! One call: values into the statements, the statements to a connection.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{Call, CallContext, ConnectContext, Reply, Request, Result};
use tokio::time::timeout_at;

use super::{
    Config,
    config::Target,
    error::{Phase, Place as At, State},
    open::{Flavour, Place},
    operation::Prepared,
    pool::Pool,
    run::{Finished, Work},
};

/// A connected database.
pub(super) struct MysqlCall {
    pool: Pool,
}

impl MysqlCall {
    /// Opens the first connection. The others are opened when they are needed.
    pub(super) async fn connect(
        system: &Arc<str>,
        config: &Arc<Config>,
        target: &Arc<Target>,
        cx: &ConnectContext,
    ) -> Result<MysqlCall> {
        let place = Place::new(system, config, target, cx).await?;
        Ok(MysqlCall { pool: Pool::start(place).await? })
    }

    /// Which of the two the server is.
    pub(super) fn flavour(&self) -> Flavour {
        self.pool.flavour()
    }
}

#[async_trait]
impl Call for MysqlCall {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let place = self.pool.place();
        let prepared = Prepared::of(request, &place.system)?;
        let rendered = prepared.render(&request.params)?;
        let plan = &prepared.plan;
        let mut lease = self.pool.lease(cx.deadline).await?;
        let work = Work { place, plan, rendered: &rendered, cx };
        // Dropping the lease, here or with this future, ends what runs on the connection.
        let Ok(Finished { result, connection }) = timeout_at(cx.deadline, work.run(lease.opened())).await
        else {
            return Err(At { place, phase: Phase::Run, writes: plan.writes }.deadline().error);
        };
        match connection {
            State::Ready => lease.give_back(),
            State::Lost => lease.lost(),
            State::Unknown => drop(lease),
        }
        result
    }
}
