//! Results that were too large to be given at once: kept whole for a while, and read in parts.
//!
//! Whoever got the result may read it, under an id that nobody guesses. What is kept is bounded three ways: one
//! result, all together, and how long. The oldest go first.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use indexmap::IndexMap;
use renkei_core::{
    Error, Kind, Principal, Result, Value, duration,
    resource::Contents,
    tool::{Content, ResourceBody},
};
use tokio::time::Instant;

use super::output::size;

/// What the URIs of kept results begin with.
const START: &str = "renkei://result/";
/// What keeping one costs beside its bytes, about.
const OVERHEAD: usize = 1024;

/// How much is kept.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Of one result. A larger one is not kept.
    pub result_bytes: usize,
    /// Of all results. Zero keeps none.
    pub total_bytes: usize,
    pub time: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Keep { result_bytes: 10_000_000, total_bytes: 100_000_000, time: Duration::from_secs(15 * 60) }
    }
}

/// A whole result.
#[derive(Clone, Debug)]
pub(super) enum Whole {
    Text { text: Arc<str>, mime_type: &'static str },
    Blob { bytes: Bytes, mime_type: Arc<str> },
}

impl Whole {
    pub(super) fn of_value(value: &Value) -> Self {
        match value {
            Value::String(text) => Whole::Text { text: text.clone(), mime_type: "text/plain" },
            other => Whole::Text { text: other.to_json().into(), mime_type: "application/json" },
        }
    }

    fn len(&self) -> usize {
        match self {
            Whole::Text { text, .. } => text.len(),
            Whole::Blob { bytes, .. } => bytes.len(),
        }
    }

    fn mime_type(&self) -> &str {
        match self {
            Whole::Text { mime_type, .. } => mime_type,
            Whole::Blob { mime_type, .. } => mime_type,
        }
    }

    /// At most `limit` bytes from `offset` on. A part of a text ends and begins between two letters, in both
    /// cases by going back, so that parts at multiples of the limit fit together.
    fn part(&self, offset: usize, limit: usize) -> (ResourceBody, usize, usize) {
        let end = offset.saturating_add(limit).min(self.len());
        match self {
            Whole::Text { text, .. } => {
                let (from, to) = (text.floor_char_boundary(offset), text.floor_char_boundary(end));
                (ResourceBody::Text(text[from..to].to_owned()), from, to)
            }
            Whole::Blob { bytes, .. } => (ResourceBody::Blob(bytes.slice(offset..end)), offset, end),
        }
    }
}

/// The kept results, oldest first.
pub(super) struct Kept {
    keep: Keep,
    /// One read gives at most so many bytes of a text, and of anything else.
    text_part: usize,
    blob_part: usize,
    /// One plan hands it to the next.
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    entries: IndexMap<String, Entry>,
    bytes: usize,
}

struct Entry {
    owner: Arc<Principal>,
    /// The tool that gave it.
    tool: Arc<str>,
    whole: Whole,
    until: Instant,
}

impl Entry {
    fn cost(&self) -> usize {
        self.whole.len() + OVERHEAD
    }
}

impl Inner {
    fn remove_oldest(&mut self) -> bool {
        let oldest = self.entries.shift_remove_index(0);
        if let Some((_, entry)) = &oldest {
            self.bytes -= entry.cost();
        }
        oldest.is_some()
    }

    fn remove_expired(&mut self, now: Instant) {
        // All live equally long, unless the config changed: the first that is good ends the search.
        while self.entries.first().is_some_and(|(_, entry)| entry.until <= now) {
            self.remove_oldest();
        }
    }
}

/// Where a kept result is, and what to say of it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) notice: String,
    pub(super) link: Content,
}

impl Kept {
    pub(super) fn new(keep: Keep, text_part: usize, blob_part: usize) -> Self {
        Kept { keep, text_part: text_part.max(4), blob_part: blob_part.max(1), inner: Arc::default() }
    }

    /// The same with what `old` keeps.
    pub(super) fn following(self, old: &Kept) -> Self {
        Kept { inner: old.inner.clone(), ..self }
    }

    pub(super) fn is_on(&self) -> bool {
        self.keep.total_bytes > 0
    }

