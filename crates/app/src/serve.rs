//! `renkei serve`: the config as an MCP server, over HTTP or stdio.

use std::{io::Write as _, net::SocketAddr, path::Path, process::ExitCode, sync::Arc};

use renkei_config::{AuthConfig, JwtConfig, Loaded, ServerConfig};
use renkei_core::Secret;
use renkei_http::{
    Access, Algorithm, ApiKey, Authentication, Authority, Health, JwtKey, JwtOptions, Options, Pages,
    Proxies, Tls,
};
use renkei_mcp::Site;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    aside::Aside,
    certificate,
    cli::ServeArgs,
    endpoints, exit, exposed, load,
    logging::Log,
    reload::{self, Reload, Served},
    store,
    telemetry::Telemetry,
    watch::Look,
    work::{Share, Work},
};

pub(crate) async fn run(args: ServeArgs) -> ExitCode {
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
    let telemetry = match Telemetry::start(&loaded.plan.server, &loaded.plan.base_dir, log) {
        Ok(telemetry) => telemetry,
        Err(error) => return exit::fail(&error),
    };
    let changes = |reload: Reload| reload.since(seen).on(hangup);
    let code = serve(args, loaded, changes, &telemetry).await;
    telemetry.stop().await;
    code
}

async fn serve(
    args: ServeArgs,
    loaded: Loaded,
    changes: impl FnOnce(Reload) -> Reload,
    telemetry: &Telemetry,
) -> ExitCode {
    let stop = stop_on_signal(FINISHED);
    let (mut compiled, store) = match store::compile(loaded).await {
        Ok(compiled) => compiled,
        Err(code) => return code,
    };
    if let Some(Err(unknown)) = args.group.as_deref().map(|name| compiled.group(name)) {
        return exit::usage(&unknown);
    }
    compiled.engine.start();
    let offers = compiled.settle(exposed::PATIENCE).await;
    let site = Site::new(endpoints::new(&compiled), stop.clone());
    let options = match (!args.stdio).then(|| http_options(&compiled.server, &compiled.base_dir)).transpose()
    {
        Ok(options) => options,
        Err(error) => {
            exit::fail(&error);
            return ExitCode::from(exit::CONFIG);
        }
    };
    let tls = options.as_ref().and_then(|options| options.tls.clone());
    let reload = Reload::new(args.config.paths, !args.no_watch, &mut compiled, offers, site.clone());
    let served = reload.served();
    let share = if compiled.server.workers { Share::All } else { Share::None };
    let work = store.map(|store| Work::begin(store, share, &compiled, served.clone(), &stop));
    let reload = changes(reload.with_tls(tls).working(work.as_ref().and_then(Work::workers)));
    let (end, stop_all) = (CancellationToken::new(), stop.clone());
    let groups = compiled.groups.iter().map(|group| group.name.clone()).collect::<Vec<_>>();
    let config = compiled.server.clone();
    // From here on the plan belongs to the reload alone: nothing else keeps one that was replaced.
    drop(compiled);
    let reloading = tokio::spawn(reload.run(end.clone()));
    let code = match options {
        None => serve_stdio(site, args.group.as_deref()).await,
        Some(options) => {
            let scheme = if options.tls.is_some() { "https" } else { "http" };
            match listen(args.listen.unwrap_or(config.listen), scheme, &groups).await {
                Ok(listener) => serve_http(&config, options, site, listener, telemetry, stop, served).await,
                Err(code) => code,
            }
        }
    };
    // A stop of the transport is a stop of all.
    stop_all.cancel();
    match work {
        Some(work) => work.ended(end, reloading).await,
        None => {
            end.cancel();
            if let Err(error) = reloading.await {
                tracing::error!(%error, "the upkeep of systems ended early");
            }
        }
    }
    code
}

/// Listens, and says where.
async fn listen(address: SocketAddr, scheme: &str, groups: &[Arc<str>]) -> Result<TcpListener, ExitCode> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        exit::fail(&format!(
            "failed to listen on `{address}`: {error}; `--listen 127.0.0.1:0` takes a free port"
        ))
    })?;
    let address = listener.local_addr().unwrap_or(address);
    announce(&format!("listening on {scheme}://{address}/mcp"));
    for group in groups {
        announce(&format!("group `{group}` on {scheme}://{address}/mcp/{group}"));
    }
    Ok(listener)
}

/// Serves until `stop`, then drains.
pub(crate) async fn serve_http(
    config: &ServerConfig,
    mut options: Options,
    site: Arc<Site>,
    listener: TcpListener,
    telemetry: &Telemetry,
    stop: CancellationToken,
    now: Served,
) -> ExitCode {
    let address = match listener.local_addr() {
        Ok(address) => address,
        Err(error) => return exit::fail(&format!("failed to read the listener's address: {error}")),
    };
    if !address.ip().is_loopback() && options.authentication.anonymous_allowed {
        tracing::warn!(%address, "whoever reaches this address may call every tool: `server.auth` says who may");
    }
    if !address.ip().is_loopback() && config.sends_credentials_in_the_clear() {
        tracing::warn!(
            %address,
            "keys and tokens cross the network in the clear: `server.tls` encrypts, `server.trusted_proxies` names a \
             proxy that does"
        );
    }
    options.health = health(now, address.ip().is_loopback());
    let page = telemetry.page(config);
    let aside = match (page, config.metrics.as_ref().and_then(|metrics| metrics.listen)) {
        (Some(page), Some(listen)) => match Aside::start(listen, &page, &options, &stop).await {
            Ok(aside) => Some(aside),
            Err(error) => return exit::fail(&error),
        },
        (page, _) => {
            options.metrics = page;
            None
        }
    };
    let served = renkei_http::serve(listener, renkei_mcp::router(site), stop, options).await;
    if let Some(aside) = aside {
        aside.stop().await;
    }
    match served {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => exit::fail(&format!("failed to serve: {error}")),
    }
}

