//! The connector on a private MariaDB.

mod errors;
mod lifecycle;
mod operations;
mod safety;
mod tls;
mod types;

use std::{ops::Deref, sync::Arc};

use renkei_core::{Call, ConnectContext, Diagnostics, Error, PreparedOp, System, Value, template::Names};
use renkei_testkit::mariadb::MariaDb;

use crate::fixture::{self, Client, context, context_for, json, op, prepare, request, texts};

fn read_system(config: &Value) -> Result<Arc<dyn System>, Vec<String>> {
    fixture::read_system(&super::Mysql, config)
}

/// For arguments with this schema.
fn prepare_for(system: &dyn System, text: &str, input: &Value) -> PreparedOp {
    let mut d = Diagnostics::default();
    let prepared = system.prepare(&op(text), &Names { input: Some(input), ..Names::default() }, &mut d);
    prepared.unwrap_or_else(|| panic!("{text}: {:?}", texts(&d)))
}

/// Without a server, for what is known offline.
fn offline(more: &str) -> Arc<dyn System> {
    read_system(&config("mysql://root@127.0.0.1:1/shop", more)).unwrap()
}

fn config(url: &str, more: &str) -> Value {
    let comma = if more.is_empty() { "" } else { ", " };
    json(&format!("{{\"url\": \"{url}\"{comma}{more}}}"))
}

/// A server, and a system connected to it.
struct Shop {
    server: MariaDb,
    client: Client,
}

impl Shop {
    /// With the tables that `schema` makes; `more` are members of the config, as JSON.
    async fn new(schema: &str, more: &str) -> Shop {
        Shop::on(MariaDb::start(), schema, more).await
    }

    async fn on(server: MariaDb, schema: &str, more: &str) -> Shop {
        server.admin(schema);
        let system = read_system(&config(&server.url(), more)).unwrap();
        Shop { server, client: Client::connected(system).await.unwrap() }
    }
}

impl Deref for Shop {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

async fn connect(system: &Arc<dyn System>) -> Result<Arc<dyn Call>, Error> {
    Ok(system.connect(&ConnectContext::new("/")).await?.call)
}

const PRODUCTS: &str = "
    create table products (id integer primary key auto_increment, sku varchar(20) not null unique, name varchar(50), price integer check (price >= 0));
    insert into products values (1, 'a', 'Anvil', 100), (2, 'b', 'Bell', 250), (3, 'c', null, 999);
";
