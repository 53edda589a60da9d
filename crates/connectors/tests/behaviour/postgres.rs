//! PostgreSQL: the items are rows of a table.

use async_trait::async_trait;
use renkei_connectors::postgres;
use renkei_core::{ConnectorKind, Value};
use renkei_testkit::postgres::{PASSWORD, ROLE, Server};

use crate::{
    http::SECRET,
    subject::{Ask, Capability, Control, Running, Size, Started, Subject, json},
};

pub(crate) struct Postgres;

#[async_trait]
impl Subject for Postgres {
    fn kind(&self) -> &'static dyn ConnectorKind {
        &postgres::Postgres
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::Secret, Capability::Slow, Capability::NoNul]
    }

    fn op(&self, ask: Ask) -> Option<Value> {
        Some(json(match ask {
            Ask::Get => r#"{"sql": "select * from items where id = ${.id}", "one": true}"#,
            Ask::Put => {
                r#"{"sql": "insert into items (id, text, number, note) values (${.id}, ${.text}, ${.number}, ${.note}) on conflict (id) do update set text = excluded.text, number = excluded.number, note = excluded.note", "effect": "idempotent"}"#
            }
            Ask::Create => {
                r#""insert into items (id, text, number, note) values (${.id}, ${.text}, ${.number}, ${.note})""#
            }
            Ask::List => r#""select * from items order by id""#,
            Ask::Slow => r#""select count(*) as c from pg_sleep(3600)""#,
            // The password as bytes: only the server's own words show it.
            Ask::EchoSecret => {
                r#""select convert_from('\\x6f70656e2d736573616d652d34373131', 'UTF8')::integer as n""#
            }
        }))
    }

    fn config(&self) -> Value {
        json(r#"{"host": "db.example.com", "user": "shop"}"#)
    }

    async fn start(&self, size: Size) -> Started {
        assert_eq!(PASSWORD, SECRET);
        let server = Server::shared();
        let name = server.new_database();
        server.run(&name, "create table items (id bigint primary key, text text, number bigint, note text)");
        // One connection, so that a call that does not free it is noticed by the next.
        let max_bytes = if size == Size::Small { r#", "max_bytes": "1KB""# } else { "" };
        let config = format!(
            r#"{{"host": "127.0.0.1", "port": {}, "user": "{ROLE}", "password": "{PASSWORD}", "database": "{name}",
                "max_connections": 1, "statement_timeout": "1h"{max_bytes}}}"#,
            server.port()
        );
        let database = Database { server, name };
        Started { config: json(&config), base_dir: "/".into(), control: Box::new(Behind(database)) }
    }
}

struct Database {
    server: Server,
    name: String,
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.server.drop_database(&self.name);
        }
    }
}

struct Behind(Database);

impl Behind {
    /// Runs a statement in another database, and then lets the calls under way go on.
    async fn run(&self, sql: String) -> String {
        let told = self.0.server.run(ROLE, &sql);
        tokio::task::yield_now().await;
        told
    }

    /// Looks until so many statements sleep in the database.
    async fn sleeping(&self, number: usize) {
        let sql = format!(
            "select count(*) from pg_stat_activity where datname = '{}' and state = 'active' and query like '%pg_sleep%'",
            self.0.name
        );
        while self.run(sql.clone()).await != number.to_string() {}
    }
}

#[async_trait]
impl Control for Behind {
    async fn slow_started(&self) {
        self.sleeping(1).await;
    }

    async fn slow_ended(&self, _: &Running) {
        self.sleeping(0).await;
    }

    async fn take_down(&self) {
        let name = &self.0.name;
        self.run(format!(
            "alter database {name} with allow_connections false;
             select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = '{name}'"
        ))
        .await;
    }

    async fn bring_back(&self) {
        self.run(format!("alter database {} with allow_connections true", self.0.name)).await;
    }
}
