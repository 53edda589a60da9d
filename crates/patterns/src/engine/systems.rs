//! Connects the systems, keeps them connected, and says plainly when one is not.
//!
//! One task a system, owned here and awaited at shutdown. A system goes from one plan to the next as long as the
//! config says the same of it; with the last plan that has it, its task ends. It connects in the background from the
//! start, tries again with a growing pause, and checks again after an attempt that could not reach
//! the system. A call never waits long for a system that is down: it is refused with the reason.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::FutureExt;
use indexmap::IndexMap;
use renkei_core::{
    Background, Call, CallContext, ConnectContext, Connection, Error, Invalidation, Kind, LayerStack, Reply,
    Request, Result, Retry,
    connector::{Offer, SystemPlan},
    duration, metric,
    run::Systems,
};
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use super::exposed::{Offering, Offers};

/// How many systems are being connected at the same time.
const CONNECTING_AT_ONCE: usize = 8;
/// How long a call waits for a connection that is being made.
const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(2);
/// The pause after the first failure; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A call shortens a pause, but not below this; nor is a connection checked more often.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// All systems of a config.
pub(crate) struct Supervisor {
    systems: IndexMap<Arc<str>, Arc<Held>>,
    /// Of all plans, one after the other: so are the three below.
    tasks: TaskTracker,
    stop: CancellationToken,
    permits: Arc<Semaphore>,
    /// The layers of all systems that calls may come to: those of an earlier plan, too, as long as one of its calls
    /// is under way.
    at_work: Arc<Mutex<Vec<Weak<dyn LayerStack>>>>,
}

/// A system as plans hold it, with its layers. They stand around whatever connection there is, so what they know
/// outlives it: a breaker stays open, and a kept reply is given while nobody can be reached. The last plan that lets
/// go of it ends its task.
struct Held {
    system: Arc<Supervised>,
    layers: Arc<dyn LayerStack>,
    call: Arc<dyn Call>,
    is_started: AtomicBool,
    stop: CancellationToken,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.stop.cancel();
        // Of one that was replaced, or never served, another one shows how it is.
        if *self.is_started.get_mut() && !self.system.is_replaced.load(Ordering::Relaxed) {
            self.layers.retire();
        }
    }
}

struct Supervised {
    plan: SystemPlan,
    base_dir: PathBuf,
    state: watch::Sender<State>,
    /// What it offered last: while it is down, and until it offers something else.
    offered: watch::Sender<Option<Arc<Offer>>>,
    /// Another one has its name now, and tells whether it is up.
    is_replaced: AtomicBool,
    /// Calls wait for an attempt to connect as long as it may take.
    is_awaited: AtomicBool,
    /// A call needs this system, or could not reach it.
    wanted: Arc<Notify>,
}

#[derive(Clone)]
pub(super) enum State {
    Connecting,
    Up(Arc<dyn Call>),
    Down { error: Error, since: Instant, next: Instant },
    Stopped,
}

impl Supervisor {
    pub(crate) fn new(plans: IndexMap<Arc<str>, SystemPlan>, base_dir: &std::path::Path) -> Self {
        let mut supervisor = Supervisor {
            systems: IndexMap::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            permits: Arc::new(Semaphore::new(CONNECTING_AT_ONCE)),
            at_work: Arc::default(),
        };
        for (name, plan) in plans {
            let system = Supervised {
                plan,
                base_dir: base_dir.to_owned(),
                state: watch::Sender::new(State::Connecting),
                offered: watch::Sender::new(None),
                is_replaced: AtomicBool::new(false),
                is_awaited: AtomicBool::new(false),
                wanted: Arc::default(),
            };
            let held = supervisor.hold(Arc::new(system));
            supervisor.systems.insert(name, Arc::new(held));
        }
        supervisor
    }

    /// Begins the layers of a system.
    fn hold(&self, system: Arc<Supervised>) -> Held {
        let background = Arc::new(InBackground { tasks: self.tasks.clone(), stop: self.stop.clone() });
        let layers = system.plan.layers.start(&system.plan, background);
        let call = layers.around(Arc::new(Connected(system.clone())));
        Held { system, layers, call, is_started: AtomicBool::new(false), stop: CancellationToken::new() }
    }

