//! How much is repeated at most: when a system is in trouble every call fails, and repeating all of them would
//! keep it there.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{clock::Clock, config, rate::Gcra};

/// One repeat, in the hundredths that shares are counted in.
const REPEAT: u64 = 100;
/// So much is kept of what was not used.
const MAX_SAVED: u64 = 100 * REPEAT;

/// What calls have earned and repeats have spent, over all connections of a system.
#[derive(Debug)]
pub(crate) struct Budget {
    share: u64,
    saved: AtomicU64,
    free: Gcra,
    clock: Clock,
}

impl Budget {
    pub(crate) fn new(config: &config::Budget, clock: Clock) -> Self {
        Budget {
            share: config.share.0.into(),
            saved: AtomicU64::new(0),
            free: Gcra::new(config.minimum, config.minimum.count),
            clock,
        }
    }

    /// A call begins.
    pub(crate) fn earn(&self) {
        let more = |saved: u64| (saved < MAX_SAVED).then(|| (saved + self.share).min(MAX_SAVED));
        // A full one stays as it is.
        let _ = self.saved.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
    }

    /// Whether one more repeat is covered; if so, it is paid.
    pub(crate) fn spend(&self) -> bool {
        let less = |saved: u64| saved.checked_sub(REPEAT);
        self.saved.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_ok()
            || self.free.take(self.clock.now(), Duration::ZERO).is_ok()
    }
}
