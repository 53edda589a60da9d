//! Which states were used, so that a change follows once from an answer.
//!
//! The store knows it for all nodes, and after a restart; without a store, this process does.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indexmap::IndexMap;
use renkei_core::{
    Applied, Error, Kind, Result, Retry,
    clock::Timestamp,
    store::{Batch, CellExpected, NewCell, Record, Refusal, Store, Verdict, When},
};

use super::{refused, state::Nonce};

/// The space of the cells; their keys are the nonces.
const SPACE: &str = "ask_used";
/// So much longer than its state holds is it known that one was used: clocks of nodes differ.
const LONGER: Duration = Duration::from_secs(3600);
/// States that were used and have not expired. One more is refused rather than one forgotten.
const MAX_USED: usize = 100_000;

/// By nonce: until when it has to be known.
#[derive(Debug, Default)]
pub(super) struct Used(Mutex<IndexMap<Nonce, i64>>);

impl Used {
    /// Uses a state, once.
    pub(super) async fn take(
        &self,
        store: Option<&dyn Store>,
        nonce: Nonce,
        expires_ms: i64,
        now_ms: i64,
    ) -> Result<()> {
        match store {
            // Few calls need it: the others do not carry its future.
            Some(store) => Box::pin(keep(store, nonce, expires_ms)).await,
            None => self.note(nonce, expires_ms, now_ms),
        }
    }

    fn note(&self, nonce: Nonce, expires_ms: i64, now_ms: i64) -> Result<()> {
        // No code that can panic runs under the lock.
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.contains_key(&nonce) {
            return Err(again());
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

/// One commit decides which of several calls is the first.
async fn keep(store: &dyn Store, nonce: Nonce, expires_ms: i64) -> Result<()> {
    let key: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
    let expires = Some(When::At(Timestamp(expires_ms).after(LONGER)));
    let cell = NewCell { expires, ..NewCell::new(Record::default()) };
    match store.commit(Batch::new().set(SPACE, key, CellExpected::Absent, cell)).await {
        Ok(Verdict::Done(_)) => Ok(()),
        Ok(Verdict::Refused(Refusal::Cell { .. })) => Err(again()),
        Ok(Verdict::Refused(other)) => Err(other.into()),
        // Nothing has followed from it.
        Err(error) => Err(error.applied(Applied::No)),
    }
}

fn again() -> Error {
    refused(
        "`requestState` was used already, and what followed from it is not done twice; call without it to be asked again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_once_and_none_is_forgotten_too_early() {
        let used = Used::default();
        let nonce = |at: usize| (at as u128).to_be_bytes();
        used.note(nonce(0), 1000, 0).unwrap();
        assert!(used.note(nonce(0), 1000, 0).unwrap_err().to_string().contains("used already"));
        for at in 1..MAX_USED {
            used.note(nonce(at), if at < 10 { 500 } else { 1000 }, 0).unwrap();
        }
        assert_eq!(used.note(nonce(MAX_USED), 1000, 400).unwrap_err().kind(), Kind::RateLimited);
        used.note(nonce(MAX_USED), 1000, 600).unwrap();
        assert!(used.note(nonce(0), 1000, 600).is_err());
    }
}
