//! Streams and the one order of all events.

use renkei_core::store::{
    Batch, Expected, LogPage, LogQuery, NewEvent, Position, Refusal, StreamInfo, Trim, TrimTo,
};

use crate::member::{SECOND, START, Stage, append, event, record};

async fn read(stage: &Stage, after: Position, prefix: &str, limit: usize) -> LogPage {
    stage.store.read_log(LogQuery { after, prefix: prefix.into(), limit }).await.unwrap()
}

fn ids(page: &LogPage) -> Vec<&str> {
    page.events.iter().map(|event| event.id.as_str()).collect()
}

pub(crate) async fn versions_and_positions(stage: &Stage) {
    let first = stage.done(Batch::new().append(append("a", Expected::Any, &["1", "2"]))).await.appends[0];
    stage.clock.pass(SECOND);
    let second = stage.done(Batch::new().append(append("a", Expected::Any, &["3"]))).await.appends[0];
    assert_eq!((first.version, second.version), (2, 3));
    assert!(first.position < second.position);
    let page = stage.store.read_stream("a", 2, 10).await.unwrap();
    assert_eq!(page.stream, Some(StreamInfo { last: 3, first: 1 }));
    let [two, three] = &page.events[..] else { panic!("{page:?}") };
    assert_eq!((two.version, two.position, two.at), (2, first.position, START));
    assert_eq!((three.version, three.id.as_str(), three.at), (3, "3", START.after(SECOND)));
    assert_eq!(
        (three.kind.as_str(), &three.data, three.stream.as_str()),
        ("order_placed", &record("3"), "a")
    );
    assert_eq!(stage.store.read_stream("a", 1, 1).await.unwrap().events.len(), 1);
    assert_eq!(stage.store.read_stream("a", 4, 10).await.unwrap().events, []);
    assert_eq!(stage.store.read_stream("b", 1, 10).await.unwrap().stream, None);
}

pub(crate) async fn expected_versions(stage: &Stage) {
    let attempt = |expected, id: &str| Batch::new().append(append("a", expected, &[id]));
    let wrong = |expected, actual| Refusal::Stream { stream: "a".into(), expected, actual };
    for expected in [Expected::Exists, Expected::Version(1)] {
        assert_eq!(stage.refused(attempt(expected, "1")).await, wrong(expected, 0));
    }
    stage.done(attempt(Expected::None, "1")).await;
    for expected in [Expected::None, Expected::Version(0), Expected::Version(2)] {
        assert_eq!(stage.refused(attempt(expected, "2")).await, wrong(expected, 1));
    }
    stage.done(attempt(Expected::Version(1), "2")).await;
    stage.done(attempt(Expected::Exists, "3")).await;
    stage.done(attempt(Expected::Any, "4")).await;
    assert_eq!(stage.store.stream("a").await.unwrap(), Some(StreamInfo { last: 4, first: 1 }));
}

pub(crate) async fn event_ids(stage: &Stage) {
    stage.done(Batch::new().append(append("a", Expected::Any, &["1", "2"]))).await;
    // Another stream may have an event of the same name.
    stage.done(Batch::new().append(append("b", Expected::Any, &["1"]))).await;
    let with = |event: NewEvent| {
        let mut append = append("a", Expected::Version(0), &[]);
        append.events.push(event);
        Batch::new().append(append)
    };
    let exists = |same| Refusal::EventExists { stream: "a".into(), id: "2".into(), version: 2, same };
    assert_eq!(stage.refused(with(event("2"))).await, exists(true));
    assert_eq!(stage.refused(with(NewEvent { kind: "other".into(), ..event("2") })).await, exists(false));
    assert_eq!(stage.refused(with(NewEvent { data: record("other"), ..event("2") })).await, exists(false));
    assert_eq!(stage.refused(with(NewEvent { meta: "{}".into(), ..event("2") })).await, exists(false));
}

