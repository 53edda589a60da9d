//! `renkei import db`: tools from the tables of a database.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use renkei_config::Plan;
use renkei_core::{
    CallContext, ConnectContext, Principal,
    diagnostic::suggest,
    introspect::{Introspect, Table, TableName},
};
use renkei_import::{Options, Written};

use crate::{
    cli::ImportDbArgs,
    exit, load,
    logging::{Aside, Log},
};

/// The most tables at a time. More tools than these make no model wiser.
const MAX_CHOSEN: usize = 100;
/// How long the answer to one question about the tables may take; `statement_timeout` of the system holds, too.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: ImportDbArgs) -> ExitCode {
    if let Err(error) = Log::new(&args.log.log, false).and_then(|log| log.start(Aside::default())) {
        return exit::usage(&error);
    }
    if let Some(out) = args.out.as_deref().filter(|out| out.exists()) {
        let out = out.display();
        return exit::usage(&format!("`{out}` is there already: choose another file, or remove it"));
    }
    if !args.prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
        return exit::usage("the prefix of tools has letters, digits, `_`, `-` and `.`");
    }
    // What is not used yet will be: warnings are for `check`.
    let plan = match load::load(&args.config, false) {
        Ok(loaded) => loaded.plan,
        Err(report) => {
            load::print(&report);
            return ExitCode::from(exit::CONFIG);
        }
    };
    match import(&args, &plan).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

async fn import(args: &ImportDbArgs, plan: &Plan) -> Result<(), ExitCode> {
    let schema = connect(args, plan).await?;
    if args.write && schema.is_read_only() {
        let system = &args.system;
        return Err(exit::usage(&format!(
            "`{system}` is `read_only: true`, so no tool can change it: leave `--write` out"
        )));
    }
    let asked = |error: renkei_core::Error| exit::fail(&format!("failed to {error}"));
    let tables = schema.tables(&context()).await.map_err(asked)?;
    let tables = in_schemas(tables, &args.schema).map_err(|error| exit::usage(&error))?;
    if args.table.is_empty() {
        say(&listed(&tables, &args.system));
        return Ok(());
    }
    let chosen = chosen(&tables, &args.table).map_err(|error| exit::usage(&error))?;
    let mut described = Vec::with_capacity(chosen.len());
    for table in chosen {
        described.push(schema.describe(&context(), table).await.map_err(asked)?);
    }
    let written = write(args, plan, &described, &*schema);
    check(args, &written)?;
    deliver(args, &written)
}

/// A connection that can say which tables are there.
async fn connect(args: &ImportDbArgs, plan: &Plan) -> Result<Arc<dyn Introspect>, ExitCode> {
    let name = &args.system;
    let Some(system) = plan.systems.get(name.as_str()) else {
        let names = plan.systems.keys().map(|name| &**name);
        let hint = match suggest(name, names) {
            Some(name) => format!("did you mean `{name}`?"),
            None if plan.systems.is_empty() => "the config has none; add it under `systems:`".into(),
            None => format!("the config has {}", quoted(plan.systems.keys())),
        };
        return Err(exit::usage(&format!("there is no system `{name}`: {hint}")));
    };
    let timeout = system.layers.connect_timeout();
    let read_timeout = system.layers.read_timeout();
    let cx = ConnectContext { base_dir: plan.base_dir.clone(), timeout, read_timeout };
    let connection = system.system.connect(&cx).await;
    let connection = connection.map_err(|error| exit::fail(&format!("failed to {error}")))?;
    connection.schema.ok_or_else(|| {
        let kind = system.kind;
        exit::usage(&format!("`{name}` is a system of kind `{kind}`, which has no tables: name a database"))
    })
}

fn context() -> CallContext {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    CallContext::new(deadline, Arc::new(Principal::anonymous()))
}

/// Those of the schemas that are asked for; without any, those that need no schema before their name.
fn in_schemas(tables: Vec<TableName>, patterns: &[String]) -> Result<Vec<TableName>, String> {
    let mut unused = patterns.iter().filter(|pattern| {
        !tables.iter().any(|table| table.schema.as_ref().is_some_and(|schema| fits(schema, pattern)))
    });
    if let Some(pattern) = unused.next() {
        let schemas: BTreeSet<&str> = tables.iter().filter_map(|table| table.schema.as_deref()).collect();
        return Err(match schemas.is_empty() {
            true => format!("no schema fits `{pattern}`: the database has no schemas with tables"),
            false => format!("no schema with tables fits `{pattern}`: there are {}", quoted(schemas)),
        });
    }
    let is_meant = |table: &TableName| match &table.schema {
        Some(schema) if !patterns.is_empty() => patterns.iter().any(|pattern| fits(schema, pattern)),
        _ => table.is_visible,
    };
    Ok(tables.into_iter().filter(is_meant).collect())
}

