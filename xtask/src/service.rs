//! The built binary as a running server: started on a free port, stopped when dropped.

use std::{
    collections::VecDeque,
    fmt,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

const START_LIMIT: Duration = Duration::from_secs(30);
/// Lines of its log kept for the message when something fails.
const LOG_LINES: usize = 40;

pub(crate) struct Service {
    child: Child,
    /// Where MCP is: `http://127.0.0.1:PORT/mcp`.
    pub(crate) url: String,
    log: Arc<Mutex<VecDeque<String>>>,
}

impl Service {
    /// `renkei serve CONFIG` on a free port, once it says where it listens.
    pub(crate) fn start(binary: &Path, config: &Path, environment: &[(&str, &str)]) -> Result<Service> {
        let mut command = Command::new(binary);
        command.arg("serve").arg(config).args(["--listen", "127.0.0.1:0"]).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let stderr = child.stderr.take().context("the server has no standard error")?;

        let log = Arc::new(Mutex::new(VecDeque::new()));
        let (send, receive) = mpsc::channel();
        let kept = log.clone();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, url)) = line.split_once("listening on ") {
                    // Nobody listens any more once the address is known.
                    let _ = send.send(url.split_whitespace().next().unwrap_or_default().to_owned());
                }
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == LOG_LINES {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
        });
        let mut service = Service { child, url: String::new(), log };
        match receive.recv_timeout(START_LIMIT) {
            Ok(url) => service.url = url,
            Err(_) => anyhow::bail!("the server did not say where it listens:\n{}", service.log()),
        }
        Ok(service)
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

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself; either way it must not outlive us.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("url", &self.url).finish_non_exhaustive()
    }
}
