//! What is repeated, when, and what the last error says.

use std::{sync::Mutex, time::Duration};

use proptest::prelude::*;
use renkei_core::{Applied, Call, Effect, Kind, LayerStack, Result, Retry, call::Listener};
use std::sync::Arc;
use tokio::time::Instant;

use super::script::{self, Counted, End, Script, Try, context, request, stack};
use crate::{
    budget::Budget,
    clock::Clock,
    config::{self, Attempts, BreakerChoice, Limit, Settings},
    retry::backoff,
};

const LONG: Duration = Duration::from_secs(3600);

fn around(script: &Arc<Script>) -> Arc<dyn Call> {
    script::around(&Settings::default(), script.clone())
}

#[tokio::test(start_paused = true)]
async fn gives_up_after_the_attempts_and_says_so() {
    let script = Script::new(vec![Try::fails(Retry::Safe); 9]);
    let error = around(&script).call(&context(LONG), &request(Effect::Read, None)).await.unwrap_err();
    assert_eq!(script.count(), 3);
    assert_eq!(error.retry_advice(), Retry::Exhausted);
    assert_eq!(error.to_string(), "after 3 attempts: `crm` is busy");
}

#[tokio::test(start_paused = true)]
async fn does_not_repeat_what_cannot_succeed() {
    let script = Script::new([Try::fails(Retry::Never)]);
    let error = around(&script).call(&context(LONG), &request(Effect::Read, None)).await.unwrap_err();
    assert_eq!(script.count(), 1);
    assert_eq!(error.to_string(), "`crm` is busy");
}

