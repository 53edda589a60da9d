//! The breaker against a model that remembers everything, and what counts as a failure.

use std::time::Duration;

use proptest::prelude::*;
use renkei_core::{Effect, Kind, LayerStack, Retry};
use tokio::time::sleep;

use super::{
    cache::{cached, reads},
    script::{Counted, Script, Try, context, request, stack},
};
use crate::{
    breaker::{Change, Machine, Outcome, PIECES},
    config::{self, BreakerChoice, Limit, Settings, Share},
};

const LONG: Duration = Duration::from_secs(3600);

/// The same by definition: a list of what happened, looked through each time.
struct Model {
    config: config::Breaker,
    /// When the phase that lasts began, and what it is.
    phase: Phase,
    number: u64,
    events: Vec<(u64, Outcome)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Closed,
    Open(Duration),
    Half { under_way: u32, good: u32 },
}

impl Model {
    fn admit(&mut self, now: Duration) -> Option<u64> {
        if let Phase::Open(since) = self.phase
            && now - since >= self.config.reset
        {
            self.change(Phase::Half { under_way: 0, good: 0 });
        }
        match &mut self.phase {
            Phase::Closed => Some(self.number),
            Phase::Half { under_way, .. } if *under_way < self.config.probes => {
                *under_way += 1;
                Some(self.number)
            }
            _ => None,
        }
    }

    fn settle(&mut self, now: Duration, number: u64, outcome: Outcome) {
        if number != self.number {
            return;
        }
        if let Phase::Half { under_way, good } = &mut self.phase {
            *under_way -= 1;
            match outcome {
                Outcome::Unknown => {}
                Outcome::Bad => self.change(Phase::Open(now)),
                Outcome::Good => {
                    *good += 1;
                    if *good == self.config.successes {
                        self.change(Phase::Closed);
                    }
                }
            }
            return;
        }
        let piece = |at: Duration| (at.as_nanos() / (self.config.window / PIECES as u32).as_nanos()) as u64;
        self.events.push((piece(now), outcome));
        let lately = |of: Outcome| {
            self.events
                .iter()
                .filter(|(at, outcome)| at + PIECES as u64 > piece(now) && *outcome == of)
                .count() as u32
        };
        let (bad, good) = (lately(Outcome::Bad), lately(Outcome::Good));
        let config = &self.config;
        let much = bad >= config.failures && bad + good >= config.minimum;
        if outcome == Outcome::Bad && much && bad * 100 >= (bad + good) * config.rate.0 {
            self.change(Phase::Open(now));
        }
    }

    fn change(&mut self, phase: Phase) {
        self.phase = phase;
        self.number += 1;
        self.events.clear();
    }
}

