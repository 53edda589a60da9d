//! Writes tools from what a system says of itself, as a person would have written them.
//!
//! A table becomes a `table::Subject`: its columns with names for SQL and for arguments, and the key that orders
//! its rows. `reading` and `writing` make tools of it (`tool`), and `yaml` prints them. Nothing here talks to a
//! system, and nothing depends on the machine: the same tables give the same text.

mod arguments;
mod names;
mod reading;
mod table;
mod tool;
mod words;
mod writing;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use renkei_core::introspect::{Grammar, Table};

use self::{
    names::Taken,
    table::Subject,
    yaml::{Entry, print, print_comment},
};

/// What is to be written.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// The system's name in the config.
    pub system: &'a str,
    /// What begins the name of each tool.
    pub prefix: &'a str,
    /// Whether tools that change rows are written, too.
    pub changes: bool,
    /// Names that the config has already.
    pub existing: &'a BTreeSet<String>,
    /// How it was asked for, for the first line.
    pub command: &'a str,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// A file of a config.
    pub text: String,
    /// The names of its tools, in order.
    pub tools: Vec<String>,
    /// Names of tools that are left out, since the config has them already.
    pub existing: Vec<String>,
    /// Tables without tools, since no config can name them or there is nothing to show.
    pub left_out: Vec<String>,
}

/// Writes the tools of these tables.
pub fn write(tables: &[Table], grammar: &Grammar, options: &Options<'_>) -> Written {
    let mut nouns = Taken::default();
    let mut left_out = Vec::new();
    let mut subjects = Vec::new();
    for table in tables {
        match Subject::of(table, grammar, &mut nouns) {
            Some(subject) => subjects.push(subject),
            None => left_out.push(table.name.name.clone()),
        }
    }
    let getters: BTreeMap<&str, String> = subjects
        .iter()
        .filter(|subject| subject.finder().is_some())
        .map(|subject| (subject.table.name.name.as_str(), format!("{}get_{}", options.prefix, subject.one)))
        .collect();
    let known = |table: &str| getters.get(table).cloned();
    let mut done =
        Written { text: header(grammar, options), tools: Vec::new(), existing: Vec::new(), left_out };
    let mut names = BTreeSet::new();
    for subject in &subjects {
        let (tools, mut notes) = section(subject, &known, options);
        let mut entries: Vec<Entry> = Vec::new();
        for tool in tools {
            let name = format!("{}{}_{}", options.prefix, tool.verb, tool.noun);
            if options.existing.contains(&name) {
                notes.push(format!("`{name}` is in the config already."));
                done.existing.push(name);
                continue;
            }
            let name = unused(name, &mut names);
            entries.push(tool.written(&name, options.system));
            done.tools.push(name);
        }
        done.text.push('\n');
        let shown =
            subject.table.name.name.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
        done.text.push_str(&print_comment(&format!("-- {} --", shown.collect::<String>()), 2));
        for note in notes {
            done.text.push_str(&print_comment(&note, 2));
        }
        for (at, entry) in entries.iter().enumerate() {
            if at > 0 {
                done.text.push('\n');
            }
            done.text.push_str(&print(std::slice::from_ref(entry), 2));
        }
    }
    if done.tools.is_empty() {
        done.text.push_str("  {}\n");
    }
    done
}

fn header(grammar: &Grammar, options: &Options<'_>) -> String {
    let line = format!(
        "Written by `{}` from what {} says of its tables. It is yours now: change what you like.",
        options.command, grammar.name
    );
    format!("{}tools:\n", print_comment(&line, 0))
}

/// The tools of one table, and what is to be said of all of them.
fn section(
    subject: &Subject<'_>,
    known: &dyn Fn(&str) -> Option<String>,
    options: &Options<'_>,
) -> (Vec<tool::Tool>, Vec<String>) {
    let mut notes = Vec::new();
    let hidden: Vec<String> =
        subject.hidden().map(|field| format!("{} ({})", field.column.name, field.column.type_name)).collect();
    if !hidden.is_empty() {
        notes.push(format!("Left out, since bytes fill a model's context: {}.", hidden.join(", ")));
    }
    if subject.unnamed > 0 {
        let what = if subject.unnamed == 1 { "a column has a name" } else { "columns have names" };
        notes.push(format!("Left out, since {what} that a config cannot hold: {}.", subject.unnamed));
    }
    let blind: Vec<String> = subject
        .shown()
        .filter(|field| subject.is_indexed(field) && !arguments::can_be_compared(&field.column.kind))
        .map(|field| format!("{} ({})", field.column.name, field.column.type_name))
        .collect();
    if !blind.is_empty() {
        notes.push(format!("No filters for types that have no plain values: {}.", blind.join(", ")));
    }
    if subject.finder().is_none() && !subject.table.is_view {
        notes.push("No key finds one row by plain values, so there are no tools for a single row.".into());
    }
    let mut tools = reading::tools(subject, known);
    if options.changes {
        let (changing, said) = writing::tools(subject, known);
        tools.extend(changing);
        notes.extend(said);
    }
    (tools, notes)
}

/// The name, with a number where another tool of the same text has it.
fn unused(name: String, names: &mut BTreeSet<String>) -> String {
    let mut tried = name.clone();
    let mut number = 2;
    while !names.insert(tried.clone()) {
        tried = format!("{name}_{number}");
        number += 1;
    }
    tried
}
