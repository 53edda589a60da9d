//! What goes through the client between two rounds, sealed.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use indexmap::IndexMap;
use renkei_core::{Principal, Result, Secret, Value, ask::Answer, call::RunStart};

use super::{
    super::seal::{self, DIGEST, Seal},
    refused,
};

/// The version of what is sealed. One that is not known is refused like one that is forged.
const VERSION: i64 = 1;

pub(super) type Digest = [u8; DIGEST];
pub(super) type Nonce = [u8; 16];

/// Whose state it is, and of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'a> {
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
    pub(super) caller: &'a Principal,
    pub(super) arguments: &'a Value,
}

#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) start: RunStart,
    /// That is over; the first is 1.
    pub(super) round: usize,
    /// Milliseconds since 1970.
    pub(super) expires_ms: i64,
    /// Of this state only.
    pub(super) nonce: Nonce,
    /// What was asked last, by path.
    pub(super) asked: IndexMap<Arc<str>, Digest>,
    /// What was answered before, by path, and to which words.
    pub(super) answered: IndexMap<Arc<str>, (Digest, Answer)>,
}

pub(super) struct States(Seal);

impl States {
    pub(super) fn new(key: Option<&Secret>, max: usize) -> Self {
        States(Seal::new(key, max))
    }

    /// Nothing if it would be too long.
    pub(super) fn seal(&self, owner: Owner<'_>, state: &State) -> Option<String> {
        let asked =
            state.asked.iter().map(|(path, digest)| Value::from(vec![path.clone().into(), text(digest)]));
        let answered = state.answered.iter().map(|(path, (digest, answer))| {
            Value::from(vec![path.clone().into(), text(digest), answer.to_value()])
        });
        let content = Value::from([
            ("v", Value::from(VERSION)),
            ("run", state.start.id.clone().into()),
            ("now", state.start.now.clone().into()),
            ("round", state.round.into()),
            ("expires", state.expires_ms.into()),
            ("nonce", text(&state.nonce)),
            ("arguments", text(&seal::digest_of(owner.arguments))),
            ("asked", asked.collect::<Vec<_>>().into()),
            ("answered", answered.collect::<Vec<_>>().into()),
        ]);
        self.0.seal(&owner.about(), content.to_json().into_bytes())
    }

    /// # Errors
    /// It is none of ours, of another call, or too old.
    pub(super) fn open(&self, owner: Owner<'_>, text: &str, now_ms: i64) -> Result<State> {
        let unknown = || {
            refused(format!(
                "`requestState` is none that this server gave to this caller for `{}`, or the server was restarted since, or it \
                 comes from a node whose `server.ask_key` is another one; call without it to begin anew",
                owner.name
            ))
        };
        let opened = self.0.open(&owner.about(), text).ok_or_else(unknown)?;
        let content = Value::from_json(&opened).map_err(|_| unknown())?;
        let state = State::read(&content).ok_or_else(unknown)?;
        if content.get("arguments") != Some(&self::text(&seal::digest_of(owner.arguments))) {
            return Err(refused(
                "`requestState` was given for other arguments: call with the same arguments as before, or without it to \
                 begin anew",
            ));
        }
        if now_ms >= state.expires_ms {
            return Err(refused(
                "the answer came too late: `requestState` has expired; call without it to be asked again",
            ));
        }
        Ok(state)
    }
}

impl Owner<'_> {
    fn about(&self) -> Vec<u8> {
        seal::about(&format!("ask 1 {}", self.kind), self.name, self.caller)
    }
}

impl State {
    fn read(content: &Value) -> Option<Self> {
        let number = |key: &str| content.get(key).and_then(Value::as_i64);
        let word = |key: &str| content.get(key).and_then(Value::as_str).map(Arc::<str>::from);
        let list = |key: &str| content.get(key).and_then(Value::as_array);
        (number("v") == Some(VERSION)).then_some(())?;
        let asked = list("asked")?.iter().map(|one| Some((one.at(0)?.as_str()?.into(), bytes(one.at(1)?)?)));
        let answered = list("answered")?.iter().map(|one| {
            Some((one.at(0)?.as_str()?.into(), (bytes(one.at(1)?)?, Answer::from_value(one.at(2)?)?)))
        });
        Some(State {
            start: RunStart { id: word("run")?, now: word("now")? },
            round: usize::try_from(number("round")?).ok()?,
            expires_ms: number("expires")?,
            nonce: bytes(content.get("nonce")?)?,
            asked: asked.collect::<Option<_>>()?,
            answered: answered.collect::<Option<_>>()?,
        })
    }
}

fn text(bytes: &[u8]) -> Value {
    URL_SAFE_NO_PAD.encode(bytes).into()
}

fn bytes(value: &Value) -> Option<[u8; 16]> {
    URL_SAFE_NO_PAD.decode(value.as_str()?).ok()?.try_into().ok()
}
