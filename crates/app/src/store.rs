//! The store of a config: how it is opened, and what an operator does with it.

mod command;
mod opened;

use std::{process::ExitCode, sync::Arc};

use renkei_config::{Loaded, Plan, StorePlace};
use renkei_core::{Error, Result, clock::SystemClock, store::Maintain};
use renkei_store::{
    postgres::PostgresStore,
    sealed::{Keys, Sealed},
    sqlite::{Options, SqliteStore},
};

pub(crate) use self::{
    command::run,
    opened::{Opened, say, with},
};
use crate::{
    exit,
    load::{self, Compiled},
};

/// Opens the store that `server.store` names. `create` makes the file, or the tables, where there are none.
///
/// # Errors
/// It cannot be opened: where it is, and why.
async fn open(plan: &Plan, create: bool) -> Result<Arc<dyn Maintain>> {
    let config = &plan.server.store;
    let keys = Keys::new(&config.keys)?;
    let store: Arc<dyn Maintain> = match &config.place {
        StorePlace::Sqlite(path) => {
            let options = Options { create, ..Options::new(plan.base_dir.join(path)) };
            Arc::new(SqliteStore::open(options).await?)
        }
        StorePlace::Postgres(url) => {
            Arc::new(PostgresStore::open(url, &plan.base_dir, create, Arc::new(SystemClock)).await?)
        }
    };
    Ok(Arc::new(Sealed::new(store, keys)))
}

/// Compiles a plan, with its store where something in it needs one. Problems are printed.
pub(crate) async fn compile(loaded: Loaded) -> Result<(Compiled, Option<Arc<dyn Maintain>>), ExitCode> {
    if !load::needs_store(&loaded.plan) {
        return Ok((load::compile(loaded)?, None));
    }
    match open(&loaded.plan, true).await {
        Ok(store) => Ok((load::compile_with(loaded, Some(store.clone()))?, Some(store))),
        Err(error) => Err(exit::fail(&format!("failed to {}", whole(&error)))),
    }
}

/// An error with what it says of details.
fn whole(error: &Error) -> String {
    match error.detail_text() {
        Some(detail) => format!("{error} ({detail})"),
        None => error.to_string(),
    }
}
