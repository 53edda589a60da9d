//! One call: values into the statements, the statements to a connection of the pool.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use renkei_core::{Call, CallContext, ConnectContext, Effect, Error, Kind, Reply, Request, Result};
use tokio::time::{Instant, timeout_at};

use super::{
    Config,
    error::{Failure, Phase},
    pool::{Lease, Pool},
    run::{self, Job},
};
use crate::sql::Plan;

/// The longest that `statement_timeout` can be set to on the server.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A connected database.
pub(super) struct PostgresCall {
    pool: Arc<Pool>,
}

impl PostgresCall {
    /// Opens the first connection. The others are opened when they are needed.
    pub(super) async fn connect(
        system: Arc<str>,
        config: Arc<Config>,
        cx: &ConnectContext,
    ) -> Result<PostgresCall> {
        let pool = Pool::new(system, config, cx.base_dir.clone(), cx.timeout)?;
        // Longer than opening one may take, so that this tells what kept it.
        let limit = cx.timeout.saturating_mul(2).min(A_DAY);
        pool.lend(Instant::now() + limit).await?.give_back();
        Ok(PostgresCall { pool })
    }
}

#[async_trait]
impl Call for PostgresCall {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let plan = Plan::of(request, &self.pool.system)?;
        let rendered = plan.render(&request.params)?;
        let lease = self.pool.lend(cx.deadline).await?;
        let left = cx.deadline.saturating_duration_since(Instant::now());
        let limit = self.pool.config.statement_timeout;
        let job = Job {
            plan,
            rendered: &rendered,
            writes: request.op.effect != Effect::Read,
            // In whole milliseconds; 0 would mean none.
            limit: left.min(limit).clamp(Duration::from_millis(1), LONGEST),
            hurried: left < limit,
            cx,
            phase: AtomicU8::new(Phase::Begin as u8),
            spoilt: AtomicBool::new(false),
        };
        serve(lease, &job, cx.deadline).await
    }
}

/// Runs the job on the connection, and decides what becomes of that.
async fn serve(mut lease: Lease, job: &Job<'_>, deadline: Instant) -> Result<Reply> {
    let pool = lease.pool.clone();
    let place = pool.place(job.writes, job.hurried);
    let Some(session) = lease.session() else {
        return Err(place.error(Phase::Begin, Kind::Internal, "the connection is not there"));
    };
    let work = session.wire.drive(run::run(&mut session.link, &pool, place, job));
    match timeout_at(deadline, work).await {
        Ok(Ok(reply)) => {
            if !job.spoilt.load(Ordering::Acquire) {
                lease.give_back();
            }
            Ok(reply)
        }
        Ok(Err(failure)) => Err(settle(lease, job, failure)),
        // The lease is dropped with the statement under way: the server is told to stop.
        Err(_) => Err(place.late(Phase::of(job.phase.load(Ordering::Acquire)))),
    }
}

fn settle(mut lease: Lease, job: &Job<'_>, failure: Failure) -> Error {
    let pool = lease.pool.clone();
    let place = pool.place(job.writes, job.hurried);
    // What the server said when it closed the connection tells more than that it is closed.
    let word = lease.session().and_then(|session| session.wire.ended()).zip(failure.lost);
    let error = match word {
        Some((why, phase)) => place.failure(phase, why).error,
        None => failure.error,
    };
    if !failure.broken && !job.spoilt.load(Ordering::Acquire) {
        lease.give_back();
    }
    error
}
