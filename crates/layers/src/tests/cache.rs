//! What is kept, for whom and how long; one request for many; and a model that knows what may be given.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use indexmap::IndexMap;
use proptest::prelude::*;
use renkei_core::{
    AddressPattern, Call, CallContext, Effect, Error, Invalidation, Kind, LayerStack, Principal, Reply,
    Request, Result, Retry, Segment, Value,
    call::{Again, Listener, Validator},
};
use tokio::time::{Instant, sleep};

use super::script::{self, Counted, Fake, Script, Try, context, stack, stack_of};
use crate::config::{Attempts, Cache, Keep, Kept, Own, Settings, Timeout};

const LONG: Duration = Duration::from_secs(3600);

/// A context of a call whose replies are good for `ttl` seconds, and `stale` more.
pub(super) fn cached(limit: Duration, ttl: u64, stale: u64) -> CallContext {
    named(limit, ttl, stale, None)
}

fn named(limit: Duration, ttl: u64, stale: u64, name: Option<&str>) -> CallContext {
    let seconds = Duration::from_secs;
    let keep = Keep { ttl: seconds(ttl), stale: seconds(stale), name: name.map(Into::into) };
    let own = Own {
        timeout: Timeout::default(),
        retry: Attempts::default(),
        cache: Some(Kept { keep, op: [7; 32] }),
    };
    CallContext { settings: Some(Arc::new(own)), ..context(limit) }
}

/// A request about an address.
pub(super) fn reads(path: &str) -> Request {
    Request { params: vec![Some(path.into())].into(), ..script::request(Effect::Read, None) }
}

fn meta(reply: &Reply) -> String {
    reply.meta.get("cache").unwrap().to_json()
}

fn address(path: &str) -> Invalidation {
    let segment = |text: &str| match text {
        "**" => Segment::Many,
        text => Segment::One(text.chars().map(|letter| (letter != '*').then_some(letter)).collect()),
    };
    let pattern = AddressPattern::new(path.split('/').map(segment).collect());
    Invalidation::Address { system: "crm".into(), pattern }
}

