//! A closed loop of HTTP/1.1 clients on threads: each sends its next request when the last is answered.
//!
//! By hand, because the driver shares the cores with what it measures: it must cost next to nothing.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::median;

const REVISION: &str = "2026-07-28";
const READ_LIMIT: Duration = Duration::from_secs(10);

/// One request to repeat, and how to know a good answer.
#[derive(Debug)]
pub(super) struct Target {
    address: SocketAddr,
    request: Vec<u8>,
    expected: &'static str,
}

impl Target {
    pub(super) fn get(address: SocketAddr, path: &str, expected: &'static str) -> Target {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\n\r\n");
        Target { address, request: request.into_bytes(), expected }
    }

    pub(super) fn tool(url: &str, name: &str, arguments: &str) -> Result<Target> {
        let params = format!(r#""name":"{name}","arguments":{arguments},"#);
        Target::mcp(url, "tools/call", &format!("mcp-name: {name}\r\n"), &params, "\"isError\":false")
    }

    pub(super) fn list(url: &str) -> Result<Target> {
        Target::mcp(url, "tools/list", "", "", "\"tools\"")
    }

    fn mcp(url: &str, method: &str, headers: &str, params: &str, expected: &'static str) -> Result<Target> {
        let rest = url.strip_prefix("http://").with_context(|| format!("not plain HTTP: {url}"))?;
        let (host, path) = rest.split_once('/').with_context(|| format!("no path: {url}"))?;
        let meta = format!(
            r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{REVISION}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#
        );
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{meta}}}}}"#);
        let request = format!(
            "POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\nmcp-protocol-version: {REVISION}\r\n\
             mcp-method: {method}\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        Ok(Target { address: host.parse()?, request: request.into_bytes(), expected })
    }
}

/// A connection that is kept.
#[derive(Debug)]
pub(super) struct Connection {
    writer: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub(super) fn open(target: &Target) -> Result<Connection> {
        let writer = TcpStream::connect(target.address)?;
        writer.set_nodelay(true)?;
        writer.set_read_timeout(Some(READ_LIMIT))?;
        let reader = BufReader::new(writer.try_clone()?);
        Ok(Connection { writer, reader })
    }

    /// Sends the request and reads the whole answer; a wrong one is an error.
    pub(super) fn exchange(&mut self, target: &Target) -> Result<String> {
        self.writer.write_all(&target.request)?;
        let body = self.read_body()?;
        ensure!(body.contains(target.expected), "unexpected answer: {}", &body[..body.len().min(500)]);
        Ok(body)
    }

    fn read_body(&mut self) -> Result<String> {
        let status = self.read_line()?;
        let mut length = None;
        let mut chunked = false;
        loop {
            let line = self.read_line()?.to_ascii_lowercase();
            match line.split_once(':') {
                Some(("content-length", value)) => length = Some(value.trim().parse::<usize>()?),
                Some(("transfer-encoding", value)) => chunked = value.trim() == "chunked",
                Some(_) => {}
                None => break,
            }
        }
        let body = match length {
            _ if chunked => self.read_chunks()?,
            Some(length) => self.read_exactly(length)?,
            None => bail!("an answer without a length"),
        };
        let body = String::from_utf8(body)?;
        ensure!(status.contains(" 200 "), "{status}: {body}");
        Ok(body)
    }

    fn read_chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.read_line()?, 16)?;
            body.extend(self.read_exactly(size)?);
            self.read_line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn read_exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn read_line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.reader.read_line(&mut line)? > 0, "the connection was closed");
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}

/// What one round, or the median of several, showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) per_second: f64,
    pub(super) median: Duration,
    pub(super) slowest_hundredth: Duration,
}

impl Sample {
    /// Each figure's own median.
    pub(super) fn median(samples: &[Sample]) -> Sample {
        let durations =
            |pick: fn(&Sample) -> Duration| median(&mut samples.iter().map(pick).collect::<Vec<_>>());
        Sample {
            per_second: median(&mut samples.iter().map(|sample| sample.per_second).collect::<Vec<_>>()),
            median: durations(|sample| sample.median),
            slowest_hundredth: durations(|sample| sample.slowest_hundredth),
        }
    }
}

/// `clients` connections for `time`; a single wrong answer fails the round.
pub(super) fn run(target: &Target, clients: usize, time: Duration) -> Result<Sample> {
    let start = Barrier::new(clients);
    let rounds: Vec<Result<Vec<Duration>>> = thread::scope(|scope| {
        let client = || {
            // Waits in any case: the others count on it.
            let connection = Connection::open(target);
            start.wait();
            repeat(connection?, target, time)
        };
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| match thread.join() {
            Ok(latencies) => latencies,
            Err(_) => Err(anyhow!("a client panicked")),
        };
        threads.into_iter().map(join).collect()
    });
    let mut latencies = Vec::new();
    for round in rounds {
        latencies.extend(round?);
    }
    let per_second = latencies.len() as f64 / time.as_secs_f64();
    let middle = median(&mut latencies);
    let slowest_hundredth = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default();
    Ok(Sample { per_second, median: middle, slowest_hundredth })
}

fn repeat(mut connection: Connection, target: &Target, time: Duration) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut now = Instant::now();
    let end = now + time;
    while now < end {
        connection.exchange(target)?;
        let answered = Instant::now();
        latencies.push(answered - now);
        now = answered;
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standin::StandIn;

    #[test]
    fn the_driver_counts_good_answers_and_refuses_others() {
        let upstream = StandIn::start().unwrap();
        let good = Target::get(upstream.address(), "/items/1", "\"lamp\"");
        let sample = run(&good, 2, Duration::from_millis(20)).unwrap();
        assert!(sample.per_second > 0.0);
        let bad = Target::get(upstream.address(), "/broken", "\"lamp\"");
        assert!(run(&bad, 1, Duration::from_millis(20)).is_err());
    }
}
