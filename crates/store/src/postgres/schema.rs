//! The tables, and how an older store becomes a newer one.
//!
//! Every table may be read while a transaction elsewhere in the cluster keeps old row versions alive for hours. So nothing
//! that is read often is updated in place: events, counts and marks of groups are only inserted, and the newest is found
//! from the end of an index, where no dead row lies before it.

use tokio_postgres::Client;

use super::{error::Trouble, target::Target};

/// The version of the tables that this binary reads and writes.
pub(super) const VERSION: u32 = 2;

/// What each version added, in order: the first makes an empty schema version 1.
const STEPS: [&str; VERSION as usize] = [include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// Held while tables are made, so that two nodes that start together do not both make them.
const MIGRATION_LOCK: i64 = 0x52_454E_4B45_4901;

/// The name of the schema, quoted for SQL.
pub(super) fn quoted(schema: &str) -> String {
    format!("\"{}\"", schema.replace('"', "\"\""))
}

/// Opens the first connection, and brings the tables to this program's version. Without `create`, they must be there.
pub(super) async fn prepare(target: &Target, create: bool) -> Result<(), Trouble> {
    let session = target.open(|_| ()).await?;
    if !create && version(&session.client, &target.schema).await?.is_none() {
        return Err(Trouble::Absent);
    }
    migrate(&session.client, &target.schema).await
}

/// Brings the tables to [`VERSION`].
///
/// # Errors
/// `newer` where a newer binary has been at work: this one would misread what it finds.
async fn migrate(client: &Client, schema: &str) -> Result<(), Trouble> {
    if version(client, schema).await? == Some(VERSION) {
        return Ok(());
    }
    client.batch_execute("begin").await?;
    client.query_one("select pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK]).await?;
    // Another node may have been quicker.
    let found = version(client, schema).await?;
    let done = found.unwrap_or(0);
    if done > VERSION {
        return Err(Trouble::Newer { found: done, known: VERSION });
    }
    if found.is_none() {
        let known =
            client.query_opt("select 1 from pg_catalog.pg_namespace where nspname = $1", &[&schema]).await?;
        if known.is_none() {
            client.batch_execute(&format!("create schema {}", quoted(schema))).await?;
        }
    }
    for step in &STEPS[done as usize..] {
        client.batch_execute(step).await?;
    }
    client.execute("update meta set version = $1", &[&(VERSION as i32)]).await?;
    client.batch_execute("commit").await?;
    Ok(())
}

/// Of the tables that are there; nothing where there are none.
async fn version(client: &Client, schema: &str) -> Result<Option<u32>, Trouble> {
    let table = client
        .query_opt(
            "select 1 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = $1 and c.relname = 'meta'",
            &[&schema],
        )
        .await?;
    if table.is_none() {
        return Ok(None);
    }
    let version: i32 = client.query_one("select version from meta", &[]).await?.get(0);
    let version = u32::try_from(version).unwrap_or(0);
    if version > VERSION {
        return Err(Trouble::Newer { found: version, known: VERSION });
    }
    Ok(Some(version))
}
