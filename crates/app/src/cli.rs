//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueHint};

use crate::logging;

const EXIT_CODES: &str = "\
Exit codes:
  0  it went well
  1  the tool answered with an error, a test failed, or a step of the demo did not go as expected
  2  the command line is wrong
  3  the config has errors
  4  the machine refused: address taken, file not readable";

/// Serves the systems and integrations of a YAML file over the Model Context Protocol.
#[derive(Debug, Parser)]
#[command(name = "renkei", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a config over MCP.
    #[command(after_help = "Examples:
  renkei serve                                 the config in this folder, on 127.0.0.1:8383
  renkei serve examples/shop --listen 127.0.0.1:0
  renkei serve shop.yaml --stdio               for clients that start their servers themselves
  renkei serve shop.yaml --stdio --group sales only a group of the config")]
    Serve(ServeArgs),
    /// Check a config: everything that can be known without its systems.
    #[command(after_help = "Examples:
  renkei check
  renkei check examples/shop --no-env          on a machine without the secrets
  renkei check shop.yaml --json                for editors and CI")]
    Check(CheckArgs),
    /// Run the config's tests: real tools on systems that answer as the tests say. Nothing is connected,
    /// unless they are recorded.
    #[command(after_help = "Examples:
  renkei test                                  the config in this folder, and the `*.test.yaml` beside it
  renkei test examples/shop --filter card
  renkei test shop.yaml --junit report.xml     for CI systems
  renkei test shop.yaml --record --dry-run     what the live systems answer, as mocks")]
    Test(TestArgs),
    /// Call a tool through the engine, without a client.
    #[command(after_help = "Examples:
  renkei call get_product sku=046d:c525 --config examples/shop
  renkei call search_products text=keyboard limit=3 --config examples/shop --json
  renkei call stock_levels 'skus=[\"046d:c525\"]' -c examples/shop

A value is read as the tool's schema says: text for a string, JSON otherwise.
`key=@file` takes the value from a file; `key:=JSON` is JSON in any case.")]
    Call(CallArgs),
    /// Work on the queues and tasks of a config, without serving it: several processes share the work on one store.
    #[command(after_help = "Examples:
  renkei work                                  all queues of the config in this folder
  renkei work shop.yaml --queue reports        only one of them

A server works on its queues itself unless the config says `server: { workers: false }`.")]
    Work(WorkArgs),
    /// Queues: what waits, what is under way, what is dead. Looks into the config's store, while a server works on it or not.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Dead letters: messages that were given up, with their history.
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Tasks: calls that go on without their callers. Looks into the config's store, while a server works on it or not.
    #[command(subcommand)]
    Task(TaskCommand),
    /// Durable runs: what they did, step by step.
    #[command(subcommand)]
    Run(RunCommand),
    /// Write tools from what a system says of itself.
    Import(ImportArgs),
    /// Look after the store of a config: `server.store`. The server may run meanwhile.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Print the JSON Schema of the config, for editors.
    #[command(after_help = "Examples:
  renkei schema > renkei.schema.json

