//! SQLite: the items are rows of a file.

use async_trait::async_trait;
use renkei_connectors::sqlite;
use renkei_core::{ConnectorKind, Value};
use tempfile::TempDir;

use crate::subject::{Ask, Capability, Control, Running, Size, Started, Subject, id, json};

pub(crate) struct Sqlite;

#[async_trait]
impl Subject for Sqlite {
    fn kind(&self) -> &'static dyn ConnectorKind {
        &sqlite::Sqlite
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::Slow]
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
            Ask::Slow => {
                r#""with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) as c from n""#
            }
            Ask::EchoSecret => return None,
        }))
    }

    fn config(&self) -> Value {
        json(r#"{"path": "items.db"}"#)
    }

    async fn start(&self, size: Size) -> Started {
        let folder = tempfile::tempdir().unwrap();
        let file = rusqlite::Connection::open(folder.path().join("items.db")).unwrap();
        file.execute_batch(
            "create table items (id integer primary key, text text, number integer, note text)",
        )
        .unwrap();
        // One connection, so that a call that does not free it is noticed by the next.
        let config = json(match size {
            Size::Default => r#"{"path": "items.db", "connections": 1, "statement_timeout": "1h"}"#,
            Size::Small => r#"{"path": "items.db", "connections": 1, "max_bytes": "1KB"}"#,
        });
        Started { config, base_dir: folder.path().into(), control: Box::new(File { folder }) }
    }
}

struct File {
    folder: TempDir,
}

impl File {
    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.folder.path().join(from), self.folder.path().join(to)).unwrap();
    }
}

#[async_trait]
impl Control for File {
    async fn slow_started(&self) {}

    async fn slow_ended(&self, running: &Running) {
        // It needs the only connection.
        let _ = running.ask(Ask::Get, &id(1)).await;
    }

    async fn take_down(&self) {
        self.rename("items.db", "away.db");
    }

    async fn bring_back(&self) {
        self.rename("away.db", "items.db");
    }
}
