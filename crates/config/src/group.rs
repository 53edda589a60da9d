//! `groups:` – parts of what the config offers, each with an endpoint of its own.

use std::sync::Arc;

use renkei_core::{
    Diagnostic, Diagnostics, Entry, FromNode,
    diagnostic::suggest,
    group::{GroupPlan, fits},
    read::Spanned,
};
use renkei_derive::FromNode;

use crate::{files::Merged, tool::published_name};

/// Tools, resources and prompts that are served together, at an endpoint of their own: `/mcp/NAME`. There
/// nothing else exists. `/mcp` goes on serving everything, and one thing may be in several groups.
#[derive(Clone, Debug, FromNode)]
pub(crate) struct GroupConfig {
    /// The name of this endpoint's server for people; that of the server if left out.
    title: Option<String>,

    /// What the group is good for, for people.
    description: Option<String>,

    /// For the model: how these tools go together; `server.instructions` if left out.
    instructions: Option<String>,

    /// The tools, by name. `*` stands for any letters: `crm_*`.
    #[config(default)]
    tools: Vec<Spanned<String>>,

    /// The resources, by name (not by URI). `*` stands for any letters.
    #[config(default)]
    resources: Vec<Spanned<String>>,

    /// The prompts, by name. `*` stands for any letters.
    #[config(default)]
    prompts: Vec<Spanned<String>>,
}

/// A group's name is one segment of a path, and a word on the command line.
const NAME_LETTERS: usize = 64;

/// `exposed`: what the names of tools begin with that systems offer.
pub(crate) fn read_all(merged: &Merged, exposed: &[Arc<str>], d: &mut Diagnostics) -> Vec<GroupPlan> {
    merged.section("groups").iter().filter_map(|entry| read(entry, merged, exposed, d)).collect()
}

/// Reads one group. Nothing, with diagnostics, if something is wrong.
fn read(entry: &Entry, merged: &Merged, exposed: &[Arc<str>], d: &mut Diagnostics) -> Option<GroupPlan> {
    check_name(entry, d);
    let config = GroupConfig::from_node(&entry.value, d)?;
    if config.tools.is_empty() && config.resources.is_empty() && config.prompts.is_empty() {
        let message = format!("the group `{}` has nothing in it", entry.key);
        d.push(
            Diagnostic::error(entry.key_span, message)
                .hint("name some of its `tools`: `tools: [get_order, 'crm_*']`"),
        );
        return None;
    }
    let mut chosen = |word, wanted| {
        let exposed = if word == "tools" { exposed } else { &[] };
        choose(merged.section(word), word, wanted, exposed, d)
    };
    let tools = chosen("tools", &config.tools);
    let resources = chosen("resources", &config.resources);
    let prompts = chosen("prompts", &config.prompts);
    Some(GroupPlan {
        name: entry.key.clone(),
        title: config.title,
        description: config.description,
        instructions: config.instructions,
        tools: tools.iter().map(published_name).collect(),
        patterns: config.tools.into_iter().map(|pattern| pattern.value.into()).collect(),
        resources,
        prompts,
    })
}

fn check_name(entry: &Entry, d: &mut Diagnostics) {
    let name = &*entry.key;
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !begins || name.len() > NAME_LETTERS || !name.bytes().all(inner) {
        d.push(Diagnostic::error(entry.key_span, format!("`{name}` cannot be the name of a group")).hint(
            "it is part of a URL: 1 to 64 lower-case letters, digits, `_` and `-`, a letter or digit first",
        ));
    }
}

/// The names that are wanted, in the order of the config.
fn choose(
    entries: &[Entry],
    word: &str,
    wanted: &[Spanned<String>],
    exposed: &[Arc<str>],
    d: &mut Diagnostics,
) -> Vec<Arc<str>> {
    let one = word.trim_end_matches('s');
    for pattern in wanted {
        let text = &*pattern.value;
        // What a system offers is not known here.
        let may_be_offered = exposed.iter().any(|prefix| text.contains('*') || text.starts_with(&**prefix));
        if may_be_offered || entries.iter().any(|entry| fits(text, &entry.key)) {
            continue;
        }
        d.push(if text.contains('*') {
            Diagnostic::warning(pattern.span, format!("no {one} has a name like `{text}`"))
                .hint("`*` stands for any letters; remove the line if there is nothing of the kind yet")
        } else if !exposed.is_empty() {
            Diagnostic::warning(pattern.span, format!("there is no {one} `{text}` unless a system offers it"))
                .hint("what systems offer begins with their prefix, or is renamed in their `expose`")
        } else {
            let close = suggest(text, entries.iter().map(|entry| &*entry.key));
            Diagnostic::error(pattern.span, format!("there is no {one} `{text}`")).hint(match close {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("a group has {word} that stand under `{word}:`; `*` stands for any letters"),
            })
        });
    }
    let names = entries.iter().map(|entry| &entry.key);
    names.filter(|name| wanted.iter().any(|pattern| fits(pattern, name))).cloned().collect()
}
