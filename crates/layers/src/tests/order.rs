//! Each test fails if the order in `stack.rs` changes.

use std::{sync::Arc, time::Duration};

use renkei_core::{Applied, Effect, Kind, Layers, Retry};
use tokio::time::Instant;

use super::script::{Script, Try, context, request};
use crate::config::{self, Settings};

fn settings(attempt: u64, total: u64) -> Settings {
    Settings {
        timeout: config::Timeout {
            connect: Duration::from_secs(1),
            attempt: Duration::from_secs(attempt),
            total: Duration::from_secs(total),
        },
        retry: config::Retry { attempts: 3, first: Duration::from_millis(200), max: Duration::from_secs(5) },
    }
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn one_trace_and_one_deadline_but_an_attempt_for_each_try() {
    let script = Script::new([Try::fails(Retry::Safe), Try::fails(Retry::Safe)]);
    let call = settings(30, 60).wrap("crm", script.clone());
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
    let call = settings(1, 60).wrap("crm", script.clone());
    let start = Instant::now();
    call.call(&context(LONG), &request(Effect::Read, None)).await.unwrap();
    assert_eq!(script.count(), 3);
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_deadline_covers_all_tries() {
    let script = Script::new([Try::hangs(), Try::hangs(), Try::hangs()]);
    let call = settings(4, 5).wrap("crm", script.clone());
    let start = Instant::now();
    let error = call.call(&context(LONG), &request(Effect::Read, None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert_eq!(script.count(), 2);
    assert!(start.elapsed() <= Duration::from_millis(5001), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_is_never_stretched() {
    let script = Script::new([Try::hangs()]);
    let call = settings(30, 60).wrap("crm", script.clone());
    let start = Instant::now();
    let error = call.call(&context(Duration::from_secs(2)), &request(Effect::Read, None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(start.elapsed() <= Duration::from_millis(2001), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_past_sends_nothing() {
    let script = Script::new([]);
    let call = settings(30, 60).wrap("crm", script.clone());
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
            let call = settings(attempt, total).wrap("crm", script.clone());
            let error = call.call(&context(LONG), &request(effect, None)).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Timeout);
            assert_eq!(error.was_applied(), applied, "{hang:?} {effect:?} {attempt} {total}: {error}");
        }
    }
}
