//! What `cargo xtask bench` measures Renkei beside: the same work done without it, in as little code as it takes.
//!
//! Each subcommand is one yardstick. The servers say on standard error where they listen, as Renkei does; the
//! databases and the driver loops end when their standard input does.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what it prints is how `xtask bench` hears of it"
)]

mod database;
mod drive;
mod mcp;
mod pool;
mod proxy;
mod rows;
mod serve;

use std::path::Path;

use anyhow::{Result, bail};

const HELP: &str = "\
usage: yardstick COMMAND

  proxy UPSTREAM                    a reverse proxy: axum and hyper's client
  rows DATABASE                     GET /rows/ID: axum over a SQLite file
  mcp UPSTREAM DATABASE TOOLS       an MCP server by hand over rmcp, on HTTP
  mcp-stdio UPSTREAM DATABASE TOOLS the same on standard input and output
  database sqlite FILE              makes a file with the table `items`
  database postgres | mariadb       a private server with the table `items`; prints its URL
  database durable-postgres         a private server that syncs, with an empty database; prints its URL
  drive sqlite | postgres | mariadb PLACE CONNECTIONS
                                    a driver's loop: reads `CLIENTS MILLISECONDS`, prints what it measured
";

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["proxy", upstream] => proxy::serve(upstream).await,
        ["rows", database] => rows::serve(Path::new(database)).await,
        ["mcp", upstream, database, tools] => {
            mcp::serve_http(mcp::Bare::new(upstream, Path::new(database), tools.parse()?)?).await
        }
        ["mcp-stdio", upstream, database, tools] => {
            mcp::serve_stdio(mcp::Bare::new(upstream, Path::new(database), tools.parse()?)?).await
        }
        ["database", kind, rest @ ..] => database::run(kind, rest),
        ["drive", kind, place, connections] => drive::run(kind, place, connections.parse()?).await,
        _ => bail!("{HELP}"),
    }
}
