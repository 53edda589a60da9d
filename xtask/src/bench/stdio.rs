//! One client on standard input and output: a request a line, an answer a line.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};

use super::{
    sample::Sample,
    target::{call_body, name_of},
    yardstick::Helper,
};

/// So many different items are asked for.
const ITEMS: u64 = 8;

/// A server that was started on pipes.
#[derive(Debug)]
pub(super) struct Piped {
    helper: Helper,
    tool: String,
    next: u64,
}

impl Piped {
    pub(super) fn start(command: Command, tool: &str) -> Result<Piped> {
        let mut helper = Helper::start(command)?;
        // Both kinds of client may begin so; the other server insists on it.
        helper.tell(
            r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#,
        )?;
        let answer = helper.line()?;
        ensure!(answer.contains("\"protocolVersion\""), "the handshake failed: {answer}");
        helper.tell(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)?;
        Ok(Piped { helper, tool: tool.to_owned(), next: 1 })
    }

    pub(super) fn id(&self) -> u32 {
        self.helper.id()
    }

    /// There is one client only.
    pub(super) fn run(&mut self, clients: usize, time: Duration) -> Result<Sample> {
        if clients != 1 {
            bail!("a pipe has one client, not {clients}");
        }
        let mut latencies = Vec::new();
        let mut now = Instant::now();
        let end = now + time;
        while now < end {
            self.exchange()?;
            let answered = Instant::now();
            latencies.push(answered - now);
            now = answered;
        }
        Ok(Sample::of(latencies, time))
    }

    fn exchange(&mut self) -> Result<()> {
        let id = self.next;
        self.next += 1;
        let item = u32::try_from(id % ITEMS + 1)?;
        self.helper.tell(&call_body(&self.tool, &format!(r#"{{"id":{item}}}"#), id))?;
        let answer = self.helper.line()?;
        let right = answer.contains(&format!("\"id\":{id},")) && answer.contains(&name_of(item));
        ensure!(right, "unexpected answer to request {id} for item {item}: {answer}");
        Ok(())
    }
}
