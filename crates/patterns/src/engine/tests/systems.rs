//! Systems that are down at start, die, are slow, or end.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use renkei_core::{
    Applied, Error, Kind, Retry, Value,
    tool::{ToolResult, Tools},
};
use tokio::time::{Instant, sleep};

use crate::{
    engine::{Engine, Options},
    fake::{Bench, Fake, Ledger, Tool, context, systems},
};

fn bench(connect_takes: Duration, failing: usize) -> Bench {
    Bench::with(Tool::default(), Options::default(), connect_takes, failing)
}

async fn call(bench: &Bench) -> ToolResult {
    bench.engine.call(context(), "t", Value::Null, None).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn down_at_start_and_up_at_the_third_try() {
    let bench = bench(Duration::ZERO, 2);
    assert_eq!(bench.engine.list().len(), 1);
    // A call during the first pause is refused at once, with the reason.
    sleep(Duration::from_millis(10)).await;
    let start = Instant::now();
    let error = call(&bench).await.error.unwrap();
    assert!(start.elapsed() < Duration::from_millis(10));
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(error.was_applied(), Applied::No);
    assert_eq!(error.retry_advice(), Retry::After(Duration::from_secs(1)));
    assert_eq!(
        error.to_string(),
        "system `crm` is not connected: connection refused; it is being retried in the background, next attempt in 1s"
    );
    assert_eq!(error.detail_text(), Some("os error 111"));
    assert!(bench.engine.health()[0].1.is_some());
    // In the background it comes up by itself.
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.ledger.connects.lock().unwrap().len(), 3);
    assert!(bench.engine.health()[0].1.is_none());
    assert!(call(&bench).await.error.is_none());
    bench.engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_shortens_a_long_pause() {
    let bench = bench(Duration::ZERO, usize::MAX);
    // By now the pauses are at least 15 seconds long.
    sleep(Duration::from_secs(120)).await;
    bench.ledger.failing_connects.store(0, Ordering::SeqCst);
    let start = Instant::now();
    while call(&bench).await.error.is_some() {
        sleep(Duration::from_millis(100)).await;
    }
    assert!(start.elapsed() <= Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_and_stay_bounded() {
    let bench = bench(Duration::ZERO, usize::MAX);
    sleep(Duration::from_secs(600)).await;
    let connects = bench.ledger.connects.lock().unwrap();
    let pauses: Vec<Duration> = connects.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] <= Duration::from_millis(502), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(30_002)), "{pauses:?}");
    assert!(pauses.iter().skip(7).all(|pause| *pause >= Duration::from_secs(15)), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_a_little_for_a_connection_under_way() {
    let bench = bench(Duration::from_secs(1), 0);
    assert!(call(&bench).await.error.is_none());
}

#[tokio::test(start_paused = true)]
async fn but_not_long_and_not_beyond_its_deadline() {
    let bench = bench(Duration::from_secs(4), 0);
    let start = Instant::now();
    let error = call(&bench).await.error.unwrap();
    assert!(start.elapsed() <= Duration::from_millis(2001), "{:?}", start.elapsed());
    assert_eq!(
        error.to_string(),
        "system `crm` is not connected: the connection is still being made; try again in a few seconds"
    );
    let mut cx = context();
    cx.deadline = Instant::now() + Duration::from_millis(300);
    let start = Instant::now();
    let error = bench.engine.call(cx, "t", Value::Null, None).await.unwrap().error.unwrap();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(start.elapsed() <= Duration::from_millis(301), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn connecting_has_a_limit() {
    let bench = bench(Duration::from_secs(1_000_000), 0);
    sleep(Duration::from_millis(5_100)).await;
    let error = call(&bench).await.error.unwrap();
    assert!(error.public().contains("no connection within 5s (`timeout.connect`)"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_reaches_nobody_makes_the_connection_anew() {
    let bench = bench(Duration::ZERO, 0);
    assert!(call(&bench).await.error.is_none());
    assert_eq!(bench.ledger.connects.lock().unwrap().len(), 1);
    // The layers repeat the call on the old connection, which heals; the check goes on beside it.
    bench.ledger.failing_calls.store(1, Ordering::SeqCst);
    assert!(call(&bench).await.error.is_none());
    sleep(Duration::from_secs(3)).await;
    assert_eq!(bench.ledger.connects.lock().unwrap().len(), 2);
    // When the check fails, calls hear the reason instead of trying in vain.
    bench.ledger.failing_calls.store(3, Ordering::SeqCst);
    bench.ledger.failing_connects.store(usize::MAX, Ordering::SeqCst);
    assert!(call(&bench).await.error.is_some());
    sleep(Duration::from_secs(3)).await;
    assert!(bench.engine.health()[0].1.is_some());
    // And it comes back.
    bench.ledger.failing_connects.store(0, Ordering::SeqCst);
    sleep(Duration::from_secs(60)).await;
    assert!(call(&bench).await.error.is_none());
}

/// A connection that says that it is lost is made anew before a call notices; one that is lost again and again is left
/// alone for longer and longer.
#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_made_anew_by_itself() {
    let bench = bench(Duration::ZERO, 0);
    assert!(call(&bench).await.error.is_none());
    let lose = |bench: &Bench| {
        let lose = bench.ledger.lost.lock().unwrap().take().unwrap();
        lose.send_replace(Some(Error::unavailable("the program has ended")));
    };
    lose(&bench);
    sleep(Duration::from_millis(10)).await;
    let error = call(&bench).await.error.unwrap();
    assert!(error.public().contains("the program has ended; it is being retried"), "{error}");
    sleep(Duration::from_secs(1)).await;
    assert!(call(&bench).await.error.is_none());
    assert_eq!(bench.ledger.connects.lock().unwrap().len(), 2);
    // Lost as soon as it is there.
    let before = Instant::now();
    while before.elapsed() < Duration::from_secs(300) {
        if bench.ledger.lost.lock().unwrap().is_some() {
            lose(&bench);
        }
        sleep(Duration::from_millis(50)).await;
    }
    let connects = bench.ledger.connects.lock().unwrap().clone();
    assert!((10..40).contains(&connects.len()), "{}", connects.len());
    // One that held for a while is made anew at once.
    sleep(Duration::from_secs(100)).await;
    assert!(call(&bench).await.error.is_none());
    lose(&bench);
    sleep(Duration::from_millis(600)).await;
    assert!(call(&bench).await.error.is_none());
}

#[tokio::test(start_paused = true)]
async fn who_makes_one_call_waits_as_long_as_connecting_may_take() {
    let slow = bench(Duration::from_secs(4), 0);
    slow.engine.await_connections();
    assert!(call(&slow).await.error.is_none());
    let never = bench(Duration::from_secs(1_000), 0);
    never.engine.await_connections();
    let error = call(&never).await.error.unwrap();
    assert!(error.public().contains("no connection within 5s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_every_task_at_once() {
    for (takes, failing) in [(0, 0), (0, usize::MAX), (1_000_000, 0)] {
        let bench = bench(Duration::from_secs(takes), failing);
        sleep(Duration::from_millis(50)).await;
        let start = Instant::now();
        bench.engine.shutdown().await;
        assert!(start.elapsed() < Duration::from_millis(10));
        let error = call(&bench).await.error.unwrap();
        assert!(error.public().contains("shutting down"), "{error}");
        let connects = bench.ledger.connects.lock().unwrap().len();
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(bench.ledger.connects.lock().unwrap().len(), connects);
    }
}

/// The successor of an engine, on a system whose config has this fingerprint.
fn following(old: &Engine, fingerprint: u64) -> (Engine, Arc<Ledger>) {
    let ledger = Arc::new(Ledger::default());
    let mut systems = systems(Fake { ledger: ledger.clone(), connect_takes: Duration::ZERO });
    systems[0].fingerprint = fingerprint;
    let tools = vec![Tool::default().plan("t", &systems)];
    let engine = Engine::new(systems, tools, Options::default()).unwrap().following(old);
    engine.start();
    (engine, ledger)
}

async fn succeeds(engine: &Engine) -> bool {
    engine.call(context(), "t", Value::Null, None).await.unwrap().error.is_none()
}

#[tokio::test(start_paused = true)]
async fn a_system_that_is_the_same_goes_to_the_next_engine() {
    let bench = bench(Duration::ZERO, 0);
    assert!(call(&bench).await.error.is_none());
    let (same, unused) = following(&bench.engine, 0);
    assert!(succeeds(&same).await);
    assert_eq!(bench.ledger.connects.lock().unwrap().len(), 1);
    assert_eq!(bench.ledger.calls.lock().unwrap().len(), 2);
    assert!(unused.connects.lock().unwrap().is_empty() && unused.calls.lock().unwrap().is_empty());
    // What the last engine that has it lets go of ends, and not before.
    let held = Arc::downgrade(&bench.ledger);
    let (other, ledger) = following(&same, 1);
    assert!(succeeds(&other).await && succeeds(&same).await && succeeds(&bench.engine).await);
    assert_eq!(ledger.connects.lock().unwrap().len(), 1);
    drop((bench, same));
    while held.strong_count() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(succeeds(&other).await);
    other.shutdown().await;
    assert!(!succeeds(&other).await);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_one_engine_is_that_of_its_successors() {
    let bench = bench(Duration::ZERO, 0);
    let (other, _) = following(&bench.engine, 1);
    assert!(succeeds(&other).await);
    bench.engine.shutdown().await;
    assert!(!succeeds(&other).await);
}