#[tokio::test(start_paused = true)]
async fn repeats_a_write_only_where_that_is_safe() {
    let cases = [
        (Effect::Write, None, true, 1),
        (Effect::Write, None, false, 2),
        (Effect::Write, Some("run/call"), true, 2),
        (Effect::Idempotent, None, true, 2),
        (Effect::Read, None, true, 2),
    ];
    for (effect, key, sent, tries) in cases {
        let failing = Try { sent, ..Try::fails(Retry::Safe) };
        let script = Script::new([failing]);
        let _ = around(&script).call(&context(LONG), &request(effect, key)).await;
        assert_eq!(script.count(), tries, "{effect:?} key {key:?} sent {sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn honours_retry_after() {
    let script = Script::new([Try::fails(Retry::After(Duration::from_secs(17)))]);
    let start = Instant::now();
    around(&script).call(&context(LONG), &request(Effect::Read, None)).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(17));
}

#[tokio::test(start_paused = true)]
async fn does_not_begin_a_wait_that_ends_too_late() {
    let script = Script::new([Try::fails(Retry::After(Duration::from_secs(90)))]);
    let start = Instant::now();
    let error = around(&script).call(&context(LONG), &request(Effect::Read, None)).await.unwrap_err();
    assert_eq!(error.retry_advice(), Retry::After(Duration::from_secs(90)));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_ends_at_once() {
    let script = Script::new([Try::fails(Retry::After(Duration::from_secs(30)))]);
    let (cx, call) = (context(LONG), around(&script));
    let (request, cancel) = (request(Effect::Read, None), cx.cancel.clone());
    let start = Instant::now();
    let (result, ()) = tokio::join!(call.call(&cx, &request), async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        cancel.cancel();
    });
    assert_eq!(result.unwrap_err().kind(), Kind::Cancelled);
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(script.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_doubt_stays() {
    let script = Script::new([Try::fails(Retry::Safe).in_doubt(), Try::fails(Retry::Never)]);
    let error = around(&script).call(&context(LONG), &request(Effect::Idempotent, None)).await.unwrap_err();
    assert_eq!(script.count(), 2);
    assert_eq!(error.was_applied(), Applied::Unknown);
    assert_eq!(error.to_string(), "after 2 attempts: `crm` is busy");
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Listener for Heard {
    fn note(&self, note: &str) {
        self.0.lock().unwrap().push(note.to_owned());
    }
}

#[tokio::test(start_paused = true)]
async fn tells_of_a_repeat() {
    let script = Script::new([Try::fails(Retry::After(Duration::from_secs(7)))]);
    let heard = Arc::new(Heard::default());
    let mut cx = context(LONG);
    cx.listener = Some(heard.clone());
    around(&script).call(&cx, &request(Effect::Read, None)).await.unwrap();
    assert_eq!(*heard.0.lock().unwrap(), ["`crm`: unavailable; attempt 2 of 3 follows in 7s"]);
}

#[test]
fn the_backoff_doubles_up_to_its_maximum() {
    let plan = Attempts { attempts: 20, first: Duration::from_millis(200), max: Duration::from_secs(5) };
    let longest: Vec<u128> = (1..=7).map(|made| backoff(&plan, made, 1.0).as_millis()).collect();
    assert_eq!(longest, [200, 400, 800, 1600, 3200, 5000, 5000]);
    assert_eq!(backoff(&plan, u32::MAX, 1.0), plan.max);
    assert_eq!(backoff(&plan, 1, 0.0), Duration::ZERO);
}

fn any_try() -> impl Strategy<Value = Try> {
    let retry = prop_oneof![
        Just(Retry::Never),
        Just(Retry::Safe),
        (0u64..20_000).prop_map(|ms| Retry::After(Duration::from_millis(ms))),
    ];
    let applied = prop_oneof![Just(Applied::No), Just(Applied::Unknown)];
    let ends = prop_oneof![
        1 => Just(End::Well),
        9 => (retry, applied).prop_map(|(retry, applied)| End::Badly { retry, applied }),
    ];
    (0u64..4_000, any::<bool>(), ends).prop_map(|(ms, sent, ends)| Try {
        takes: Duration::from_millis(ms),
        sent,
        ends,
    })
}

/// One call by a script, on virtual time of its own.
fn run(
    script: &Arc<Script>,
    settings: &Settings,
    effect: Effect,
    key: Option<&str>,
) -> (Duration, Result<()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let call = script::around(settings, script.clone());
        let start = Instant::now();
        let result = call.call(&context(LONG), &request(effect, key)).await;
        (start.elapsed(), result.map(drop))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_unsafe_never_late_never_outside_the_bounds(
        tries in prop::collection::vec(any_try(), 0..8),
        effect in prop_oneof![Just(Effect::Read), Just(Effect::Idempotent), Just(Effect::Write)],
        keyed in any::<bool>(),
        attempts in 1u32..6,
        first in 1u64..3_000,
        max in 3_000u64..10_000,
        attempt_limit in 100u64..5_000,
        total in 100u64..30_000,
    ) {
        // Timers fire on the next whole millisecond.
        let tick = Duration::from_millis(2);
        let ms = Duration::from_millis;
        let settings = Settings {
            timeout: config::Timeout { connect: ms(50), read: None, attempt: ms(attempt_limit), total: ms(total) },
            retry: config::Retry { plan: Attempts { attempts, first: ms(first), max: ms(max) }, budget: None },
            ..Settings::default()
        };
        let script = Script::new(tries.clone());
        let (took, result) = run(&script, &settings, effect, keyed.then_some("key"));
        let seen = script.seen.lock().unwrap();

        prop_assert!(took <= ms(total) + tick, "took {took:?}");
        prop_assert!(seen.len() <= attempts as usize);

        let mut doubt = false;
        for (index, pair) in seen.windows(2).enumerate() {
            let step = &tries[index];
            let timed_out = pair[0].ended.is_none();
            prop_assert!(
                effect != Effect::Write || keyed || !step.sent,
                "repeated a write that was sent: {step:?}"
            );
            let ended = pair[0].ended.unwrap_or(pair[0].began + ms(attempt_limit));
            let wait = pair[1].began.saturating_duration_since(ended);
            let least = match step.ends {
                _ if timed_out => Duration::ZERO,
                End::Badly { retry: Retry::Safe, .. } => Duration::ZERO,
                End::Badly { retry: Retry::After(least), .. } => least,
                _ => return Err(TestCaseError::fail(format!("repeated {step:?}"))),
            };
            let longest = backoff(&settings.retry.plan, index as u32 + 1, 1.0).max(least);
            prop_assert!(wait + tick >= least, "waited {wait:?} of {least:?}");
            prop_assert!(wait <= longest + tick, "waited {wait:?}, at most {longest:?}");
            doubt |= match step.ends {
                _ if timed_out => step.sent && effect != Effect::Read,
                End::Badly { applied, .. } => applied == Applied::Unknown,
                End::Well | End::Fails(_) => false,
            };
        }
        if let Err(error) = result && doubt {
            prop_assert_ne!(error.was_applied(), Applied::No);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_repeat_tells_what_went_wrong_first() {
    // One token an hour: the repeat finds none.
    let rate = Some(renkei_core::read::Rate { count: 1, per: Duration::from_secs(3600) });
    let settings = Settings { limit: Limit { rate, ..Limit::default() }, ..Settings::default() };
    let script = Script::new([Try::fails(Retry::Safe).in_doubt()]);
    let start = Instant::now();
    let error = script::around(&settings, script.clone())
        .call(&context(LONG), &request(Effect::Idempotent, None))
        .await
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(script.count(), 1);
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::Unknown));
    assert!(matches!(error.retry_advice(), Retry::After(wait) if wait > Duration::from_secs(3500)));
    let text = error.to_string();
    assert!(
        text.starts_with("`crm` is busy; it was not repeated: `crm` gets at most `1/h` requests"),
        "{text}"
    );
}

/// A system that is down, and a thousand calls at once.
#[tokio::test(start_paused = true)]
async fn a_storm_is_rationed() {
    let counted = Counted::default();
    let settings = Settings { breaker: BreakerChoice(None), ..Settings::default() };
    let script = Script::new(vec![Try::fails(Retry::Safe); 10_000]);
    let call = counted.within(|| stack(&settings)).around(script.clone());
    let start = Instant::now();
    let calls = (0..1000).map(|_| {
        let call = call.clone();
        tokio::spawn(async move { call.call(&context(LONG), &request(Effect::Read, None)).await })
    });
    let mut rationed = 0;
    for call in calls.collect::<Vec<_>>() {
        let error = call.await.unwrap().unwrap_err();
        rationed += usize::from(error.public().contains("`retry.budget`"));
    }
    let repeats = script.count() - 1000;
    let free = 10 + 10 * start.elapsed().as_secs() as usize + 10;
    // 20 % of the calls, of which 100 are kept at most, and the free ones.
    assert!(repeats <= 200 + free, "{repeats} repeats in {:?}", start.elapsed());
    assert!(repeats >= 100, "{repeats}");
    assert!(rationed > 500, "{rationed}");
    assert_eq!(counted.count("renkei_system_retries_total{system=crm}"), repeats as u64);
    assert_eq!(counted.count("renkei_system_refused_total{system=crm,by=retry_budget}"), rationed as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_budget_gives_what_was_earned_and_what_is_free(
        share in 0u32..=100,
        count in 1u32..20,
        steps in prop::collection::vec((0u32..4, 0u64..400), 1..300),
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let minimum = renkei_core::read::Rate { count, per: Duration::from_secs(1) };
            let config = config::Budget { share: config::Share(share), minimum };
            let budget = Budget::new(&config, Clock::start());
            let (start, mut earned, mut spent) = (Instant::now(), 0u64, 0u64);
            for (step, ms) in steps {
                match step {
                    0 => tokio::time::advance(Duration::from_millis(ms)).await,
                    1 => {
                        budget.earn();
                        earned += u64::from(share);
                    }
                    _ => spent += u64::from(budget.spend()),
                }
                let free = u64::from(count) + start.elapsed().as_millis() as u64 * u64::from(count) / 1000 + 1;
                prop_assert!(spent <= earned / 100 + free, "{spent} of {earned} and {free}");
            }
            // The free ones are there for whoever waits.
            tokio::time::advance(Duration::from_secs(1)).await;
            prop_assert!((0..count).all(|_| budget.spend()));
            Ok(())
        })?;
    }
}
