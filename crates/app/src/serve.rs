//! `renkei serve`: the config as an MCP server, over HTTP or stdio.

use std::{io::Write as _, net::SocketAddr, process::ExitCode, sync::Arc};

use renkei_config::{AuthConfig, JwtConfig, ServerConfig};
use renkei_core::{Secret, tool::Tools};
use renkei_http::{Access, Algorithm, ApiKey, Authentication, Authority, JwtKey, JwtOptions, Pages};
use renkei_patterns::engine::Engine;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{cli::ServeArgs, exit, load, logging};

pub(crate) async fn run(args: ServeArgs) -> ExitCode {
    if let Err(error) = logging::start(&args.log.log, args.log.log_json) {
        return exit::usage(&error);
    }
    let stop = stop_on_signal();
    let (config, engine) = match load::load_or_report(&args.config.paths).and_then(load::engine) {
        Ok(started) => started,
        Err(code) => return code,
    };
    let code = if args.stdio {
        serve_stdio(&config, engine.clone(), stop).await
    } else {
        let address = args.listen.unwrap_or(config.listen);
        serve_on(address, &config, engine.clone(), stop).await
    };
    engine.shutdown().await;
    code
}

async fn serve_on(
    address: SocketAddr,
    config: &ServerConfig,
    engine: Arc<Engine>,
    stop: CancellationToken,
) -> ExitCode {
    match TcpListener::bind(address).await {
        Ok(listener) => {
            let address = listener.local_addr().unwrap_or(address);
            announce(&format!("listening on http://{address}/mcp"));
            serve_http(config, engine, listener, stop).await
        }
        Err(error) => exit::fail(&format!(
            "failed to listen on `{address}`: {error}; `--listen 127.0.0.1:0` takes a free port"
        )),
    }
}

/// Serves until `stop`, then drains.
pub(crate) async fn serve_http(
    config: &ServerConfig,
    engine: Arc<Engine>,
    listener: TcpListener,
    stop: CancellationToken,
) -> ExitCode {
    let address = match listener.local_addr() {
        Ok(address) => address,
        Err(error) => return exit::fail(&format!("failed to read the listener's address: {error}")),
    };
    let options = match http_options(config) {
        Ok(options) => options,
        Err(error) => {
            exit::fail(&error);
            return ExitCode::from(exit::CONFIG);
        }
    };
    if !address.ip().is_loopback() && options.authentication.anonymous_allowed {
        tracing::warn!(%address, "whoever reaches this address may call every tool: `server.auth` says who may");
    }
    let router = renkei_mcp::router(mcp_server(config, engine), stop.clone());
    match renkei_http::serve(listener, router, stop, options).await {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => exit::fail(&format!("failed to serve: {error}")),
    }
}

async fn serve_stdio(config: &ServerConfig, engine: Arc<Engine>, stop: CancellationToken) -> ExitCode {
    match renkei_mcp::serve_stdio(mcp_server(config, engine), stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::fail(&format!("failed to serve on stdio: {error}")),
    }
}

fn mcp_server(config: &ServerConfig, engine: Arc<Engine>) -> Arc<renkei_mcp::Server> {
    let tools: Arc<dyn Tools> = engine.clone();
    let info = renkei_mcp::Info {
        name: config.name.clone(),
        title: config.title.clone(),
        version: config.version.clone().unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()),
        instructions: config.instructions.clone(),
        icons: config.icons.iter().cloned().map(Into::into).collect(),
    };
    let limits = renkei_mcp::Limits {
        calls: config.limits.concurrent_calls,
        sessions: config.limits.sessions,
        session_idle: config.limits.session_idle,
        message_bytes: config.limits.request_body.as_usize(),
        list_page: config.limits.list_page,
        ..renkei_mcp::Limits::default()
    };
    let mut server = renkei_mcp::Server::new(tools, info, limits);
    if engine.has_resources() {
        server = server.with_resources(engine.clone());
    }
    if engine.has_prompts() {
        server = server.with_prompts(engine);
    }
    Arc::new(server)
}

/// The listener's options. What they refuse, the config's own check has let through: say it plainly.
pub(crate) fn http_options(config: &ServerConfig) -> Result<renkei_http::Options, String> {
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
    };
    let limits = &config.limits;
    Ok(renkei_http::Options {
        access,
        authentication: config.auth.as_ref().map_or_else(|| Ok(Authentication::default()), authentication)?,
        limits: renkei_http::Limits {
            connections: limits.connections,
            header_bytes: limits.request_headers.as_usize(),
            header_time: limits.header_time,
            body_bytes: limits.request_body.0,
            body_pause: limits.body_pause,
            write_pause: limits.write_pause,
            drain_time: limits.drain,
        },
        ..renkei_http::Options::default()
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

/// Cancelled by SIGTERM or Ctrl-C; a second one ends the process at once.
pub(crate) fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    // Lives as long as the process: its owner is `main`'s runtime.
    tokio::spawn(async move {
        signal().await;
        tracing::info!("stopping: requests under way are finished; a second signal ends at once");
        told.cancel();
        signal().await;
        std::process::abort();
    });
    stop
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
fn announce(line: &str) {
    eprintln!("{line}");
    let _ = std::io::stderr().flush();
}
