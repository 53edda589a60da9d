//! The work that nobody waits for: beside a server, or in a process of its own (`renkei work`).

use std::{process::ExitCode, sync::Arc, time::Duration};

use renkei_config::{LimitsConfig, Loaded};
use renkei_core::{diagnostic::suggest, store::Maintain};
use renkei_mcp::Site;
use renkei_patterns::{
    durable::{Host, HostOptions},
    queue::{Options, Workers},
};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::WorkArgs,
    endpoints, exit,
    load::{self, Compiled},
    logging::Log,
    reload::{self, Reload, Served},
    serve, store,
    telemetry::Telemetry,
    upkeep,
    watch::Look,
};

/// What becomes of the work of a process that stops.
const GIVEN_BACK: &str =
    "nothing new is begun; what is not done within `server.limits.drain` goes back and is taken up again";

pub(crate) async fn run(args: WorkArgs) -> ExitCode {
    let log = match Log::new(&args.log.log, args.log.log_json) {
        Ok(log) => log,
        Err(error) => return exit::usage(&error),
    };
    let hangup = reload::on_hangup();
    let seen = Look::of_config(&args.config.paths);
    let loaded = match load::load_or_report(&args.config.paths) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let only = match chosen(&args, &loaded) {
        Ok(only) => only,
        Err(error) => return exit::usage(&error),
    };
    let telemetry = match Telemetry::start(&loaded.plan.server, &loaded.plan.base_dir, log) {
        Ok(telemetry) => telemetry,
        Err(error) => return exit::fail(&error),
    };
    let changes = |reload: Reload| reload.since(seen).on(hangup);
    let code = work(args, loaded, only, changes).await;
    telemetry.stop().await;
    code
}

/// The queues that are worked on; nothing for all.
fn chosen(args: &WorkArgs, loaded: &Loaded) -> Result<Option<Vec<Arc<str>>>, String> {
    let queues = &loaded.plan.queues;
    let with_worker = || queues.iter().filter(|queue| queue.worker.is_some()).map(|queue| &queue.about.name);
    for name in &args.queue {
        if !with_worker().any(|known| **known == **name) {
            let hint = match suggest(name, with_worker().map(|known| &**known)) {
                Some(close) => format!("did you mean `{close}`?"),
                None => "`renkei queue list` shows them".to_owned(),
            };
            return Err(format!("there is no queue `{name}` with a worker: {hint}"));
        }
    }
    let only: Vec<Arc<str>> = args.queue.iter().map(|name| name.as_str().into()).collect();
    Ok((!only.is_empty()).then_some(only))
}

async fn work(
    args: WorkArgs,
    loaded: Loaded,
    only: Option<Vec<Arc<str>>>,
    changes: impl FnOnce(Reload) -> Reload,
) -> ExitCode {
    let stop = serve::stop_on_signal(GIVEN_BACK);
    let (mut compiled, store) = match store::compile(loaded).await {
        Ok(compiled) => compiled,
        Err(code) => return code,
    };
    let Some(store) = store else {
        return exit::usage("the config has nothing to work on: no queue, and no tool with `task`");
    };
    compiled.engine.start();
    // Nobody reaches it: what is served is what is worked with.
    let site = Site::new(endpoints::new(&compiled), stop.clone());
    let offers = compiled.engine.offers();
    let reload = Reload::new(args.config.paths, !args.no_watch, &mut compiled, offers, site);
    let share = only.map_or(Share::All, Share::Queues);
    let work = Work::begin(store, share, &compiled, reload.served(), &stop);
    let reload = reload.working(work.workers());
    let end = CancellationToken::new();
    drop(compiled);
    let reloading = tokio::spawn(changes(reload).run(end.clone()));
    serve::announce("working on queues and tasks");
    stop.cancelled().await;
    work.ended(end, reloading).await;
    ExitCode::SUCCESS
}

/// Which work a process does.
pub(crate) enum Share {
    /// None: others do it.
    None,
    /// These queues only.
    Queues(Vec<Arc<str>>),
    All,
}

/// What a process does beside answering: the workers of queues, runs that go on without their callers, the upkeep of
/// the store.
pub(crate) struct Work {
    store: Arc<dyn Maintain>,
    workers: Option<Arc<Workers>>,
    under_way: JoinSet<()>,
}

impl Work {
    /// Begins it, until `stop`.
    pub(crate) fn begin(
        store: Arc<dyn Maintain>,
        share: Share,
        compiled: &Compiled,
        served: Served,
        stop: &CancellationToken,
    ) -> Self {
        let (limits, mut under_way) = (&compiled.server.limits, JoinSet::new());
        let (queues, runs, only) = match share {
            Share::None => (false, false, None),
            Share::Queues(only) => (true, false, Some(only)),
            Share::All => (true, true, None),
        };
        let workers = queues.then(|| {
            let workers = Arc::new(Workers::new(store.clone(), Options { only, name: name() }));
            workers.follow(&compiled.engine);
            under_way.spawn(stopped(workers.clone(), limits.drain, stop.clone()));
            workers
        });
        if runs {
            let host = Host::new(store.clone(), move || served.engine(), host_options(limits));
            under_way.spawn(host.run(stop.clone()));
        }
        under_way.spawn(upkeep::run(store.clone(), limits.run_history, stop.clone()));
        if store::size::is_measured(&compiled.server) {
            under_way.spawn(store::size::watch(store.clone(), stop.clone()));
        }
        Work { store, workers, under_way }
    }

    /// The workers of the queues, if they work here.
    pub(crate) fn workers(&self) -> Option<Arc<Workers>> {
        self.workers.clone()
    }

    /// Waits until all of it has come to an end, then for the systems, which it needs to the end, and closes the store.
    pub(crate) async fn ended(mut self, end: CancellationToken, systems: JoinHandle<()>) {
        while let Some(ended) = self.under_way.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "the work on the store ended early");
            }
        }
        end.cancel();
        if let Err(error) = systems.await {
            tracing::error!(%error, "the upkeep of systems ended early");
        }
        self.store.close().await;
    }
}

async fn stopped(workers: Arc<Workers>, drain: Duration, stop: CancellationToken) {
    stop.cancelled().await;
    workers.stop(drain).await;
}

/// This process, for people.
fn name() -> String {
    format!("renkei-{}", std::process::id())
}

fn host_options(limits: &LimitsConfig) -> HostOptions {
    HostOptions {
        worker: name(),
        at_once: limits.runs,
        lease: limits.run_lease,
        journal_bytes: limits.run_journal.as_usize(),
        attempts: u32::try_from(limits.run_attempts).unwrap_or(u32::MAX),
        drain: limits.drain,
        result_bytes: limits.task_result.as_usize(),
    }
}