    /// The systems of `new`; those that are the same in `old` are `old`'s.
    pub(crate) fn following(new: &Supervisor, old: &Supervisor) -> Self {
        let chosen = |(name, new): (&Arc<str>, &Arc<Held>)| {
            // The layers of the others begin here once more: what they leave behind is `old`'s to end.
            let again = || Arc::new(old.hold(new.system.clone()));
            let held = match old.systems.get(name) {
                Some(old) if old.system.is_same(&new.system) => old.clone(),
                Some(old) => {
                    old.system.is_replaced.store(true, Ordering::Relaxed);
                    old.layers.retire();
                    again()
                }
                None => again(),
            };
            (name.clone(), held)
        };
        Supervisor {
            systems: new.systems.iter().map(chosen).collect(),
            tasks: old.tasks.clone(),
            stop: old.stop.clone(),
            permits: old.permits.clone(),
            at_work: old.at_work.clone(),
        }
    }

    /// Starts to connect, in the background, whatever is not started yet. Needs a runtime.
    pub(crate) fn start(&self) {
        for held in self.systems.values() {
            if held.is_started.swap(true, Ordering::Relaxed) {
                continue;
            }
            held.layers.begin();
            let mut at_work = self.at_work();
            at_work.retain(|layers| layers.strong_count() > 0);
            at_work.push(Arc::downgrade(&held.layers));
            drop(at_work);
            let (system, permits) = (held.system.clone(), self.permits.clone());
            let (all, one) = (self.stop.clone(), held.stop.clone());
            self.tasks.spawn(async move {
                // Nothing inside is left half-done when the run is dropped at any of its awaits.
                tokio::select! {
                    () = all.cancelled() => {}
                    () = one.cancelled() => {}
                    () = system.run(&permits) => {}
                }
                system.state.send_replace(State::Stopped);
                // It is neither up nor down any more, and nobody shall be called for it.
                system.gauge(f64::NAN);
            });
        }
        self.tasks.close();
    }

    /// From now on calls wait for an attempt to connect as long as it may take, for who makes one call and ends.
    pub(crate) fn await_connections(&self) {
        self.systems.values().for_each(|held| held.system.is_awaited.store(true, Ordering::Relaxed));
    }

    /// Ends all tasks and waits for them. Calls that hold a connection keep it until they end.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn at_work(&self) -> MutexGuard<'_, Vec<Weak<dyn LayerStack>>> {
        // Nothing inside panics while it is held.
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In all plans: what a call of an earlier one changed is no longer true in the one that is served now.
    fn invalidate(&self, what: &Invalidation) {
        let at_work: Vec<_> = self.at_work().iter().filter_map(Weak::upgrade).collect();
        for layers in self.systems.values().map(|held| &held.layers).chain(&at_work) {
            layers.invalidate(what);
        }
    }

    /// Of each system, in the order of the config: its name, and why it is not connected.
    pub(crate) fn health(&self) -> Vec<(Arc<str>, Option<Error>)> {
        let unconnected = |system: &Supervised| match &*system.state.borrow() {
            State::Up(_) => None,
            state => Some(system.refusal(state)),
        };
        self.systems.iter().map(|(name, held)| (name.clone(), unconnected(&held.system))).collect()
    }

    /// What the systems offer that offer something.
    pub(crate) fn offers(&self) -> Offers {
        let exposing = self.systems.iter().filter(|(_, held)| held.system.plan.system.exposes().is_some());
        let offering = |(name, held): (&Arc<str>, &Arc<Held>)| Offering {
            name: name.clone(),
            offer: held.system.offered.subscribe(),
            state: held.system.state.subscribe(),
        };
        Offers { systems: exposing.map(offering).collect() }
    }

    fn get(&self, name: &str) -> Result<Arc<dyn Call>> {
        match self.systems.get(name) {
            Some(held) => Ok(held.call.clone()),
            None => Err(Error::internal(format!("there is no system `{name}`"))),
        }
    }
}

