//! SQLite without anything around it: some connections, one prepared query.

use std::{
    path::Path,
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use axum::{
    Json, Router,
    extract::{Path as Segment, State},
    http::StatusCode,
    routing::get,
};
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use crate::serve;

/// As many as Renkei has for a SQLite file unless told otherwise.
pub(crate) const CONNECTIONS: usize = 4;

/// A row of the table that every member asks for.
#[derive(Debug, Serialize)]
pub(crate) struct Item {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) price: f64,
}

/// Connections of which each serves one query at a time.
#[derive(Debug)]
pub(crate) struct Rows {
    free: Mutex<Vec<Connection>>,
    given_back: Condvar,
}

impl Rows {
    pub(crate) fn open(path: &Path, connections: usize) -> Result<Rows> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = |_| {
            Connection::open_with_flags(path, flags)
                .with_context(|| format!("cannot open {}", path.display()))
        };
        let free = (0..connections).map(open).collect::<Result<_>>()?;
        Ok(Rows { free: Mutex::new(free), given_back: Condvar::new() })
    }

    /// Waits for a connection, then for the query.
    pub(crate) fn item(&self, id: i64) -> Result<Item> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free =
            self.given_back.wait_while(free, |free| free.is_empty()).unwrap_or_else(PoisonError::into_inner);
        let connection = free.pop().context("woken without a connection")?;
        drop(free);
        let found = connection.prepare_cached("select id, name, price from items where id = ?1").and_then(
            |mut query| {
                query.query_one([id], |row| {
                    Ok(Item { id: row.get(0)?, name: row.get(1)?, price: row.get(2)? })
                })
            },
        );
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        self.given_back.notify_one();
        Ok(found?)
    }

    /// The same off the threads that serve connections.
    #[expect(clippy::disallowed_methods, reason = "what a program without Renkei's bounds would do")]
    pub(crate) async fn item_elsewhere(self: Arc<Self>, id: i64) -> Result<Item> {
        tokio::task::spawn_blocking(move || self.item(id)).await?
    }
}

/// The query behind a route.
pub(crate) async fn serve(database: &Path) -> Result<()> {
    let rows = Arc::new(Rows::open(database, CONNECTIONS)?);
    let router = Router::new().route("/rows/{id}", get(row)).with_state(rows);
    serve::serve(router, "").await
}

async fn row(State(rows): State<Arc<Rows>>, Segment(id): Segment<i64>) -> Result<Json<Item>, StatusCode> {
    let found = rows.item_elsewhere(id).await;
    found.map(Json).map_err(|_| StatusCode::NOT_FOUND)
}
