//! From the start of the process to its first answer, and what it then holds in memory.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{sample::median, target::Target};
use crate::service::Service;

#[derive(Debug)]
pub(super) struct Measured {
    pub(super) start: Duration,
    /// Where the system tells.
    pub(super) resident: Option<u64>,
}

/// Medians over `times` processes.
pub(super) fn measure(binary: &Path, config: &Path, tools: usize, times: usize) -> Result<Measured> {
    let mut starts = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..times {
        let began = Instant::now();
        let service = Service::start(binary, config, &[])?;
        Target::list(&service.url, tools)?;
        starts.push(began.elapsed());
        resident.extend(resident_bytes(service.id()));
    }
    let resident = (!resident.is_empty()).then(|| median(&mut resident));
    Ok(Measured { start: median(&mut starts), resident })
}

/// What a process holds in memory now, where the system tells.
pub(super) fn resident_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}
