//! The table `items` in each kind of database; the servers are private ones that end with this process.

use std::{io::Read as _, path::Path};

use anyhow::{Result, bail};
use renkei_testkit::{mariadb::MariaDb, postgres};

/// Their names are `lamp-0001` and so on; every price ends in a half, which all databases write alike.
pub(crate) const ITEMS: i64 = 1000;

pub(crate) fn run(kind: &str, rest: &[&str]) -> Result<()> {
    match (kind, rest) {
        ("sqlite", [file]) => sqlite(Path::new(file)),
        ("postgres", []) => {
            let server = postgres::Server::private(&[]);
            let database = server.new_database();
            server.run(&database, &script("double precision"));
            until_told(&server.url(&database))
        }
        ("durable-postgres", []) => {
            let server =
                postgres::Server::private(&["fsync=on", "synchronous_commit=on", "full_page_writes=on"]);
            let database = server.new_database();
            until_told(&server.url(&database))
        }
        ("mariadb", []) => {
            let server = MariaDb::start();
            server.admin(&script("double"));
            until_told(&server.url())
        }
        _ => bail!("there is no database `{kind}` with {} more words", rest.len()),
    }
}

fn sqlite(file: &Path) -> Result<()> {
    if file.exists() {
        std::fs::remove_file(file)?;
    }
    let connection = rusqlite::Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    Ok(connection.execute_batch(&script("real"))?)
}

fn script(number: &str) -> String {
    let rows = (1..=ITEMS).map(|id| format!("({id}, 'lamp-{id:04}', {id}.5)")).collect::<Vec<_>>().join(", ");
    format!(
        "create table items (id integer primary key, name varchar(40) not null, price {number} not null);\n\
         insert into items (id, name, price) values {rows};\n"
    )
}

/// Says where it is and stays until standard input ends.
fn until_told(url: &str) -> Result<()> {
    println!("{url}");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
