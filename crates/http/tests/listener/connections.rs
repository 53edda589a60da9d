//! Real connections: health, limits, drain.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use renkei_http::{Authentication, Drained, Health, Limits, Metrics, Options};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::served::{FLOOD, limits, rest, start, status};

#[tokio::test]
async fn health_is_open_to_any_probe_and_says_no_names() {
    let options = |names: bool| Options {
        authentication: Authentication { anonymous_allowed: false, ..Authentication::default() },
        health: Health {
            systems: Arc::new(|| vec![("crm".into(), true), ("bank".into(), false)]),
            note: Arc::new(move || names.then_some("look at it")),
            names,
            ..Health::default()
        },
        ..Options::default()
    };
    let served = start(options(false)).await;
    assert!(served.get("/health/live", "10.1.2.3:8383").await.ends_with("live\n"));
    let text = served.get("/health/ready", "10.1.2.3:8383").await;
    // A system that is down takes nobody else with it.
    assert_eq!(status(&text), Some(200));
    assert!(text.ends_with(r#"{"status":"ready","systems":{"up":1,"down":1}}"#), "{text}");
    // All else is not.
    assert_eq!(status(&served.get("/", "10.1.2.3:8383").await), Some(403));
    assert_eq!(status(&served.get("/", &served.address.to_string()).await), Some(401));

    let served = start(options(true)).await;
    let text = served.get("/health/ready", "x").await;
    assert!(
        text.ends_with(r#"{"status":"ready","systems":{"crm":"up","bank":"down"},"note":"look at it"}"#),
        "{text}"
    );
}

#[tokio::test]
async fn metrics_are_behind_the_same_checks_as_all_else() {
    let metrics = Metrics { path: "/metrics".into(), render: Arc::new(|| "renkei_calls_total 7\n".into()) };
    let open = start(Options { metrics: Some(metrics.clone()), ..Options::default() }).await;
    let text = open.get("/metrics", &open.address.to_string()).await;
    assert!(text.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{text}");
    assert!(text.ends_with("renkei_calls_total 7\n"), "{text}");
    assert_eq!(status(&open.get("/metrics", "rebound.example.com").await), Some(403));
    let closed = start(Options {
        metrics: Some(metrics),
        authentication: Authentication { anonymous_allowed: false, ..Authentication::default() },
        ..Options::default()
    })
    .await;
    assert_eq!(status(&closed.get("/metrics", &closed.address.to_string()).await), Some(401));
}

#[tokio::test]
async fn a_drain_finishes_what_is_under_way_and_takes_nothing_new() {
    let served = start(Options::default()).await;
    let idle = served.request("/").await;
    let busy = served.request("/wait").await;
    served.arrived.notified().await;
    served.shutdown.cancel();
    // The idle connection is closed, which also says that the drain began.
    assert!(rest(idle).await.ends_with("hello"));
    while TcpStream::connect(served.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    served.release.notify_one();
    let text = rest(busy).await;
    assert!(text.ends_with("released"), "{text}");
    assert_eq!(served.done.await.unwrap().unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn a_drain_has_an_end() {
    let served = start(limits(Limits { drain_time: Duration::ZERO, ..Limits::default() })).await;
    let busy = served.request("/wait").await;
    served.arrived.notified().await;
    served.shutdown.cancel();
    assert_eq!(served.done.await.unwrap().unwrap(), Drained { cut: 1 });
    assert_eq!(rest(busy).await, "");
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_headers_is_dropped() {
    let served = start(limits(Limits { header_time: Duration::from_millis(20), ..Limits::default() })).await;
    for start in ["", "GET / HTTP/1.1\r\nhost: x\r\n"] {
        let mut stream = served.connect().await;
        stream.write_all(start.as_bytes()).await.unwrap();
        // Ends, because the server closes.
        let text = rest(stream).await;
        assert!(status(&text).is_none_or(|status| status == 408), "{text}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let served = start(limits(Limits { write_pause: Duration::from_millis(50), ..Limits::default() })).await;
    let deaf = served.request("/flood").await;
    served.shutdown.cancel();
    // The drain ends although the client never reads: its connection was given up, not cut.
    assert_eq!(served.done.await.unwrap().unwrap(), Drained { cut: 0 });
    assert!(rest(deaf).await.len() < FLOOD);
}

#[tokio::test]
async fn an_endless_answer_that_nobody_reads_is_ended_and_holds_up_no_other() {
    let served = start(limits(Limits { write_pause: Duration::from_millis(100), ..Limits::default() })).await;
    let _deaf = served.request("/endless").await;
    assert!(served.get("/", &served.address.to_string()).await.ends_with("hello"));
    served.left.notified().await;
}

#[tokio::test]
async fn a_connection_on_which_nothing_was_asked_holds_up_no_drain() {
    let never = Duration::from_secs(3600);
    let limits = Limits { header_time: never, drain_time: never, ..Limits::default() };
    let served = start(crate::served::limits(limits)).await;
    let silent = served.connect().await;
    let mut begun = served.connect().await;
    begun.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
    // Both were accepted: one that came later is answered.
    assert!(served.get("/", &served.address.to_string()).await.ends_with("hello"));
    served.shutdown.cancel();
    assert_eq!(rest(silent).await, "");
    rest(begun).await;
    assert_eq!(served.done.await.unwrap().unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn a_head_that_is_too_much_is_refused() {
    let served = start(limits(Limits { header_lines: 10, uri_bytes: 100, ..Limits::default() })).await;
    let ask = async |line: &str, headers: usize| {
        let mut stream = served.connect().await;
        let more: String = (0..headers).map(|n| format!("x-{n}: y\r\n")).collect();
        let head =
            format!("GET {line} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{more}\r\n", served.address);
        stream.write_all(head.as_bytes()).await.unwrap();
        rest(stream).await
    };
    assert_eq!(status(&ask("/", 8).await), Some(200));
    assert_eq!(status(&ask("/", 9).await), Some(431));
    assert_eq!(status(&ask(&format!("/?{}", "x".repeat(98)), 0).await), Some(200));
    let long = ask(&format!("/?{}", "x".repeat(99)), 0).await;
    assert_eq!(status(&long), Some(414));
    assert!(long.ends_with(
        r#"{"error":"uri_too_long","message":"the path and the query have more than `100` bytes together"}"#
    ));
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused() {
    let served = start(limits(Limits { header_bytes: 8192, ..Limits::default() })).await;
    let mut stream = served.connect().await;
    let text = format!("GET / HTTP/1.1\r\nhost: {}\r\nx: {}\r\n\r\n", served.address, "x".repeat(9000));
    let _ = stream.write_all(text.as_bytes()).await;
    assert_eq!(status(&rest(stream).await), Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.as_u16()));
}

#[tokio::test]
async fn one_connection_too_many_waits_for_its_turn() {
    let served = start(limits(Limits { connections: 1, ..Limits::default() })).await;
    let first = served.request("/wait").await;
    served.arrived.notified().await;
    let mut second = served.request("/").await;
    let mut byte = [0];
    tokio::select! {
        biased;
        _ = second.read(&mut byte) => panic!("the second connection was served beside the first"),
        () = async { for _ in 0..100 { tokio::task::yield_now().await } } => {}
    }
    served.release.notify_one();
    drop(first);
    assert_eq!(second.read(&mut byte).await.unwrap(), 1);
}