#[tokio::test(start_paused = true)]
async fn fresh_then_stale_with_one_refresh_then_gone() {
    let counted = Counted::default();
    let script = Script::new([]);
    let call = counted.within(|| stack(&Settings::default())).around(script.clone());
    let get = async || call.call(&cached(LONG, 10, 5), &reads("a")).await.unwrap();
    assert_eq!(meta(&get().await), r#"{"hit":false,"stale":false,"age":0}"#);
    sleep(Duration::from_secs(9)).await;
    assert_eq!(meta(&get().await), r#"{"hit":true,"stale":false,"age":9}"#);
    assert_eq!(script.count(), 1);
    sleep(Duration::from_secs(2)).await;
    // Stale ones are given at once, and fetched anew only once.
    let start = Instant::now();
    for _ in 0..5 {
        assert_eq!(meta(&get().await), r#"{"hit":true,"stale":true,"age":11}"#);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(script.count(), 2);
    assert!(meta(&get().await).contains(r#""stale":false"#));
    // Nobody asked in time: it is fetched before the answer.
    sleep(Duration::from_secs(20)).await;
    assert_eq!(meta(&get().await), r#"{"hit":false,"stale":false,"age":0}"#);
    assert_eq!(script.count(), 3);
    for (name, count) in [("hit", 2), ("stale", 5), ("miss", 2), ("joined", 0)] {
        assert_eq!(
            counted.count(&format!("renkei_system_cache_total{{system=crm,result={name}}}")),
            count,
            "{name}"
        );
    }
    assert_eq!(counted.gauge("renkei_system_cache_entries{system=crm}"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_leaves_the_stale_reply_and_rests() {
    let script = Script::new([Try::well(), Try::fails(Retry::Never), Try::fails(Retry::Never)]);
    let call = script::around(&Settings::default(), script.clone());
    let get = async || call.call(&cached(LONG, 10, 60), &reads("a")).await.unwrap();
    get().await;
    sleep(Duration::from_secs(11)).await;
    for _ in 0..5 {
        assert!(meta(&get().await).contains(r#""stale":true"#));
        sleep(Duration::from_millis(100)).await;
    }
    // Half a second has passed: one refresh, which failed.
    assert_eq!(script.count(), 2);
    sleep(Duration::from_secs(1)).await;
    get().await;
    sleep(Duration::from_secs(2)).await;
    get().await;
    sleep(Duration::from_millis(20)).await;
    assert_eq!(script.count(), 4);
    assert!(meta(&get().await).contains(r#""stale":false"#));
}

#[tokio::test(start_paused = true)]
async fn errors_and_writes_are_not_kept() {
    let script = Script::new([Try::with(Kind::NotFound)]);
    let call = script::around(&Settings::default(), script.clone());
    assert_eq!(call.call(&cached(LONG, 60, 0), &reads("a")).await.unwrap_err().kind(), Kind::NotFound);
    call.call(&cached(LONG, 60, 0), &reads("a")).await.unwrap();
    assert_eq!(script.count(), 2);
    let write = Request { effect: Effect::Idempotent, ..reads("a") };
    let reply = call.call(&cached(LONG, 60, 0), &write).await.unwrap();
    assert_eq!((script.count(), reply.meta.get("cache")), (3, None));
    // Without a word about it, nothing is kept, either.
    call.call(&context(LONG), &reads("a")).await.unwrap();
    assert_eq!(script.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_differs_is_not_the_same() {
    let script = Script::new([]);
    let call = script::around(&Settings::default(), script.clone());
    let absent = Request { params: vec![None].into(), ..reads("a") };
    let null = Request { params: vec![Some(Value::Null)].into(), ..reads("a") };
    let two = Request { params: vec![Some("a".into()), Some("b".into())].into(), ..reads("a") };
    let glued = Request { params: vec![Some("a\"\n\"b".into())].into(), ..reads("a") };
    let dash = Request { params: vec![Some("-".into())].into(), ..reads("a") };
    let page = Request { page: Some(renkei_core::Cursor("a".into())), ..reads("a") };
    let next = Request { page: Some(renkei_core::Cursor("b".into())), ..reads("a") };
    for request in [reads("a"), reads("b"), absent, null, two, glued, dash, page, next] {
        call.call(&cached(LONG, 60, 0), &request).await.unwrap();
    }
    assert_eq!(script.count(), 9);
    // Another operation, and another name.
    let mut other = cached(LONG, 60, 0);
    let kept = Kept { keep: Keep { ttl: LONG, stale: Duration::ZERO, name: None }, op: [8; 32] };
    let own = Own { timeout: Timeout::default(), retry: Attempts::default(), cache: Some(kept) };
    other.settings = Some(Arc::new(own));
    call.call(&other, &reads("a")).await.unwrap();
    call.call(&named(LONG, 60, 0, Some("own")), &reads("a")).await.unwrap();
    assert_eq!(script.count(), 11);
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_sees_is_theirs_where_the_system_knows_them() {
    let caller = |name: &str, team: &str| {
        let claims = Value::from([("team", team)]);
        let principal = Principal { name: name.into(), claims, ..Principal::anonymous() };
        CallContext { principal: Arc::new(principal), ..cached(LONG, 60, 0) }
    };
    // Not the claims alone tell them apart: nobody knows which one the system's headers use.
    for (per_caller, expected) in [(true, 3), (false, 1)] {
        let script = Script::new([]);
        let call = stack_of(&Settings::default(), Fake { per_caller }).around(script.clone());
        for (name, team) in [("a", "x"), ("b", "x"), ("a", "y"), ("a", "x")] {
            call.call(&caller(name, team), &reads("me")).await.unwrap();
        }
        assert_eq!(script.count(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn is_invalidated_by_name_by_system_and_by_address() {
    let cases = [
        (Invalidation::Name("customers".into()), [true, true, false]),
        (Invalidation::Name("crm".into()), [true, true, true]),
        (Invalidation::Name("other".into()), [false, false, false]),
        (address("customers/7"), [true, false, false]),
        (address("customers/*"), [true, true, false]),
        (address("**"), [true, true, true]),
    ];
    for (what, expected) in cases {
        let script = Script::new([]);
        let stack = stack(&Settings::default());
        let call = stack.around(script.clone());
        let requests =
            [("customers/7", Some("customers")), ("customers/8", Some("customers")), ("orders/1", None)];
        for (path, name) in requests {
            call.call(&named(LONG, 60, 0, name), &reads(path)).await.unwrap();
        }
        stack.invalidate(&what);
        for ((path, name), gone) in requests.into_iter().zip(expected) {
            let reply = call.call(&named(LONG, 60, 0, name), &reads(path)).await.unwrap();
            assert_eq!(meta(&reply).contains(r#""hit":false"#), gone, "{what:?} {path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_may_have_read_what_is_untrue_is_not_kept_and_not_joined() {
    let script = Script::new([Try { takes: Duration::from_secs(10), ..Try::well() }]);
    let stack = stack(&Settings::default());
    let call = stack.around(script.clone());
    let early = {
        let call = call.clone();
        tokio::spawn(async move { call.call(&cached(LONG, 60, 0), &reads("a")).await })
    };
    sleep(Duration::from_secs(1)).await;
    stack.invalidate(&address("a"));
    let start = Instant::now();
    call.call(&cached(LONG, 60, 0), &reads("a")).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(10));
    early.await.unwrap().unwrap();
    // The early one came later and did not take the place of the good one.
    let reply = call.call(&cached(LONG, 60, 0), &reads("a")).await.unwrap();
    assert_eq!(meta(&reply), r#"{"hit":true,"stale":false,"age":8}"#);
    assert_eq!(script.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn keeps_no_more_than_it_may() {
    let counted = Counted::default();
    let keep = |max_entries, max_bytes| Settings {
        cache: Cache { keep: None, max_entries, max_bytes },
        ..Settings::default()
    };
    let script = Script::new([]);
    let call = counted.within(|| stack(&keep(3, 1 << 20))).around(script.clone());
    let get = async |path: &str| call.call(&cached(LONG, 600, 0), &reads(path)).await.unwrap();
    for path in ["a", "b", "c", "a", "d"] {
        get(path).await;
    }
    // `b` was not asked for longest.
    assert_eq!(script.count(), 4);
    assert!(meta(&get("a").await).contains(r#""hit":true"#));
    assert!(meta(&get("b").await).contains(r#""hit":false"#));
    assert_eq!(counted.gauge("renkei_system_cache_entries{system=crm}"), 3.0);

    // By size: some of a hundred fit.
    let script = Script::new([]);
    let call = counted.within(|| stack(&keep(1_000, 10_000))).around(script.clone());
    for number in 0..100 {
        call.call(&cached(LONG, 600, 0), &reads(&number.to_string())).await.unwrap();
    }
    let entries = counted.gauge("renkei_system_cache_entries{system=crm}");
    assert!((5.0..90.0).contains(&entries), "{entries}");
    assert!(counted.gauge("renkei_system_cache_bytes{system=crm}") <= 10_000.0);

    // One that is larger than everything is not kept, and pushes nothing out.
    let call = counted.within(|| stack(&keep(1_000, 10))).around(script.clone());
    call.call(&cached(LONG, 600, 0), &reads("a")).await.unwrap();
    assert_eq!(counted.gauge("renkei_system_cache_entries{system=crm}"), 0.0);
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Listener for Heard {
    fn note(&self, note: &str) {
        self.0.lock().unwrap().push(note.to_owned());
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_and_one_request() {
    let counted = Counted::default();
    let script = Script::new([Try { takes: Duration::from_secs(5), ..Try::well() }]);
    let call = counted.within(|| stack(&Settings::default())).around(script.clone());
    let calls: Vec<_> = (0..100)
        .map(|number| {
            let call = call.clone();
            let limit = if number == 7 { Duration::from_secs(2) } else { LONG };
            tokio::spawn(async move { call.call(&cached(limit, 60, 0), &reads("a")).await })
        })
        .collect();
    sleep(Duration::from_secs(1)).await;
    // The first one, whose request it was, is given up, and some others.
    for at in [0, 1, 50] {
        calls[at].abort();
    }
    let mut good = 0;
    for (number, call) in calls.into_iter().enumerate() {
        match call.await {
            Err(_) => assert!([0, 1, 50].contains(&number)),
            Ok(Ok(_)) => good += 1,
            Ok(Err(error)) => assert_eq!((number, error.kind()), (7, Kind::Timeout)),
        }
    }
    assert_eq!((good, script.count()), (96, 1));
    assert_eq!(counted.count("renkei_system_cache_total{system=crm,result=joined}"), 99);
}

#[tokio::test(start_paused = true)]
async fn when_the_last_one_leaves_the_request_ends() {
    let counted = Counted::default();
    let script = Script::new([Try::hangs()]);
    let call = counted.within(|| stack(&Settings::default())).around(script.clone());
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let call = call.clone();
            tokio::spawn(async move { call.call(&cached(LONG, 60, 0), &reads("a")).await })
        })
        .collect();
    sleep(Duration::from_secs(1)).await;
    let under_way = || counted.gauge("renkei_system_requests_in_flight{system=crm}");
    waiting[0].abort();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(under_way(), 1.0);
    waiting[1].abort();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(under_way(), 0.0);
    // And whoever comes next begins anew.
    call.call(&cached(LONG, 60, 0), &reads("a")).await.unwrap();
    assert_eq!(script.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_hear_of_repeats_and_who_left_does_not() {
    let script = Script::new([Try { takes: Duration::from_secs(2), ..Try::fails(Retry::Safe) }]);
    let call = script::around(&Settings::default(), script.clone());
    let heard: [Arc<Heard>; 3] = Default::default();
    let waiting: Vec<_> = heard
        .iter()
        .map(|heard| {
            let call = call.clone();
            let cx = CallContext { listener: Some(heard.clone()), ..cached(LONG, 60, 0) };
            tokio::spawn(async move { call.call(&cx, &reads("a")).await })
        })
        .collect();
    sleep(Duration::from_secs(1)).await;
    waiting[0].abort();
    for waiting in waiting.into_iter().skip(1) {
        waiting.await.unwrap().unwrap();
    }
    let notes = heard.map(|heard| heard.0.lock().unwrap().len());
    assert_eq!(notes, [0, 1, 1]);
}

/// A call that panics once.
struct Panics(Mutex<bool>);

#[async_trait]
impl Call for Panics {
    async fn call(&self, _: &CallContext, _: &Request) -> Result<Reply> {
        let first = std::mem::replace(&mut *self.0.lock().unwrap(), false);
        assert!(!first, "told to");
        Ok(Reply::json(Value::Null))
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_ends_one_request_and_nothing_else() {
    let call = script::around(&Settings::default(), Arc::new(Panics(Mutex::new(true))));
    let first = {
        let call = call.clone();
        tokio::spawn(async move { call.call(&cached(LONG, 60, 0), &reads("a")).await })
    };
    assert!(first.await.unwrap_err().is_panic());
    call.call(&cached(LONG, 60, 0), &reads("a")).await.unwrap();
}

/// Something with a version, which it sends only to who does not have it.
#[derive(Default)]
struct Versions {
    version: AtomicU64,
    whole: AtomicU64,
    unchanged: AtomicU64,
}

impl Versions {
    fn sent(&self) -> (u64, u64) {
        (self.whole.load(Ordering::SeqCst), self.unchanged.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Call for Versions {
    async fn call(&self, cx: &CallContext, _: &Request) -> Result<Reply> {
        sleep(Duration::from_millis(10)).await;
        let version = Value::from(self.version.load(Ordering::SeqCst));
        if cx.known.as_ref().is_some_and(|known| known.0 == version) {
            self.unchanged.fetch_add(1, Ordering::SeqCst);
            return Ok(Reply { again: Again::Unchanged, ..Reply::json(Value::Null) });
        }
        self.whole.fetch_add(1, Ordering::SeqCst);
        Ok(Reply { again: Again::By(Validator(version.clone())), ..Reply::json(version) })
    }
}

fn number(reply: Reply) -> Option<i64> {
    reply.value.into_value().as_i64()
}

#[tokio::test(start_paused = true)]
async fn what_has_not_changed_is_asked_for_and_kept_anew() {
    let system = Arc::new(Versions::default());
    let stack = stack(&Settings::default());
    let call = stack.around(system.clone());
    let get = async |stale| call.call(&cached(LONG, 10, stale), &reads("a")).await.unwrap();
    assert_eq!(number(get(0).await), Some(0));
    // Its time is over: it is asked whether it is still so, and is good for as long again.
    for asked in 1..4 {
        sleep(Duration::from_secs(11)).await;
        let reply = get(0).await;
        assert_eq!(meta(&reply), r#"{"hit":false,"stale":false,"age":0}"#);
        assert_eq!((number(reply), system.sent()), (Some(0), (1, asked)));
        sleep(Duration::from_secs(9)).await;
        assert!(meta(&get(0).await).contains(r#""hit":true"#));
    }
    // The same behind the scenes.
    sleep(Duration::from_secs(11)).await;
    assert!(meta(&get(60).await).contains(r#""stale":true"#));
    sleep(Duration::from_secs(1)).await;
    assert!(meta(&get(60).await).contains(r#""hit":true,"stale":false"#));
    assert_eq!(system.sent(), (1, 4));
    // What has changed comes whole, and is what is asked for from then on.
    system.version.store(7, Ordering::SeqCst);
    for sent in [(2, 4), (2, 5)] {
        sleep(Duration::from_secs(11)).await;
        assert_eq!((number(get(0).await), system.sent()), (Some(7), sent));
    }
    // What was said to be untrue is not known any more.
    stack.invalidate(&address("a"));
    assert_eq!((number(get(0).await), system.sent()), (Some(7), (3, 5)));
    // Nor does a call know anything that keeps nothing.
    call.call(&context(LONG), &reads("a")).await.unwrap();
    assert_eq!(system.sent(), (4, 5));
}

/// Callers who wait together get what is known, all of them.
#[tokio::test(start_paused = true)]
async fn many_who_ask_are_one_question() {
    let system = Arc::new(Versions::default());
    let call = script::around(&Settings::default(), system.clone());
    call.call(&cached(LONG, 10, 0), &reads("a")).await.unwrap();
    sleep(Duration::from_secs(11)).await;
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let call = call.clone();
            tokio::spawn(async move { call.call(&cached(LONG, 10, 0), &reads("a")).await })
        })
        .collect();
    for call in calls {
        assert_eq!(number(call.await.unwrap().unwrap()), Some(0));
    }
    assert_eq!(system.sent(), (1, 1));
}

/// Something that changes: a number for each address. A read takes a while, and sees the number somewhere in it.
#[derive(Default)]
struct World {
    numbers: Mutex<IndexMap<String, u64>>,
    under_way: Mutex<IndexMap<String, u32>>,
    most: Mutex<u32>,
}

const BEFORE: Duration = Duration::from_millis(300);
const AFTER: Duration = Duration::from_millis(400);

#[async_trait]
impl Call for World {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let path = request.params[0].as_ref().unwrap().as_str().unwrap().to_owned();
        cx.attempt.mark_sent();
        let now = {
            let mut under_way = self.under_way.lock().unwrap();
            let count = under_way.entry(path.clone()).or_default();
            *count += 1;
            *count
        };
        {
            let mut most = self.most.lock().unwrap();
            *most = now.max(*most);
        }
        sleep(BEFORE).await;
        let number = self.numbers.lock().unwrap().get(&path).copied().unwrap_or_default();
        sleep(AFTER).await;
        *self.under_way.lock().unwrap().get_mut(&path).unwrap() -= 1;
        if number % 5 == 4 {
            return Err(Error::new(Kind::Conflict, "every fifth number is an error"));
        }
        Ok(Reply::json(number.into()))
    }
}

#[derive(Clone, Debug)]
enum Act {
    Read(u8),
    /// Changes an address and says so.
    Write(u8),
    /// Changes an address behind everybody's back.
    Change(u8),
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0u8..4).prop_map(Act::Read),
        1 => (0u8..4).prop_map(Act::Write),
        1 => (0u8..4).prop_map(Act::Change),
        4 => (0u64..900).prop_map(Act::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    /// Whoever asks gets no number that was invalidated before they asked, and none that is older than it may be.
    #[test]
    fn gives_nothing_untrue(acts in prop::collection::vec(act(), 1..120), ttl in 1u64..3, stale in 0u64..3) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = Arc::new(World::default());
            let counted = Counted::default();
            let settings = Settings { cache: Cache { keep: None, max_entries: 3, max_bytes: 1 << 20 }, ..Settings::default() };
            let stack = counted.within(|| stack(&settings));
            let call = stack.around(world.clone());
            // When which number came to be, by address; and what was said to be untrue last.
            let mut history: Vec<Vec<(Instant, u64)>> = vec![vec![(Instant::now(), 0)]; 4];
            let mut said = [0u64; 4];
            let mut reads_under_way = Vec::new();
            let change = |at: u8, history: &mut Vec<Vec<(Instant, u64)>>| {
                let mut numbers = world.numbers.lock().unwrap();
                let number = numbers.entry(at.to_string()).or_default();
                *number += 1;
                history[usize::from(at)].push((Instant::now(), *number));
                *number
            };
            for act in acts {
                match act {
                    Act::Pass(ms) => sleep(Duration::from_millis(ms)).await,
                    Act::Change(at) => drop(change(at, &mut history)),
                    Act::Write(at) => {
                        said[usize::from(at)] = change(at, &mut history);
                        stack.invalidate(&address(&at.to_string()));
                    }
                    Act::Read(at) => {
                        let (call, least, asked) = (call.clone(), said[usize::from(at)], Instant::now());
                        let read = tokio::spawn(async move {
                            call.call(&cached(LONG, ttl, stale), &reads(&at.to_string())).await
                        });
                        reads_under_way.push((at, least, asked, read));
                    }
                }
                let entries = counted.gauge("renkei_system_cache_entries{system=crm}");
                prop_assert!(entries <= 3.0);
            }
            for (at, least, asked, read) in reads_under_way {
                let Ok(reply) = read.await.unwrap() else { continue };
                let renkei_core::Payload::Json(number) = reply.value else { panic!("no number") };
                let number = number.as_i64().unwrap() as u64;
                prop_assert!(number >= least, "{number} was untrue, {least} was said");
                // So old a number may be: it was read so long before it was kept, and kept so long.
                let oldest = asked - (AFTER + Duration::from_secs(ttl + stale) + Duration::from_millis(5));
                let then = history[usize::from(at)].iter().rfind(|(since, _)| *since <= oldest);
                let then = then.map_or(0, |(_, number)| *number);
                prop_assert!(number >= then, "{number} is too old, then it was {then}");
            }
            // One request at a time for an address, but for those whose reading was said to be untrue meanwhile.
            if history.iter().all(|changes| changes.len() == 1) {
                prop_assert!(*world.most.lock().unwrap() <= 1);
            }
            Ok(())
        })?;
    }
}
