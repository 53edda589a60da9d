//! One suite for all connectors: what holds for every system, whatever it speaks.
//!
//! A connector joins with a [`subject::Subject`] and one line in [`SUBJECTS`]. New behaviour is a new trial, and
//! every connector that has its capability takes it.

#![expect(clippy::unwrap_used, reason = "whatever fails here fails the trial")]

mod files;
mod http;
mod mcp;
mod mysql;
mod postgres;
mod sqlite;
mod subject;
mod trials;

use subject::Subject;

/// Every connector.
static SUBJECTS: &[&dyn Subject] = &[
    &http::Http,
    &mysql::Mysql,
    &sqlite::Sqlite,
    &files::Files::Folder,
    &files::Files::S3,
    &files::Files::Webdav,
    &postgres::Postgres,
    &mcp::Mcp::Modern,
    &mcp::Mcp::Legacy,
];
