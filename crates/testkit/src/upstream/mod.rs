//! An MCP server that is nobody's product: written by hand (`server.py`), over standard input and output and over
//! streamable HTTP, in both eras, and able to misbehave. It tells the test what happens.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
};

/// How long a test waits for something that must happen before it gives up.
const PATIENCE: Duration = Duration::from_secs(30);
const SCRIPT: &str = include_str!("server.py");

/// The program, and what it has told so far. All of it ends when this is dropped.
#[derive(Debug)]
pub struct Upstream {
    folder: TempDir,
    port: u16,
    journal: watch::Sender<Vec<Value>>,
    _tasks: JoinSet<()>,
}

impl Upstream {
    /// Listens for what programs tell; starts none.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is a place for temporary files");
        std::fs::write(folder.path().join("server.py"), SCRIPT).expect("the folder is ours");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let journal = watch::Sender::new(Vec::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, journal.clone()));
        Upstream { folder, port, journal, _tasks: tasks }
    }

    /// Where it keeps its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The program that a config starts.
    pub fn command(&self) -> &'static str {
        "python3"
    }

    /// Its arguments; `modes` are words of `server.py`.
    pub fn args(&self, modes: &[&str]) -> Vec<String> {
        let script: PathBuf = self.folder.path().join("server.py");
        let own = [script.to_string_lossy().into_owned(), "--journal".to_owned(), self.port.to_string()];
        own.into_iter().chain(modes.iter().map(|mode| (*mode).to_owned())).collect()
    }

    /// Serves HTTP; with a port, on that one.
    pub async fn serve(&self, port: u16, modes: &[&str], environment: &[(&str, &str)]) -> Served {
        let before = self.count("listening");
        let mut args = self.args(&[]);
        args.extend(["--http".to_owned(), port.to_string()]);
        args.extend(modes.iter().map(|mode| (*mode).to_owned()));
        let child = Command::new(self.command())
            .args(args)
            .env("UPSTREAM_FOLDER", self.folder.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("python3 is installed");
        let told = self.wait("listening", before + 1).await;
        let port =
            told.last().and_then(|entry| entry["port"].as_u64()).and_then(|port| u16::try_from(port).ok());
        Served { child, port: port.expect("it tells its port") }
    }

    /// Everything that was told so far, in the order it came.
    pub fn told(&self) -> Vec<Value> {
        self.journal.borrow().clone()
    }

    /// What was told of one kind.
    pub fn told_of(&self, event: &str) -> Vec<Value> {
        self.journal.borrow().iter().filter(|entry| entry["event"] == event).cloned().collect()
    }

    pub fn count(&self, event: &str) -> usize {
        self.told_of(event).len()
    }

    /// Waits until something was told so often.
    pub async fn wait(&self, event: &str, count: usize) -> Vec<Value> {
        let mut journal = self.journal.subscribe();
        let there =
            |entries: &Vec<Value>| entries.iter().filter(|entry| entry["event"] == event).count() >= count;
        let waited = tokio::time::timeout(PATIENCE, journal.wait_for(there)).await.map(drop);
        assert!(waited.is_ok(), "waited {PATIENCE:?} for {count} times `{event}`: {:#?}", self.told());
        self.told_of(event)
    }
}

/// A program that serves HTTP. It ends when this is dropped.
#[derive(Debug)]
pub struct Served {
    child: Child,
    port: u16,
}

impl Served {
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// Waits until it has ended by itself.
    pub async fn ended(mut self) {
        self.child.wait().await.expect("it is our child");
    }

    /// Ends it.
    pub async fn stop(mut self) {
        self.child.kill().await.expect("it is our child");
    }
}

async fn listen(listener: TcpListener, journal: watch::Sender<Vec<Value>>) {
    let mut readers = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let journal = journal.clone();
        readers.spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let entry = serde_json::from_str(&line).expect("the server tells JSON");
                journal.send_modify(|entries| entries.push(entry));
            }
        });
    }
}

/// Whether a process is there and has not ended.
pub fn is_alive(pid: u64) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The state comes after the name, which stands in brackets and may hold anything.
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X']))
}
