//! A changed config is applied while the server runs: read and checked whole, then served in place of the old one.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use indexmap::IndexMap;
use renkei_config::{Report, Style};
use renkei_http::{Identity, Tls};
use renkei_mcp::Site;
use renkei_patterns::{
    engine::{Engine, Offers},
    queue::Workers,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    certificate, endpoints,
    exposed::Exposed,
    load::{self, Compiled},
    watch::{self, Look},
};

/// What only a new process can change.
const FIXED: [&str; 32] = [
    "listen",
    "trusted_proxies",
    "store",
    "workers",
    "public_url",
    "hosts",
    "origins",
    "auth",
    "limits.request_body",
    "limits.body_pause",
    "limits.body_time",
    "limits.request_headers",
    "limits.header_lines",
    "limits.request_uri",
    "limits.header_time",
    "limits.write_pause",
    "limits.connections",
    "limits.streams",
    "limits.handshakes",
    "limits.handshake_time",
    "limits.sessions",
    "limits.session_idle",
    "limits.drain",
    "limits.runs",
    "limits.run_journal",
    "limits.run_attempts",
    "limits.run_lease",
    "limits.run_history",
    "limits.task_result",
    "metrics",
    "audit.file",
    "telemetry.otlp",
];

/// Other tools of systems are served this often at most.
const BETWEEN_OFFERS: Duration = Duration::from_millis(500);

/// What is served now, for whoever asks after the server's health.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    engine: Arc<RwLock<Arc<Engine>>>,
    /// Whether the config on disk is another one, and was refused.
    refused: Arc<AtomicBool>,
}

impl Served {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Served { engine: Arc::new(RwLock::new(engine)), refused: Arc::default() }
    }

    pub(crate) fn engine(&self) -> Arc<Engine> {
        self.engine.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, engine: Arc<Engine>) {
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = engine;
    }

    /// Of each system: its name, and whether it is connected.
    pub(crate) fn systems(&self) -> Vec<(Arc<str>, bool)> {
        self.engine().health().into_iter().map(|(name, down)| (name, down.is_none())).collect()
    }

    /// A sentence, if the config on disk was refused.
    pub(crate) fn note(&self) -> Option<&'static str> {
        let note = "the config on disk was refused, and the one before is served: the log says why";
        self.refused.load(Ordering::Relaxed).then_some(note)
    }
}

/// Applies changes of the config.
#[derive(Debug)]
pub(crate) struct Reload {
    paths: Vec<PathBuf>,
    /// Whether the command line allows to look at the files.
    may_watch: bool,
    hangup: Option<Signal>,
    site: Arc<Site>,
    served: Served,
    /// What the listener shows; nothing where it encrypts nothing.
    tls: Option<Tls>,
    /// Of `server` at the start.
    fingerprints: IndexMap<String, u64>,
    /// Whether the config said so at the start.
    encrypts: bool,
    watches: bool,
    inputs: Vec<PathBuf>,
    /// How they looked before they were read.
    seen: Look,
    workers: Option<Arc<Workers>>,
    exposed: Option<Exposed>,
    /// What systems offered when it was last looked at.
    offers: Offers,
}

/// From now on `SIGHUP` does not end the process.
pub(crate) fn on_hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

impl Reload {
    pub(crate) fn new(
        paths: Vec<PathBuf>,
        may_watch: bool,
        compiled: &mut Compiled,
        offers: Offers,
        site: Arc<Site>,
    ) -> Self {
        Reload {
            exposed: compiled.exposed.take(),
            offers,
            paths,
            may_watch,
            hangup: None,
            site,
            served: Served::new(compiled.engine.clone()),
            tls: None,
            fingerprints: compiled.server_fingerprints.clone(),
            encrypts: compiled.server.tls.is_some(),
            watches: compiled.server.watch,
            inputs: compiled.inputs(),
            seen: Look::default(),
            workers: None,
        }
    }

    /// The workers work as the changed config says, too.
    pub(crate) fn working(self, workers: Option<Arc<Workers>>) -> Self {
        Reload { workers, ..self }
    }

    /// What is not as it was `seen` is read again.
    pub(crate) fn since(self, seen: Look) -> Self {
        Reload { seen, ..self }
    }

    pub(crate) fn on(self, hangup: io::Result<Signal>) -> Self {
        let hangup = hangup.inspect_err(|error| tracing::error!(%error, "cannot listen for SIGHUP")).ok();
        Reload { hangup, ..self }
    }

    /// A new certificate is shown here.
    pub(crate) fn with_tls(self, tls: Option<Tls>) -> Self {
        Reload { tls, ..self }
    }

    pub(crate) fn served(&self) -> Served {
        self.served.clone()
    }

    /// Applies changes until `end`, then ends what the engine keeps up.
    pub(crate) async fn run(mut self, end: CancellationToken) {
        loop {
            // What was not looked at yet was read just now.
            let now = look(self.inputs.clone()).await;
            let seen = self.seen.and(now);
            let wanted = tokio::select! {
                () = end.cancelled() => break,
                () = self.offers.changed() => {
                    self.serve_offers(&end).await;
                    continue;
                }
                () = asked(&mut self.hangup) => None,
                changed = changed(&self.inputs, &seen), if self.may_watch && self.watches => Some(changed),
            };
            // Looked at before it is read: what changes meanwhile is seen the next time.
            self.seen = match wanted {
                Some(now) => now,
                None => look(self.inputs.clone()).await,
            };
            self.apply().await;
        }
        self.served.engine().shutdown().await;
    }

