//! The binary `renkei`: the command line, and the wiring of all crates.

mod aside;
mod call;
mod certificate;
mod check;
mod cli;
mod demo;
mod durable;
mod endpoints;
mod exit;
mod exposed;
mod import;
mod load;
mod logging;
mod queue;
mod record;
mod reload;
mod schedules;
mod schema;
mod serve;
mod store;
mod table;
mod telemetry;
mod terminal;
mod test;
mod tokens;
mod upkeep;
mod watch;
mod work;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

/// A call makes hundreds of small allocations, often freed by another thread: this one is made for that. It asks for no
/// huge pages (`no_thp`), which make 17 MB of the 4 MB that an idle server uses.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::fail(&format!("failed to start the runtime: {error}")),
    };
    let code = runtime.block_on(run(cli));
    // Whatever still runs here belongs to connections that the drain gave up on.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}

async fn run(cli: cli::Cli) -> ExitCode {
    match cli.command {
        cli::Command::Serve(args) => serve::run(args).await,
        cli::Command::Check(args) => check::run(args),
        cli::Command::Test(args) => test::run(args).await,
        cli::Command::Call(args) => call::run(args).await,
        cli::Command::Work(args) => work::run(args).await,
        cli::Command::Queue(command) => queue::queue(command).await,
        cli::Command::Dead(command) => queue::dead(command).await,
        cli::Command::Schedule(command) => schedules::run(command).await,
        cli::Command::Task(command) => durable::task(command).await,
        cli::Command::Run(command) => durable::run(command).await,
        cli::Command::Import(cli::ImportArgs { from: cli::Import::Db(args) }) => import::run(args).await,
        cli::Command::Store(args) => store::run(args).await,
        cli::Command::Schema(args) => schema::run(args),
        cli::Command::Demo(args) => demo::run(args).await,
        cli::Command::Completions { shell } => {
            clap_complete::generate(shell, &mut cli::Cli::command(), "renkei", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
    }
}
