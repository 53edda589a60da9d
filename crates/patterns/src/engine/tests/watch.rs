//! Watching: who waits is told once of each change, and the system is read as seldom as the config says.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;
use renkei_core::{
    CallContext, Error, Kind, Principal, Result,
    complete::{Completion, Partial},
    principal::How,
    resource::{Contents, Listing, ResourceInfo, Resources, Watch},
    tool::ResourceBody,
};
use tokio::time::{Instant, advance, sleep, timeout};

use crate::engine::watch::{Watcher, Watches};

const EVERY: Duration = Duration::from_secs(10);

/// One resource whose content the test decides.
struct Board {
    content: Mutex<Result<&'static str>>,
    reads: Mutex<Vec<(Duration, Arc<str>)>>,
    watches: Watches,
    start: Instant,
}

impl Board {
    fn new(limit: usize) -> Arc<Self> {
        Arc::new(Board {
            content: Mutex::new(Ok("a")),
            reads: Mutex::default(),
            watches: Watches::new(limit),
            start: Instant::now(),
        })
    }

    fn holds(&self, content: Result<&'static str>) {
        *self.content.lock().unwrap() = content;
    }

    fn reads(&self) -> Vec<u64> {
        self.reads.lock().unwrap().iter().map(|(at, _)| at.as_secs()).collect()
    }

    async fn by(self: &Arc<Self>, name: &str, uri: &str) -> Result<Box<dyn Watch>> {
        let principal = Principal { name: name.into(), how: How::ApiKey, ..Principal::anonymous() };
        let cx = CallContext::new(Instant::now() + EVERY, Arc::new(principal));
        self.clone().watch(cx, uri).await
    }
}

#[async_trait]
impl Resources for Board {
    async fn list(&self, _: CallContext) -> Result<Listing> {
        Ok(Listing::default())
    }

    fn fixed(&self) -> Vec<ResourceInfo> {
        Vec::new()
    }

    fn templates(&self) -> &[ResourceInfo] {
        &[]
    }

    async fn read(&self, cx: CallContext, _: &str) -> Result<Contents> {
        self.reads.lock().unwrap().push((self.start.elapsed(), cx.principal.name.clone()));
        // Long enough for others to come meanwhile.
        sleep(Duration::from_millis(10)).await;
        let body = ResourceBody::Text((*self.content.lock().unwrap()).clone()?.to_owned());
        Ok(Contents { mime_type: None, body, meta: None, ttl: Duration::ZERO, private: false })
    }

    async fn complete(&self, _: CallContext, _: &str, _: Partial) -> Result<Completion> {
        Ok(Completion::default())
    }

    async fn watch(self: Arc<Self>, cx: CallContext, uri: &str) -> Result<Box<dyn Watch>> {
        let watched = self.watches.of(uri, &cx.principal, EVERY)?;
        Watcher::begin(self, watched, cx).await
    }

    fn has_watched(&self) -> bool {
        true
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(5)
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_once() {
    let board = Board::new(10);
    let mut watch = board.by("ada", "x:1").await.unwrap();
    assert!(timeout(EVERY * 5, watch.changed()).await.is_err());
    board.holds(Ok("b"));
    watch.changed().await;
    assert!(timeout(EVERY * 5, watch.changed()).await.is_err());
    // There and back between two reads is no change.
    board.holds(Ok("c"));
    board.holds(Ok("b"));
    assert!(timeout(EVERY * 2, watch.changed()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn one_reading_serves_all_who_see_the_same() {
    let board = Board::new(10);
    let watches = join_all((0..50).map(|_| board.by("ada", "x:1"))).await;
    assert_eq!(board.reads(), [0]);
    let told = join_all(watches.into_iter().map(|watch| async {
        let mut watch = watch.unwrap();
        watch.changed().await;
    }));
    let told = tokio::spawn(told);
    sleep(EVERY * 3 + Duration::from_secs(1)).await;
    assert_eq!(board.reads(), [0, 10, 20, 30]);
    board.holds(Ok("b"));
    told.await.unwrap();
    assert_eq!(board.reads(), [0, 10, 20, 30, 40]);
    // Nobody waits any more.
    sleep(EVERY * 3).await;
    assert_eq!(board.reads().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn others_see_their_own() {
    let board = Board::new(10);
    let _ada = board.by("ada", "x:1").await.unwrap();
    let _bob = board.by("bob", "x:1").await.unwrap();
    let names: Vec<_> = board.reads.lock().unwrap().iter().map(|(_, name)| name.to_string()).collect();
    assert_eq!(names, ["ada", "bob"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_changed_and_what_comes_back_too() {
    let board = Board::new(10);
    let mut watch = board.by("ada", "x:1").await.unwrap();
    board.holds(Err(Error::new(Kind::NotFound, "it is gone")));
    watch.changed().await;
    assert!(board.by("bob", "x:1").await.is_err_and(|error| error.kind() == Kind::NotFound));
    board.holds(Ok("a"));
    watch.changed().await;
}

#[tokio::test(start_paused = true)]
async fn a_system_that_is_down_is_no_change_and_is_asked_less_often() {
    let board = Board::new(10);
    let mut watch = board.by("ada", "x:1").await.unwrap();
    board.holds(Err(Error::unavailable("it is away")));
    assert!(timeout(EVERY * 40, watch.changed()).await.is_err());
    assert_eq!(board.reads(), [0, 10, 30, 70, 150, 310]);
    board.holds(Ok("b"));
    watch.changed().await;
}

#[tokio::test(start_paused = true)]
async fn watches_are_limited_and_make_room() {
    let board = Board::new(2);
    let first = board.by("ada", "x:1").await.unwrap();
    let _second = board.by("ada", "x:2").await.unwrap();
    let _the_same = board.by("ada", "x:2").await.unwrap();
    let refused = board.by("ada", "x:3").await.err().unwrap();
    assert_eq!(refused.kind(), Kind::RateLimited);
    assert!(refused.to_string().contains("`server.limits.watched_resources`"), "{refused}");
    drop(first);
    advance(EVERY).await;
    assert!(board.by("ada", "x:3").await.is_ok());
}
