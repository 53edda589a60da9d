//! From the start of the process to its first answer, and what it then holds in memory.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{
    load::{Connection, Target},
    median,
};
use crate::service::Service;

/// `tools/list` requests for one figure.
const LISTS: usize = 200;

#[derive(Debug)]
pub(super) struct Measured {
    pub(super) start: Duration,
    /// Where the system tells.
    pub(super) resident: Option<u64>,
    pub(super) list: Duration,
}

/// Medians over `times` processes.
pub(super) fn measure(binary: &Path, config: &Path, tools: usize, times: usize) -> Result<Measured> {
    let mut starts = Vec::new();
    let mut resident = Vec::new();
    let mut lists = Vec::new();
    for _ in 0..times {
        let began = Instant::now();
        let service = Service::start(binary, config, &[])?;
        let list = Target::list(&service.url)?;
        let mut connection = Connection::open(&list)?;
        let body = connection.exchange(&list)?;
        starts.push(began.elapsed());
        resident.extend(resident_bytes(service.id()));
        let listed = body.matches("\"inputSchema\"").count();
        ensure!(listed == tools, "{listed} tools were listed, not {tools}");
        for _ in 0..LISTS / times {
            let began = Instant::now();
            connection.exchange(&list)?;
            lists.push(began.elapsed());
        }
    }
    let resident = (!resident.is_empty()).then(|| median(&mut resident));
    Ok(Measured { start: median(&mut starts), resident, list: median(&mut lists) })
}

fn resident_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}
