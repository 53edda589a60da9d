//! Each pair of neighbours has a test that fails if they change places.

use std::{sync::Arc, time::Duration};

use renkei_core::{Applied, Effect, Kind, LayerStack, Retry};
use tokio::time::{Instant, sleep};

use super::{
    cache::{cached, reads},
    script::{Counted, Script, Try, around, context, request, stack},
};
use crate::{
    config::{self, Attempts, BreakerChoice, Limit, Settings},
    stack::Layered,
};

fn settings(attempt: u64, total: u64) -> Settings {
    let timeout = config::Timeout {
        connect: Duration::from_secs(1),
        read: None,
        attempt: Duration::from_secs(attempt),
        total: Duration::from_secs(total),
    };
    Settings { timeout, ..Settings::default() }
}

fn breaker(failures: u32) -> BreakerChoice {
    BreakerChoice(Some(config::Breaker { failures, successes: 1, ..config::Breaker::default() }))
}

fn limit(count: u32, seconds: u64) -> Limit {
    let rate = renkei_core::read::Rate { count, per: Duration::from_secs(seconds) };
    Limit { rate: Some(rate), ..Limit::default() }
}

#[test]
fn the_order_is_that_of_the_design() {
    let name = std::any::type_name::<Layered>();
    let layers: Vec<&str> = name.split(['<', '>']).filter_map(|part| part.rsplit("::").next()).collect();
    let layers: Vec<&str> = layers.into_iter().filter(|layer| !layer.is_empty()).collect();
    assert_eq!(
        layers,
        ["Trace", "Deadline", "Cache", "Retry", "Breaker", "RateLimit", "Bulkhead", "AttemptTimeout"]
    );
}

#[tokio::test(start_paused = true)]
async fn trace_before_deadline_a_call_that_comes_too_late_is_counted() {
    let counted = Counted::default();
    let call = counted.within(|| stack(&settings(30, 60))).around(Script::new([]));
    call.call(&context(Duration::ZERO), &request(Effect::Write, None)).await.unwrap_err();
    assert_eq!(counted.count("renkei_system_calls_total{system=crm,outcome=timeout}"), 1);
}

