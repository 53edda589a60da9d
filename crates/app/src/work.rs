//! The workers of the queues: beside a server, or in a process of their own (`renkei work`).

use std::{process::ExitCode, sync::Arc, time::Duration};

use renkei_config::{Loaded, ServerConfig};
use renkei_core::diagnostic::suggest;
use renkei_mcp::Site;
use renkei_patterns::{
    engine::Engine,
    queue::{Options, Workers},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::WorkArgs,
    endpoints, exit, load,
    logging::Log,
    reload::{self, Reload},
    serve, store,
    telemetry::Telemetry,
    watch::Look,
};

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
    if with_worker().next().is_none() {
        return Err("the config has no queue with a worker: `queues: { NAME: { worker: … } }`".to_owned());
    }
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
    let stop = serve::stop_on_signal();
    let compiled = match store::compile(loaded).await {
        Ok(compiled) => compiled,
        Err(code) => return code,
    };
    compiled.engine.start();
    let drain = compiled.server.limits.drain;
    let workers = begin(&compiled.engine, only);
    // Nobody reaches it: what is served is what is worked with.
    let site = Site::new(endpoints::new(&compiled), stop.clone());
    let reload = Reload::new(args.config.paths, !args.no_watch, &compiled, site).working(workers.clone());
    let end = CancellationToken::new();
    drop(compiled);
    let reloading = tokio::spawn(changes(reload).run(end.clone()));
    serve::announce("working on the queues");
    stop.cancelled().await;
    if let Some(workers) = workers {
        workers.stop(drain).await;
    }
    // Only now: attempts need their systems to the end.
    end.cancel();
    if let Err(error) = reloading.await {
        tracing::error!(%error, "the upkeep of systems ended early");
    }
    ExitCode::SUCCESS
}

/// The workers of a process, if there is a store.
pub(crate) fn begin(engine: &Arc<Engine>, only: Option<Vec<Arc<str>>>) -> Option<Arc<Workers>> {
    let store = engine.store()?.clone();
    let name = format!("renkei-{}", std::process::id());
    let workers = Arc::new(Workers::new(store, Options { only, name }));
    workers.follow(engine);
    Some(workers)
}

/// Stops them with everything else, and waits for what is under way.
pub(crate) fn until(stop: CancellationToken, workers: Arc<Workers>, drain: Duration) -> JoinHandle<()> {
    tokio::spawn(async move {
        stop.cancelled().await;
        workers.stop(drain).await;
    })
}

/// The workers beside a server, unless its config wants none.
pub(crate) fn beside(config: &ServerConfig, engine: &Arc<Engine>) -> Option<Arc<Workers>> {
    if config.workers { begin(engine, None) } else { None }
}
