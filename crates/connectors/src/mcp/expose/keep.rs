//! Keeps what is offered up to date: one task of a connection, which ends with it.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use renkei_core::{Request, Value, connector::Offer, duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{list, offer::offer};
use crate::mcp::{
    config::Config,
    link::{Link, Terms},
    words,
};

/// A list is read again this often at most, however often the server says that it changed.
const BETWEEN: Duration = Duration::from_secs(1);
/// The pause after a failure, and after the server stopped to tell of changes; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

struct Keeper {
    system: Arc<str>,
    prefix: Arc<str>,
    config: Arc<Config>,
    link: Arc<dyn Link>,
    terms: Terms,
    request: Request,
    /// How long one look may take.
    limit: Duration,
    offered: watch::Sender<Option<Arc<Offer>>>,
    /// The list from which the offer was made.
    last: Mutex<Option<Vec<Value>>>,
}

/// What a connection offers, and what ends its upkeep when it is dropped; nothing where the config exposes nothing. Needs a
/// runtime.
pub(in crate::mcp) fn start(
    system: &Arc<str>,
    config: &Arc<Config>,
    link: &Arc<dyn Link>,
    terms: &Terms,
    limit: Duration,
) -> Option<(watch::Receiver<Option<Arc<Offer>>>, DropGuard)> {
    let expose = config.expose.as_ref()?;
    expose.tools()?;
    let (offered, offer) = watch::channel(None);
    let keeper = Keeper {
        system: system.clone(),
        prefix: expose.prefix(system),
        config: config.clone(),
        link: link.clone(),
        terms: terms.clone(),
        request: words(system, "tools/list"),
        limit,
        offered,
        last: Mutex::default(),
    };
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move { stopped.run_until_cancelled(keeper.run()).await });
    Some((offer, stop.drop_guard()))
}

impl Keeper {
    /// For ever: the server may fail and come again at any time.
    async fn run(&self) {
        let mut changes = self.link.changes();
        let mut pause = FIRST_PAUSE;
        loop {
            changes.mark_unchanged();
            let looked = self.look().await;
            let began = Instant::now();
            if looked {
                let mut hearing = pin!(self.link.hear(&self.terms, &self.request));
                loop {
                    tokio::select! {
                        biased;
                        changed = changes.changed() => {
                            if changed.is_err() {
                                return;
                            }
                            sleep(BETWEEN).await;
                            changes.mark_unchanged();
                            // What could not be read is looked at again, although nobody tells of it any more.
                            if !self.look().await {
                                break;
                            }
                        }
                        // Some servers do not tell of changes: then it is looked now and then.
                        () = &mut hearing => break,
                    }
                }
            }
            if began.elapsed() >= LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Reads the list, and offers what is made of it if it is another one. Whether it could be read.
    async fn look(&self) -> bool {
        let listing = list::tools(&*self.link, &self.terms, &self.request);
        let list = match timeout(self.limit, listing).await {
            Ok(Ok(list)) => list,
            Ok(Err(error)) => {
                let detail = error.detail_text();
                tracing::warn!(system = &*self.system, detail, "its tools cannot be listed: {error}");
                return false;
            }
            Err(_) => {
                let limit = duration::format(self.limit);
                tracing::warn!(
                    system = &*self.system,
                    "its tools cannot be listed: no list came within {limit} (`timeout.connect`)"
                );
                return false;
            }
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(&list) {
            self.offer(&list);
            *last = Some(list);
        }
        true
    }

    fn offer(&self, list: &[Value]) {
        let Some(chosen) = self.config.expose.as_ref().and_then(|expose| expose.tools()) else { return };
        let offer = offer(&self.system, &self.prefix, chosen, list);
        for notice in &offer.notices {
            tracing::warn!(system = &*self.system, "{notice}");
        }
        tracing::info!(system = &*self.system, listed = list.len(), offered = offer.tools.len(), "its tools");
        self.offered.send_replace(Some(Arc::new(offer)));
    }
}