async fn serve_stdio(site: Arc<Site>, group: Option<&str>) -> ExitCode {
    match renkei_mcp::serve_stdio(site, group).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::fail(&format!("failed to serve on stdio: {error}")),
    }
}

fn health(served: Served, names: bool) -> Health {
    let also = served.clone();
    Health {
        systems: Arc::new(move || served.systems()),
        note: Arc::new(move || also.note()),
        names,
        stopping: None,
    }
}

/// The listener's options. What they refuse, the config's own check has let through: say it plainly.
pub(crate) fn http_options(config: &ServerConfig, base_dir: &Path) -> Result<Options, String> {
    let host = |name: &str| {
        Authority::parse(name).ok_or_else(|| format!("`{name}` in `server.hosts` is not a host"))
    };
    let origin = |name: &str| {
        Pages::parse(name).ok_or_else(|| format!("`{name}` in `server.origins` is not an origin"))
    };
    let access = Access {
        hosts: config.hosts.iter().map(|name| host(&name.0)).collect::<Result<_, _>>()?,
        origins: config.origins.iter().map(|name| origin(&name.0)).collect::<Result<_, _>>()?,
        public_url: config.public_url.clone(),
        any_host: false,
    };
    let limits = &config.limits;
    let identity = config.tls.as_ref().map(|tls| certificate::read(tls, base_dir)).transpose()?;
    let proxies: Vec<_> = config.trusted_proxies.iter().map(|network| network.0).collect();
    Ok(Options {
        tls: identity.map(Tls::new),
        proxies: Proxies::new(&proxies),
        access,
        authentication: config.auth.as_ref().map_or_else(|| Ok(Authentication::default()), authentication)?,
        limits: renkei_http::Limits {
            connections: limits.connections,
            handshakes: limits.handshakes,
            handshake_time: limits.handshake_time,
            streams: limits.streams,
            header_lines: limits.header_lines,
            uri_bytes: limits.request_uri.as_usize(),
            header_bytes: limits.request_headers.as_usize(),
            header_time: limits.header_time,
            body_bytes: limits.request_body.0,
            body_pause: limits.body_pause,
            body_time: limits.body_time,
            write_pause: limits.write_pause,
            drain_time: limits.drain,
        },
        ..Options::default()
    })
}

fn authentication(auth: &AuthConfig) -> Result<Authentication, String> {
    let api_keys = auth.api_keys.iter().map(|key| {
        let hash = ApiKey::parse_sha256(&key.sha256.0)
            .ok_or_else(|| format!("`sha256` of the API key `{}` is not a SHA-256", key.name.value))?;
        Ok(ApiKey::new(key.name.value.clone(), hash))
    });
    Ok(Authentication {
        anonymous_allowed: auth.anonymous,
        api_keys: api_keys.collect::<Result<_, String>>()?,
        jwt: auth.jwt.iter().map(jwt_key).collect::<Result<_, _>>()?,
    })
}

fn jwt_key(jwt: &JwtConfig) -> Result<JwtKey, String> {
    let name = jwt.algorithm.as_str();
    let algorithm = Algorithm::parse(name).ok_or_else(|| format!("`{name}` is not a signature algorithm"))?;
    let key = match (&jwt.key, &jwt.public_key) {
        (Some(key), _) => key.clone(),
        (None, Some(key)) => Secret::new(key.as_str()),
        (None, None) => return Err(format!("a `jwt` entry with `{name}` has no key")),
    };
    JwtKey::new(&JwtOptions {
        algorithm,
        key,
        issuer: jwt.issuer.clone(),
        audience: jwt.audience.clone(),
        expiry_optional: jwt.expiry_optional,
    })
    .map_err(|error| format!("the `{name}` key in `server.auth.jwt` cannot be used: {error}"))
}

/// What becomes of the requests of a server that stops.
pub(crate) const FINISHED: &str = "requests under way are finished";

/// Cancelled by SIGTERM or Ctrl-C; a second one ends the process at once. `then` says what becomes of what is under way.
pub(crate) fn stop_on_signal(then: &'static str) -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    // Lives as long as the process: its owner is `main`'s runtime.
    tokio::spawn(async move {
        signal().await;
        tracing::info!("stopping: {then}; a second signal ends at once");
        told.cancel();
        signal().await;
        end_at_once();
    });
    stop
}

#[expect(clippy::disallowed_methods, reason = "whoever signals twice does not want the drain")]
fn end_at_once() {
    std::process::exit(exit::SECOND_SIGNAL.into())
}

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::error!(%error, "cannot listen for SIGTERM; Ctrl-C works");
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[expect(clippy::print_stderr, reason = "scripts wait for this line; it is not a log line")]
pub(crate) fn announce(line: &str) {
    eprintln!("{line}");
    let _ = std::io::stderr().flush();
}
