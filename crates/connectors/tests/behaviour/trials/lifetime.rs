//! Calls that end before their answer.

use std::{sync::Arc, time::Duration};

use renkei_core::{CallContext, Principal};
use tokio::time::{Instant, timeout};

use crate::subject::{Ask, Capability, Running, Size, context, id, item, patiently, subjects};

/// Dropping the future reaches the system and frees what the call held.
#[tokio::test]
async fn a_dropped_call_frees_what_it_held() {
    for subject in subjects(&[Capability::Slow]) {
        let items = Running::start(subject, Size::Default).await;
        items.ask(Ask::Put, &item(1, "a", 1)).await.unwrap();
        for _ in 0..3 {
            items.slowly(&context(), async || ()).await;
            patiently(items.control.slow_ended(&items)).await;
        }
        assert_eq!(items.get(Ask::Get, &id(1)).await, item(1, "a", 1));
    }
}

/// A deadline in the middle: whoever watches from outside knows that the request went out.
#[tokio::test]
async fn a_deadline_in_the_middle_finds_the_call_sent() {
    for subject in subjects(&[Capability::Slow]) {
        let items = Running::start(subject, Size::Default).await;
        let cx =
            CallContext::new(Instant::now() + Duration::from_secs(3600), Arc::new(Principal::anonymous()));
        assert!(!cx.attempt.was_sent());
        items.slowly(&cx, async || assert!(cx.attempt.was_sent())).await;
        // The layer's own way: its timer fires, the future is dropped, and then it looks.
        let cx = context();
        let slow = items.request(Ask::Slow, &id(1));
        let mut pause = Duration::from_millis(20);
        while !cx.attempt.was_sent() {
            assert!(timeout(pause, items.call.call(&cx, &slow)).await.is_err());
            pause *= 2;
        }
        patiently(items.control.slow_ended(&items)).await;
    }
}

/// Calls that are never polled, or dropped at once, leave nothing behind.
#[tokio::test]
async fn a_call_that_is_not_waited_for_is_nothing() {
    for subject in subjects(&[]) {
        let items = Running::start(subject, Size::Default).await;
        let put = items.request(Ask::Put, &item(9, "never", 1));
        for _ in 0..50 {
            drop(items.call.call(&context(), &put));
        }
        items.ask(Ask::Put, &item(1, "a", 1)).await.unwrap();
        assert!(items.ask(Ask::Get, &id(9)).await.is_err());
    }
}

/// A connection that is closed takes what it had with it; the system can be connected again.
#[tokio::test]
async fn a_system_can_be_connected_again() {
    for subject in subjects(&[]) {
        let mut items = Running::start(subject, Size::Default).await;
        items.ask(Ask::Put, &item(1, "a", 1)).await.unwrap();
        for _ in 0..3 {
            items.call = items.system.connect(&items.connect).await.unwrap().call;
            assert_eq!(items.get(Ask::Get, &id(1)).await, item(1, "a", 1));
        }
    }
}
