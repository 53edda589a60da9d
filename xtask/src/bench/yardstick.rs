//! The yardstick's processes: servers to ask, databases to lend, drivers to run.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::sample::Sample;
use crate::{command, service::Service};

/// The program, built.
#[derive(Debug)]
pub(super) struct Yardstick(pub(super) PathBuf);

impl Yardstick {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.0);
        command.args(words);
        command
    }

    pub(super) fn proxy(&self, upstream: &str) -> Result<Service> {
        Service::announced(self.command(&["proxy", upstream]))
    }

    pub(super) fn rows(&self, database: &Path) -> Result<Service> {
        Service::announced(self.command(&["rows", &database.to_string_lossy()]))
    }

    /// The MCP server by hand.
    pub(super) fn mcp(&self, upstream: &str, database: &Path, tools: usize) -> Result<Service> {
        let words = ["mcp", upstream, &database.to_string_lossy(), &tools.to_string()];
        Service::announced(self.command(&words))
    }

    pub(super) fn mcp_stdio(&self, upstream: &str, database: &Path) -> Command {
        self.command(&["mcp-stdio", upstream, &database.to_string_lossy(), "10"])
    }

    /// A SQLite file with the table `items`.
    pub(super) fn sqlite(&self, file: &Path) -> Result<()> {
        command::run(&mut self.command(&["database", "sqlite", &file.to_string_lossy()]))
    }

    /// A private server, and the URL of a database in it. It ends with the helper.
    pub(super) fn database(&self, kind: &str) -> Result<(Helper, String)> {
        let mut helper = Helper::start(self.command(&["database", kind]))?;
        let url = helper.line()?;
        Ok((helper, url))
    }

    pub(super) fn driver(&self, kind: &str, place: &str, connections: usize) -> Result<Driver> {
        let words = ["drive", kind, place, &connections.to_string()];
        Driver::start(self.command(&words))
    }
}

/// A process that is told things on its standard input, answers on its output, and ends when the input does.
#[derive(Debug)]
pub(super) struct Helper {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Helper {
    pub(super) fn start(mut command: Command) -> Result<Helper> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start `{}`", command::line(&command)))?;
        let output = child.stdout.take().context("the helper has no standard output")?;
        let input = child.stdin.take();
        Ok(Helper { child, input, output: BufReader::new(output) })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("the helper was told to end")?;
        Ok(input.write_all(format!("{line}\n").as_bytes())?)
    }

    /// The next line that it writes.
    pub(super) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "the helper ended: {:?}", self.child.try_wait());
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It ends what it started, and then itself.
        self.input = None;
        let _ = self.child.wait();
    }
}

/// A driver's own loop.
#[derive(Debug)]
pub(super) struct Driver(Helper);

impl Driver {
    pub(super) fn start(command: Command) -> Result<Driver> {
        let mut helper = Helper::start(command)?;
        ensure!(helper.line()? == "ready", "the driver did not start");
        Ok(Driver(helper))
    }

    /// Tells it `CLIENTS MILLISECONDS`. It answers `CALLS MEDIAN P99`, and `TIME` if what it measures goes on after the time it was
    /// given; in nanoseconds.
    pub(super) fn run(&mut self, clients: usize, time: Duration) -> Result<Sample> {
        self.0.tell(&format!("{clients} {}", time.as_millis()))?;
        let line = self.0.line()?;
        let figures: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let (calls, median, slowest, took) = match *figures.as_slice() {
            [calls, median, slowest] => (calls, median, slowest, time),
            [calls, median, slowest, took] => (calls, median, slowest, Duration::from_nanos(took)),
            _ => anyhow::bail!("the driver said `{line}`"),
        };
        Ok(Sample {
            calls: usize::try_from(calls)?,
            per_second: calls as f64 / took.as_secs_f64(),
            median: Duration::from_nanos(median),
            slowest_hundredth: Duration::from_nanos(slowest),
        })
    }
}
