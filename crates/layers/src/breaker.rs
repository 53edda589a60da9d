//! Sends nothing for a while when too many attempts fail, and then a few to see how the system is.
//!
//! An HTTP system has one host, so a breaker a system is a breaker a host: what fails after the system sent a
//! request on to another host is not counted ([`mark_elsewhere`](renkei_core::call::Attempt::mark_elsewhere)).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use renkei_core::{Call, CallContext, Error, Kind, Reply, Request, Result, Retry, call::Attempt, duration};
use tracing::{info, warn};

use crate::{
    clock::{Clock, promised},
    config,
    metrics::Metrics,
};

/// The window is counted in so many pieces, and moves by one piece at a time.
pub(crate) const PIECES: usize = 10;
/// When it is worth trying again while others find out how the system is.
const WHILE_PROBING: Duration = Duration::from_secs(1);

/// What an attempt says about the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Good,
    Bad,
    /// Nothing: it was not let through, or nobody waited for its end.
    Unknown,
}

impl Outcome {
    /// A system that answers – be it "no" – is there. What does not come through says that it is not.
    fn of(result: &Result<Reply>, attempt: &Attempt) -> Self {
        match result {
            Ok(_) => Outcome::Good,
            Err(_) if attempt.was_refused() => Outcome::Unknown,
            Err(_) if attempt.was_elsewhere() => Outcome::Good,
            Err(error) => match error.kind() {
                Kind::Unavailable | Kind::Timeout => Outcome::Bad,
                Kind::Cancelled | Kind::Internal => Outcome::Unknown,
                _ => Outcome::Good,
            },
        }
    }
}

/// The state of a breaker, without a clock: times are since some beginning and never go back.
#[derive(Debug)]
pub(crate) struct Machine {
    config: config::Breaker,
    phase: Phase,
    /// Counts the phases: what an attempt of an earlier one has to say is no matter any more.
    epoch: u64,
}

#[derive(Debug)]
enum Phase {
    Closed(Window),
    Open { until: Duration },
    HalfOpen { under_way: u32, good: u32 },
}

/// What is to be told to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Opened { failures: u32, of: u32 },
    Closed,
}

/// Good and bad attempts, by pieces of the window.
#[derive(Debug, Default)]
struct Window {
    pieces: [(u32, u32); PIECES],
    /// The number of the newest piece since the beginning of time.
    newest: u64,
}

impl Window {
    fn count(&mut self, piece: u64, outcome: Outcome) {
        let passed = piece.saturating_sub(self.newest).min(PIECES as u64);
        for number in piece + 1 - passed..=piece {
            self.pieces[number as usize % PIECES] = (0, 0);
        }
        self.newest = self.newest.max(piece);
        let (good, bad) = &mut self.pieces[self.newest as usize % PIECES];
        match outcome {
            Outcome::Good => *good = good.saturating_add(1),
            Outcome::Bad => *bad = bad.saturating_add(1),
            Outcome::Unknown => {}
        }
    }

    /// Failures, and all.
    fn totals(&self) -> (u32, u32) {
        let add = |(bad, all): (u32, u32), (g, b): &(u32, u32)| {
            (bad.saturating_add(*b), all.saturating_add(*g).saturating_add(*b))
        };
        self.pieces.iter().fold((0, 0), add)
    }
}

impl Machine {
    pub(crate) fn new(config: config::Breaker) -> Self {
        Machine { config, phase: Phase::Closed(Window::default()), epoch: 0 }
    }

    /// Lets an attempt through and gives its number for [`Machine::settle`], which must follow.
    ///
    /// # Errors
    /// It may not go; gives the time after which it is worth trying again.
    pub(crate) fn admit(&mut self, now: Duration) -> Result<u64, Duration> {
        match &mut self.phase {
            Phase::Closed(_) => {}
            Phase::Open { until } if now < *until => return Err(*until - now),
            Phase::Open { .. } => self.enter(Phase::HalfOpen { under_way: 1, good: 0 }),
            Phase::HalfOpen { under_way, .. } if *under_way < self.config.probes => *under_way += 1,
            Phase::HalfOpen { .. } => return Err(WHILE_PROBING),
        }
        Ok(self.epoch)
    }

