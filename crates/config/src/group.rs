//! `groups:` – parts of what the config offers, each with an endpoint of its own.

use std::sync::Arc;

use renkei_core::{
    Diagnostic, Diagnostics, Entry, FromNode, diagnostic::suggest, group::GroupPlan, read::Spanned,
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

pub(crate) fn read_all(merged: &Merged, d: &mut Diagnostics) -> Vec<GroupPlan> {
    merged.section("groups").iter().filter_map(|entry| read(entry, merged, d)).collect()
}

/// Reads one group. Nothing, with diagnostics, if something is wrong.
fn read(entry: &Entry, merged: &Merged, d: &mut Diagnostics) -> Option<GroupPlan> {
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
    let mut chosen = |word, wanted| choose(merged.section(word), word, wanted, d);
    let tools = chosen("tools", &config.tools);
    let resources = chosen("resources", &config.resources);
    let prompts = chosen("prompts", &config.prompts);
    Some(GroupPlan {
        name: entry.key.clone(),
        title: config.title,
        description: config.description,
        instructions: config.instructions,
        tools: tools.iter().map(published_name).collect(),
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
fn choose(entries: &[Entry], word: &str, wanted: &[Spanned<String>], d: &mut Diagnostics) -> Vec<Arc<str>> {
    let one = word.trim_end_matches('s');
    for pattern in wanted {
        let text = &*pattern.value;
        if entries.iter().any(|entry| fits(text, &entry.key)) {
            continue;
        }
        d.push(if text.contains('*') {
            Diagnostic::warning(pattern.span, format!("no {one} has a name like `{text}`"))
                .hint("`*` stands for any letters; remove the line if there is nothing of the kind yet")
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

/// Whether a name is that of the pattern, in which `*` stands for any letters, none included.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| name.strip_prefix(head)) else { return false };
    let Some(tail) = parts.next_back() else { return rest.is_empty() };
    // The earliest place is as good as any, since a part may be followed by any letters.
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, name, expected) in [
            ("get", "get", true),
            ("get", "gets", false),
            ("get", "ge", false),
            ("*", "", true),
            ("*", "anything", true),
            ("crm_*", "crm_", true),
            ("crm_*", "crm_get", true),
            ("crm_*", "xcrm_get", false),
            ("*_get", "crm_get", true),
            ("*_get", "crm_gets", false),
            ("c*m*t", "crm_get", true),
            ("c*m*t", "cm", false),
            ("a*a", "a", false),
            ("a*b*b", "ab", false),
            ("a**b", "ab", true),
            ("a*bc*bc", "abcbc", true),
            ("a*bc*bc", "abc", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
