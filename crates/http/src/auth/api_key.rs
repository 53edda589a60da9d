//! API keys, known by their hash only.

use std::{fmt, sync::Arc};

use renkei_core::{Principal, Value, principal::How};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

/// A key that lets its bearer in as `name`. A key is long and random, so a plain hash keeps it safe.
#[derive(Clone)]
pub struct ApiKey {
    name: Arc<str>,
    sha256: [u8; 32],
}

impl ApiKey {
    pub fn new(name: impl Into<Arc<str>>, sha256: [u8; 32]) -> Self {
        ApiKey { name: name.into(), sha256 }
    }

    /// The hash as configs write it: 64 hexadecimal digits, as `sha256sum` prints them.
    pub fn parse_sha256(text: &str) -> Option<[u8; 32]> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        Some(out)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whose key it is. Compares with every key, each in constant time: the time taken tells nothing.
pub(super) fn find(keys: &[ApiKey], credential: &str) -> Option<Principal> {
    let hash: [u8; 32] = Sha256::digest(credential.as_bytes()).into();
    let mut found = Choice::from(0);
    let mut at = 0u64;
    for (index, key) in (0u64..).zip(keys) {
        let same = key.sha256.ct_eq(&hash);
        at.conditional_assign(&index, same);
        found |= same;
    }
    let key = bool::from(found).then_some(at).and_then(|at| keys.get(usize::try_from(at).ok()?))?;
    Some(Principal { name: key.name.clone(), how: How::ApiKey, claims: Value::object() })
}