    /// Keeps a result of `tool` for its owner; nothing if it is too large for that.
    pub(super) fn keep(&self, owner: &Arc<Principal>, tool: &Arc<str>, whole: Whole) -> Option<Place> {
        let now = Instant::now();
        let until = now + self.keep.time;
        let entry = Entry { owner: owner.clone(), tool: tool.clone(), whole, until };
        let (bytes, cost) = (entry.whole.len(), entry.cost());
        if bytes > self.keep.result_bytes || cost > self.keep.total_bytes {
            return None;
        }
        let uri = format!("{START}{}", uuid::Uuid::new_v4().simple());
        let place = self.place(&uri, &entry.whole);
        let mut inner = self.lock();
        inner.remove_expired(now);
        while inner.bytes + cost > self.keep.total_bytes && inner.remove_oldest() {}
        inner.bytes += cost;
        inner.entries.insert(uri, entry);
        Some(place)
    }

    fn place(&self, uri: &str, whole: &Whole) -> Place {
        let part = match whole {
            Whole::Text { .. } => self.text_part,
            Whole::Blob { .. } => self.blob_part,
        };
        let (total, time) = (size(whole.len()), duration::format(self.keep.time));
        let how = if whole.len() > part {
            format!("; one read gives {part} bytes of it, and `{uri}?offset={part}` goes on from there")
        } else {
            String::new()
        };
        Place {
            notice: format!("The whole result ({total}) is the resource `{uri}` for {time}{how}."),
            link: Content::Link {
                uri: uri.to_owned(),
                name: "the whole result".to_owned(),
                description: Some(format!("{total}, kept for {time}{how}")),
                mime_type: Some(whole.mime_type().to_owned()),
            },
        }
    }

    /// A part of a kept result of a tool that is `offered`; nothing if `uri` is none of them.
    pub(super) fn read(
        &self,
        reader: &Principal,
        offered: impl Fn(&str) -> bool,
        uri: &str,
    ) -> Option<Result<Contents>> {
        if !uri.starts_with(START) {
            return None;
        }
        let (name, query) = uri.split_once('?').map_or((uri, None), |(name, query)| (name, Some(query)));
        let now = Instant::now();
        let found = {
            let mut inner = self.lock();
            inner.remove_expired(now);
            // Whose it is, and whether it is, is nobody else's business.
            let entry = inner.entries.get(name);
            let entry = entry
                .filter(|entry| entry.until > now && entry.owner.is_same(reader) && offered(&entry.tool));
            entry.map(|entry| (entry.whole.clone(), entry.until))
        };
        let Some((whole, until)) = found else {
            let message = "this result is not kept any more, or never was; call the tool again";
            return Some(Err(Error::new(Kind::NotFound, message)));
        };
        Some(self.contents(name, &whole, query, until - now))
    }

