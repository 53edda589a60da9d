//! The store of a config, opened.

use std::{process::ExitCode, sync::Arc};

use renkei_config::{Loaded, Plan, StoreConfig};
use renkei_core::{Error, Result, clock::SystemClock, store::Maintain};
use renkei_store::{
    postgres::PostgresStore,
    sqlite::{Options, SqliteStore},
};

use crate::{
    exit,
    load::{self, Compiled},
};

/// Opens the store that `server.store` names, and makes it if it is not there.
///
/// # Errors
/// It cannot be opened: where it is, and why.
pub(crate) async fn open(plan: &Plan) -> Result<Arc<dyn Maintain>> {
    opened(plan, true).await
}

async fn opened(plan: &Plan, create: bool) -> Result<Arc<dyn Maintain>> {
    match &plan.server.store {
        StoreConfig::Sqlite(path) => {
            let path = plan.base_dir.join(path);
            Ok(Arc::new(SqliteStore::open(Options::new(path)).await?))
        }
        StoreConfig::Postgres(url) => {
            let clock = Arc::new(SystemClock);
            Ok(Arc::new(PostgresStore::open(url, &plan.base_dir, create, clock).await?))
        }
    }
}

/// The same of one that is there already.
///
/// # Errors
/// There is none, or it cannot be opened.
pub(crate) async fn open_existing(plan: &Plan) -> Result<Arc<dyn Maintain>> {
    if let StoreConfig::Sqlite(path) = &plan.server.store {
        let path = plan.base_dir.join(path);
        if !path.exists() {
            let message = format!(
                "open `{}`: there is no such file; `renkei serve` makes it where it is needed",
                path.display()
            );
            return Err(Error::invalid(message));
        }
    }
    opened(plan, false).await
}

/// Compiles a plan, with its store where something in it needs one. Problems are printed.
pub(crate) async fn compile(loaded: Loaded) -> Result<(Compiled, Option<Arc<dyn Maintain>>), ExitCode> {
    if !load::needs_store(&loaded.plan) {
        return Ok((load::compile(loaded)?, None));
    }
    match open(&loaded.plan).await {
        Ok(store) => Ok((load::compile_with(loaded, Some(store.clone()))?, Some(store))),
        Err(error) => Err(exit::fail(&match error.detail_text() {
            Some(detail) => format!("failed to {error} ({detail})"),
            None => format!("failed to {error}"),
        })),
    }
}
