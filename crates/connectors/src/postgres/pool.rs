//! The connections of one system. A connection is lent to one call at a time; one whose call did not end
//! well is never lent again, and the server is told to stop what it does there.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use renkei_core::{Error, Kind, Result, Secret};
use renkei_pg::Target;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tokio_postgres::CancelToken;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    Config,
    error::{Phase, Place},
    session::{Session, Settings},
};

/// A connection that nobody used for so long is not trusted any more: firewalls forget it.
const IDLE: Duration = Duration::from_secs(600);
/// How long telling the server to stop a statement may take.
const CANCEL: Duration = Duration::from_secs(5);

/// The connections, and all that is needed to open more.
pub(super) struct Pool {
    pub(super) system: Arc<str>,
    pub(super) config: Arc<Config>,
    pub(super) target: Target,
    /// To be masked in the server's own words.
    secrets: Vec<Secret>,
    tls: MakeRustlsConnect,
    connect_timeout: Duration,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    idle: Mutex<Vec<Idle>>,
    /// Tell the server to stop; they end with the pool.
    cancels: Mutex<JoinSet<()>>,
}

struct Idle {
    session: Session,
    since: Instant,
}

impl Pool {
    /// Reads the certificates; connects to nothing.
    pub(super) fn new(
        system: Arc<str>,
        config: Arc<Config>,
        base_dir: PathBuf,
        connect_timeout: Duration,
    ) -> Result<Arc<Pool>> {
        let target =
            config.target().map_err(|message| Error::internal(format!("connect `{system}`: {message}")))?;
        let tls = renkei_pg::connector(&system, &target, &base_dir)?;
        Ok(Arc::new(Pool {
            permits: Arc::new(Semaphore::new(config.max_connections)),
            waiting: AtomicUsize::new(0),
            idle: Mutex::default(),
            cancels: Mutex::default(),
            system,
            config,
            secrets: target.secrets(),
            target,
            tls,
            connect_timeout,
        }))
    }

    pub(super) fn place(&self, writes: bool, hurried: bool) -> Place<'_> {
        Place {
            system: &self.system,
            config: &self.config,
            secrets: &self.secrets,
            writes,
            hurried,
            statement: None,
        }
    }

    /// A connection for one call: an open one, or a new one.
    pub(super) async fn lend(self: &Arc<Self>, deadline: Instant) -> Result<Lease> {
        let permit = self.permit(deadline).await?;
        loop {
            let Some(Idle { mut session, since }) = lock(&self.idle).pop() else { break };
            if since.elapsed() < IDLE && session.is_open().await {
                return Ok(self.lease(session, permit));
            }
        }
        match timeout_at(deadline, self.open()).await {
            Ok(Ok(session)) => Ok(self.lease(session, permit)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(self.place(false, false).late(Phase::Connect)),
        }
    }

    async fn open(&self) -> Result<Session> {
        let place = self.place(false, false);
        let settings = Settings { read_only: self.config.read_only, search_path: &self.config.search_path };
        match timeout(self.connect_timeout, Session::open(&self.target, self.tls.clone(), &settings)).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(why)) => Err(place.failure(Phase::Connect, &why).error),
            Err(_) => {
                let what = "the server did not answer in time; check host and port";
                Err(place.error(Phase::Connect, Kind::Unavailable, what))
            }
        }
    }

    async fn permit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::enter(self)?;
        match timeout_at(deadline, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => {
                Err(Error::internal(format!("reach `{}`: its connections were closed", self.system)))
            }
            Err(_) => Err(Error::new(
                Kind::Timeout,
                format!(
                    "reach `{}`: the time of the call is over; all {} connections (`max_connections`) are in use",
                    self.system, self.config.max_connections
                ),
            )),
        }
    }

    fn lease(self: &Arc<Self>, session: Session, permit: OwnedSemaphorePermit) -> Lease {
        Lease { pool: self.clone(), session: Some(session), permit: Some(permit) }
    }

    /// Has the server stop what it does on this connection, and closes it.
    fn stop(&self, session: Session, permit: OwnedSemaphorePermit) {
        let Ok(runtime) = Handle::try_current() else { return };
        let token: CancelToken = session.link.client.cancel_token();
        let tls = self.tls.clone();
        let mut cancels = lock(&self.cancels);
        while cancels.try_join_next().is_some() {}
        cancels.spawn_on(
            async move {
                // If the server cannot be told, it notices by itself that nobody is there any more.
                let _ = timeout(CANCEL, token.cancel_query(tls)).await;
                drop((session, permit));
            },
            &runtime,
        );
    }

    /// Has the server stop the statement on this connection, which stays in use.
    pub(super) async fn interrupt(&self, token: &CancelToken) -> bool {
        matches!(timeout(CANCEL, token.cancel_query(self.tls.clone())).await, Ok(Ok(())))
    }
}

/// Counts whoever waits.
struct Waiting<'a>(&'a Pool);

impl<'a> Waiting<'a> {
    fn enter(pool: &'a Pool) -> Result<Self> {
        let limit = pool.config.queue;
        let waiting = Waiting(pool);
        if pool.waiting.fetch_add(1, Ordering::AcqRel) >= limit {
            return Err(Error::new(
                Kind::RateLimited,
                format!(
                    "reach `{}`: {limit} calls wait for it already (`queue`); try again later",
                    pool.system
                ),
            ));
        }
        Ok(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection in use. Dropped without [`Lease::give_back`], its statement is stopped and it is closed.
pub(super) struct Lease {
    pub(super) pool: Arc<Pool>,
    /// There until it is given back.
    session: Option<Session>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Lease {
    /// The connection; nothing after it was given back.
    pub(super) fn session(&mut self) -> Option<&mut Session> {
        self.session.as_mut()
    }

    /// It is idle, with nothing under way: others may use it.
    pub(super) fn give_back(mut self) {
        if let Some(session) = self.session.take() {
            lock(&self.pool.idle).push(Idle { session, since: Instant::now() });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let (Some(session), Some(permit)) = (self.session.take(), self.permit.take())
            && session.wire.is_open()
        {
            self.pool.stop(session, permit);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