    async fn apply(&mut self) {
        let (paths, old, encrypts) = (self.paths.clone(), self.served.engine(), self.tls.is_some());
        // Files are read, and many templates compiled.
        let read = aside(move || read(&paths, &old, encrypts)).await;
        let (mut compiled, identity) = match read {
            Ok(Ok(compiled)) => compiled,
            Ok(Err(failure)) => return self.refuse(failure),
            Err(error) => return tracing::error!(%error, "the config was not read: a fault in Renkei"),
        };
        self.warn_of_fixed(&compiled);
        if let (Some(tls), Some(identity)) = (&self.tls, identity) {
            tls.replace(identity);
        }
        // What is known of systems that stay is served at once.
        let mut offers = compiled.engine.offers();
        offers.now();
        compiled.take_offers();
        compiled.engine.start();
        if let Some(workers) = &self.workers {
            workers.follow(&compiled.engine);
        }
        self.site.replace(endpoints::new(&compiled)).await;
        self.watches = compiled.server.watch;
        self.inputs = compiled.inputs();
        self.offers = offers;
        self.exposed = compiled.exposed.take();
        self.served.set(compiled.engine);
        self.served.refused.store(false, Ordering::Relaxed);
        tracing::info!("the changed config is served");
    }

    /// Serves what systems offer now; what they say in a short while after is served with it.
    async fn serve_offers(&mut self, end: &CancellationToken) {
        if end.run_until_cancelled(sleep(BETWEEN_OFFERS)).await.is_none() {
            return;
        }
        self.offers.now();
        let old = self.served.engine();
        let Some(mut exposed) = self.exposed.take() else { return };
        // Many schemas are compiled.
        let followed = aside(move || {
            let engine = exposed.follow(&old);
            (exposed, engine)
        });
        let (exposed, engine) = match followed.await {
            Ok(followed) => followed,
            Err(error) => {
                return tracing::error!(%error, "what systems offer is not followed any more: a fault in Renkei");
            }
        };
        let exposed = self.exposed.insert(exposed);
        let Some(engine) = engine else { return };
        engine.start();
        if let Some(workers) = &self.workers {
            workers.follow(&engine);
        }
        self.site.replace(endpoints::of_engine(&exposed.server, &engine, &exposed.groups)).await;
        self.offers = engine.offers();
        self.served.set(engine);
        tracing::info!("the tools that systems offer now are served");
    }

    fn refuse(&mut self, failure: Failure) {
        self.served.refused.store(true, Ordering::Relaxed);
        // Those of the config that is served are looked at, too: to mend one may be to put back another.
        for input in failure.inputs {
            if !self.inputs.contains(&input) {
                self.inputs.push(input);
            }
        }
        tracing::error!(
            "the changed config is refused, and the one before is still served:\n{}",
            failure.text
        );
    }

    fn warn_of_fixed(&self, compiled: &Compiled) {
        let new = &compiled.server_fingerprints;
        let differs = |key: &&&str| self.fingerprints.get(**key) != new.get(**key);
        let mut keys: Vec<String> =
            FIXED.iter().filter(differs).map(|key| format!("`server.{key}`")).collect();
        // Another certificate is no news; to encrypt or not is.
        if self.encrypts != compiled.server.tls.is_some() {
            keys.push("`server.tls`".to_owned());
        }
        if !keys.is_empty() {
            let keys = keys.join(", ");
            tracing::warn!("{keys}: a change takes effect with the next start; the rest is applied now");
        }
    }
}

/// Why there is no new config.
struct Failure {
    text: String,
    inputs: Vec<PathBuf>,
}

fn read(paths: &[PathBuf], old: &Engine, encrypts: bool) -> Result<(Compiled, Option<Identity>), Failure> {
    let of_report =
        |report: Report| Failure { text: report.render(Style::PLAIN), inputs: report.inputs().to_vec() };
    let loaded = load::load(paths, false).map_err(of_report)?;
    if !loaded.report.is_empty() {
        tracing::warn!("the changed config has warnings:\n{}", loaded.report.render(Style::PLAIN));
    }
    if load::needs_store(&loaded.plan) && old.store().is_none() {
        let text = "something in it is durable, and this process was started without a store: restart it";
        return Err(Failure { text: text.to_owned(), inputs: loaded.report.inputs().to_vec() });
    }
    let compiled = load::compile_after(loaded, Some(old)).map_err(|(report, problems)| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure { text: lines.join("\n"), inputs: report.inputs().to_vec() }
    })?;
    let config = compiled.server.tls.as_ref().filter(|_| encrypts);
    let identity = config.map(|tls| certificate::read(tls, &compiled.base_dir)).transpose();
    let identity = identity.map_err(|text| Failure { text, inputs: compiled.inputs() })?;
    Ok((compiled, identity))
}

async fn asked(hangup: &mut Option<Signal>) {
    let received = match hangup {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if received.is_none() {
        std::future::pending::<()>().await;
    }
}

async fn look(inputs: Vec<PathBuf>) -> Look {
    // Nothing in it panics; what looks like nothing is looked at again.
    aside(move || Look::at(&inputs)).await.unwrap_or_default()
}

/// Runs what reads files where it holds up nobody else.
#[expect(
    clippy::disallowed_methods,
    reason = "one at a time, of the config's own files; a slow one delays only the reload"
)]
async fn aside<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    tokio::task::spawn_blocking(run).await
}

/// Waits until the files look otherwise than `seen`, and twice alike: whoever writes them has finished.
async fn changed(inputs: &[PathBuf], seen: &Look) -> Look {
    let mut last: Option<Look> = None;
    loop {
        sleep(watch::EVERY).await;
        let now = look(inputs.to_vec()).await;
        if now != *seen && last.as_ref() == Some(&now) {
            return now;
        }
        last = Some(now);
    }
}
