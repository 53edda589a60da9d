//! The store of a config: how it is opened, and what an operator does with it.

mod command;

use std::sync::Arc;

use renkei_config::{Plan, StorePlace};
use renkei_core::{Result, clock::SystemClock, store::Maintain};
use renkei_store::{
    postgres::PostgresStore,
    sealed::{Keys, Sealed},
    sqlite::{Options, SqliteStore},
};

pub(crate) use self::command::run;

/// Opens the store that `server.store` names. `create` makes the file, or the tables, where there are none.
///
/// # Errors
/// It cannot be opened: where it is, and why.
pub(crate) async fn open(plan: &Plan, create: bool) -> Result<Arc<dyn Maintain>> {
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
