//! Which statements run on a PostgreSQL database. What an operation is: `sql::operation`.

use renkei_core::Effect;

use crate::sql::{Refusal, Verb};

/// What a statement may do; or why it may not run at all, and what to do instead.
///
/// What reads by its keyword runs in a read-only transaction, so the server refuses what only looks so: a
/// function that writes, `select … for update`, `explain analyze delete …`.
pub(super) fn effect(verb: &Verb) -> Result<Effect, Refusal> {
    let refuse = |message: String, hint| Err(Refusal { message, hint });
    let word = match verb {
        Verb::Replace => "replace",
        Verb::Other(word) => word.as_str(),
        known => return Ok(known.effect().unwrap_or(Effect::Write)),
    };
    match word {
        "show" | "table" => Ok(Effect::Read),
        "merge" | "call" | "do" | "create" | "alter" | "drop" | "truncate" | "refresh" | "analyze"
        | "comment" | "grant" | "revoke" | "lock" | "notify" => Ok(Effect::Write),
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => refuse(
            format!("`{word}` is refused: a statement cannot begin or end a transaction"),
            "write `transaction: [ '…', '…' ]`; it begins and ends by itself",
        ),
        "set" | "reset" | "discard" | "listen" | "unlisten" | "prepare" | "execute" | "deallocate"
        | "declare" | "fetch" | "move" | "close" => refuse(
            format!("`{word}` is refused: it changes the connection, which other calls use, too"),
            "set the schemas with the system's `search_path`, and other settings with `alter role … set …`",
        ),
        "copy" => refuse(
            "`copy` is refused: its data does not travel as rows".into(),
            "begin with `select` or `insert`; `insert … select … from unnest(${.list})` writes many rows",
        ),
        "vacuum" | "cluster" | "reindex" | "checkpoint" | "load" | "reassign" | "security" | "import" => {
            refuse(
                format!("`{word}` is refused: it maintains the server"),
                "run maintenance with the `psql` program",
            )
        }
        "replace" => refuse(
            "`replace` begins no statement of PostgreSQL".into(),
            "write `insert … on conflict (…) do update set …`",
        ),
        _ => refuse(
            format!("`{word}` begins no statement that PostgreSQL runs here"),
            "begin with `select`, `insert`, `update`, `delete`, `merge`, `with` or `values`",
        ),
    }
}