    fn contents(&self, name: &str, whole: &Whole, query: Option<&str>, left: Duration) -> Result<Contents> {
        let total = whole.len();
        let offset = match query.map(|query| query.strip_prefix("offset=").and_then(|text| text.parse().ok()))
        {
            None => 0,
            Some(Some(offset)) if offset <= total => offset,
            Some(_) => {
                let message = format!("a part begins with `?offset=` and a number of bytes up to {total}");
                return Err(Error::invalid(message));
            }
        };
        let limit = match whole {
            Whole::Text { .. } => self.text_part,
            Whole::Blob { .. } => self.blob_part,
        };
        let (body, from, to) = whole.part(offset, limit);
        let next = (to < total).then(|| format!("{name}?offset={to}"));
        let part = Value::from([
            ("offset", from.into()),
            ("bytes", (to - from).into()),
            ("total", Value::from(total)),
        ]);
        let meta = Value::from([("renkei/part", part), ("renkei/next", next.into())]);
        let mime_type = Some(whole.mime_type().to_owned());
        Ok(Contents { mime_type, body, meta: Some(meta), ttl: left, private: true })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that can panic runs under the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use renkei_core::principal::How;

    use super::*;

    fn ann() -> Arc<Principal> {
        Arc::new(Principal { name: "ann".into(), how: How::ApiKey, claims: Value::object() })
    }

    fn kept(result_bytes: usize, total_bytes: usize) -> Kept {
        Kept::new(Keep { result_bytes, total_bytes, time: Duration::from_secs(60) }, 10, 4)
    }

    fn text(text: &str) -> Whole {
        Whole::of_value(&text.into())
    }

    fn uri(place: &Place) -> &str {
        match &place.link {
            Content::Link { uri, .. } => uri,
            other => panic!("{other:?}"),
        }
    }

    fn read(kept: &Kept, uri: &str) -> Result<Contents> {
        kept.read(&ann(), |_| true, uri).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn parts_fit_together() {
        let kept = kept(1000, 10_000);
        for whole in ["abcdefghijklmnopqrstuvwxyz", "山川海山川海山川海", "aé山𠮷aé山𠮷aé山𠮷", "short"]
        {
            let place = kept.keep(&ann(), &"t".into(), text(whole)).unwrap();
            let (mut all, mut next, mut parts) = (String::new(), Some(uri(&place).to_owned()), 0);
            while let Some(uri) = next {
                let found = read(&kept, &uri).unwrap();
                let ResourceBody::Text(part) = found.body else { panic!("{found:?}") };
                assert!(part.len() <= 10);
                all += &part;
                parts += 1;
                next = found.meta.unwrap().get("renkei/next").and_then(Value::as_str).map(str::to_owned);
            }
            assert_eq!(all, whole);
            assert_eq!(parts == 1, whole.len() <= 10);
            // The offsets that the notice speaks of fit together, too.
            let steps = (0..=whole.len()).step_by(10);
            let all: String = steps
                .map(|at| match read(&kept, &format!("{}?offset={at}", uri(&place))).unwrap().body {
                    ResourceBody::Text(part) => part,
                    ResourceBody::Blob(_) => unreachable!(),
                })
                .collect();
            assert_eq!(all, whole);
        }
        let blob = Whole::Blob { bytes: Bytes::from_static(b"0123456789"), mime_type: "x/y".into() };
        let place = kept.keep(&ann(), &"t".into(), blob).unwrap();
        let found = read(&kept, &format!("{}?offset=8", uri(&place))).unwrap();
        assert_eq!(found.body, ResourceBody::Blob(Bytes::from_static(b"89")));
        assert!(found.private);
        for wrong in ["?offset=11", "?offset=-1", "?offset=", "?from=1"] {
            let error = read(&kept, &format!("{}{wrong}", uri(&place))).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{wrong}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_owner_reads_and_only_for_a_while() {
        let kept = kept(1000, 10_000);
        let place = kept.keep(&ann(), &"t".into(), text("x")).unwrap();
        assert!(place.notice.contains(" for 1m"), "{}", place.notice);
        let other = Principal { name: "bob".into(), ..Principal::clone(&ann()) };
        assert_eq!(kept.read(&other, |_| true, uri(&place)).unwrap().unwrap_err().kind(), Kind::NotFound);
        assert_eq!(
            kept.read(&Principal::anonymous(), |_| true, uri(&place)).unwrap().unwrap_err().kind(),
            Kind::NotFound
        );
        assert!(kept.read(&ann(), |_| true, "shop://x").is_none());
        let elsewhere = kept.read(&ann(), |tool| tool == "other", uri(&place)).unwrap();
        assert_eq!(elsewhere.unwrap_err().kind(), Kind::NotFound);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(read(&kept, uri(&place)).unwrap().ttl, Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(read(&kept, uri(&place)).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(kept.lock().bytes, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_make_room() {
        let kept = kept(1000, 3 * (OVERHEAD + 100));
        let places: Vec<_> =
            (0..4).map(|_| kept.keep(&ann(), &"t".into(), text(&"x".repeat(100))).unwrap()).collect();
        assert!(read(&kept, uri(&places[0])).is_err());
        assert!(places[1..].iter().all(|place| read(&kept, uri(place)).is_ok()));
        assert_eq!(kept.lock().bytes, 3 * (OVERHEAD + 100));
        assert!(kept.keep(&ann(), &"t".into(), text(&"x".repeat(1001))).is_none());
        assert!(!self::kept(1000, 0).is_on());
        assert!(self::kept(1000, 0).keep(&ann(), &"t".into(), text("x")).is_none());
    }
}
