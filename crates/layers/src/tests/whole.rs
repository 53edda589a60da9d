//! All layers together, as one machine, on a virtual clock: many callers, of whom some leave, a system that answers,
//! fails, hangs and says when to come back, and time that passes in steps.
//!
//! Each layer has its model in a file of its own. Here is what must hold however they meet.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use proptest::prelude::*;
use renkei_core::{
    Applied, Call, CallContext, Effect, Error, Kind, LayerStack, Reply, Request, Result, Retry, Value,
    read::Rate,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use super::script::{Counted, context, request, stack};
use crate::config::{self, Attempts, BreakerChoice, Limit, Settings, Share};

/// What the system does with an attempt.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answers,
    Fails,
    /// And says when to come back, in milliseconds.
    Busy(u64),
    Hangs,
    /// Says no, which is an answer.
    Refuses,
}

#[derive(Clone, Debug)]
enum Act {
    /// A call that begins now, whose attempts go so.
    Call {
        effect: Effect,
        keyed: bool,
        tries: Vec<(u64, Does)>,
    },
    /// One of the callers leaves.
    Leave(prop::sample::Index),
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let does = prop_oneof![
        3 => Just(Does::Answers),
        4 => Just(Does::Fails),
        1 => (0u64..3_000).prop_map(Does::Busy),
        1 => Just(Does::Hangs),
        1 => Just(Does::Refuses),
    ];
    let effect = prop_oneof![Just(Effect::Read), Just(Effect::Idempotent), Just(Effect::Write)];
    let tries = prop::collection::vec((0u64..800, does), 1..5);
    prop_oneof![
        5 => (effect, any::<bool>(), tries).prop_map(|(effect, keyed, tries)| Act::Call { effect, keyed, tries }),
        1 => any::<prop::sample::Index>().prop_map(Act::Leave),
        3 => (0u64..1_500).prop_map(Act::Pass),
    ]
}

/// An attempt that came to the system.
#[derive(Clone, Debug)]
struct Arrived {
    call: usize,
    at: Instant,
    /// Nothing while it is under way.
    ended: Option<Instant>,
}

/// The system, which notes what comes.
#[derive(Default)]
struct World {
    arrived: Mutex<Vec<Arrived>>,
}

/// One call's view of it.
struct Seen {
    world: Arc<World>,
    call: usize,
    tries: Mutex<std::collections::VecDeque<(u64, Does)>>,
    calm: Arc<AtomicBool>,
}

/// Notes the end of an attempt, also of one that was dropped.
struct Ending<'a> {
    world: &'a World,
    index: usize,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.world.arrived.lock().unwrap()[self.index].ended = Some(Instant::now());
    }
}

#[async_trait]
impl Call for Seen {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let next = self.tries.lock().unwrap().pop_front();
        let (takes, does) = match next {
            Some(next) if !self.calm.load(Ordering::SeqCst) => next,
            _ => (1, Does::Answers),
        };
        let index = {
            let mut arrived = self.world.arrived.lock().unwrap();
            arrived.push(Arrived { call: self.call, at: Instant::now(), ended: None });
            arrived.len() - 1
        };
        cx.attempt.mark_sent();
        let _ending = Ending { world: &self.world, index };
        sleep(Duration::from_millis(takes)).await;
        match does {
            Does::Answers => Ok(Reply::json(Value::Null)),
            Does::Refuses => Err(Error::new(Kind::Rejected, "`crm` says no")),
            // A connector has no doubt about what only reads.
            Does::Fails if request.effect == Effect::Read => Err(Error::unavailable("`crm` is broken")),
            Does::Fails => Err(Error::unavailable("`crm` is broken").applied(Applied::Unknown)),
            Does::Busy(ms) => {
                let wait = Retry::After(Duration::from_millis(ms));
                Err(Error::new(Kind::RateLimited, "`crm` is busy").retry(wait))
            }
            Does::Hangs => std::future::pending().await,
        }
    }
}

const ATTEMPT: Duration = Duration::from_millis(1_000);
const TOTAL: Duration = Duration::from_secs(5);
/// Timers fire on the next whole millisecond.
const TICK: Duration = Duration::from_millis(2);
/// So often it is looked whether the breaker has opened.
const LOOK: Duration = Duration::from_millis(10);

fn settings(attempts: u32, breaker: config::Breaker, limit: Limit) -> Settings {
    Settings {
        timeout: config::Timeout { connect: ATTEMPT, read: None, attempt: ATTEMPT, total: TOTAL },
        retry: config::Retry {
            plan: Attempts { attempts, first: Duration::from_millis(50), max: Duration::from_millis(500) },
            ..Settings::default().retry
        },
        breaker: BreakerChoice(Some(breaker)),
        limit,
        ..Settings::default()
    }
}

/// A call under way: its number, what it may do, and how long it takes to which end.
type Calling = (usize, Effect, JoinHandle<(Duration, Result<()>)>);

/// What was sent, and when the breaker was open.
struct Story {
    arrived: Vec<Arrived>,
    opened: Vec<Instant>,
}

