//! Several sides in turns, as a table.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::service::Service;

use super::{
    Plan, load, milliseconds, processor,
    sample::{Ratio, Sample},
    target::Target,
};

/// A name, and what makes a round of it.
pub(super) struct Side<'a> {
    name: String,
    /// The server, where its processor time tells something.
    process: Option<u32>,
    round: Box<dyn FnMut(usize, Duration) -> Result<Sample> + 'a>,
    /// Whether the others go on without it where it fails.
    is_dispensable: bool,
    failed: bool,
}

impl<'a> Side<'a> {
    pub(super) fn new(name: &str, round: impl FnMut(usize, Duration) -> Result<Sample> + 'a) -> Side<'a> {
        Side {
            name: name.to_owned(),
            process: None,
            round: Box::new(round),
            is_dispensable: false,
            failed: false,
        }
    }

    /// Somebody else's: if it fails, the table says so, and the rest is measured without it.
    pub(super) fn dispensable(self) -> Side<'a> {
        Side { is_dispensable: true, ..self }
    }

    /// What answers without a process of its own.
    pub(super) fn direct(name: &str, target: Target) -> Side<'a> {
        Side::new(name, move |clients, time| load::run(&target, clients, time))
    }

    pub(super) fn http(name: &str, service: &Service, target: Target) -> Side<'a> {
        Side { process: Some(service.id()), ..Side::direct(name, target) }
    }

    pub(super) fn of_process(self, process: u32) -> Side<'a> {
        Side { process: Some(process), ..self }
    }

    /// Nothing from one that has failed.
    fn measure(&mut self, clients: usize, time: Duration) -> Result<Option<Sample>> {
        if self.failed {
            return Ok(None);
        }
        match (self.round)(clients, time) {
            Ok(sample) => Ok(Some(sample)),
            Err(error) if self.is_dispensable => {
                eprintln!("{} is left out from here on: {error}", self.name);
                self.failed = true;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn processor_time(&self) -> Option<Duration> {
        self.process.and_then(processor::time)
    }
}

/// Renkei beside one other side, for one number of clients.
#[derive(Debug)]
pub(super) struct Beside {
    pub(super) clients: usize,
    pub(super) side: String,
    pub(super) ratio: Ratio,
}

/// Measures the sides in turns and prints a table. The first one is Renkei: the others stand beside it.
pub(super) fn compare(plan: &Plan, clients: &[usize], sides: &mut [Side<'_>]) -> Result<Vec<Beside>> {
    println!("| clients | side | calls/s | median | 99 % | CPU a call | Renkei does … of its calls |");
    println!("|---|---|---|---|---|---|---|");
    let mut beside = Vec::new();
    for &clients in clients {
        // Connections, pools and caches are filled before it counts.
        for side in &mut *sides {
            side.measure(clients, plan.round / 2)?;
        }
        let mut samples = vec![Vec::new(); sides.len()];
        let mut used = vec![Duration::ZERO; sides.len()];
        for _ in 0..plan.rounds {
            for ((side, samples), used) in sides.iter_mut().zip(&mut samples).zip(&mut used) {
                let before = side.processor_time();
                samples.extend(side.measure(clients, plan.round)?);
                *used += side
                    .processor_time()
                    .zip(before)
                    .map_or(Duration::ZERO, |(after, before)| after - before);
            }
        }
        for ((side, theirs), used) in sides.iter().zip(&samples).zip(used) {
            if side.failed {
                println!("| {clients} | {} | did not finish |  |  |  |  |", side.name);
                continue;
            }
            let middle = Sample::median(theirs);
            ensure!(middle.per_second > 0.0, "{} answered nothing", side.name);
            let ratio = Ratio::of(&samples[0], theirs);
            let each = match side.process {
                Some(_) => format!("{:.0} µs", used.as_secs_f64() * 1e6 / middle.calls as f64),
                None => String::new(),
            };
            let shown = match std::ptr::eq(theirs, &samples[0]) {
                true => String::new(),
                false => format!("{:.2}× ({:.2} … {:.2})", ratio.median, ratio.least, ratio.most),
            };
            println!(
                "| {clients} | {} | {:.0} | {:.2} ms | {:.2} ms | {each} | {shown} |",
                side.name,
                middle.per_second,
                milliseconds(middle.median),
                milliseconds(middle.slowest_hundredth)
            );
            beside.push(Beside { clients, side: side.name.clone(), ratio });
        }
    }
    println!();
    Ok(beside)
}
