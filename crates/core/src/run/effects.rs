//! What became of the effects of a run's steps.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::{Applied, Error, Result};

/// Counts the steps that change something, as far as anybody knows. What cuts a run short learns here whether
/// something was done already, or may have been.
#[derive(Debug, Default)]
pub struct Effects {
    done: AtomicUsize,
    /// Under way, cut off while under way, or without an answer.
    doubtful: AtomicUsize,
    outer: Option<Arc<Effects>>,
}

impl Effects {
    pub(super) fn within(outer: Option<Arc<Effects>>) -> Self {
        Effects { outer, ..Effects::default() }
    }

    /// Of all steps so far: whether something was changed.
    pub fn applied(&self) -> Applied {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        match (count(&self.done), count(&self.doubtful)) {
            (0, 0) => Applied::No,
            (_, 0) => Applied::Yes,
            _ => Applied::Unknown,
        }
    }

    /// A step begins: from now on, and if it is dropped for ever, nobody knows.
    pub(super) fn begin(&self) {
        self.all(|effects| {
            effects.doubtful.fetch_add(1, Ordering::Relaxed);
        });
    }

    pub(super) fn end(&self, result: Result<(), &Error>) {
        let applied = match result {
            Ok(_) => Applied::Yes,
            Err(error) => error.was_applied(),
        };
        if applied == Applied::Unknown {
            return;
        }
        self.all(|effects| {
            effects.doubtful.fetch_sub(1, Ordering::Relaxed);
            if applied == Applied::Yes {
                effects.done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// These, and those around them.
    fn all(&self, change: impl Fn(&Effects)) {
        let mut next = Some(self);
        while let Some(effects) = next {
            change(effects);
            next = effects.outer.as_deref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn doubt_stays_and_is_seen_from_outside() {
        let outer = Arc::new(Effects::default());
        let inner = Effects::within(Some(outer.clone()));
        let both = || (inner.applied(), outer.applied());
        assert_eq!(both(), (Applied::No, Applied::No));
        inner.begin();
        assert_eq!(both(), (Applied::Unknown, Applied::Unknown));
        inner.end(Err(&Error::unavailable("reach it")));
        assert_eq!(both(), (Applied::No, Applied::No));
        inner.begin();
        inner.end(Ok(()));
        assert_eq!(both(), (Applied::Yes, Applied::Yes));
        inner.begin();
        inner.end(Err(&Error::unavailable("hear of it").applied(Applied::Unknown)));
        assert_eq!(both(), (Applied::Unknown, Applied::Unknown));
        outer.begin();
        outer.end(Ok(()));
        assert_eq!(Effects::within(Some(outer)).applied(), Applied::No);
    }
}
