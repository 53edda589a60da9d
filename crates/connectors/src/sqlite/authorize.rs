//! What a statement may touch. SQLite asks for each action while it compiles a statement, also for those inside
//! of views, triggers and table-valued functions, so no spelling goes around it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use rusqlite::{
    Connection,
    hooks::{AuthAction, AuthContext, Authorization},
};

use super::introspect::PRAGMAS;

/// The last refusal on a connection, for the error's text: SQLite itself only says "not authorized".
#[derive(Clone, Debug, Default)]
pub(super) struct Refusal(Arc<Mutex<Option<String>>>);

impl Refusal {
    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, what: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    }
}

/// Whether our own questions about the tables are under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalog(Arc<AtomicBool>);

impl Catalog {
    /// Lets them pass while `work` is done.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Shut<'a>(&'a AtomicBool);
        impl Drop for Shut<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Release);
            }
        }
        self.0.store(true, Ordering::Release);
        let _shut = Shut(&self.0);
        work()
    }

    fn allows(&self, action: &AuthAction<'_>) -> bool {
        let asks = |name: &str| PRAGMAS.iter().any(|known| name.eq_ignore_ascii_case(known));
        self.0.load(Ordering::Acquire)
            && matches!(action, AuthAction::Pragma { pragma_name, .. } if asks(pragma_name))
    }
}

/// Puts the guard in place. From then on it cannot be taken away by SQL.
pub(super) fn guard(connection: &mut Connection, read_only: bool) -> rusqlite::Result<(Refusal, Catalog)> {
    let (refusal, catalog) = (Refusal::default(), Catalog::default());
    let (told, asking) = (refusal.clone(), catalog.clone());
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        match refused(&context.action, read_only) {
            None => Authorization::Allow,
            Some(_) if asking.allows(&context.action) => Authorization::Allow,
            Some(what) => {
                told.set(what);
                Authorization::Deny
            }
        }
    }))?;
    Ok((refusal, catalog))
}

/// The action in words, if it is refused.
fn refused(action: &AuthAction<'_>, read_only: bool) -> Option<String> {
    let change = |what: String| read_only.then(|| format!("{what} in a database that is `read_only: true`"));
    match action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Recursive
        | AuthAction::Transaction { .. } => None,
        // Full-text indexes ask for it themselves. It tells that the file has changed, nothing else.
        AuthAction::Pragma { pragma_name, pragma_value: None }
            if pragma_name.eq_ignore_ascii_case("data_version") =>
        {
            None
        }
        AuthAction::Pragma { pragma_name, .. } => Some(format!("`pragma {pragma_name}`")),
        AuthAction::Attach { .. } => Some("`attach`".into()),
        AuthAction::Detach { .. } => Some("`detach`".into()),
        AuthAction::Function { function_name }
            if ["load_extension", "fts3_tokenizer"]
                .iter()
                .any(|name| function_name.eq_ignore_ascii_case(name)) =>
        {
            Some(format!("the function `{function_name}`"))
        }
        AuthAction::Function { .. } => None,
        AuthAction::Savepoint { .. } => Some("`savepoint`".into()),
        AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempTrigger { .. }
        | AuthAction::DropTempView { .. } => {
            Some("a temporary table, which only one of several connections would see,".into())
        }
        AuthAction::Insert { table_name } => change(format!("an insert into `{table_name}`")),
        AuthAction::Update { table_name, .. } => change(format!("an update of `{table_name}`")),
        AuthAction::Delete { table_name } => change(format!("a delete from `{table_name}`")),
        AuthAction::CreateIndex { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateTrigger { .. }
        | AuthAction::CreateView { .. }
        | AuthAction::CreateVtable { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::DropTable { .. }
        | AuthAction::DropTrigger { .. }
        | AuthAction::DropView { .. }
        | AuthAction::DropVtable { .. }
        | AuthAction::AlterTable { .. }
        | AuthAction::Reindex { .. }
        | AuthAction::Analyze { .. } => change("a change of the tables".into()),
        other => Some(format!("the action {other:?}")),
    }
}