async fn play(settings: &Settings, acts: Vec<Act>) -> Result<Story, TestCaseError> {
    let counted = Counted::default();
    let stack = counted.within(|| stack(settings));
    let (world, calm) = (Arc::new(World::default()), Arc::new(AtomicBool::new(false)));
    let opened = || counted.count("renkei_system_breaker_opened_total{system=crm}");
    let mut calls: Vec<Calling> = Vec::new();
    let mut openings = Vec::new();
    // When the breaker opened is not told otherwise.
    let pass = async |ms: u64, openings: &mut Vec<Instant>| {
        let until = Instant::now() + Duration::from_millis(ms);
        while Instant::now() < until {
            sleep_until(until.min(Instant::now() + LOOK)).await;
            while (openings.len() as u64) < opened() {
                openings.push(Instant::now());
            }
        }
    };
    for act in acts {
        match act {
            Act::Pass(ms) => pass(ms, &mut openings).await,
            Act::Leave(which) if !calls.is_empty() => {
                calls[which.index(calls.len())].2.abort();
            }
            Act::Leave(_) => {}
            Act::Call { effect, keyed, tries } => {
                let number = calls.len();
                let seen = Seen {
                    world: world.clone(),
                    call: number,
                    tries: Mutex::new(tries.into()),
                    calm: calm.clone(),
                };
                let call = stack.around(Arc::new(seen));
                let task = tokio::spawn(async move {
                    let start = Instant::now();
                    let result = call
                        .call(&context(Duration::from_secs(3600)), &request(effect, keyed.then_some("k")))
                        .await;
                    (start.elapsed(), result.map(drop))
                });
                calls.push((number, effect, task));
                pass(1, &mut openings).await;
            }
        }
    }
    pass(TOTAL.as_millis() as u64 + 5, &mut openings).await;
    for (number, effect, task) in calls {
        prop_assert!(task.is_finished(), "call {number} hangs");
        let Ok((took, result)) = task.await else { continue };
        prop_assert!(took <= TOTAL + TICK, "call {number} took {took:?}");
        let sent = world.arrived.lock().unwrap().iter().filter(|arrived| arrived.call == number).count();
        if let Err(error) = result {
            // What was not sent was not applied, and what reads never is.
            if sent == 0 {
                prop_assert_eq!(error.was_applied(), Applied::No, "{}", error);
            }
            if effect == Effect::Read && error.kind() == Kind::Timeout {
                prop_assert_eq!(error.was_applied(), Applied::No, "{}", error);
            }
        }
    }
    prop_assert_eq!(counted.gauge("renkei_system_requests_in_flight{system=crm}"), 0.0);
    // Whatever it was, a system that is well is used again: the breaker lets probes through and closes.
    calm.store(true, Ordering::SeqCst);
    let breaker = settings.breaker.0.as_ref().expect("it has one");
    let story = Story { arrived: world.arrived.lock().unwrap().clone(), opened: openings };
    sleep(breaker.reset + Duration::from_secs(60)).await;
    let well = Seen { world: world.clone(), call: usize::MAX, tries: Mutex::default(), calm };
    let call = stack.around(Arc::new(well));
    for number in 0..breaker.successes + 3 {
        let done = call.call(&context(TOTAL), &request(Effect::Read, None)).await;
        prop_assert!(done.is_ok(), "call {number} to a system that is well: {done:?}");
        sleep(Duration::from_secs(2)).await;
    }
    prop_assert_eq!(counted.gauge("renkei_system_breaker_state{system=crm}"), 0.0);
    Ok(story)
}

impl Story {
    /// How many attempts were under way at the same time.
    fn most_at_once(&self) -> usize {
        let under_way = |at: Instant| {
            let is = |arrived: &&Arrived| arrived.at <= at && arrived.ended.is_none_or(|end| end > at);
            self.arrived.iter().filter(is).count()
        };
        self.arrived.iter().map(|arrived| under_way(arrived.at)).max().unwrap_or_default()
    }

    /// The most attempts that began within `window`.
    fn most_within(&self, window: Duration) -> usize {
        let from = |first: &Arrived| {
            self.arrived.iter().filter(|other| other.at >= first.at && other.at < first.at + window).count()
        };
        self.arrived.iter().map(from).max().unwrap_or_default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn keeps_what_each_layer_promises(
        acts in prop::collection::vec(act(), 1..60),
        attempts in 1u32..5,
        failures in 1u32..6,
        rate in 0u32..=100,
        reset in 200u64..3_000,
        probes in 1u32..3,
        successes in 1u32..3,
        count in 1u32..40,
        burst in 1u32..10,
        wait in 0u64..400,
        concurrency in 1u32..6,
    ) {
        let ms = Duration::from_millis;
        let breaker = config::Breaker {
            failures, rate: Share(rate), minimum: 1, window: ms(2_000), reset: ms(reset), probes, successes,
        };
        let limit = Limit {
            rate: Some(Rate { count, per: Duration::from_secs(1) }),
            burst: Some(burst),
            wait: ms(wait),
            concurrency: Some(concurrency),
            ..Limit::default()
        };
        let settings = settings(attempts, breaker, limit);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let story = runtime.block_on(play(&settings, acts))?;

        prop_assert!(story.most_at_once() <= concurrency as usize, "{} at once", story.most_at_once());
        for window in [ms(100), ms(1_000), ms(3_000)] {
            let most = burst as usize + (window.as_millis() as usize * count as usize).div_ceil(1_000) + 1;
            prop_assert!(story.most_within(window) <= most, "{} within {window:?}", story.most_within(window));
        }
        for call in 0..story.arrived.iter().map(|arrived| arrived.call + 1).max().unwrap_or_default() {
            let sent = story.arrived.iter().filter(|arrived| arrived.call == call).count();
            prop_assert!(sent <= attempts as usize, "call {call} was tried {sent} times");
        }
        // An open breaker lets nothing through until its time has come.
        for opened in &story.opened {
            // What it had let through just before waits for its token.
            let (from, to) = (*opened + ms(wait) + TICK, *opened + ms(reset) - LOOK - TICK);
            let through: Vec<_> = story.arrived.iter().filter(|arrived| arrived.at > from && arrived.at < to).collect();
            prop_assert!(through.is_empty(), "open since {opened:?}: {through:?}");
        }
    }
}
