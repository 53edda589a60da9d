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

use anyhow::{Result, anyhow, bail, ensure};

use super::{
    sample::Sample,
    target::{Exchange, Target},
};

const READ_LIMIT: Duration = Duration::from_secs(10);

/// A connection that is kept, with the buffers of its answers.
#[derive(Debug)]
pub(super) struct Connection {
    writer: TcpStream,
    reader: BufReader<TcpStream>,
    line: Vec<u8>,
    body: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Result<Connection> {
        let writer = TcpStream::connect(address)?;
        writer.set_nodelay(true)?;
        writer.set_read_timeout(Some(READ_LIMIT))?;
        let reader = BufReader::new(writer.try_clone()?);
        Ok(Connection { writer, reader, line: Vec::new(), body: Vec::new() })
    }

    /// Sends the request and reads the whole answer; a wrong one is an error.
    pub(super) fn exchange(&mut self, exchange: &Exchange) -> Result<&[u8]> {
        self.send(exchange)?;
        self.read_answer()?;
        exchange.verify(&self.body)?;
        Ok(&self.body)
    }

    fn send(&mut self, exchange: &Exchange) -> Result<()> {
        Ok(self.writer.write_all(&exchange.request)?)
    }

    /// The same, and gives the value of one header of the answer.
    pub(super) fn exchange_for(&mut self, exchange: &Exchange, header: &str) -> Result<Option<String>> {
        self.send(exchange)?;
        let mut found = None;
        self.read_answer_with(|name, value| {
            if name.eq_ignore_ascii_case(header.as_bytes()) {
                found = Some(String::from_utf8_lossy(value).into_owned());
            }
        })?;
        exchange.verify(&self.body)?;
        Ok(found)
    }

    fn read_answer(&mut self) -> Result<()> {
        self.read_answer_with(|_, _| {})
    }

    fn read_answer_with(&mut self, mut each: impl FnMut(&[u8], &[u8])) -> Result<()> {
        self.read_line()?;
        let good = self.line.get(9..11) == Some(b"20");
        let status = if good { String::new() } else { String::from_utf8_lossy(&self.line).into_owned() };
        let mut length = None;
        let mut chunked = false;
        loop {
            self.read_line()?;
            let Some(colon) = self.line.iter().position(|byte| *byte == b':') else { break };
            let (name, value) = (&self.line[..colon], self.line[colon + 1..].trim_ascii());
            each(name, value);
            if name.eq_ignore_ascii_case(b"content-length") {
                length = Some(std::str::from_utf8(value)?.parse::<usize>()?);
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                chunked = value.eq_ignore_ascii_case(b"chunked");
            }
        }
        self.body.clear();
        match length {
            _ if chunked => self.read_chunks()?,
            Some(length) => self.read_exactly(length)?,
            None => bail!("an answer without a length"),
        }
        ensure!(good, "{status}: {}", String::from_utf8_lossy(&self.body));
        Ok(())
    }

    fn read_chunks(&mut self) -> Result<()> {
        loop {
            self.read_line()?;
            let size = usize::from_str_radix(std::str::from_utf8(&self.line)?, 16)?;
            self.read_exactly(size)?;
            self.read_line()?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    /// Appends to the body.
    fn read_exactly(&mut self, length: usize) -> Result<()> {
        let before = self.body.len();
        self.body.resize(before + length, 0);
        Ok(self.reader.read_exact(&mut self.body[before..])?)
    }

    fn read_line(&mut self) -> Result<()> {
        self.line.clear();
        ensure!(self.reader.read_until(b'\n', &mut self.line)? > 0, "the connection was closed");
        self.line.truncate(self.line.trim_ascii_end().len());
        Ok(())
    }
}

/// `clients` connections for `time`; a single wrong answer fails the round.
pub(super) fn run(target: &Target, clients: usize, time: Duration) -> Result<Sample> {
    Ok(Sample::of(latencies(target, clients, time)?, time))
}

/// The same, and how long each call took.
pub(super) fn latencies(target: &Target, clients: usize, time: Duration) -> Result<Vec<Duration>> {
    let start = Barrier::new(clients);
    let rounds: Vec<Result<Vec<Duration>>> = thread::scope(|scope| {
        let client = |number: usize| {
            let start = &start;
            move || {
                // Waits in any case: the others count on it.
                let connection = Connection::open(target.address);
                start.wait();
                repeat(connection?, target, number, time)
            }
        };
        let threads: Vec<_> = (0..clients).map(|number| scope.spawn(client(number))).collect();
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
    Ok(latencies)
}

fn repeat(
    mut connection: Connection,
    target: &Target,
    first: usize,
    time: Duration,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut turns = target.exchanges.iter().cycle().skip(first % target.exchanges.len().max(1));
    let mut now = Instant::now();
    let end = now + time;
    while now < end
        && let Some(exchange) = turns.next()
    {
        connection.exchange(exchange)?;
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
        let mut good = Target::items(&upstream.url(), "/stock").unwrap();
        let sample = run(&good, 2, Duration::from_millis(20)).unwrap();
        assert!(sample.per_second > 0.0);
        // Answers that belong to other requests.
        let request = good.exchanges[1].request.clone();
        good.exchanges[0].request = request;
        let error = run(&good, 1, Duration::from_millis(20)).unwrap_err();
        assert!(error.to_string().contains("another answer"), "{error}");
        assert!(Target::get(upstream.address(), "/broken", "warehouse").is_err());
        assert!(Target::get(upstream.address(), "/stock/1", "lamp-0002").is_err());
    }
}