In the config, for editors with a YAML language server:
  # yaml-language-server: $schema=renkei.schema.json")]
    Schema(SchemaArgs),
    /// Show it all at work: stand-in systems, a server, a client's tour.
    #[command(after_help = "Examples:
  renkei demo                                  a tour, then the server stays up for your client
  renkei demo --once                           only the tour
  renkei demo --systems-only                   only the shop's stand-in systems")]
    Demo(crate::demo::DemoArgs),
    /// Print a completion script for a shell.
    #[command(after_help = "Examples:
  renkei completions bash > ~/.local/share/bash-completion/completions/renkei")]
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigPaths,
    /// Listen here instead of where `server.listen` says; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", conflicts_with = "stdio")]
    pub(crate) listen: Option<SocketAddr>,
    /// Speak MCP on stdin and stdout instead of HTTP.
    #[arg(long)]
    pub(crate) stdio: bool,
    /// With `--stdio`: only this group. Over HTTP it is at `/mcp/GROUP` anyway.
    #[arg(long, value_name = "GROUP", requires = "stdio")]
    pub(crate) group: Option<String>,
    /// Do not apply changes of the config's files by itself; SIGHUP still does.
    #[arg(long)]
    pub(crate) no_watch: bool,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigPaths {
    /// Config files, or folders of them; this folder without any.
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// What to log on stderr: error, warn, info, debug, trace, or a filter such as `renkei=debug`.
    #[arg(long, value_name = "FILTER", env = "RENKEI_LOG", default_value = logging::DEFAULT_FILTER)]
    pub(crate) log: String,
    /// One JSON object a line instead of text.
    #[arg(long)]
    pub(crate) log_json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) config: ConfigPaths,
    /// Do not ask for environment variables and secret files: any value will do.
    #[arg(long)]
    pub(crate) no_env: bool,
    /// Print the findings and the tools as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    #[command(flatten)]
    pub(crate) config: ConfigPaths,
    /// Only the tests whose names contain this.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Also write the results into a file, as JUnit's XML.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) junit: Option<PathBuf>,
    /// Print the results as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Call the tools of tests without mocks on the live systems, and write what these answer into the tests.
    #[arg(long, conflicts_with = "junit", help_heading = "Recording")]
    pub(crate) record: bool,
    /// Record once more what was recorded before. What somebody wrote stays.
    #[arg(long, requires = "record", help_heading = "Recording")]
    pub(crate) again: bool,
    /// Also send requests that may change something.
    #[arg(long, requires = "record", help_heading = "Recording")]
    pub(crate) allow_writes: bool,
    /// Show what would be written, and write nothing. The systems are asked.
    #[arg(long, requires = "record", help_heading = "Recording")]
    pub(crate) dry_run: bool,
    /// The most bytes of answers that one test may hold.
    #[arg(long, requires = "record", value_name = "BYTES", default_value_t = 64 * 1024, help_heading = "Recording")]
    pub(crate) max_bytes: usize,
}