#[tokio::test(start_paused = true)]
async fn deadline_before_cache_who_waits_for_others_waits_no_longer() {
    let script = Script::new([Try { takes: Duration::from_secs(20), ..Try::well() }]);
    let call = around(&settings(30, 60), script.clone());
    let first = {
        let call = call.clone();
        tokio::spawn(async move { call.call(&cached(LONG, 60, 0), &reads("a")).await })
    };
    sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    let error = call.call(&cached(Duration::from_secs(3), 60, 0), &reads("a")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(start.elapsed() <= Duration::from_millis(3001), "{:?}", start.elapsed());
    first.await.unwrap().unwrap();
    assert_eq!(script.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn cache_before_retry_who_shares_a_reply_shares_its_repeats() {
    let counted = Counted::default();
    let script = Script::new([Try::fails(Retry::Safe)]);
    let call = counted.within(|| stack(&settings(30, 60))).around(script.clone());
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let call = call.clone();
            tokio::spawn(async move { call.call(&cached(LONG, 60, 0), &reads("a")).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(script.count(), 2);
    assert_eq!(counted.count("renkei_system_retries_total{system=crm}"), 1);
}

#[tokio::test(start_paused = true)]
async fn cache_before_everything_a_hit_costs_no_token_and_survives_an_open_breaker() {
    let settings = Settings { breaker: breaker(3), limit: limit(4, 36_000), ..settings(30, 60) };
    let script =
        Script::new([Try::well(), Try::fails(Retry::Safe), Try::fails(Retry::Safe), Try::fails(Retry::Safe)]);
    let call = around(&settings, script.clone());
    call.call(&cached(LONG, 600, 0), &reads("a")).await.unwrap();
    // Three tries: the breaker is open, and the last token is spent.
    call.call(&cached(LONG, 600, 0), &reads("b")).await.unwrap_err();
    let error = call.call(&cached(LONG, 600, 0), &reads("b")).await.unwrap_err();
    assert!(error.public().contains("`breaker` is open"), "{error}");
    for _ in 0..10 {
        call.call(&cached(LONG, 600, 0), &reads("a")).await.unwrap();
    }
    assert_eq!(script.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn retry_before_breaker_it_sees_every_attempt() {
    let settings = Settings { breaker: breaker(3), ..settings(30, 60) };
    let script = Script::new(vec![Try::fails(Retry::Safe); 3]);
    let call = around(&settings, script.clone());
    let error = call.call(&context(LONG), &request(Effect::Read, None)).await.unwrap_err();
    assert_eq!(error.to_string(), "after 3 attempts: `crm` is busy");
    let start = Instant::now();
    let error = call.call(&context(LONG), &request(Effect::Read, None)).await.unwrap_err();
    assert!(error.public().contains("`breaker` is open"), "{error}");
    // An open breaker is the answer, not a reason to wait and repeat.
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::No));
    assert_eq!(error.retry_advice(), Retry::After(Duration::from_secs(30)));
    assert_eq!(script.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn breaker_before_rate_limit_an_open_one_spends_no_token() {
    let settings = Settings { breaker: breaker(3), limit: limit(4, 36_000), ..settings(30, 60) };
    let script = Script::new(vec![Try::fails(Retry::Safe); 3]);
    let call = around(&settings, script.clone());
    for _ in 0..6 {
        let error = call.call(&context(LONG), &request(Effect::Read, None)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
    }
    sleep(Duration::from_secs(31)).await;
    // The one token that is left.
    call.call(&context(LONG), &request(Effect::Read, None)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rate_limit_before_bulkhead_who_waits_for_a_token_holds_no_place() {
    let limit = Limit { concurrency: Some(1), wait: Duration::from_secs(5), ..limit(1, 1) };
    let script = Script::new([]);
    let call = around(&Settings { limit, ..settings(30, 60) }, script.clone());
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let call = call.clone();
            tokio::spawn(async move { call.call(&context(LONG), &request(Effect::Read, None)).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(script.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn retry_before_bulkhead_a_wait_holds_no_place() {
    let limit = Limit { concurrency: Some(1), ..Limit::default() };
    let script = Script::new([Try::fails(Retry::After(Duration::from_secs(10)))]);
    let call = around(&Settings { limit, ..settings(30, 60) }, script.clone());
    let first = {
        let call = call.clone();
        tokio::spawn(async move { call.call(&context(LONG), &request(Effect::Read, None)).await })
    };
    sleep(Duration::from_secs(5)).await;
    call.call(&context(LONG), &request(Effect::Read, None)).await.unwrap();
    first.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_bulkhead_answers_at_once_and_counts_what_is_under_way() {
    let counted = Counted::default();
    let limit = Limit { concurrency: Some(2), ..Limit::default() };
    let script = Script::new([Try::hangs(), Try::hangs()]);
    let stack = counted.within(|| stack(&Settings { limit, ..settings(30, 30) }));
    // Its places are those of the system, not of a connection.
    let calls = [stack.around(script.clone()), stack.around(script.clone()), stack.around(script.clone())];
    let hanging: Vec<_> = calls[..2]
        .iter()
        .cloned()
        .map(|call| {
            tokio::spawn(async move { call.call(&context(LONG), &request(Effect::Write, None)).await })
        })
        .collect();
    sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    let error = calls[2].call(&context(LONG), &request(Effect::Read, None)).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!((error.kind(), error.was_applied()), (Kind::RateLimited, Applied::No));
    assert_eq!(error.retry_advice(), Retry::After(Duration::from_secs(1)));
    assert_eq!(
        error.to_string(),
        "`2` requests to `crm` are under way already (its `limit.concurrency`); nothing was sent"
    );
    assert_eq!(counted.gauge("renkei_system_requests_in_flight{system=crm}"), 2.0);
    // One that is given up frees its place like one that ends.
    hanging[0].abort();
    sleep(Duration::from_millis(1)).await;
    calls[2].call(&context(LONG), &request(Effect::Read, None)).await.unwrap();
    sleep(Duration::from_secs(40)).await;
    assert_eq!(counted.gauge("renkei_system_requests_in_flight{system=crm}"), 0.0);
    assert_eq!(counted.count("renkei_system_refused_total{system=crm,by=concurrency}"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_has_its_own_times_and_repeats() {
    let own = config::Own {
        timeout: config::Timeout {
            attempt: Duration::from_secs(1),
            total: Duration::from_secs(2),
            ..config::Timeout::default()
        },
        retry: Attempts { attempts: 1, ..Attempts::default() },
        cache: None,
    };
    let mut cx = context(LONG);
    cx.settings = Some(Arc::new(own));
    let script = Script::new([Try::hangs(), Try::hangs()]);
    let start = Instant::now();
    around(&settings(30, 60), script.clone()).call(&cx, &request(Effect::Read, None)).await.unwrap_err();
    assert_eq!(script.count(), 1);
    assert!(start.elapsed() <= Duration::from_millis(1001), "{:?}", start.elapsed());
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn one_trace_and_one_deadline_but_an_attempt_for_each_try() {
    let script = Script::new([Try::fails(Retry::Safe), Try::fails(Retry::Safe)]);
    let call = around(&settings(30, 60), script.clone());
    let cx = context(LONG);
    call.call(&cx, &request(Effect::Read, None)).await.unwrap();

    let seen = script.seen.lock().unwrap();
    let [first, second, third] = &seen[..] else { panic!("{} tries", seen.len()) };
    // Trace is outside retry: one span for all tries, in the caller's trace.
    assert_eq!(first.cx.trace, third.cx.trace);
    assert_eq!(first.cx.trace.id(), cx.trace.id());
    assert_ne!(first.cx.trace.parent, cx.trace.parent);
    // The deadline is outside retry: later tries get what is left.
    assert_eq!(first.cx.deadline, first.began + Duration::from_secs(60));
    assert_eq!(first.cx.deadline, third.cx.deadline);
    assert!(!Arc::ptr_eq(&first.cx.attempt, &second.cx.attempt));
}

#[tokio::test(start_paused = true)]
async fn each_try_has_its_own_timeout() {
    let script = Script::new([Try::hangs(), Try::hangs()]);
    let call = around(&settings(1, 60), script.clone());
    let start = Instant::now();
    call.call(&context(LONG), &request(Effect::Read, None)).await.unwrap();
    assert_eq!(script.count(), 3);
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_deadline_covers_all_tries() {
    let script = Script::new([Try::hangs(), Try::hangs(), Try::hangs()]);
    let call = around(&settings(4, 5), script.clone());
    let start = Instant::now();
    let error = call.call(&context(LONG), &request(Effect::Read, None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert_eq!(script.count(), 2);
    assert!(start.elapsed() <= Duration::from_millis(5001), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_is_never_stretched() {
    let script = Script::new([Try::hangs()]);
    let call = around(&settings(30, 60), script.clone());
    let start = Instant::now();
    let error = call.call(&context(Duration::from_secs(2)), &request(Effect::Read, None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(start.elapsed() <= Duration::from_millis(2001), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_past_sends_nothing() {
    let script = Script::new([]);
    let call = around(&settings(30, 60), script.clone());
    let error = call.call(&context(Duration::ZERO), &request(Effect::Write, None)).await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Timeout, Applied::No));
    assert_eq!(script.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_says_whether_it_may_have_happened() {
    let cases = [
        (Try::hangs(), Effect::Write, Applied::Unknown),
        (Try::hangs(), Effect::Idempotent, Applied::Unknown),
        (Try::hangs(), Effect::Read, Applied::No),
        (Try::hangs().unsent(), Effect::Write, Applied::No),
    ];
    for (hang, effect, applied) in cases {
        // The try ends by its own timeout, and by the deadline of the whole.
        for (attempt, total) in [(1, 60), (60, 1)] {
            let script = Script::new([hang.clone(), hang.clone(), hang.clone()]);
            let call = around(&settings(attempt, total), script.clone());
            let error = call.call(&context(LONG), &request(effect, None)).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Timeout);
            assert_eq!(error.was_applied(), applied, "{hang:?} {effect:?} {attempt} {total}: {error}");
        }
    }
}
