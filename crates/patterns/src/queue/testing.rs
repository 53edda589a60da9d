//! A queue for tests.

use std::time::Duration;

use renkei_core::{
    queue::{Backoff, Queue},
    store::OnDead,
};

pub(crate) fn queue(name: &str) -> Queue {
    Queue {
        name: name.into(),
        description: None,
        input_schema: None,
        order_by: None,
        on_dead: OnDead::Skip,
        unique: None,
        priority: None,
        delay: Duration::ZERO,
        ttl: None,
        max_length: 10,
        attempts: 3,
        backoff: Backoff { first: Duration::from_secs(1), max: Duration::from_secs(10) },
        lease: Duration::from_secs(30),
        timeout: Duration::from_secs(60),
        concurrency: 1,
        rate: None,
        batch: None,
    }
}