impl Supervised {
    /// Whether a connection to the one serves the other, too.
    fn is_same(&self, other: &Supervised) -> bool {
        let plan = |system: &Supervised| (system.plan.kind, system.plan.fingerprint);
        plan(self) == plan(other) && self.base_dir == other.base_dir
    }

    /// Connects for ever.
    async fn run(&self, permits: &Semaphore) {
        let mut pause = FIRST_PAUSE;
        loop {
            let connected = match permits.acquire().await {
                Ok(_permit) => self.connect().await,
                Err(_closed) => return,
            };
            let now = Instant::now();
            match connected {
                Ok(connection) => {
                    let (lost, offer) = (connection.lost.clone(), connection.offer.clone());
                    self.set_up(connection);
                    tokio::select! {
                        () = self.wanted.notified() => {
                            pause = FIRST_PAUSE;
                            // Calls go on with the old connection until it is known to be lost.
                            sleep_until(now + SHORTEST_PAUSE).await;
                        }
                        never = self.take_offers(offer) => match never {},
                        error = loss(lost) => {
                            // One that ends again and again is left alone for longer and longer.
                            if now.elapsed() >= LONGEST_PAUSE {
                                pause = FIRST_PAUSE;
                            }
                            pause = self.wait_down(error, pause).await;
                        }
                    }
                }
                Err(error) => pause = self.wait_down(error, pause).await,
            }
        }
    }

    /// Notes what a connection offers, for as long as it is there.
    async fn take_offers(&self, offer: Option<watch::Receiver<Option<Arc<Offer>>>>) -> Infallible {
        if let Some(mut offer) = offer {
            loop {
                if let Some(now) = offer.borrow_and_update().clone() {
                    self.offered.send_replace(Some(now));
                }
                if offer.changed().await.is_err() {
                    break;
                }
            }
        }
        std::future::pending().await
    }

    /// Says that it is down, and waits until it is time for another attempt. Gives the pause after that one.
    async fn wait_down(&self, error: Error, pause: Duration) -> Duration {
        let now = Instant::now();
        let next = now + pause.mul_f64(rand::random_range(0.5..=1.0));
        self.set_down(error, now, next);
        tokio::select! {
            () = sleep_until(next) => {}
            () = self.wanted.notified() => sleep_until(next.min(now + SHORTEST_PAUSE)).await,
        }
        self.state.send_replace(State::Connecting);
        (pause * 2).min(LONGEST_PAUSE)
    }

