//! MariaDB and MySQL.
//!
//! A statement is checked offline (`operation`), its values are bound (`bind`, `compare`, `instant`), and it runs on one of
//! a few connections (`pool`), each of which is set up the same way (`open`). What it gives becomes JSON
//! (`rows`); what goes wrong gets its name (`error`, `meaning`).

mod bind;
mod call;
mod compare;
mod config;
mod error;
mod instant;
mod introspect;
mod meaning;
mod open;
mod operation;
mod pool;
mod rows;
mod run;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{
    Call, ConnectContext, Connection, ConnectorKind, Definitions, Diagnostics, FromNode as _, Node,
    PreparedOp, Request, Result, Schema, Secret, System, Value,
    connector::{Answer, Came},
    template::Names,
};

use self::{config::Target, operation::Prepared};
use crate::sql::{self, Answers};

pub use config::{Config, Tls};

/// What its answers are like in config tests.
static ANSWERS: Answers = Answers {
    plan: |request| Prepared::of(request, &request.op.system).map(|prepared| &prepared.plan),
    last_insert_id: true,
    replaced_is_two: true,
};

/// The connector.
#[derive(Debug)]
pub struct Mysql;

impl ConnectorKind for Mysql {
    fn name(&self) -> &'static str {
        "mysql"
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
        let target = match config.target() {
            Ok(target) => target,
            Err(_) if node.has_unknown() => Target::unknown(),
            // Reported by the check.
            Err(_) => return None,
        };
        Some(Arc::new(Database { name: name.into(), config: Arc::new(config), target: Arc::new(target) }))
    }
}

/// A configured database.
#[derive(Debug)]
struct Database {
    name: Arc<str>,
    config: Arc<Config>,
    target: Arc<Target>,
}

#[async_trait]
impl System for Database {
    fn prepare(&self, op: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<PreparedOp> {
        operation::prepare(&self.name, &self.config, op, names, d)
    }

    fn show(&self, request: &Request) -> Result<Value> {
        let prepared = Prepared::of(request, &self.name)?;
        Ok(sql::rendered_as_data(&prepared.plan, prepared.render(&request.params)?))
    }

    fn secrets(&self) -> Vec<Secret> {
        self.target.password.iter().cloned().collect()
    }

    async fn connect(&self, cx: &ConnectContext) -> Result<Connection> {
        let call = call::MysqlCall::connect(&self.name, &self.config, &self.target, cx).await?;
        let flavour = call.flavour();
        let call: Arc<dyn Call> = Arc::new(call);
        let read_only = self.config.read_only;
        let schema = introspect::Schema::new(&self.name, self, call.clone(), read_only, flavour)?;
        Ok(Connection { schema: Some(Arc::new(schema)), ..Connection::new(call) })
    }
}
