//! The order of the layers, outermost first: trace, deadline, retry, attempt timeout.
//!
//! - Trace sees the call once, with its repeats.
//! - The deadline covers the repeats and the waits between them.
//! - Retry is outside the attempt timeout, so that each try has its own.
//!
//! Later layers go in between: cache after the deadline (a hit costs no token and survives an open
//! breaker), then retry, breaker (it sees every attempt), rate limit, bulkhead (a retry holds no
//! permit while it waits), and the attempt timeout last.

use std::sync::Arc;

use renkei_core::Call;

use crate::{attempt::AttemptTimeout, config::Settings, deadline::Deadline, retry::Retry, trace::Trace};

/// Puts the layers around `inner`; written inside out.
pub(crate) fn wrap(settings: &Settings, system: &str, inner: Arc<dyn Call>) -> Arc<dyn Call> {
    let system: Arc<str> = system.into();
    let call = AttemptTimeout::new(system.clone(), settings.timeout.attempt, inner);
    let call = Retry::new(system.clone(), settings.retry.clone(), Arc::new(call));
    let call = Deadline::new(system.clone(), settings.timeout.total, Arc::new(call));
    Arc::new(Trace::new(system, Arc::new(call)))
}