pub(crate) async fn one_order_for_all(stage: &Stage) {
    for (stream, id) in [("a/1", "1"), ("b/1", "2"), ("a/2", "3"), ("a/1", "4"), ("b/1", "5")] {
        stage.done(Batch::new().append(append(stream, Expected::Any, &[id]))).await;
    }
    let all = read(stage, Position::START, "", 100).await;
    assert_eq!(ids(&all), ["1", "2", "3", "4", "5"]);
    assert!(all.events.is_sorted_by(|a, b| a.position < b.position));
    assert_eq!((all.more, all.gap, all.next), (false, None, all.events[4].position));
    let page = read(stage, Position::START, "", 2).await;
    assert_eq!((ids(&page), page.more), (vec!["1", "2"], true));
    let rest = read(stage, page.next, "", 100).await;
    assert_eq!((ids(&rest), rest.more), (vec!["3", "4", "5"], false));
    let some = read(stage, Position::START, "a/", 100).await;
    assert_eq!(ids(&some), ["1", "3", "4"]);
    // Nothing of this prefix will come from before the end.
    assert!(some.next >= all.events[3].position);
    let end = read(stage, rest.next, "", 100).await;
    assert_eq!((end.events.len(), end.next, end.more), (0, rest.next, false));
    stage.done(Batch::new().append(append("a/1", Expected::Any, &["6"]))).await;
    assert_eq!(ids(&read(stage, some.next, "a/", 100).await), ["6"]);
}

pub(crate) async fn streams_by_name(stage: &Stage) {
    for stream in ["run/2", "run/1", "order/1", "run/3", "rum", "run_"] {
        stage.done(Batch::new().append(append(stream, Expected::None, &["1"]))).await;
    }
    let page = stage.store.streams("run/", None, 2).await.unwrap();
    let names = |page: &renkei_core::store::StreamsPage| {
        page.streams.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&page), ["run/1", "run/2"]);
    let page = stage.store.streams("run/", page.next.as_deref(), 2).await.unwrap();
    assert_eq!((names(&page), page.next), (vec!["run/3".to_owned()], None));
    assert_eq!(stage.store.streams("", None, 100).await.unwrap().streams.len(), 6);
}

pub(crate) async fn trimmed(stage: &Stage) {
    stage.done(Batch::new().append(append("a", Expected::Any, &["1", "2", "3"]))).await;
    let trim = |to| Batch::new().trim(Trim { stream: "a".into(), to });
    stage.done(trim(TrimTo::Version(3))).await;
    let page = stage.store.read_stream("a", 1, 10).await.unwrap();
    assert_eq!((page.events[0].version, page.events.len()), (3, 1));
    assert_eq!(page.stream, Some(StreamInfo { last: 3, first: 3 }));
    stage.done(trim(TrimTo::Version(2))).await;
    assert_eq!(stage.store.stream("a").await.unwrap(), Some(StreamInfo { last: 3, first: 3 }));
    stage.done(trim(TrimTo::Version(100))).await;
    assert_eq!(stage.store.stream("a").await.unwrap(), Some(StreamInfo { last: 3, first: 4 }));
    // Versions go on.
    let batch = Batch::new().append(append("a", Expected::Version(3), &["4"]));
    assert_eq!(stage.done(batch).await.appends[0].version, 4);
    // In one batch the new event is trimmed, too.
    let batch = Batch::new()
        .append(append("a", Expected::Any, &["5"]))
        .trim(Trim { stream: "a".into(), to: TrimTo::Version(6) });
    stage.done(batch).await;
    assert_eq!(stage.store.stream("a").await.unwrap(), Some(StreamInfo { last: 5, first: 6 }));
    stage.done(Batch::new().trim(Trim { stream: "unknown".into(), to: TrimTo::Version(1) })).await;
}

pub(crate) async fn forgotten(stage: &Stage) {
    let before =
        stage.done(Batch::new().append(append("a", Expected::Any, &["1", "2"]))).await.appends[0].position;
    stage.done(Batch::new().trim(Trim { stream: "a".into(), to: TrimTo::Forgotten })).await;
    assert_eq!(stage.store.stream("a").await.unwrap(), None);
    let again = stage.done(Batch::new().append(append("a", Expected::None, &["1"]))).await.appends[0];
    assert_eq!(again.version, 1);
    assert!(again.position > before);
}
