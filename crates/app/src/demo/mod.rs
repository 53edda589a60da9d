//! `renkei demo`: everything at work on one machine, without network.
//!
//! Stand-in systems on loopback, `examples/shop` served against them, a tour by a real MCP client in
//! which every step is checked, and then the server stays up for the reader's own client.

mod clients;
mod example;
mod paper;
mod systems;
mod tour;

use std::{io::ErrorKind, net::SocketAddr, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use renkei_mcp::Site;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::{
    clients::Access,
    example::Example,
    paper::Paper,
    systems::{DEFAULT_PORTS, Service, Systems},
};
use crate::{
    endpoints, exit, load,
    logging::{Aside, Log},
    reload::Served,
    serve,
    telemetry::Telemetry,
};

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// End after the tour.
    #[arg(long, conflicts_with = "systems_only")]
    once: bool,
    /// Listen here; otherwise where the shop's config says, or on a free port when that is taken.
    #[arg(long, value_name = "ADDR", conflicts_with = "systems_only")]
    listen: Option<SocketAddr>,
    /// Only run the shop's stand-in systems, for `renkei serve examples/shop` in another terminal.
    #[arg(long)]
    systems_only: bool,
}

pub(crate) async fn run(args: DemoArgs) -> ExitCode {
    // The demo provokes warnings on purpose; they are not news.
    if let Err(error) = Log::new("error", false).and_then(|log| log.start(Aside::default())) {
        return exit::usage(&error);
    }
    let paper = Paper::new();
    let done = if args.systems_only { systems_only(paper).await } else { whole(&args, paper).await };
    match done {
        Ok(code) => code,
        Err(error) => exit::fail(&format!("{error:#}")),
    }
}

async fn systems_only(paper: Paper) -> anyhow::Result<ExitCode> {
    let example = Example::find()?;
    let systems = Systems::start(example.skus()?, DEFAULT_PORTS, false).await?;
    introduce(&systems, &example, paper)?;
    paper.text("\nThey run until Ctrl-C. In another terminal:");
    paper.indented(&format!("renkei serve {}", example.shop().display()));
    serve::stop_on_signal(serve::FINISHED).cancelled().await;
    systems.stop().await;
    Ok(ExitCode::SUCCESS)
}

async fn whole(args: &DemoArgs, paper: Paper) -> anyhow::Result<ExitCode> {
    let example = Example::find()?;
    let systems = Systems::start(example.skus()?, DEFAULT_PORTS, true).await?;
    paper.text("Renkei makes a company's systems callable for AI agents, from a YAML file.");
    introduce(&systems, &example, paper)?;

    let loaded = match load::load_with(&[example.shop()], &environment(&systems)) {
        Ok(loaded) => loaded,
        Err(report) => {
            load::print(&report);
            return Ok(ExitCode::from(exit::CONFIG));
        }
    };
    let compiled = match load::start(loaded) {
        Ok(compiled) => compiled,
        Err(code) => return Ok(code),
    };
    let listener = listen(args.listen, compiled.server.listen).await?;
    let url = format!("http://{}/mcp", listener.local_addr()?);
    let stop = CancellationToken::new();
    let options = match serve::http_options(&compiled.server, &compiled.base_dir) {
        Ok(options) => options,
        Err(error) => {
            exit::fail(&error);
            return Ok(ExitCode::from(exit::CONFIG));
        }
    };
    let server = {
        let site = Site::new(endpoints::new(&compiled), stop.clone());
        let (config, stop) = (compiled.server.clone(), stop.clone());
        let served = Served::new(compiled.engine.clone());
        tokio::spawn(async move {
            serve::serve_http(&config, options, site, listener, &Telemetry::default(), stop, served).await
        })
    };
    paper.heading(&format!("Renkei serves {} at {url}", example.shop().display()));

    let toured = tour::take(&url, &systems, &example, paper).await;
    let code = match toured {
        Ok(()) => {
            paper.heading("All of it went as it should.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            paper.failed(&format!("not as it should be: {error:#}"));
            ExitCode::from(exit::FAILED)
        }
    };
    if !args.once && code == ExitCode::SUCCESS {
        invite(url, &example, moved(&systems), paper);
        serve::stop_on_signal(serve::FINISHED).cancelled().await;
    }
    stop.cancel();
    server.await.context("the server ended")?;
    compiled.engine.shutdown().await;
    systems.stop().await;
    Ok(code)
}

fn introduce(systems: &Systems, example: &Example, paper: Paper) -> anyhow::Result<()> {
    paper.heading("Systems of a shop, stand-ins on this machine:");
    let about = ["REST, with idempotency keys", "REST, forms and a bearer token", "REST"];
    for (service, about) in systems.all().into_iter().zip(about) {
        paper.indented(&format!("{:<11}{}   {about}", service.name, service.url()));
    }
    let (products, file) = (example.skus()?.len(), example.shop().join("catalogue.db"));
    paper.indented(&format!("{:<11}{}   SQLite, {products} real products", "catalogue", file.display()));
    Ok(())
}

/// Everything that the config takes from the environment: the demo reaches its own stand-ins, whatever the
/// environment says.
fn environment(systems: &Systems) -> Vec<(String, String)> {
    let token = ("SHOP_BANK_TOKEN".to_owned(), systems::BANK_TOKEN.to_owned());
    systems.all().into_iter().map(variable).chain([token]).collect()
}

/// What a server that somebody else starts must be told: where a stand-in could not have its usual port.
fn moved(systems: &Systems) -> Vec<(String, String)> {
    let usual = [DEFAULT_PORTS.stock, DEFAULT_PORTS.bank, DEFAULT_PORTS.parcels];
    let moved =
        systems.all().into_iter().zip(usual).filter(|(service, port)| service.address.port() != *port);
    moved.map(|(service, _)| variable(service)).collect()
}

fn variable(service: &Service) -> (String, String) {
    (format!("SHOP_{}_URL", service.name.to_uppercase()), service.url())
}

/// The address that was asked for, or the usual one, or else a free port of the same machine.
async fn listen(asked: Option<SocketAddr>, usual: SocketAddr) -> anyhow::Result<TcpListener> {
    let address = asked.unwrap_or(usual);
    let bound = match TcpListener::bind(address).await {
        Err(error) if asked.is_none() && error.kind() == ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::new(address.ip(), 0)).await
        }
        other => other,
    };
    bound
        .with_context(|| format!("failed to listen on `{address}`; `--listen 127.0.0.1:0` takes a free port"))
}

/// How to go on with the reader's own client.
fn invite(url: String, example: &Example, environment: Vec<(String, String)>, paper: Paper) {
    let program = std::env::current_exe().unwrap_or_else(|_| "renkei".into());
    let config = clients::absolute(&example.shop());
    paper.heading("The server stays up. For your own client, paste one of these:");
    for (client, text) in (Access { url, program, config, environment }).lines() {
        paper.text(&format!("  {client}"));
        paper.indented(&text);
    }
    paper.text("");
    paper.text("Ask it, for example: \"Find a keyboard under 50 euros that is in stock, and reserve two.\"");
    if example.is_in_clone() {
        paper.text(&format!("What it serves is in {}; Ctrl-C ends the demo.", example.shop().display()));
    } else {
        paper.text("Ctrl-C ends the demo.");
    }
}