    async fn connect(&self) -> Result<Connection> {
        let name = &self.plan.name;
        let limit = self.plan.layers.connect_timeout();
        let read_timeout = self.plan.layers.read_timeout();
        let cx = ConnectContext { base_dir: self.base_dir.clone(), timeout: limit, read_timeout };
        let connecting = AssertUnwindSafe(self.plan.system.connect(&cx)).catch_unwind();
        match timeout(limit, connecting).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => Err(Error::internal(format!("connecting `{name}` hit a fault in Renkei"))),
            Err(_) => {
                let limit = duration::format(limit);
                Err(Error::new(Kind::Timeout, format!("no connection within {limit} (`timeout.connect`)")))
            }
        }
    }

    fn gauge(&self, up: f64) {
        if !self.is_replaced.load(Ordering::Relaxed) {
            metrics::gauge!(metric::SYSTEM_UP.name, "system" => self.plan.name.to_string()).set(up);
        }
    }

    fn set_up(&self, connection: Connection) {
        let name = &self.plan.name;
        let watched = Arc::new(Watched { inner: connection.call, wanted: self.wanted.clone() });
        self.gauge(1.0);
        if !matches!(self.state.send_replace(State::Up(watched)), State::Up(_)) {
            info!(system = &**name, kind = self.plan.kind, "connected");
        }
    }

    fn set_down(&self, error: Error, since: Instant, next: Instant) {
        let pause = duration::format(next - since);
        self.gauge(0.0);
        warn!(
            system = &*self.plan.name,
            detail = error.detail_text(),
            "not connected: {error}; next attempt in {pause}"
        );
        self.state.send_replace(State::Down { error, since, next });
    }

    async fn get(&self, deadline: Instant) -> Result<Arc<dyn Call>> {
        let mut state = self.state.subscribe();
        let until = match self.is_awaited.load(Ordering::Relaxed) {
            true => deadline,
            false => deadline.min(Instant::now() + WAIT_FOR_CONNECTION),
        };
        loop {
            let now_state = state.borrow_and_update().clone();
            match &now_state {
                State::Up(call) => return Ok(call.clone()),
                // A failure this fresh is the answer; an older one is worth another look.
                State::Down { since, .. } if *since + SHORTEST_PAUSE > Instant::now() => {
                    return Err(self.refusal(&now_state));
                }
                State::Down { .. } => self.wanted.notify_one(),
                State::Connecting => {}
                State::Stopped => return Err(self.refusal(&now_state)),
            }
            match timeout_at(until, state.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(self.refusal(&now_state)),
            }
        }
    }

    fn refusal(&self, state: &State) -> Error {
        let name = &self.plan.name;
        let unavailable =
            |reason: String| Error::unavailable(format!("system `{name}` is not connected: {reason}"));
        match state {
            State::Down { error, next, .. } => {
                // In whole seconds, upwards: a promise that holds.
                let wait = next.saturating_duration_since(Instant::now()).as_secs() + 1;
                let reason =
                    format!("{error}; it is being retried in the background, next attempt in {wait}s");
                let refusal = unavailable(reason).retry(Retry::After(Duration::from_secs(wait)));
                match error.detail_text() {
                    Some(detail) => refusal.detail(detail),
                    None => refusal,
                }
            }
            State::Stopped => unavailable("this server is shutting down".into()).retry(Retry::Never),
            State::Connecting | State::Up(_) => {
                unavailable("the connection is still being made; try again in a few seconds".into())
                    .retry(Retry::After(WAIT_FOR_CONNECTION))
            }
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            State::Connecting => "connecting",
            State::Up(_) => "up",
            State::Down { .. } => "down",
            State::Stopped => "stopped",
        })
    }
}

/// Waits until a connection is known to be lost; for ever where the connector does not notice.
async fn loss(lost: Option<watch::Receiver<Option<Error>>>) -> Error {
    if let Some(mut lost) = lost
        && let Ok(reason) = lost.wait_for(Option::is_some).await
        && let Some(error) = reason.clone()
    {
        return error;
    }
    std::future::pending().await
}

/// The connection of the moment, inside the layers: each attempt takes the one that there is.
struct Connected(Arc<Supervised>);

#[async_trait]
impl Call for Connected {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        match self.0.get(cx.deadline).await {
            Ok(call) => call.call(cx, request).await,
            Err(refusal) => {
                // It is being connected behind the scenes: to repeat the call would only make its caller wait.
                cx.attempt.mark_refused();
                Err(refusal)
            }
        }
    }
}

/// Runs what layers leave behind: ended and awaited with the tasks of the systems.
struct InBackground {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Background for InBackground {
    fn run(&self, work: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            // A refresh has changed nothing when it is dropped; a fault in it ends it only.
            stop.run_until_cancelled(AssertUnwindSafe(work).catch_unwind()).await;
        });
    }
}

/// Wakes the supervisor when an attempt could not reach the system. Inside the layers, so that it
/// sees each attempt.
struct Watched {
    inner: Arc<dyn Call>,
    wanted: Arc<Notify>,
}

#[async_trait]
impl Call for Watched {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let result = self.inner.call(cx, request).await;
        if let Err(error) = &result
            && error.kind() == Kind::Unavailable
            && !cx.attempt.was_sent()
        {
            self.wanted.notify_one();
        }
        result
    }
}

/// The systems as one run sees them.
pub(crate) struct RunSystems(pub(crate) Arc<Supervisor>);

#[async_trait]
impl Systems for RunSystems {
    async fn get(&self, name: &str) -> Result<Arc<dyn Call>> {
        self.0.get(name)
    }

    fn invalidate(&self, what: &Invalidation) {
        self.0.invalidate(what);
    }
}
