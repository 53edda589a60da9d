//! MySQL: the items are rows of a table on a private MariaDB.

use std::sync::Mutex;

use async_trait::async_trait;
use renkei_connectors::mysql;
use renkei_core::{ConnectorKind, Value};
use renkei_testkit::mariadb::MariaDb;

use crate::subject::{Ask, Capability, Control, Running, Size, Started, Subject, json};

pub(crate) struct Mysql;

#[async_trait]
impl Subject for Mysql {
    fn kind(&self) -> &'static dyn ConnectorKind {
        &mysql::Mysql
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[]
    }

    fn op(&self, ask: Ask) -> Option<Value> {
        Some(json(match ask {
            Ask::Get => r#"{"sql": "select * from items where id = ${.id}", "one": true}"#,
            Ask::Put => {
                r#"{"sql": "insert into items (id, text, number, note) values (${.id}, ${.text}, ${.number}, ${.note}) on duplicate key update text = values(text), number = values(number), note = values(note)", "effect": "idempotent"}"#
            }
            Ask::Create => {
                r#""insert into items (id, text, number, note) values (${.id}, ${.text}, ${.number}, ${.note})""#
            }
            Ask::List => r#""select * from items order by id""#,
            Ask::Slow => r#""select sleep(3600) as c""#,
            Ask::EchoSecret => return None,
        }))
    }

    fn config(&self) -> Value {
        json(r#"{"url": "mysql://renkei@127.0.0.1/shop"}"#)
    }

    async fn start(&self, size: Size) -> Started {
        let server = MariaDb::start();
        server.admin("create table items (id bigint primary key, text text, number bigint, note text)");
        let url = server.url();
        // One connection, so that a call that does not free it is noticed by the next.
        let more = match size {
            Size::Default => r#""statement_timeout": "1h""#,
            Size::Small => r#""max_bytes": "1KB""#,
        };
        let config = json(&format!(r#"{{"url": "{url}", "max_connections": 1, {more}}}"#));
        Started { config, base_dir: "/".into(), control: Box::new(Server(Mutex::new(server))) }
    }
}

struct Server(Mutex<MariaDb>);

impl Server {
    /// Whether the server works on a slow call, whoever waits for it.
    fn is_slow(&self) -> bool {
        self.0.lock().unwrap().admin("show processlist").contains("sleep(3600)")
    }
}

#[async_trait]
impl Control for Server {
    async fn slow_started(&self) {
        while !self.is_slow() {
            tokio::task::yield_now().await;
        }
    }

    async fn slow_ended(&self, _: &Running) {
        while self.is_slow() {
            tokio::task::yield_now().await;
        }
    }

    async fn take_down(&self) {
        self.0.lock().unwrap().stop();
    }

    async fn bring_back(&self) {
        self.0.lock().unwrap().start_again();
    }
}
