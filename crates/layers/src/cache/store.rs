//! The replies that are kept, and the requests that are under way for new ones.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use lru::LruCache;
use renkei_core::{Payload, Principal, Reply, Request, Value, call::Again};
use tokio::time::Instant;

use super::flight::{Departed, Flight};
use crate::config::{Keep, Kept};

/// After a refresh that failed, the next one begins no earlier.
pub(crate) const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What tells one request from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    op: [u8; 32],
    name: Option<Arc<str>>,
    /// The rendered values, which page of a list, and who asks where that matters.
    rest: Arc<str>,
}

impl Key {
    pub(super) fn new(kept: &Kept, request: &Request, caller: Option<&Principal>) -> Self {
        let mut rest = String::new();
        for param in request.params.iter() {
            // No JSON begins like this: absent is not null.
            match param {
                Some(value) => value.write_json(&mut rest),
                None => rest.push('-'),
            }
            rest.push('\n');
        }
        if let Some(page) = &request.page {
            // Nor like this.
            rest.push('@');
            page.0.write_json(&mut rest);
            rest.push('\n');
        }
        if let Some(caller) = caller {
            caller.to_value().write_json(&mut rest);
        }
        Key { op: kept.op, name: kept.keep.name.clone(), rest: rest.into() }
    }
}

/// By what a reply is invalidated.
#[derive(Clone, Debug, Default)]
pub(super) struct Tags {
    pub(super) name: Option<Arc<str>>,
    pub(super) address: Option<Vec<String>>,
}

/// A request that begins.
pub(super) struct Departure {
    pub(super) number: u64,
    /// What was kept of it, if it can be asked for by that.
    pub(super) known: Option<Reply>,
}

pub(super) enum Found {
    Fresh {
        reply: Reply,
        age: Duration,
    },
    /// With a request for a new one, if none is under way.
    Stale {
        reply: Reply,
        age: Duration,
        refresh: Option<Flight>,
    },
    Nothing {
        flight: Flight,
        joined: bool,
    },
}

struct Entry {
    reply: Reply,
    tags: Tags,
    stored: Instant,
    bytes: usize,
    /// No refresh begins earlier.
    pause: Option<Instant>,
}

pub(super) struct Store {
    entries: LruCache<Key, Entry>,
    under_way: IndexMap<Key, Departed>,
    next: u64,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
}

impl Store {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Store {
            entries: LruCache::unbounded(),
            under_way: IndexMap::new(),
            next: 0,
            bytes: 0,
            max_entries,
            max_bytes,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The reply to a request, or a request under way; `depart` begins one.
    pub(super) fn find(
        &mut self,
        key: &Key,
        keep: &Keep,
        now: Instant,
        depart: impl FnOnce(Departure) -> Flight,
    ) -> Found {
        if let Some(entry) = self.entries.get(key) {
            let age = now - entry.stored;
            let reply = || entry.reply.clone();
            if age < keep.ttl {
                return Found::Fresh { reply: reply(), age };
            }
            if age < keep.ttl.saturating_add(keep.stale) {
                let (reply, rests) = (reply(), entry.pause.is_some_and(|until| now < until));
                // A request is not joined to look whether it is alive: the last one to leave ends it, which must
                // not happen in here.
                let refresh = (!rests && !self.under_way.contains_key(key)).then(|| self.begin(key, depart));
                return Found::Stale { reply, age, refresh };
            }
        }
        match self.joinable(key) {
            Some(flight) => Found::Nothing { flight, joined: true },
            None => Found::Nothing { flight: self.begin(key, depart), joined: false },
        }
    }

    fn joinable(&self, key: &Key) -> Option<Flight> {
        self.under_way.get(key)?.join()
    }

    fn begin(&mut self, key: &Key, depart: impl FnOnce(Departure) -> Flight) -> Flight {
        self.next += 1;
        let kept = self.entries.peek(key).map(|entry| &entry.reply);
        let known = kept.filter(|reply| matches!(reply.again, Again::By(_))).cloned();
        let flight = depart(Departure { number: self.next, known });
        if let Some(departed) = flight.departed() {
            self.under_way.insert(key.clone(), departed);
        }
        flight
    }

    /// A request has ended, with a reply if it went well. One that is not known any more – what it read was
    /// invalidated – leaves nothing.
    pub(super) fn land(&mut self, key: &Key, number: u64, reply: Option<&Reply>, now: Instant) {
        if self.under_way.get(key).is_none_or(|departed| departed.number != number) {
            return;
        }
        let Some(departed) = self.under_way.swap_remove(key) else { return };
        match reply {
            // A page that could not be read is an error, which is yet to be told.
            Some(Reply { page: Some(Err(_)), .. }) => {}
            Some(reply) => self.keep(key.clone(), reply.clone(), departed.tags, now),
            None => {
                if let Some(entry) = self.entries.peek_mut(key) {
                    entry.pause = Some(now + AFTER_FAILURE);
                }
            }
        }
    }

    fn keep(&mut self, key: Key, reply: Reply, tags: Tags, now: Instant) {
        let bytes = weight(&reply) + key.rest.len() + size_of::<Entry>();
        if bytes > self.max_bytes {
            // It would push out everything else. What was there before is no better than nothing.
            if let Some(old) = self.entries.pop(&key) {
                self.bytes -= old.bytes;
            }
            return;
        }
        let entry = Entry { reply, tags, stored: now, bytes, pause: None };
        if let Some(old) = self.entries.put(key, entry) {
            self.bytes -= old.bytes;
        }
        self.bytes += bytes;
        while self.entries.len() > self.max_entries || self.bytes > self.max_bytes {
            let Some((_, oldest)) = self.entries.pop_lru() else { break };
            self.bytes -= oldest.bytes;
        }
    }

    /// Forgets what fits, and the requests under way that fit.
    pub(super) fn forget(&mut self, fits: impl Fn(&Tags) -> bool) {
        self.under_way.retain(|_, departed| !fits(&departed.tags));
        let keys: Vec<Key> =
            self.entries.iter().filter(|(_, entry)| fits(&entry.tags)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            if let Some(entry) = self.entries.pop(&key) {
                self.bytes -= entry.bytes;
            }
        }
    }
}

/// About how much memory a reply takes.
fn weight(reply: &Reply) -> usize {
    let value = match &reply.value {
        Payload::Json(value) => of_value(value),
        Payload::Blob { bytes, mime_type } => bytes.len() + mime_type.len(),
    };
    let items = reply.page.iter().flatten().flat_map(|page| &page.items).map(of_value).sum::<usize>();
    value
        + items
        + of_value(&reply.meta)
        + match &reply.again {
            Again::By(validator) => of_value(&validator.0),
            Again::Whole | Again::Unchanged => 0,
        }
        + reply.notices.iter().map(|notice| notice.len() + 24).sum::<usize>()
}

fn of_value(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Null | Value::Bool(_) => 0,
            Value::Number(_) => 16,
            Value::String(text) => text.len() + 16,
            Value::Array(items) => items.iter().map(of_value).sum(),
            // Key, hash and index of a member.
            Value::Object(map) => map.iter().map(|(key, value)| key.len() + 40 + of_value(value)).sum(),
        }
}
