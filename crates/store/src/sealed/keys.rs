//! Keys, and what is done with them: AES-256-GCM (NIST SP 800-38D) under a key of its own for each record.
//!
//! A sealed record is `0x00 "RK" 0x01`, four bytes that name the key, sixteen random bytes, then ciphertext and tag. Text
//! never begins so. The record's key comes from the secret and the random bytes by HKDF-SHA256 (RFC 5869), so no
//! nonce can come twice however many records there are. The record's place is authenticated with it: moved to
//! another key or stream it does not open.

use bytes::Bytes;
use renkei_core::{Error, Result, Retry, Secret};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Prk, Salt},
    rand::{SecureRandom, SystemRandom},
};

const MAGIC: [u8; 4] = *b"\0RK\x01";
const NAME_LEN: usize = 4;
const SALT_LEN: usize = 16;
const HEAD_LEN: usize = MAGIC.len() + NAME_LEN + SALT_LEN;

/// Characters of a secret, at least.
pub(crate) const MIN_SECRET: usize = 32;

/// The secrets of a store: the first one seals, all of them open. Empty for a store without encryption.
#[derive(Debug, Default)]
pub struct Keys(Vec<Key>);

struct Key {
    name: [u8; NAME_LEN],
    secret: Secret,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:02x?})", self.name)
    }
}

impl Keys {
    /// # Errors
    /// `invalid` for a secret that is too short.
    pub fn new(secrets: &[Secret]) -> Result<Self> {
        let keys = secrets.iter().map(|secret| {
            if secret.expose().len() < MIN_SECRET {
                let text = format!("open the store: its key has less than {MIN_SECRET} characters");
                return Err(Error::invalid(text));
            }
            let mut name = [0; NAME_LEN];
            fill(secret, &[], b"renkei store key name", &mut name)?;
            Ok(Key { name, secret: secret.clone() })
        });
        Ok(Keys(keys.collect::<Result<_>>()?))
    }

    /// `place` says where the record stands; the same is needed to open it.
    pub(super) fn seal(&self, place: &[u8], plain: &[u8]) -> Result<Bytes> {
        let Some(key) = self.0.first() else { return Ok(Bytes::copy_from_slice(plain)) };
        let mut salt = [0; SALT_LEN];
        SystemRandom::new().fill(&mut salt).map_err(|_| failed("there are no random numbers"))?;
        let mut sealed = Vec::with_capacity(HEAD_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&MAGIC);
        sealed.extend_from_slice(&key.name);
        sealed.extend_from_slice(&salt);
        let mut text = plain.to_vec();
        let cipher = cipher(&key.secret, &salt)?;
        // Each key seals one record only.
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        cipher
            .seal_in_place_append_tag(nonce, Aad::from(place), &mut text)
            .map_err(|_| failed("the record cannot be sealed"))?;
        sealed.extend_from_slice(&text);
        Ok(sealed.into())
    }

    /// A record that was never sealed comes back as it is.
    pub(super) fn open(&self, place: &[u8], stored: Bytes) -> Result<Bytes> {
        let Some(rest) = stored.strip_prefix(&MAGIC) else { return Ok(stored) };
        let (Some((name, rest)), true) = (rest.split_first_chunk::<NAME_LEN>(), stored.len() > HEAD_LEN)
        else {
            return Err(failed("a sealed record is cut off"));
        };
        let Some(key) = self.0.iter().find(|key| key.name == *name) else {
            return Err(failed(if self.0.is_empty() {
                "it is encrypted; give its key in `server.store`"
            } else {
                "a record was encrypted with another key; give that one, too, in `server.store`"
            }));
        };
        let (salt, text) = rest.split_at(SALT_LEN);
        let mut text = text.to_vec();
        let cipher = cipher(&key.secret, salt)?;
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let plain = cipher
            .open_in_place(nonce, Aad::from(place), &mut text)
            .map_err(|_| failed("a sealed record was changed, or moved from another place"))?;
        let length = plain.len();
        text.truncate(length);
        Ok(text.into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn cipher(secret: &Secret, salt: &[u8]) -> Result<LessSafeKey> {
    let mut key = [0; 32];
    fill(secret, salt, b"renkei store record", &mut key)?;
    let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| failed("the key does not fit"))?;
    Ok(LessSafeKey::new(key))
}

/// Bytes from a secret, for one purpose.
fn fill(secret: &Secret, salt: &[u8], purpose: &[u8], out: &mut [u8]) -> Result<()> {
    struct Length(usize);
    impl ring::hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let derived: Prk = Salt::new(HKDF_SHA256, salt).extract(secret.expose().as_bytes());
    let purpose = [purpose];
    let expanded = derived.expand(&purpose, Length(out.len()));
    expanded.and_then(|expanded| expanded.fill(out)).map_err(|_| failed("the key does not fit"))
}

fn failed(why: &str) -> Error {
    Error::unavailable(format!("use the store: {why}")).retry(Retry::Never)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(letters: &[&str]) -> Keys {
        let secrets: Vec<Secret> = letters.iter().map(|letter| Secret::new(letter.repeat(40))).collect();
        Keys::new(&secrets).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let keys = keys(&["a"]);
        let sealed = keys.seal(b"cell 1", b"{\"card\":\"4242\"}").unwrap();
        assert!(!sealed.windows(4).any(|four| four == b"4242"));
        assert_ne!(sealed, keys.seal(b"cell 1", b"{\"card\":\"4242\"}").unwrap());
        assert_eq!(&keys.open(b"cell 1", sealed.clone()).unwrap()[..], b"{\"card\":\"4242\"}");
        assert!(keys.open(b"cell 2", sealed.clone()).unwrap_err().public().contains("moved"));
        for at in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[at] ^= 1;
            let opened = keys.open(b"cell 1", changed.clone().into());
            // Without its first bytes it is no sealed record, and is given back as it stands.
            assert!(if at < MAGIC.len() { opened.unwrap() == changed } else { opened.is_err() }, "byte {at}");
        }
        for length in MAGIC.len()..sealed.len() {
            assert!(keys.open(b"cell 1", sealed.slice(..length)).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn keys_rotate() {
        let old = keys(&["a"]).seal(b"x", b"text").unwrap();
        let both = keys(&["b", "a"]);
        assert_eq!(both.open(b"x", old.clone()).unwrap(), "text");
        let new = both.seal(b"x", b"text").unwrap();
        assert_eq!(keys(&["b"]).open(b"x", new).unwrap(), "text");
        assert!(keys(&["b"]).open(b"x", old.clone()).unwrap_err().public().contains("another key"));
        assert!(Keys::default().open(b"x", old).unwrap_err().public().contains("it is encrypted"));
        assert_eq!(Keys::default().open(b"x", Bytes::from("plain")).unwrap(), "plain");
        assert_eq!(keys(&["b"]).open(b"x", Bytes::from("plain")).unwrap(), "plain");
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(Keys::new(&[Secret::new("short".to_owned())]).unwrap_err().public().contains("32"));
    }
}
