//! PostgreSQL databases.
//!
//! A statement is checked offline (`operation`) and run on a connection of a small pool (`pool`, `session`).
//! What runs and when it is committed is in `run`; values become texts of the type that the server infers
//! (`bind`), and rows become JSON (`rows`, `types`).

mod bind;
mod call;
mod config;
mod error;
mod introspect;
mod operation;
mod pool;
mod rows;
mod run;
mod session;
#[cfg(test)]
mod tests;
mod types;

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{
    Call, ConnectContext, Connection, ConnectorKind, Definitions, Diagnostics, FromNode as _, Node,
    PreparedOp, Request, Result, Schema, Secret, System, Value,
    connector::{Answer, Came},
    template::Names,
};

use crate::sql::{self, Answers, Plan, Rules};

pub use config::Config;
pub use renkei_pg::Tls;

/// What its answers are like in config tests.
static ANSWERS: Answers = Answers {
    plan: |request| Plan::of(request, &request.op.system),
    last_insert_id: false,
    replaced_is_two: false,
};

/// The connector.
#[derive(Debug)]
pub struct Postgres;

impl ConnectorKind for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn schema(&self, defs: &mut Definitions) -> Schema {
        Config::schema(defs)
    }

    fn op_schema(&self, defs: &mut Definitions) -> Schema {
        sql::operation::schema(defs)
    }

    fn answer_words(&self, _: &mut Definitions) -> Vec<(&'static str, Schema)> {
        ANSWERS.words()
    }

    fn read_answer(&self, node: &Node, d: &mut Diagnostics) -> Option<Arc<dyn Answer>> {
        ANSWERS.read(node, d)
    }

    fn read_request(&self, node: &Node, d: &mut Diagnostics) -> Option<Value> {
        sql::read_request(node, d)
    }

    fn write_answer(&self, came: &Came<'_>) -> Vec<Value> {
        ANSWERS.write(came)
    }

    fn write_request(&self, shown: &Value) -> Value {
        sql::write_request(shown)
    }

    fn read(&self, name: &str, node: &Node, d: &mut Diagnostics) -> Option<Arc<dyn System>> {
        let config = Config::from_node(node, d)?;
        Some(Arc::new(Database { name: name.into(), config: Arc::new(config) }))
    }
}

/// A configured database.
#[derive(Debug)]
struct Database {
    name: Arc<str>,
    config: Arc<Config>,
}

#[async_trait]
impl System for Database {
    fn prepare(&self, op: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<PreparedOp> {
        let rules = Rules {
            dialect: &sql::dialect::POSTGRES,
            system: &self.name,
            read_only: self.config.read_only,
            max_rows: self.config.max_rows,
            max_bytes: self.config.max_bytes,
            effect: operation::effect,
        };
        sql::operation::prepare(&rules, op, names, d)
    }

    fn show(&self, request: &Request) -> Result<Value> {
        sql::show(request, &self.name)
    }

    fn secrets(&self) -> Vec<Secret> {
        self.config.target().map(|target| target.secrets()).unwrap_or_default()
    }

    async fn connect(&self, cx: &ConnectContext) -> Result<Connection> {
        let call = call::PostgresCall::connect(self.name.clone(), self.config.clone(), cx).await?;
        let call: Arc<dyn Call> = Arc::new(call);
        let schema = introspect::Schema::new(&self.name, self, call.clone(), self.config.read_only)?;
        Ok(Connection { schema: Some(Arc::new(schema)), ..Connection::new(call) })
    }
}
