//! Which statements run on a MySQL or MariaDB database. What an operation is: `sql::operation`.

use std::sync::Arc;

use renkei_core::{
    Diagnostic, Diagnostics, Effect, Error, Node, Params, PreparedOp, Request, Result, template::Names,
};

use super::{Config, instant::Instants};
use crate::sql::{self, Plan, Refusal, Rendered, Rules, Step, Verb, dialect};

/// A prepared operation, as `call` runs it.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) plan: Plan,
    instants: Instants,
}

impl Prepared {
    /// Of a request to `system`.
    pub(super) fn of<'r>(request: &'r Request, system: &Arc<str>) -> Result<&'r Prepared> {
        request.op.plan::<Prepared>().filter(|_| request.op.system == *system).ok_or_else(|| {
            let other = &request.op.system;
            Error::internal(format!("use `{system}`: the operation was prepared for the system `{other}`"))
        })
    }

    /// The statements with the values of one call.
    pub(super) fn render(&self, params: &Params) -> Result<Vec<Rendered>> {
        let params = self.instants.in_utc(params);
        self.plan.render(&params)
    }
}

/// Checks an operation and takes it apart.
pub(super) fn prepare(
    system: &Arc<str>,
    config: &Config,
    node: &Node,
    names: &Names<'_>,
    d: &mut Diagnostics,
) -> Option<PreparedOp> {
    let rules = Rules {
        dialect: &dialect::MYSQL,
        system,
        read_only: config.read_only,
        max_rows: config.max_rows,
        max_bytes: config.max_bytes,
        effect,
    };
    let op = sql::operation::prepare(&rules, node, names, d)?;
    let instants = Instants::of(&op, names);
    // The box that `sql::operation` has just filled.
    let plan = *op.plan.downcast::<Plan>().ok()?;
    let mut sound = true;
    for (at, step) in plan.statements.iter().enumerate() {
        let part =
            node.get("transaction").and_then(Node::as_seq).and_then(|parts| parts.get(at)).unwrap_or(node);
        let span = part.get("sql").unwrap_or(part).span;
        if let Some(Refusal { message, hint }) = beyond(step, plan.transaction) {
            d.push(Diagnostic::error(span, message).hint(hint));
            sound = false;
        }
    }
    sound.then(|| PreparedOp { plan: Box::new(Prepared { plan, instants }), ..op })
}

/// Whether it changes the tables themselves. Such a statement commits what was done before it, and cannot
/// be undone.
pub(super) fn defines(verb: &Verb) -> bool {
    matches!(verb, Verb::Other(word) if matches!(word.as_str(), "create" | "alter" | "drop" | "truncate" | "rename"))
}

/// What a statement may do, by its first word; or why it may not run at all, and what to do instead.
fn effect(verb: &Verb) -> Result<Effect, Refusal> {
    let Verb::Other(word) = verb else {
        return Ok(verb.effect().unwrap_or(Effect::Write));
    };
    let refuse = |message: String, hint| Err(Refusal { message, hint });
    match word.as_str() {
        "show" | "describe" | "desc" => Ok(Effect::Read),
        _ if defines(verb) => Ok(Effect::Write),
        "begin" | "start" | "commit" | "rollback" | "savepoint" | "release" | "xa" => refuse(
            format!("`{word}` is refused: a statement cannot begin or end a transaction"),
            "write `transaction: [ '…', '…' ]`; it begins and ends by itself",
        ),
        "set" | "use" | "lock" | "unlock" | "prepare" | "execute" | "deallocate" | "handler" => refuse(
            format!(
                "`{word}` is refused: it would change the connection, which other calls use after this one"
            ),
            "write one statement that needs no such preparation; put the database's name before a table of another one",
        ),
        "call" | "do" => refuse(
            format!("`{word}` is refused: what it runs may begin and end transactions by itself"),
            "write its statements out, as a `transaction:` where they belong together",
        ),
        "load" | "flush" | "reset" | "kill" | "shutdown" | "install" | "uninstall" | "grant" | "revoke"
        | "analyze" | "optimize" | "repair" | "check" | "checksum" | "purge" | "change" | "stop"
        | "backup" | "import" | "clone" | "restart" | "binlog" | "cache" => refuse(
            format!("`{word}` is refused: it reaches beyond the rows of this database"),
            "run maintenance with the `mariadb` or `mysql` program",
        ),
        _ => refuse(
            format!("`{word}` begins no statement that MySQL runs here"),
            "begin with `select`, `insert`, `update`, `delete`, `replace`, `with` or `values`",
        ),
    }
}

/// Words that reach beyond the rows wherever they stand, each with what it would do.
const BEYOND: [(&str, &str); 9] = [
    ("outfile", "writes a file of the server"),
    ("dumpfile", "writes a file of the server"),
    ("load_file", "reads a file of the server"),
    ("get_lock", "keeps a lock for the connection, which other calls use after this one"),
    ("release_lock", "changes the connection, which other calls use after this one"),
    ("release_all_locks", "changes the connection, which other calls use after this one"),
    ("benchmark", "keeps the server busy and does nothing"),
    ("master_pos_wait", "waits for a replica"),
    ("temporary", "makes a table that only one of several connections would see"),
];

/// Why a statement may not run although its first word is fine.
fn beyond(step: &Step, transaction: bool) -> Option<Refusal> {
    let statement = &step.statement;
    if transaction && defines(&statement.verb) {
        let Verb::Other(word) = &statement.verb else { return None };
        return Some(Refusal {
            message: format!("`{word}` is refused in a transaction: it commits what was done before it"),
            hint: "run it as an operation of its own; MySQL cannot undo it",
        });
    }
    let (word, what) = BEYOND.iter().find(|(word, _)| statement.has_word(word))?;
    Some(Refusal {
        message: format!("`{word}` is refused: it {what}"),
        hint: "leave it out; a column of that name is written in backticks",
    })
}