#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    /// The tool's name.
    pub(crate) tool: String,
    /// Its arguments.
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) arguments: Vec<String>,
    /// Config files, or folders of them; this folder without any.
    #[arg(long, short, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) config: Vec<PathBuf>,
    /// As at the endpoint of this group: other tools do not exist.
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// Print the whole result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) log: QuietLogArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Which tasks there are, the oldest first.
    #[command(after_help = "Examples:
  renkei task list
  renkei task list --status working --config examples/shop
  renkei task list --json                      for scripts")]
    List {
        /// Only those with this status: working, input_required, completed, failed, cancelled.
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// One task, with its result.
    Show {
        /// The task's id.
        id: String,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Ask for the end of a task, as its owner could. What it has done stays done.
    Cancel {
        /// The task's id.
        id: String,
        #[command(flatten)]
        store: StoreArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// The latest runs.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// What happened in a run: its steps, with times and errors.
    Show {
        /// The run's id, as in `run list` and in `$run`.
        id: String,
        #[command(flatten)]
        store: StoreArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Show so many at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// Whose store, and how to print.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Config files, or folders of them; this folder without any.
    #[arg(long, short, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) config: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) log: QuietLogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WorkArgs {
    #[command(flatten)]
    pub(crate) config: ConfigPaths,
    /// Only this queue; again for another one.
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: Vec<String>,
    /// Do not apply changes of the config's files by itself; SIGHUP still does.
    #[arg(long)]
    pub(crate) no_watch: bool,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// All queues, with how many messages are in which state.
    List {
        #[command(flatten)]
        store: StoreArgs,
    },
    /// One queue, with some of its messages.
    Show {
        /// The queue's name.
        queue: String,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Begin no more work on a queue, in all processes. Messages are still taken in; what is under way goes on.
    Pause {
        /// The queue's name.
        queue: String,
        /// Why, for whoever looks.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Go on with a queue.
    Resume {
        /// The queue's name.
        queue: String,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Remove the messages of a queue that wait. What is under way goes on.
    Purge {
        /// The queue's name.
        queue: String,
        /// Remove its dead letters instead.
        #[arg(long)]
        dead: bool,
        /// They are lost, and that is meant.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        store: StoreArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// Which there are, the newest of each queue first.
    #[command(after_help = "Examples:
  renkei dead list
  renkei dead list reports --kind timeout
  renkei dead list --says 'disk full' --json   for scripts")]
    List {
        #[command(flatten)]
        which: DeadArgs,
        /// Show so many at most.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// One message, dead or not, with its data and its history.
    Show {
        /// The message's id.
        id: String,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Put them back into their queues: the same id, key and data, and all attempts anew.
    #[command(after_help = "Examples:
  renkei dead replay 0193e2f0-…                one
  renkei dead replay reports --kind timeout --rate 10/s
  renkei dead replay --all")]
    Replay {
        #[command(flatten)]
        which: DeadArgs,
        /// All of them, of all queues.
        #[arg(long)]
        all: bool,
        /// So many in so much time, such as `10/s`; as fast as it goes without it.
        #[arg(long, value_name = "RATE")]
        rate: Option<String>,
        /// So many at most.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Remove them for good.
    Discard {
        #[command(flatten)]
        which: DeadArgs,
        /// All of them, of all queues.
        #[arg(long)]
        all: bool,
        /// So many at most.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        #[command(flatten)]
        store: StoreArgs,
    },
}

/// Which dead letters; all conditions have to hold.
#[derive(Debug, Args)]
pub(crate) struct DeadArgs {
    /// The id of one, or the name of a queue.
    #[arg(value_name = "ID|QUEUE")]
    which: Option<String>,
    /// The kind of the last error, such as `timeout`; or `expired`.
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// The value of `order_by`.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// A text in the last error.
    #[arg(long, value_name = "TEXT")]
    pub(crate) says: Option<String>,
    /// Dead since this moment or longer, in RFC 3339.
    #[arg(long, value_name = "MOMENT")]
    pub(crate) before: Option<String>,
}

impl DeadArgs {
    /// One message, if that is meant: no queue's name looks like an id.
    pub(crate) fn id(&self) -> Option<&str> {
        self.which.as_deref().filter(|text| text.contains('-'))
    }

    pub(crate) fn queue(&self) -> Option<&str> {
        self.which.as_deref().filter(|text| !text.contains('-'))
    }

    /// Whether it names nothing at all.
    pub(crate) fn is_everything(&self) -> bool {
        let DeadArgs { which, kind, key, says, before } = self;
        [which, kind, key, says, before].into_iter().all(Option::is_none)
    }
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    pub(crate) from: Import,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// Write tools that get, find and list the rows of a database's tables.
    #[command(after_help = "Examples:
  renkei import db orders                      which tables there are
  renkei import db orders --table 'order*' --table customers
  renkei import db orders --table customers --write --out customers.yaml

The tools are yours then: read them, change them, and delete what nobody needs.")]
    Db(ImportDbArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ImportDbArgs {
    /// The system's name in the config.
    pub(crate) system: String,
    /// Tables and views, by name; `*` stands for any letters. Without it, their names are listed.
    #[arg(long, short, value_name = "PATTERN")]
    pub(crate) table: Vec<String>,
    /// The schemas (databases, for MySQL) to look in, instead of those that the connection looks in itself.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) schema: Vec<String>,
    /// Write tools that create, update and delete rows, too.
    #[arg(long)]
    pub(crate) write: bool,
    /// What begins the name of each tool, such as `crm_`.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) prefix: String,
    /// Write into this new file instead of printing. One that is there already is not touched.
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) out: Option<PathBuf>,
    /// Config files, or folders of them; this folder without any.
    #[arg(long, short, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) config: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) log: QuietLogArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Look for damage: of the file, and of what must hold between its records. Reads everything.
    #[command(after_help = "Exit code 1 says that there is damage.")]
    Check(StoreArgs),
    /// Write a copy of one moment into a new file.
    #[command(after_help = "Examples:
  renkei store backup renkei-2026-12-01.db
  renkei store backup /backups/renkei.db --config examples/shop

To restore it, stop the server, put the copy in the place of the store, and remove the files
beside it that end in `-wal` and `-shm`.")]
    Backup {
        /// The new file; its folder must be there.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Give room that is not used any more back to the file system.
    Compact(StoreArgs),
    /// Bring the tables up to date, as `serve` does at its start.
    Migrate(StoreArgs),
}

#[derive(Debug, Args)]
pub(crate) struct QuietLogArgs {
    /// What to log on stderr: error, warn, info, debug, trace.
    #[arg(long, value_name = "FILTER", env = "RENKEI_LOG", default_value = "error")]
    pub(crate) log: String,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Write the reference pages, made from the same types, into this folder.
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) reference: Option<PathBuf>,
}
