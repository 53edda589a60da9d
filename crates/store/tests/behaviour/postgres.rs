//! The PostgreSQL store in a database of its own.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use renkei_core::{Secret, clock::Clock, store::Maintain};
use renkei_store::postgres::PostgresStore;
use renkei_testkit::postgres::{PASSWORD, ROLE, Server};

use crate::member::Member;

pub(crate) struct Postgres {
    server: Server,
    database: String,
}

impl Postgres {
    pub(crate) async fn start() -> Box<dyn Member> {
        let server = Server::shared();
        let database = server.new_database();
        Box::new(Postgres { server, database })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.server.drop_database(&self.database);
    }
}

#[async_trait]
impl Member for Postgres {
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Maintain> {
        let (port, database) = (self.server.port(), &self.database);
        let url = Secret::new(format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{port}/{database}"));
        Arc::new(PostgresStore::open(&url, Path::new("."), true, clock).await.unwrap())
    }
}
