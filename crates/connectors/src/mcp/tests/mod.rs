//! The connector against a server written by hand that misbehaves on demand.

mod config;
mod ending;
mod expose;
mod hello;
mod process;
mod remote;
mod results;
mod words;

use std::{sync::Arc, time::Duration};

use renkei_core::{ConnectContext, Connection, Error, System, Value};
use renkei_testkit::upstream::Upstream;

use super::Mcp;
use crate::fixture::{Client, json, read_system};

const SECRET: &str = "s3cret-of-the-server";

/// Starting an interpreter on a busy machine takes a while.
fn patient() -> ConnectContext {
    ConnectContext { timeout: Duration::from_secs(120), ..ConnectContext::new("/") }
}

/// The config of a server over standard input and output; `more` are members of a JSON object.
fn program(upstream: &Upstream, modes: &[&str], more: &str) -> Value {
    let mut config = renkei_core::Map::new();
    config.insert("command".into(), upstream.command().into());
    let args: Vec<Value> = upstream.args(modes).into_iter().map(Value::from).collect();
    config.insert("args".into(), args.into());
    let folder = upstream.folder().to_string_lossy().into_owned();
    config.insert("env".into(), Value::from([("UPSTREAM_FOLDER", folder), ("SECRET", SECRET.into())]));
    let more = json(&format!("{{{more}}}"));
    config.extend(more.as_object().unwrap().clone());
    config.into()
}

fn system(config: &Value) -> Arc<dyn System> {
    read_system(&Mcp, config).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

async fn started(upstream: &Upstream, modes: &[&str], more: &str) -> Client {
    let mut client = Client::unconnected(system(&program(upstream, modes, more)));
    client.connect(&patient()).await.unwrap_or_else(|error| panic!("{error} {error:?}"));
    client
}

async fn reached(url: &str, more: &str) -> Result<Client, Error> {
    let comma = if more.is_empty() { "" } else { ", " };
    let config = json(&format!(r#"{{"url": "{url}", "private": true{comma}{more}}}"#));
    let mut client = Client::unconnected(system(&config));
    client.connect(&patient()).await?;
    Ok(client)
}

/// Why a connection is lost, once it is.
async fn lost(connection: &Connection) -> Error {
    let mut lost = connection.lost.clone().expect("a program is noticed to end");
    let reason = lost.wait_for(Option::is_some).await.expect("its task says why");
    reason.clone().expect("there is a reason")
}
