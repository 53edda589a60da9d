//! Bodies that are too large, or too slow.

use std::{convert::Infallible, time::Duration};

use axum::{Router, body::Body, routing::post};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, StreamBody, channel::Channel};
use renkei_http::{Limits, Options, guard};
use tower::ServiceExt as _;

use crate::wire::{Answer, answer};

async fn send(limits: Limits, body: Body, length: Option<usize>) -> Answer {
    let options = Options { limits, ..Options::default() };
    let length_of = |body: Body| async move {
        match body.collect().await {
            Ok(body) => Ok(body.to_bytes().len().to_string()),
            // What rmcp does with a body that breaks off.
            Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        }
    };
    let router =
        guard(Router::new().route("/", post(length_of)), "127.0.0.1:8383".parse().unwrap(), &options);
    let mut request = Request::post("/").header("host", "localhost:8383");
    if let Some(length) = length {
        request = request.header("content-length", length);
    }
    answer(router.oneshot(request.body(body).unwrap()).await.unwrap()).await
}

fn stream(chunks: usize, bytes: usize) -> Body {
    let frame = move |_| Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(vec![b'x'; bytes])));
    Body::new(StreamBody::new(futures_util::stream::iter((0..chunks).map(frame))))
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit() {
    let limits = Limits { body_bytes: 1000, ..Limits::default() };
    assert_eq!(send(limits.clone(), stream(10, 100), None).await.body, 1000);
    assert_eq!(send(limits.clone(), "x".repeat(1000).into(), Some(1000)).await.body, 1000);
    for (body, length) in
        [(stream(11, 100), None), (stream(1, 1001), None), ("x".repeat(1001).into(), Some(1001))]
    {
        let answer = send(limits.clone(), body, length).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(answer.body["error"], "body_too_large");
        assert_eq!(answer.body["message"], "the body has more than `1000` bytes; send less");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_is_given_up() {
    let limits = Limits { body_pause: Duration::from_secs(30), ..Limits::default() };
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
    sender.send_data(Bytes::from_static(b"half")).await.unwrap();
    let answer = send(limits, Body::new(body), None).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(answer.body["message"], "the body paused for more than 30s; send it in one go");
    drop(sender);
}

/// It never pauses for long, and never ends.
#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_given_up() {
    let limits = Limits {
        body_pause: Duration::from_secs(30),
        body_time: Duration::from_secs(120),
        ..Limits::default()
    };
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
    let trickle = tokio::spawn(async move {
        let mut sent = 0;
        while sender.send_data(Bytes::from_static(b"x")).await.is_ok() {
            sent += 1;
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
        sent
    });
    let answer = send(limits, Body::new(body), None).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(answer.body["message"], "the body took more than 2m; send it faster, or send less");
    assert_eq!(trickle.await.unwrap(), 6);
}
