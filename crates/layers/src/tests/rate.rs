//! The rate against a bucket that is counted out, callers by themselves, and short waits.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use renkei_core::{Effect, Kind, Principal, Retry, read::Rate};
use tokio::time::Instant;

use super::script::{Script, around, context, request};
use crate::{
    config::{Limit, Per, Settings},
    rate::Gcra,
};

const LONG: Duration = Duration::from_secs(3600);

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    /// A bucket holds `burst` tokens, gets one an interval, and may owe what a caller waits for.
    #[test]
    fn is_a_token_bucket(
        count in 1u32..50,
        burst in 1u32..20,
        steps in prop::collection::vec((0u64..500, 0u64..300), 1..200),
    ) {
        let rate = Rate { count, per: Duration::from_secs(1) };
        let bucket = Gcra::new(rate, burst);
        let token = rate.interval().as_nanos() as i128;
        let (mut level, mut now) = (token * i128::from(burst), Duration::ZERO);
        for (pass, wait) in steps {
            let (pass, wait) = (Duration::from_millis(pass), Duration::from_millis(wait));
            now += pass;
            level = (level + pass.as_nanos() as i128).min(token * i128::from(burst));
            let lacks = (token - level).max(0);
            let lacking = Duration::from_nanos(lacks as u64);
            if lacks <= wait.as_nanos() as i128 {
                prop_assert_eq!(bucket.take(now, wait), Ok(lacking));
                level -= token;
            } else {
                prop_assert_eq!(bucket.take(now, wait), Err(lacking));
            }
        }
    }
}

fn settings(limit: Limit) -> Settings {
    let rate = Some(Rate { count: 2, per: Duration::from_secs(1) });
    Settings { limit: Limit { rate, ..limit }, ..Settings::default() }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_much_is_refused_at_once() {
    let script = Script::new([]);
    let call = around(&settings(Limit::default()), script.clone());
    let start = Instant::now();
    let mut refused = Vec::new();
    for _ in 0..5 {
        refused.extend(call.call(&context(LONG), &request(Effect::Read, None)).await.err());
    }
    assert_eq!((refused.len(), script.count()), (3, 2));
    // The two that were sent took their time; nobody waited.
    assert_eq!(start.elapsed(), Duration::from_millis(20));
    assert_eq!(refused[0].kind(), Kind::RateLimited);
    assert_eq!(refused[0].retry_advice(), Retry::After(Duration::from_millis(480)));
    assert_eq!(
        refused[0].to_string(),
        "`crm` gets at most `2/s` requests (its `limit.rate`); nothing was sent, try again in 480ms"
    );
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_is_bounded_by_itself_and_by_the_deadline() {
    let script = Script::new([]);
    let call = around(&settings(Limit { wait: Duration::from_secs(1), ..Limit::default() }), script.clone());
    let start = Instant::now();
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let call = call.clone();
            tokio::spawn(async move { call.call(&context(LONG), &request(Effect::Read, None)).await })
        })
        .collect();
    let mut sent = 0;
    for call in calls {
        sent += usize::from(call.await.unwrap().is_ok());
    }
    // Two at once, and two within the second.
    assert_eq!(sent, 4);
    assert!(start.elapsed() <= Duration::from_millis(1_011), "{:?}", start.elapsed());
    // The next token is half a second away, and the caller has less.
    let error =
        call.call(&context(Duration::from_millis(100)), &request(Effect::Read, None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RateLimited);
}

#[tokio::test(start_paused = true)]
async fn callers_by_themselves_do_not_pay_for_each_other() {
    let script = Script::new([]);
    let call = around(&settings(Limit { per: Per::Principal, ..Limit::default() }), script.clone());
    for (name, good) in [("a", 2), ("b", 2)] {
        let mut cx = context(LONG);
        cx.principal = Arc::new(Principal { name: name.into(), ..Principal::anonymous() });
        let mut sent = 0;
        for _ in 0..4 {
            sent += usize::from(call.call(&cx, &request(Effect::Read, None)).await.is_ok());
        }
        assert_eq!(sent, good);
    }
}
