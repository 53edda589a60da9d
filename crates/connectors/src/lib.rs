//! Connectors: one folder a kind of system, the same file names in each.
//!
//! `config` reads what stands under the kind's key, `prepare` takes an operation apart offline, `call`
//! translates, sends and translates back, `error` says what a failure means. No retry, sleep or store here.

pub mod files;
pub mod http;
pub mod mcp;
pub mod mysql;
pub mod postgres;
pub mod sql;
pub mod sqlite;

mod slots;
mod text;

#[cfg(test)]
mod fixture;

use renkei_core::ConnectorKind;

/// All kinds of systems, in the order of the reference.
pub static CONNECTORS: &[&dyn ConnectorKind] =
    &[&http::Http, &mysql::Mysql, &sqlite::Sqlite, &files::Files, &postgres::Postgres, &mcp::Mcp];
