//! Connections with the statements that they have prepared.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::Poll,
};

use futures_util::future::try_join_all;
use tokio_postgres::{Row, Statement, types::ToSql};

use super::{
    error::Trouble,
    target::{Session, Target},
};

/// The writer's connection. Its statements are a fixed set, prepared when they are first needed.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) session: Session,
    statements: BTreeMap<String, Statement>,
}

impl Link {
    pub(super) async fn open(target: &Target) -> Result<Link, Trouble> {
        Ok(Link { session: target.open(|_| ()).await?, statements: BTreeMap::new() })
    }

    /// The statements of these texts, in their order.
    pub(super) async fn prepared(&mut self, texts: &[&str]) -> Result<Vec<Statement>, Trouble> {
        let missing: Vec<&str> =
            texts.iter().copied().filter(|text| !self.statements.contains_key(*text)).collect();
        if !missing.is_empty() {
            let client = &self.session.client;
            let prepared = try_join_all(missing.iter().map(|text| client.prepare(text))).await?;
            self.statements.extend(missing.into_iter().map(str::to_owned).zip(prepared));
        }
        Ok(texts.iter().filter_map(|text| self.statements.get(*text).cloned()).collect())
    }
}

/// A connection for reads. Many ask at once: their questions follow each other without waiting for answers.
#[derive(Debug)]
pub(super) struct Reader {
    session: Session,
    statements: Mutex<BTreeMap<String, Statement>>,
}

impl Reader {
    pub(super) async fn open(target: &Target) -> Result<Reader, Trouble> {
        Ok(Reader { session: target.open(|_| ()).await?, statements: Mutex::default() })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.session.client.is_closed()
    }

    /// The rows of a statement that is one of a fixed set of texts.
    pub(super) async fn rows(&self, text: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Trouble> {
        let known = || self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known().get(text).cloned();
        let statement = match found {
            Some(statement) => statement,
            None => {
                let statement = self.session.client.prepare(text).await?;
                known().insert(text.to_owned(), statement.clone());
                statement
            }
        };
        Ok(self.session.client.query(&statement, params).await?)
    }
}

pub(super) type Work<'w, T> = Pin<Box<dyn Future<Output = T> + Send + 'w>>;

/// Awaits all, and looks at them in their order from the first look on: a statement is sent when it is first looked
/// at, so they go out in this order, together.
pub(super) async fn in_order<T>(mut works: Vec<Work<'_, T>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = works.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let mut pending = false;
        for (work, done) in works.iter_mut().zip(&mut done) {
            if done.is_none() {
                match work.as_mut().poll(cx) {
                    Poll::Ready(value) => *done = Some(value),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}
