//! Sealing what passes through a client and comes back: cursors of lists, and the state of a call that asks.
//!
//! It may come back changed or made up. It is encrypted and authenticated (AES-256-GCM): nobody reads or forges what is
//! in it, and it opens only for what it was sealed about.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use renkei_core::{Principal, Secret, Value};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest::{SHA256, digest},
};

/// So many bytes of a digest are kept.
pub(crate) const DIGEST: usize = 16;

/// Where no key is configured: what is sealed holds as long as this process lives.
static OF_PROCESS: LazyLock<[u8; 32]> = LazyLock::new(rand::random);

/// A key, and how long the sealed text may be.
pub(super) struct Seal {
    key: Option<LessSafeKey>,
    max: usize,
}

impl Seal {
    pub(super) fn new(key: Option<&Secret>, max: usize) -> Self {
        let hashed = key.map(|key| digest(&SHA256, key.expose().as_bytes()));
        let bytes = hashed.as_ref().map_or(&OF_PROCESS[..], |hashed| hashed.as_ref());
        Seal { key: UnboundKey::new(&AES_256_GCM, bytes).ok().map(LessSafeKey::new), max }
    }

    /// Nothing if it would be too long.
    pub(super) fn seal(&self, about: &[u8], mut content: Vec<u8>) -> Option<String> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key.as_ref()?.seal_in_place_append_tag(unique, Aad::from(about), &mut content).ok()?;
        let text = URL_SAFE_NO_PAD.encode([&nonce[..], &content].concat());
        (text.len() <= self.max).then_some(text)
    }

    /// Nothing if it is none of ours, or about something else.
    pub(super) fn open(&self, about: &[u8], text: &str) -> Option<Vec<u8>> {
        let mut bytes = (text.len() <= self.max).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()?;
        let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key.as_ref()?.open_in_place(nonce, Aad::from(about), sealed).ok()?;
        Some(opened.to_vec())
    }
}

/// What is sealed about somebody: for what, whose, and of whom. Later claims of the same caller change nothing.
pub(super) fn about(purpose: &str, name: &str, caller: &Principal) -> Vec<u8> {
    let issuer = caller.claims.get("iss").cloned().unwrap_or_default();
    let parts =
        vec![purpose.into(), name.into(), caller.how.as_str().into(), caller.name.clone().into(), issuer];
    Value::from(parts).to_json().into_bytes()
}

/// The same for values that differ only in the order of members.
pub(crate) fn digest_of(value: &Value) -> [u8; DIGEST] {
    let mut text = String::new();
    canonical(value, &mut text);
    let mut out = [0; DIGEST];
    out.copy_from_slice(&digest(&SHA256, text.as_bytes()).as_ref()[..DIGEST]);
    out
}

/// JSON in which the order of members does not matter.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in members {
                *out += &Value::from(name.clone()).to_json();
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items.iter() {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        scalar => *out += &scalar.to_json(),
    }
}
