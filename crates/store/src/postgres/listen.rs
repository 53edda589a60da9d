//! Hints from other nodes: `NOTIFY` after a group, and a connection that listens. Whoever misses one finds out by looking.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use renkei_core::store::{Change, ChangeFeed, Position};
use tokio::{sync::mpsc, time::sleep};
use tokio_postgres::AsyncMessage;
use uuid::Uuid;

use super::{claim::Due, target::Target, write::CHANNEL};

/// The server takes payloads of less than 8,000 bytes.
const PAYLOAD: usize = 7_000;
/// The pause before another connection is tried.
const PAUSE: Duration = Duration::from_secs(2);
/// A connection that is silent for so long is asked whether it still lives.
const SILENCE: Duration = Duration::from_secs(60);

/// What other nodes are told of a group: who, which schema, and what has changed, a line each.
pub(super) fn hint(node: Uuid, schema: &str, changes: &[Change]) -> Option<String> {
    if changes.is_empty() {
        return None;
    }
    let mut text = format!("{node}\n{schema}");
    let head = text.len();
    for change in changes {
        let _ = match change {
            Change::Queue(queue) => write!(text, "\nq{queue}"),
            Change::Cell { space, key } => write!(text, "\nc{space}\t{key}"),
            Change::Log(position) => write!(text, "\nl{position}"),
            Change::Unknown => write!(text, "\n*"),
        };
    }
    if text.len() > PAYLOAD || changes.iter().any(has_break) {
        text.truncate(head);
        text.push_str("\n*");
    }
    Some(text)
}

fn has_break(change: &Change) -> bool {
    match change {
        Change::Queue(name) => name.contains('\n'),
        Change::Cell { space, key } => space.contains(['\n', '\t']) || key.contains('\n'),
        Change::Log(_) | Change::Unknown => false,
    }
}

/// Reads a hint; nothing if it is of this node, or of another schema.
fn read(text: &str, node: Uuid, schema: &str) -> Option<Vec<Change>> {
    let mut lines = text.split('\n');
    let (from, of) = (lines.next()?, lines.next()?);
    if of != schema || from.parse() == Ok(node) {
        return None;
    }
    let change = |line: &str| {
        let rest = line.get(1..).unwrap_or_default();
        match line.get(..1) {
            Some("q") => Change::Queue(rest.into()),
            Some("c") => match rest.split_once('\t') {
                Some((space, key)) => Change::Cell { space: space.into(), key: key.into() },
                None => Change::Unknown,
            },
            Some("l") => rest.parse::<Position>().map_or(Change::Unknown, Change::Log),
            _ => Change::Unknown,
        }
    };
    Some(lines.map(change).collect())
}

/// Listens for as long as the store is open. Every new connection is a hint that anything may have changed.
pub(super) async fn run(target: Arc<Target>, node: Uuid, feed: ChangeFeed, due: Arc<Mutex<Due>>) {
    loop {
        if let Err(trouble) = listen(&target, node, &feed, &due).await {
            tracing::debug!(?trouble, "the store's hints are late until the server answers again");
        }
        sleep(PAUSE).await;
    }
}

async fn listen(
    target: &Target,
    node: Uuid,
    feed: &ChangeFeed,
    due: &Mutex<Due>,
) -> Result<(), super::error::Trouble> {
    // A few are enough: whoever misses one is told to look at everything.
    let (told, mut hints) = mpsc::channel(256);
    let session = target
        .open(move |message| {
            if let AsyncMessage::Notification(note) = message {
                let _ = told.try_send(note.payload().to_owned());
            }
        })
        .await?;
    session.client.batch_execute(&format!("listen {CHANNEL}")).await?;
    feed.tell(Change::Unknown);
    loop {
        let full = hints.capacity() == 0;
        match tokio::time::timeout(SILENCE, hints.recv()).await {
            Ok(Some(text)) => {
                let Some(changes) = read(&text, node, &target.schema) else { continue };
                due.lock().unwrap_or_else(PoisonError::into_inner).forget();
                changes.into_iter().for_each(|change| feed.tell(change));
                if full {
                    feed.tell(Change::Unknown);
                }
            }
            Ok(None) => return Ok(()),
            Err(_) => session.client.batch_execute("").await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_reach_others_of_the_schema_and_nobody_else() {
        let (here, there) = (Uuid::now_v7(), Uuid::now_v7());
        let changes = vec![
            Change::Queue("reports".into()),
            Change::Cell { space: "task".into(), key: "7\t8".into() },
            Change::Log(Position::from_number(17)),
        ];
        let text = hint(here, "renkei", &changes).unwrap();
        assert_eq!(read(&text, there, "renkei"), Some(changes));
        assert_eq!(read(&text, here, "renkei"), None);
        assert_eq!(read(&text, there, "other"), None);
        assert_eq!(hint(here, "renkei", &[]), None);
    }

    #[test]
    fn what_does_not_fit_says_that_anything_may_have_changed() {
        let (here, there) = (Uuid::now_v7(), Uuid::now_v7());
        let many: Vec<_> = (0..2_000).map(|n| Change::Queue(format!("queue-{n}").into())).collect();
        for changes in [many, vec![Change::Queue("two\nlines".into())]] {
            let text = hint(here, "renkei", &changes).unwrap();
            assert!(text.len() < PAYLOAD);
            assert_eq!(read(&text, there, "renkei"), Some(vec![Change::Unknown]));
        }
        assert_eq!(read("", there, "renkei"), None);
        assert_eq!(read("x\nrenkei\n", there, "renkei"), Some(vec![Change::Unknown]));
    }
}
