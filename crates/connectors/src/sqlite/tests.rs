//! The connector on real files.

mod errors;
mod lifecycle;
mod operations;
mod results;
mod safety;

use std::{ops::Deref, path::PathBuf, sync::Arc};

use renkei_core::{ConnectContext, Diagnostics, Error, PreparedOp, System, Value, template::Names};
use tempfile::TempDir;

use crate::{
    fixture::{self, Client, context, json, op, prepare, request, texts},
    sql::Rules,
};

fn read_system(config: &Value) -> Result<Arc<dyn System>, Vec<String>> {
    fixture::read_system(&super::Sqlite, config)
}

/// As [`prepare`], without what only the text of a statement for SQLite tells.
fn unseen(text: &str) -> PreparedOp {
    let rules = Rules {
        dialect: &crate::sql::dialect::POSTGRES,
        system: &"shop".into(),
        read_only: false,
        max_rows: 1000,
        max_bytes: renkei_core::read::Bytes(1024 * 1024),
        effect: super::operation::effect,
    };
    let mut d = Diagnostics::default();
    let prepared = crate::sql::operation::prepare(&rules, &op(text), &Names::default(), &mut d);
    prepared.unwrap_or_else(|| panic!("{text}: {:?}", texts(&d)))
}

/// A database in a folder of its own.
struct Shop {
    folder: TempDir,
    client: Client,
}

const FILE: &str = "shop.db";

impl Shop {
    /// With the tables that `schema` makes; `more` are members of the config, as JSON.
    async fn new(schema: &str, more: &str) -> Shop {
        let mut shop = Shop::unconnected(schema, more);
        shop.connect().await.unwrap();
        shop
    }

    fn unconnected(schema: &str, more: &str) -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop { client: Client::unconnected(Shop::system(more)), folder };
        shop.direct().execute_batch(schema).unwrap();
        shop
    }

    fn system(more: &str) -> Arc<dyn System> {
        let comma = if more.is_empty() { "" } else { ", " };
        read_system(&json(&format!("{{\"path\": \"{FILE}\"{comma}{more}}}"))).unwrap()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }

    /// A connection of another program.
    fn direct(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }

    async fn connect(&mut self) -> Result<(), Error> {
        self.client.connect(&ConnectContext::new(self.folder.path())).await
    }
}

impl Deref for Shop {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

const PRODUCTS: &str = "
    create table products (id integer primary key, sku text not null unique, name text, price integer check (price >= 0));
    insert into products values (1, 'a', 'Anvil', 100), (2, 'b', 'Bell', 250), (3, 'c', null, 999);
";
