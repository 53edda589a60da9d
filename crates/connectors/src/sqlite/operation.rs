//! Which statements run on a SQLite database. What an operation is: `sql::operation`.

use renkei_core::Effect;

use crate::sql::{Refusal, Verb};

/// What a statement may do; or why it may not run at all, and what to do instead.
pub(super) fn effect(verb: &Verb) -> Result<Effect, Refusal> {
    let Verb::Other(word) = verb else {
        return Ok(verb.effect().unwrap_or(Effect::Write));
    };
    let refuse = |message: String, hint| Err(Refusal { message, hint });
    match word.as_str() {
        "create" | "alter" | "drop" | "reindex" | "analyze" => Ok(Effect::Write),
        "begin" | "commit" | "end" | "rollback" | "savepoint" | "release" => refuse(
            format!("`{word}` is refused: a statement cannot begin or end a transaction"),
            "write `transaction: [ '…', '…' ]`; it begins and ends by itself",
        ),
        "attach" | "detach" | "pragma" | "vacuum" => refuse(
            format!("`{word}` is refused: it reaches beyond the rows of this database"),
            "declare another file as a system of its own; run maintenance with the `sqlite3` program",
        ),
        _ => refuse(
            format!("`{word}` begins no statement that SQLite runs here"),
            "begin with `select`, `insert`, `update`, `delete`, `with` or `values`",
        ),
    }
}
