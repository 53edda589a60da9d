//! The connections of one system, and the queue before them.
//!
//! A connection comes back only when it is known that nothing runs on it any more. From every other one –
//! the call was dropped, the time is over, an answer does not come or makes no sense – the socket is closed at once,
//! and the server is told over another connection to end it (`kill`): by itself it would go on until it has
//! something to send. Until then the place in the pool stays taken, so there are never more connections
//! than the config says, and one for the killing.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use mysql_async::{Conn, prelude::Queryable as _};
use renkei_core::{Error, Kind, Result};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout_at},
};

use super::open::{Flavour, Identity, Opened, Place};

/// A connection that has not been used for so long is asked whether it still works.
const FRESH: Duration = Duration::from_secs(1);
/// How long the server may take to say so.
const PING: Duration = Duration::from_secs(2);
/// A connection that has not been used for so long is closed.
const MAX_IDLE: Duration = Duration::from_secs(600);

/// Connections, open ones and those that may be opened.
#[derive(Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    /// Of the server that the first connection reached.
    flavour: Flavour,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    idle: Mutex<Vec<Idle>>,
    /// To the task that has the server end connections.
    abandoned: mpsc::UnboundedSender<Abandoned>,
}

#[derive(Debug)]
struct Idle {
    opened: Opened,
    since: Instant,
}

/// A connection that the server has to end. There are at most as many as permits.
#[derive(Debug)]
struct Abandoned {
    identity: Identity,
    _permit: OwnedSemaphorePermit,
}

/// A connection for one call. Dropping it, instead of giving it back, ends what runs on it.
#[derive(Debug)]
pub(super) struct Lease {
    shared: Arc<Shared>,
    /// Until it is given back.
    held: Option<(Opened, OwnedSemaphorePermit)>,
}

impl Pool {
    /// Opens the first connection, so that wrong settings show at once.
    pub(super) async fn start(place: Place) -> Result<Pool> {
        let first = place.open(Instant::now() + place.patience).await?;
        let flavour = first.flavour;
        let (abandoned, queue) = mpsc::unbounded_channel();
        // Ends with the pool: when the last sender is gone and what was left to kill is killed, which takes no
        // longer than opening a connection may.
        tokio::spawn(end_abandoned(place.clone(), queue));
        let permits = Arc::new(Semaphore::new(place.config.max_connections));
        let idle = Mutex::new(vec![Idle { opened: first, since: Instant::now() }]);
        Ok(Pool {
            shared: Arc::new(Shared {
                place,
                flavour,
                permits,
                waiting: AtomicUsize::new(0),
                idle,
                abandoned,
            }),
        })
    }

    pub(super) fn place(&self) -> &Place {
        &self.shared.place
    }

    pub(super) fn flavour(&self) -> Flavour {
        self.shared.flavour
    }

    /// A connection that works, as far as can be known. Waits for one until the deadline.
    pub(super) async fn lease(&self, deadline: Instant) -> Result<Lease> {
        let permit = self.permit(deadline).await?;
        while let Some(Idle { mut opened, since }) = self.take_idle() {
            let unused = since.elapsed();
            if unused < FRESH {
                return Ok(self.lease_of(opened, permit));
            }
            let limit = deadline.min(Instant::now() + PING);
            if unused < MAX_IDLE && matches!(timeout_at(limit, opened.conn.ping()).await, Ok(Ok(()))) {
                return Ok(self.lease_of(opened, permit));
            }
            close(opened.conn);
        }
        let opened = self.shared.place.open(deadline).await?;
        Ok(self.lease_of(opened, permit))
    }

    fn lease_of(&self, opened: Opened, permit: OwnedSemaphorePermit) -> Lease {
        Lease { shared: self.shared.clone(), held: Some((opened, permit)) }
    }

    fn take_idle(&self) -> Option<Idle> {
        self.shared.idle().pop()
    }

    /// One of `max_connections`.
    async fn permit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit> {
        let shared = &self.shared;
        let (system, config) = (&shared.place.system, &shared.place.config);
        if let Ok(permit) = shared.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::enter(&shared.waiting, config.queue).ok_or_else(|| {
            let limit = config.queue;
            let text =
                format!("reach `{system}`: {limit} calls wait for it already (`queue`); try again later");
            Error::new(Kind::RateLimited, text)
        })?;
        match timeout_at(deadline, shared.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed; the time is over.
            _ => Err(Error::new(
                Kind::Timeout,
                format!(
                    "reach `{system}`: all of its {} connections are busy (`max_connections`)",
                    config.max_connections
                ),
            )),
        }
    }
}

/// A call in the queue.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize, limit: usize) -> Option<Waiting<'a>> {
        // Made first, so that leaving is counted in any case.
        let waiting = Waiting(count);
        (count.fetch_add(1, Ordering::AcqRel) < limit).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last call has come back, too.
impl Drop for Shared {
    fn drop(&mut self) {
        for idle in self.idle().drain(..) {
            close(idle.opened.conn);
        }
    }
}

impl Lease {
    pub(super) fn opened(&mut self) -> &mut Opened {
        let (opened, _) =
            self.held.as_mut().expect("only `give_back` and `lost` take it, and they take the lease");
        opened
    }

    /// Nothing runs on it: the next call may have it.
    pub(super) fn give_back(mut self) {
        if let Some((opened, _permit)) = self.held.take() {
            // Before the permit goes, so that whoever gets it finds the connection.
            self.shared.idle().push(Idle { opened, since: Instant::now() });
        }
    }

    /// The server has closed it, so most likely all others, too: a restart, a failover.
    pub(super) fn lost(mut self) {
        if let Some((opened, _permit)) = self.held.take() {
            close(opened.conn);
            for idle in self.shared.idle().drain(..) {
                close(idle.opened.conn);
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((opened, permit)) = self.held.take() {
            let identity = opened.identity;
            close(opened.conn);
            // Without its receiver the runtime is ending, and with it the process or the test.
            let _ = self.shared.abandoned.send(Abandoned { identity, _permit: permit });
        }
    }
}

/// Closes the socket now. Left to itself the driver would first read all rows that are still to come, in a task
/// of its own; a call of `disconnect` that is begun and dropped marks the connection as closed.
fn close(conn: Conn) {
    let _ = conn.disconnect().now_or_never();
}

/// What the pool's task does all its life.
async fn end_abandoned(place: Place, mut queue: mpsc::UnboundedReceiver<Abandoned>) {
    while let Some(first) = queue.recv().await {
        let mut all = vec![first];
        while let Ok(more) = queue.try_recv() {
            all.push(more);
        }
        let connections: Vec<Identity> = all.iter().map(|abandoned| abandoned.identity.clone()).collect();
        // A server that cannot be reached ends the connections by itself, when it finds them closed.
        let _ = place.kill(&connections).await;
    }
}
