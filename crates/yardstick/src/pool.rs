//! Connections of which each serves one query at a time, for the drivers that are async.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tokio::sync::{Semaphore, SemaphorePermit};

#[derive(Debug)]
pub(crate) struct Pool<C> {
    free: Mutex<Vec<C>>,
    permits: Semaphore,
}

impl<C> Pool<C> {
    pub(crate) fn new(connections: Vec<C>) -> Pool<C> {
        Pool { permits: Semaphore::new(connections.len()), free: Mutex::new(connections) }
    }

    /// Waits for a connection. It must be [given back](Pool::give).
    pub(crate) async fn take(&self) -> Result<(C, SemaphorePermit<'_>)> {
        let permit = self.permits.acquire().await?;
        let connection = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok((connection.context("a permit without a connection")?, permit))
    }

    pub(crate) fn give(&self, (connection, permit): (C, SemaphorePermit<'_>)) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        drop(permit);
    }
}
