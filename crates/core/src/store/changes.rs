//! Hints in process: something has changed, look.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::Position;

/// Something that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The queue may have a job that can be claimed.
    Queue(Arc<str>),
    /// The log has grown to this position.
    Log(Position),
    /// The cell was written.
    Cell { space: Arc<str>, key: Arc<str> },
    /// Anything: the reader was slow, or another process has written.
    Unknown,
}

/// How many hints wait for a slow reader before they become one [`Change::Unknown`].
const KEPT: usize = 1024;

/// A store's end: tells everybody who listens.
#[derive(Clone, Debug)]
pub struct ChangeFeed(broadcast::Sender<Change>);

impl Default for ChangeFeed {
    fn default() -> Self {
        ChangeFeed(broadcast::Sender::new(KEPT))
    }
}

impl ChangeFeed {
    pub fn tell(&self, change: Change) {
        // Nobody listens: then nobody misses it.
        let _ = self.0.send(change);
    }

    pub fn listen(&self) -> Changes {
        Changes(self.0.subscribe())
    }
}

/// A reader's end.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<Change>);

impl Changes {
    /// The next hint; nothing once the store is closed. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Change> {
        match self.0.recv().await {
            Ok(change) => Some(change),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Change::Unknown),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_reader_is_told_to_look_at_everything() {
        let feed = ChangeFeed::default();
        let mut changes = feed.listen();
        for number in 0..=KEPT {
            feed.tell(Change::Log(Position::from_number(number as u64)));
        }
        assert_eq!(changes.next().await, Some(Change::Unknown));
        assert_eq!(changes.next().await, Some(Change::Log(Position::from_number(1))));
        drop(feed);
        let mut last = None;
        while let Some(change) = changes.next().await {
            last = Some(change);
        }
        assert_eq!(last, Some(Change::Log(Position::from_number(KEPT as u64))));
    }
}