#[derive(Clone, Debug)]
enum Step {
    Admit,
    /// One of the attempts under way.
    Settle(prop::sample::Index, Outcome),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![4 => Just(Outcome::Bad), 3 => Just(Outcome::Good), 1 => Just(Outcome::Unknown)];
    prop_oneof![
        4 => Just(Step::Admit),
        4 => (any::<prop::sample::Index>(), outcome).prop_map(|(which, outcome)| Step::Settle(which, outcome)),
        2 => (0u64..4_000).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn does_what_the_model_does(
        steps in prop::collection::vec(step(), 1..200),
        failures in 1u32..6,
        rate in 0u32..=100,
        minimum in 1u32..8,
        window in 100u64..10_000,
        reset in 100u64..5_000,
        probes in 1u32..4,
        successes in 1u32..4,
    ) {
        let ms = Duration::from_millis;
        let config = config::Breaker {
            failures, rate: Share(rate), minimum, window: ms(window), reset: ms(reset), probes, successes,
        };
        let mut machine = Machine::new(config.clone());
        let mut model = Model { config, phase: Phase::Closed, number: 0, events: Vec::new() };
        let (mut now, mut under_way) = (ms(0), Vec::new());
        for step in steps {
            match step {
                Step::Pass(time) => now += ms(time),
                Step::Admit => {
                    let (real, expected) = (machine.admit(now).ok(), model.admit(now));
                    prop_assert_eq!(real.is_some(), expected.is_some());
                    under_way.extend(real.zip(expected));
                }
                Step::Settle(_, _) if under_way.is_empty() => {}
                Step::Settle(which, outcome) => {
                    let (real, expected) = under_way.swap_remove(which.index(under_way.len()));
                    machine.settle(now, real, outcome);
                    model.settle(now, expected, outcome);
                }
            }
            let expected = match model.phase {
                Phase::Closed => 0,
                Phase::Half { .. } => 1,
                Phase::Open(_) => 2,
            };
            prop_assert_eq!(machine.number(), expected);
        }
    }
}

#[test]
fn says_when_it_is_worth_trying_again() {
    let ms = Duration::from_millis;
    let mut machine = Machine::new(config::Breaker { failures: 1, ..config::Breaker::default() });
    let first = machine.admit(ms(0)).unwrap();
    let late = machine.admit(ms(0)).unwrap();
    assert_eq!(machine.settle(ms(10), first, Outcome::Bad), Some(Change::Opened { failures: 1, of: 1 }));
    assert_eq!(machine.admit(ms(5_010)), Err(ms(25_000)));
    let probe = machine.admit(ms(30_010)).unwrap();
    assert_eq!(machine.admit(ms(30_010)), Err(ms(1_000)));
    // What began before it opened is no matter any more.
    assert_eq!(machine.settle(ms(30_020), late, Outcome::Bad), None);
    assert_eq!(machine.settle(ms(30_030), probe, Outcome::Good), None);
    let second = machine.admit(ms(30_040)).unwrap();
    assert_eq!(machine.settle(ms(30_050), second, Outcome::Good), Some(Change::Closed));
}

fn settings(failures: u32) -> Settings {
    let breaker = config::Breaker { failures, ..config::Breaker::default() };
    let limit = Limit { concurrency: Some(1), ..Limit::default() };
    let mut settings = Settings { breaker: BreakerChoice(Some(breaker)), limit, ..Settings::default() };
    settings.retry.plan.attempts = 1;
    settings.timeout.attempt = Duration::from_secs(1);
    settings
}

#[tokio::test(start_paused = true)]
async fn only_what_does_not_come_through_is_a_failure() {
    for kind in Kind::ALL {
        let script = Script::new(vec![Try::with(kind); 3]);
        let call = stack(&settings(3)).around(script.clone());
        for _ in 0..3 {
            call.call(&context(LONG), &request(Effect::Write, None)).await.unwrap_err();
        }
        let opened = call.call(&context(LONG), &request(Effect::Write, None)).await.is_err();
        assert_eq!(opened, matches!(kind, Kind::Unavailable | Kind::Timeout), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_calls_count_and_refused_ones_do_not() {
    let script = Script::new(vec![Try::hangs(); 3]);
    let call = stack(&settings(3)).around(script.clone());
    for _ in 0..3 {
        let hanging = {
            let call = call.clone();
            tokio::spawn(async move { call.call(&context(LONG), &request(Effect::Write, None)).await })
        };
        sleep(Duration::from_millis(1)).await;
        // The place is taken: that says nothing about the system.
        let error = call.call(&context(LONG), &request(Effect::Write, None)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::RateLimited);
        assert_eq!(hanging.await.unwrap().unwrap_err().kind(), Kind::Timeout);
    }
    let error = call.call(&context(LONG), &request(Effect::Write, None)).await.unwrap_err();
    assert!(error.public().contains("`breaker` is open"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn survives_a_new_connection_and_closes_when_the_system_is_well() {
    let counted = Counted::default();
    let stack = counted.within(|| stack(&settings(2)));
    let state = || counted.gauge("renkei_system_breaker_state{system=crm}");
    let old = stack.around(Script::new(vec![Try::fails(Retry::Never); 2]));
    for _ in 0..2 {
        old.call(&context(LONG), &request(Effect::Read, None)).await.unwrap_err();
    }
    let script = Script::new([Try::hangs()]);
    let new = stack.around(script.clone());
    let error = new.call(&context(LONG), &request(Effect::Read, None)).await.unwrap_err();
    assert!(error.public().contains("try again in 30s"), "{error}");
    assert_eq!((script.count(), state()), (0, 2.0));
    sleep(Duration::from_secs(30)).await;
    // A probe that nobody waits for frees its place.
    let probe = {
        let new = new.clone();
        tokio::spawn(async move { new.call(&context(LONG), &request(Effect::Read, None)).await })
    };
    sleep(Duration::from_millis(10)).await;
    assert_eq!(state(), 1.0);
    new.call(&context(LONG), &request(Effect::Read, None)).await.unwrap_err();
    probe.abort();
    sleep(Duration::from_millis(10)).await;
    for _ in 0..2 {
        new.call(&context(LONG), &request(Effect::Read, None)).await.unwrap();
    }
    assert_eq!(state(), 0.0);
    assert_eq!(counted.count("renkei_system_breaker_opened_total{system=crm}"), 1);
    assert_eq!(counted.count("renkei_system_refused_total{system=crm,by=breaker}"), 2);
}

/// A system that was changed begins closed and with nothing kept, and so it is shown; what the one before it comes to
/// afterwards is no matter.
#[tokio::test(start_paused = true)]
async fn the_gauges_are_those_of_the_system_that_is_served() {
    let counted = Counted::default();
    let [old, new] = [(); 2].map(|()| counted.within(|| stack(&settings(2))));
    let state = || counted.gauge("renkei_system_breaker_state{system=crm}");
    let kept = || counted.gauge("renkei_system_cache_entries{system=crm}");
    old.begin();
    let fails = old.around(Script::new([vec![Try::well()], vec![Try::fails(Retry::Never); 9]].concat()));
    fails.call(&cached(LONG, 600, 0), &reads("a")).await.unwrap();
    for _ in 0..2 {
        fails.call(&context(LONG), &request(Effect::Read, None)).await.unwrap_err();
    }
    assert_eq!((state(), kept()), (2.0, 1.0));
    old.retire();
    assert!(state().is_nan() && kept().is_nan());
    new.begin();
    assert_eq!((state(), kept()), (0.0, 0.0));
    sleep(Duration::from_secs(30)).await;
    // Half-open, and open again.
    fails.call(&context(LONG), &request(Effect::Read, None)).await.unwrap_err();
    old.invalidate(&renkei_core::Invalidation::Name("crm".into()));
    assert_eq!((state(), kept()), (0.0, 0.0));
    let fails = new.around(Script::new(vec![Try::fails(Retry::Never); 2]));
    for _ in 0..2 {
        fails.call(&context(LONG), &request(Effect::Read, None)).await.unwrap_err();
    }
    assert_eq!(state(), 2.0);
}