/// The tables that fit at least one pattern; each pattern fits at least one.
fn chosen<'t>(tables: &'t [TableName], patterns: &[String]) -> Result<Vec<&'t TableName>, String> {
    let meant = |table: &TableName, pattern: &str| {
        fits(&table.name, pattern)
            || table.schema.as_ref().is_some_and(|schema| fits(&format!("{schema}.{}", table.name), pattern))
    };
    for pattern in patterns {
        if !tables.iter().any(|table| meant(table, pattern)) {
            let hint = match suggest(pattern, tables.iter().map(|table| table.name.as_str())) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "without `--table` their names are listed".into(),
            };
            return Err(format!("no table fits `{pattern}`: {hint}"));
        }
    }
    let fitting = tables.iter().filter(|table| patterns.iter().any(|pattern| meant(table, pattern)));
    let chosen: Vec<&TableName> = fitting.collect();
    match chosen.len() {
        number if number > MAX_CHOSEN => Err(format!(
            "{number} tables fit, and at most {MAX_CHOSEN} are imported at a time: choose what your agents need"
        )),
        _ => Ok(chosen),
    }
}

/// Whether the name fits the pattern, in which `*` stands for any letters.
fn fits(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let Some(last) = pattern.rsplit_once('*').map(|(_, last)| last) else { return rest.is_empty() };
    let Some(middle) = rest.strip_suffix(last) else { return false };
    rest = middle;
    let inner: Vec<&str> = parts.collect();
    inner[..inner.len() - 1].iter().all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

fn write(args: &ImportDbArgs, plan: &Plan, tables: &[Table], schema: &dyn Introspect) -> Written {
    let existing = plan.tools.iter().map(|tool| tool.name.to_string()).collect();
    let patterns = args.table.iter().map(|pattern| format!(" --table {}", in_shell(pattern)));
    let mut command = format!("renkei import db {}{}", args.system, patterns.collect::<String>());
    if args.write {
        command.push_str(" --write");
    }
    let options = Options {
        system: &args.system,
        prefix: &args.prefix,
        changes: args.write,
        existing: &existing,
        command: &command,
    };
    renkei_import::write(tables, &schema.grammar(), &options)
}

fn in_shell(word: &str) -> String {
    let plain = word.chars().all(|letter| letter.is_alphanumeric() || "_-.".contains(letter));
    let word: String = word.chars().filter(|letter| !letter.is_control()).collect();
    if plain { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// What is given away passes `renkei check` beside the config.
fn check(args: &ImportDbArgs, written: &Written) -> Result<(), ExitCode> {
    let failed = |error: std::io::Error| exit::fail(&format!("failed to check what was written: {error}"));
    let folder = tempfile::tempdir().map_err(failed)?;
    let file = folder.path().join("import.yaml");
    std::fs::write(&file, &written.text).map_err(failed)?;
    let mut paths = match args.config.is_empty() {
        true => vec![PathBuf::from(".")],
        false => args.config.clone(),
    };
    if !written.tools.is_empty() {
        paths.push(file);
    }
    match load::load(&paths, false) {
        Ok(_) => Ok(()),
        Err(report) => {
            load::print(&report);
            Err(exit::fail("what was written does not pass the check; this is a fault of Renkei"))
        }
    }
}

/// Prints it, or puts it into its file, and says what there is to say.
fn deliver(args: &ImportDbArgs, written: &Written) -> Result<(), ExitCode> {
    match &args.out {
        None => say(written.text.trim_end()),
        Some(out) => {
            save(out, &written.text)
                .map_err(|error| exit::fail(&format!("failed to write `{}`: {error}", out.display())))?;
            let number = written.tools.len();
            let tools = if number == 1 { "tool" } else { "tools" };
            tell(&format!("{number} {tools} in `{}`; read them, and run `renkei check`", out.display()));
        }
    }
    if !written.existing.is_empty() {
        let names = quoted(&written.existing);
        tell(&format!("left out, since the config has them: {names}; `--prefix` gives other names"));
    }
    if !written.left_out.is_empty() {
        let names = quoted(&written.left_out);
        tell(&format!(
            "left out, since a config cannot hold their names, or they hold nothing but bytes: {names}"
        ));
    }
    Ok(())
}

fn save(file: &Path, text: &str) -> std::io::Result<()> {
    // Another one may have come since we looked.
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(file)?;
    file.write_all(text.as_bytes())
}

fn listed(tables: &[TableName], system: &str) -> String {
    if tables.is_empty() {
        return format!("`{system}` has no tables here; `--schema` looks elsewhere");
    }
    let name = |table: &TableName| match &table.schema {
        Some(schema) if !table.is_visible => format!("{schema}.{}", table.name),
        _ => table.name.clone(),
    };
    let mut out: String = tables.iter().map(|table| format!("{}\n", name(table))).collect();
    out.push_str("\nChoose with `--table NAME`, as often as you like; `--table '*'` takes all.");
    out
}

fn quoted<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

fn say(text: &str) {
    // A closed pipe is nobody's error.
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[expect(clippy::print_stderr, reason = "for the person; the config itself goes to stdout")]
fn tell(text: &str) {
    eprintln!("renkei: {text}");
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_of_names() {
        for (name, pattern) in [
            ("orders", "orders"),
            ("orders", "*"),
            ("orders", "o*s"),
            ("order_items", "*_*s"),
            ("a", "*a*"),
            ("aba", "a*a"),
        ] {
            assert!(fits(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in
            [("orders", "order"), ("orders", "x*"), ("a", "a*a"), ("orders", "*x*"), ("orders", "")]
        {
            assert!(!fits(name, pattern), "{name} {pattern}");
        }
    }
}
