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
    ConnectContext, Connection, ConnectorKind, Definitions, Diagnostics, FromNode as _, Node, PreparedOp,
    Request, Result, Schema, System, Value, template::Names,
};

use self::{config::Target, operation::Prepared};
use crate::sql;

pub use config::{Config, Tls};

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

    async fn connect(&self, cx: &ConnectContext) -> Result<Connection> {
        let call = call::MysqlCall::connect(&self.name, &self.config, &self.target, cx).await?;
        Ok(Connection { call: Arc::new(call) })
    }
}
