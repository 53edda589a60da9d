//! What a failure is called, and whether anything happened.

use std::sync::Arc;

use renkei_core::{Applied, Error, Kind, Retry, Value};

use crate::{
    http::SECRET,
    subject::{Ask, Capability, Running, Size, context, id, item, patiently, request, subjects},
};

/// An error that a person or a model can act on.
fn readable(error: &Error) {
    let public = error.public();
    assert!(!public.is_empty() && public.len() < 2_000, "{public}");
    assert!(!public.starts_with(|first: char| first.is_uppercase()), "begins as a fragment: {public}");
    assert!(public.contains("`items`"), "names the system: {public}");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    for subject in subjects(&[]) {
        let items = Running::start(subject, Size::Default).await;
        let error = items.fails(Ask::Get, &id(404)).await;
        assert_eq!(
            (error.kind(), error.was_applied(), error.retry_advice()),
            (Kind::NotFound, Applied::No, Retry::Never)
        );
        readable(&error);
    }
}

#[tokio::test]
async fn what_is_there_already_is_a_conflict() {
    for subject in subjects(&[]) {
        let items = Running::start(subject, Size::Default).await;
        items.ask(Ask::Create, &item(1, "first", 1)).await.unwrap();
        let error = items.fails(Ask::Create, &item(1, "second", 2)).await;
        assert_eq!(
            (error.kind(), error.was_applied(), error.retry_advice()),
            (Kind::Conflict, Applied::No, Retry::Never)
        );
        readable(&error);
        assert_eq!(items.get(Ask::Get, &id(1)).await, item(1, "first", 1));
    }
}

/// A system that is down is unavailable, and what was asked did not happen. When it is back, so are its calls.
#[tokio::test]
async fn a_system_that_is_down_is_unavailable() {
    for subject in subjects(&[]) {
        let items = Running::start(subject, Size::Default).await;
        items.ask(Ask::Put, &item(1, "a", 1)).await.unwrap();
        items.control.take_down().await;
        assert_eq!(items.fails(Ask::Get, &id(1)).await.kind(), Kind::Unavailable);
        let cx = context();
        let put = items.request(Ask::Put, &item(1, "b", 2));
        // A new connection is refused when it is made, or with its first call.
        let error = match items.system.connect(&items.connect).await {
            Err(error) => error,
            Ok(connection) => patiently(connection.call.call(&cx, &put)).await.unwrap_err(),
        };
        assert_eq!(
            (error.kind(), error.was_applied(), error.retry_advice()),
            (Kind::Unavailable, Applied::No, Retry::Safe)
        );
        assert!(!cx.attempt.was_sent(), "{}", subject.kind().name());
        readable(&error);
        items.control.bring_back().await;
        assert_eq!(items.get(Ask::Get, &id(1)).await, item(1, "a", 1));
    }
}

#[tokio::test]
async fn a_foreign_operation_is_an_internal_error() {
    for subject in subjects(&[]) {
        let items = Running::start(subject, Size::Default).await;
        let mut request = items.request(Ask::Get, &id(1));
        if let Some(op) = Arc::get_mut(&mut request.op) {
            op.plan = Box::new("not its own");
        }
        let cx = context();
        let error = patiently(items.call.call(&cx, &request)).await.unwrap_err();
        assert_eq!((error.kind(), error.was_applied()), (Kind::Internal, Applied::No));
        assert!(!cx.attempt.was_sent());
    }
}

/// Fewer values than the operation has slots are a fault, not a panic.
#[tokio::test]
async fn missing_values_do_no_harm() {
    for subject in subjects(&[]) {
        let items = Running::start(subject, Size::Default).await;
        items.ask(Ask::Put, &item(1, "a", 1)).await.unwrap();
        let mut get = items.request(Ask::Get, &id(1));
        get.params = [].into();
        assert!(patiently(items.call.call(&context(), &get)).await.is_err(), "{}", subject.kind().name());
        assert_eq!(items.get(Ask::Get, &id(1)).await, item(1, "a", 1));
    }
}

#[tokio::test]
async fn errors_hold_no_secret() {
    for subject in subjects(&[Capability::Secret]) {
        let items = Running::start(subject, Size::Default).await;
        let error = items.fails(Ask::EchoSecret, &Value::object()).await;
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
        readable(&error);
        assert!(!format!("{:?}", items.system).contains(SECRET));
        let request = request(items.request(Ask::Get, &id(1)).op, &id(1));
        assert!(!format!("{request:?}").contains(SECRET));
    }
}