    pub(crate) fn settle(&mut self, now: Duration, admitted: u64, outcome: Outcome) -> Option<Change> {
        if admitted != self.epoch {
            return None;
        }
        match &mut self.phase {
            Phase::Closed(window) => {
                let piece = self.config.window / PIECES as u32;
                window.count((now.as_nanos() / piece.as_nanos().max(1)) as u64, outcome);
                if outcome != Outcome::Bad {
                    return None;
                }
                let (failures, of) = window.totals();
                let config::Breaker { rate, minimum, .. } = self.config;
                let often = u64::from(failures) * 100 >= u64::from(of) * u64::from(rate.0);
                (failures >= self.config.failures && often && of >= minimum)
                    .then(|| self.open(now, failures, of))
            }
            Phase::HalfOpen { under_way, good } => {
                *under_way = under_way.saturating_sub(1);
                match outcome {
                    Outcome::Unknown => None,
                    Outcome::Bad => {
                        let of = *good + 1;
                        Some(self.open(now, 1, of))
                    }
                    Outcome::Good => {
                        *good += 1;
                        (*good >= self.config.successes).then(|| {
                            self.enter(Phase::Closed(Window::default()));
                            Change::Closed
                        })
                    }
                }
            }
            Phase::Open { .. } => None,
        }
    }

    fn open(&mut self, now: Duration, failures: u32, of: u32) -> Change {
        self.enter(Phase::Open { until: now + self.config.reset });
        Change::Opened { failures, of }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
    }

    /// 0 closed, 1 half-open, 2 open.
    pub(crate) fn number(&self) -> u8 {
        match self.phase {
            Phase::Closed(_) => 0,
            Phase::HalfOpen { .. } => 1,
            Phase::Open { .. } => 2,
        }
    }
}

/// The breaker of a system, for all its connections.
pub(crate) struct State {
    system: Arc<str>,
    clock: Clock,
    machine: Mutex<Machine>,
    metrics: Arc<Metrics>,
}

impl State {
    pub(crate) fn new(
        system: Arc<str>,
        config: config::Breaker,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Self {
        State { system, clock, machine: Mutex::new(Machine::new(config)), metrics }
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        // Nothing inside panics while it is held.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, attempt: &Attempt) -> Result<Passage<'_>> {
        let mut machine = self.machine();
        let admitted = machine.admit(self.clock.now());
        let number = machine.number();
        drop(machine);
        match admitted {
            Ok(epoch) => {
                if number != 0 {
                    self.metrics.show_breaker(number);
                }
                Ok(Passage { state: self, epoch, outcome: Outcome::Unknown })
            }
            Err(wait) => {
                attempt.mark_refused();
                self.metrics.refused_by_breaker.increment(1);
                let wait = promised(wait);
                let (system, after) = (&self.system, duration::format(wait));
                let text = format!(
                    "calls to `{system}` failed too often lately, so none is sent for a while (its `breaker` is open); try again in {after}"
                );
                Err(Error::unavailable(text).retry(Retry::After(wait)))
            }
        }
    }
}

/// An attempt that was let through. It is settled when this is dropped: also where nobody waits for its end.
struct Passage<'a> {
    state: &'a State,
    epoch: u64,
    outcome: Outcome,
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        let State { system, clock, metrics, .. } = self.state;
        let mut machine = self.state.machine();
        let change = machine.settle(clock.now(), self.epoch, self.outcome);
        let number = machine.number();
        drop(machine);
        match change {
            None => return,
            Some(Change::Opened { failures, of }) => {
                metrics.breaker_opened.increment(1);
                warn!(system = &**system, failures, of, "the breaker opened");
            }
            Some(Change::Closed) => info!(system = &**system, "the breaker closed"),
        }
        metrics.show_breaker(number);
    }
}

pub(crate) struct Breaker<C> {
    /// Nothing where there is none.
    state: Option<Arc<State>>,
    inner: C,
}

impl<C: Call> Breaker<C> {
    pub(crate) fn new(state: Option<Arc<State>>, inner: C) -> Self {
        Breaker { state, inner }
    }
}

#[async_trait]
impl<C: Call> Call for Breaker<C> {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let Some(state) = &self.state else { return self.inner.call(cx, request).await };
        let mut passage = state.admit(&cx.attempt)?;
        let result = self.inner.call(cx, request).await;
        passage.outcome = Outcome::of(&result, &cx.attempt);
        result
    }
}
