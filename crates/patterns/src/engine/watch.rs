//! Resources that somebody waits for: read again and again, as often as the config says, until they hold
//! something else.
//!
//! Nothing is spawned: whoever waits does the reading. Those who wait for the same, with the same name, share
//! one reading: whoever comes first reads, and the others see what came of it.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use renkei_core::{
    CallContext, Error, Kind, Principal, Result, Retry, Value,
    resource::{Contents, Resources, Watch},
    tool::ResourceBody,
};
use tokio::{
    sync::Mutex as AsyncMutex,
    time::{Instant, sleep_until},
};
use tracing::debug;

/// A failed read makes the pause longer, up to so many times the one of the config.
const LONGEST_PAUSE: u32 = 16;

/// What an engine watches.
pub(super) struct Watches {
    known: Mutex<BTreeMap<Key, Weak<Watched>>>,
    limit: usize,
}

/// What one caller sees at one URI. Who has the same name with another issuer is somebody else.
type Key = (String, &'static str, Arc<str>, Option<String>);

/// One resource as one caller sees it.
pub(super) struct Watched {
    uri: String,
    every: Duration,
    /// What the last reading found. Locked while it is being read.
    seen: AsyncMutex<Option<Seen>>,
}

#[derive(Clone, Copy)]
struct Seen {
    at: Instant,
    mark: Mark,
}

/// Stands for what a resource holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Holds(u64),
    Gone,
}

impl Watches {
    pub(super) fn new(limit: usize) -> Self {
        Watches { known: Mutex::default(), limit }
    }

    /// The resource at `uri`, to be read every so often; one and the same for all who ask alike.
    pub(super) fn of(&self, uri: &str, principal: &Principal, every: Duration) -> Result<Arc<Watched>> {
        let issuer = principal.claims.get("iss").map(Value::to_json);
        let key = (uri.to_owned(), principal.how.as_str(), principal.name.clone(), issuer);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = known.get(&key).and_then(Weak::upgrade) {
            return Ok(watched);
        }
        known.retain(|_, watched| watched.strong_count() > 0);
        if known.len() >= self.limit {
            let limit = self.limit;
            let message = format!(
                "this server watches `{limit}` resources already (`server.limits.watched_resources`)"
            );
            return Err(Error::new(Kind::RateLimited, message).retry(Retry::Safe));
        }
        let watched = Watched { uri: uri.to_owned(), every, seen: AsyncMutex::default() };
        let watched = Arc::new(watched);
        known.insert(key, Arc::downgrade(&watched));
        Ok(watched)
    }
}

impl Watched {
    /// What it holds; read anew only if the last reading is old enough.
    async fn look(&self, resources: &dyn Resources, cx: CallContext) -> Result<Mark> {
        let mut seen = self.seen.lock().await;
        if let Some(seen) = seen.filter(|seen| Instant::now() < seen.at + self.every) {
            return Ok(seen.mark);
        }
        let _cancel = cx.cancel.clone().drop_guard();
        let mark = match resources.read(cx, &self.uri).await {
            Ok(contents) => Mark::of(&contents),
            Err(error) if error.kind() == Kind::NotFound => Mark::Gone,
            Err(error) => return Err(error),
        };
        *seen = Some(Seen { at: Instant::now(), mark });
        Ok(mark)
    }
}

impl Mark {
    fn of(contents: &Contents) -> Self {
        let mut hasher = DefaultHasher::new();
        contents.mime_type.hash(&mut hasher);
        match &contents.body {
            ResourceBody::Text(text) => (0, text.as_bytes()).hash(&mut hasher),
            ResourceBody::Blob(bytes) => (1, &**bytes).hash(&mut hasher),
        }
        Mark::Holds(hasher.finish())
    }
}

/// Waits for one subscriber.
pub(super) struct Watcher {
    resources: Arc<dyn Resources>,
    principal: Arc<Principal>,
    client: Option<IpAddr>,
    watched: Arc<Watched>,
    /// What the subscriber knows.
    mark: Mark,
    next: Instant,
    /// Times `every`.
    pause: u32,
}

impl Watcher {
    /// Takes what the resource holds now for known.
    pub(super) async fn begin(
        resources: Arc<dyn Resources>,
        watched: Arc<Watched>,
        cx: CallContext,
    ) -> Result<Box<dyn Watch>> {
        let (principal, client) = (cx.principal.clone(), cx.client);
        let mark = watched.look(&*resources, CallContext { unasked: true, ..cx }).await?;
        if mark == Mark::Gone {
            return Err(Error::new(Kind::NotFound, format!("there is nothing at `{}`", watched.uri)));
        }
        let next = Instant::now() + watched.every;
        Ok(Box::new(Watcher { resources, principal, client, watched, mark, next, pause: 1 }))
    }
}

#[async_trait]
impl Watch for Watcher {
    async fn changed(&mut self) {
        loop {
            sleep_until(self.next).await;
            let deadline = Instant::now() + self.resources.timeout();
            let cx = CallContext {
                client: self.client,
                unasked: true,
                ..CallContext::new(deadline, self.principal.clone())
            };
            let found = self.watched.look(&*self.resources, cx).await;
            self.pause = if found.is_ok() { 1 } else { (self.pause * 2).min(LONGEST_PAUSE) };
            self.next = Instant::now() + self.watched.every * self.pause;
            match found {
                Ok(mark) if mark != self.mark => {
                    self.mark = mark;
                    return;
                }
                Ok(_) => {}
                Err(error) => debug!(uri = self.watched.uri, %error, "a watched resource cannot be read"),
            }
        }
    }
}
