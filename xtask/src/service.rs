//! The built binary as a running server: started on a free port, stopped when dropped.

use std::{
    collections::VecDeque,
    fmt,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::command;

const START_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks at a server that says nothing.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Lines of its log kept for the message when something fails.
const LOG_LINES: usize = 40;

pub(crate) struct Service {
    child: Child,
    /// Whether it is asked to end, because it has processes of its own to end.
    asked: bool,
    /// Where MCP is: `http://127.0.0.1:PORT/mcp`.
    pub(crate) url: String,
    log: Arc<Mutex<VecDeque<String>>>,
}

impl Service {
    /// `renkei serve CONFIG` on a free port, once it says where it listens.
    pub(crate) fn start(binary: &Path, config: &Path, environment: &[(&str, &str)]) -> Result<Service> {
        let mut command = Command::new(binary);
        command.arg("serve").arg(config).args(["--listen", "127.0.0.1:0"]).envs(environment.iter().copied());
        Service::announced(command)
    }

    /// The same without a line a call in its log.
    pub(crate) fn start_quiet(binary: &Path, config: &Path) -> Result<Service> {
        let mut command = Command::new(binary);
        command.arg("serve").arg(config).args(["--listen", "127.0.0.1:0", "--log", "warn"]);
        Service::announced(command)
    }

    /// A server that writes `listening on URL` to standard error.
    pub(crate) fn announced(command: Command) -> Result<Service> {
        let (send, receive) = mpsc::channel();
        let mut service = Service::spawn(command, move |line| {
            if let Some((_, url)) = line.split_once("listening on ") {
                // Nobody listens any more once the address is known.
                let _ = send.send(url.split_whitespace().next().unwrap_or_default().to_owned());
            }
        })?;
        match receive.recv_timeout(START_LIMIT) {
            Ok(url) => service.url = url,
            Err(_) => bail!("the server did not say where it listens:\n{}", service.log()),
        }
        Ok(service)
    }

    /// A server that was told its port and tells nothing: it is there when it takes connections.
    pub(crate) fn silent(command: Command, port: u16, path: &str) -> Result<Service> {
        let mut service = Service::spawn(command, |_| {})?;
        service.asked = true;
        service.url = format!("http://127.0.0.1:{port}{path}");
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if service.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("the server does not answer:\n{}", service.log());
            }
            pause();
        }
        Ok(service)
    }

    fn spawn(mut command: Command, mut each: impl FnMut(&str) + Send + 'static) -> Result<Service> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child =
            command.spawn().with_context(|| format!("cannot start `{}`", command::line(&command)))?;
        let stderr = child.stderr.take().context("the server has no standard error")?;
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let kept = log.clone();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                each(&line);
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == LOG_LINES {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
        });
        Ok(Service { child, asked: false, url: String::new(), log })
    }

    /// Whether it ended when it was asked to.
    fn end_when_asked(&mut self) -> bool {
        let deadline = Instant::now() + END_LIMIT;
        let mut kill = Command::new("kill");
        let mut waits = command::works(kill.arg(self.child.id().to_string()));
        while waits && Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => pause(),
                Ok(Some(_)) => return true,
                Err(_) => waits = false,
            }
        }
        false
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The last lines of its log.
    pub(crate) fn log(&self) -> String {
        let lines = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// A port that nobody has just now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

#[expect(clippy::disallowed_methods, reason = "a thread of a command-line tool, with nothing else to do")]
pub(crate) fn pause() {
    thread::sleep(LOOK_AGAIN);
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself; either way it must not outlive us.
        if !(self.asked && self.end_when_asked()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("url", &self.url).finish_non_exhaustive()
    }
}
