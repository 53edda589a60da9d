//! Which states were used, so that a change follows once from an answer.
//!
//! This process only: with several nodes, a store has to know it for all.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indexmap::IndexMap;
use renkei_core::{Error, Kind, Result, Retry};

use super::{refused, state::Nonce};

/// States that were used and have not expired. One more is refused rather than one forgotten.
const MAX_USED: usize = 100_000;

/// By nonce: until when it has to be known.
#[derive(Debug, Default)]
pub(super) struct Used(Mutex<IndexMap<Nonce, i64>>);

impl Used {
    /// Uses a state, once.
    pub(super) fn take(&self, nonce: Nonce, expires_ms: i64, now_ms: i64) -> Result<()> {
        // No code that can panic runs under the lock.
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.contains_key(&nonce) {
            return Err(refused(
                "`requestState` was used already, and what followed from it is not done twice; call without it to be \
                 asked again",
            ));
        }
        if used.len() >= MAX_USED {
            used.retain(|_, expires_ms| *expires_ms > now_ms);
        }
        if used.len() >= MAX_USED {
            let message = format!("take one more answer: `{MAX_USED}` were taken within `server.limits.ask`");
            return Err(Error::new(Kind::RateLimited, message).retry(Retry::After(Duration::from_secs(10))));
        }
        used.insert(nonce, expires_ms);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_once_and_none_is_forgotten_too_early() {
        let used = Used::default();
        let nonce = |at: usize| (at as u128).to_be_bytes();
        used.take(nonce(0), 1000, 0).unwrap();
        assert!(used.take(nonce(0), 1000, 0).unwrap_err().to_string().contains("used already"));
        for at in 1..MAX_USED {
            used.take(nonce(at), if at < 10 { 500 } else { 1000 }, 0).unwrap();
        }
        assert_eq!(used.take(nonce(MAX_USED), 1000, 400).unwrap_err().kind(), Kind::RateLimited);
        used.take(nonce(MAX_USED), 1000, 600).unwrap();
        assert!(used.take(nonce(0), 1000, 600).is_err());
    }
}
