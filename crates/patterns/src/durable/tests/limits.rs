//! Each limit of runs and tasks, reached.

use super::*;

fn hanging() -> Tool {
    action(r#"{ "call": { "crm": { "do": "hang", "effect": "write", "value": "${$key}" } } }"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_a_time() {
    let kept = Kept::new().await;
    let limits = TaskLimits { run_time: Duration::from_millis(500), ..TaskLimits::default() };
    let node = kept.node_within(hanging(), options(), limits);
    let begun = node.begin("{}").await;
    let ended = node.end(&begun).await;
    let error = ended.result.as_ref().unwrap().error.clone().unwrap();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Timeout, Applied::Unknown), "{error}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_time_went_by_while_nobody_worked_does_not_go_on() {
    let kept = Kept::new().await;
    let time = Duration::from_secs(1);
    let limits = || TaskLimits { run_time: time, ..TaskLimits::default() };
    let first = kept.node_within(two_steps("hang"), options(), limits());
    let begun = first.begin("{}").await;
    first.calls(2).await;
    first.crash().await;
    let over = kept.store.now().after(time);
    let until = Instant::now() + PATIENCE;
    while kept.store.now() < over {
        assert!(Instant::now() < until);
        tokio::task::yield_now().await;
    }
    let second = kept.node_within(two_steps("value"), options(), limits());
    let ended = second.end(&begun).await;
    assert!(text(&ended).contains("while nobody worked on it"), "{}", text(&ended));
    assert_eq!(second.stop().await.calls.lock().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_runs_than_may_be_under_way_wait() {
    let kept = Kept::new().await;
    let node = kept.node_with(hanging(), HostOptions { at_once: 1, ..options() });
    let first = node.begin("{}").await;
    node.calls(1).await;
    let second = node.begin("{}").await;
    let me = Principal::anonymous();
    node.engine.cancel(&me, &first.id).await.unwrap();
    node.end(&first).await;
    node.calls(2).await;
    node.engine.cancel(&me, &second.id).await.unwrap();
    node.end(&second).await;
    let (runs, _) = runs(&*kept.store, None, 10).await.unwrap();
    let mut lines = Vec::new();
    for run in &runs {
        lines.push(timeline(&*kept.store, &run.id).await.unwrap());
    }
    let begun = |line: &Timeline| line.entries.iter().find(|entry| entry.kind == "run_claimed").unwrap().at;
    lines.sort_by_key(begun);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].summary.ended.unwrap() <= begun(&lines[1]), "{lines:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_has_a_limit() {
    let kept = Kept::new().await;
    let tool = action(r#"{ "call": { "crm": { "do": "many", "effect": "write", "value": "${.count}" } } }"#);
    let node = kept.node_with(tool, HostOptions { result_bytes: 1000, ..options() });
    let begun = node.begin(r#"{ "count": 1000 }"#).await;
    let ended = node.end(&begun).await;
    let error = ended.result.as_ref().unwrap().error.clone().unwrap();
    assert_eq!(error.was_applied(), Applied::Yes, "{error}");
    assert!(text(&ended).contains("task_result"), "{}", text(&ended));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_has_its_time_and_says_how_often_to_ask() {
    let kept = Kept::new().await;
    let short = Duration::from_millis(20);
    let poll = Duration::from_secs(7);
    let node = kept.node_within(
        two_steps("value"),
        options(),
        TaskLimits { ttl: short, run_time: short, poll, ..TaskLimits::default() },
    );
    let begun = node.begin("{}").await;
    assert_eq!((begun.poll, begun.ttl), (poll, short * 2));
    let until = Instant::now() + PATIENCE;
    let error = loop {
        assert!(Instant::now() < until);
        match node.engine.task(&Principal::anonymous(), &begun.id).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), Kind::NotFound);
    node.stop().await;
}
