//! What stands under `expose:`.

use std::sync::Arc;

use indexmap::IndexMap;
use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Effect, FromNode, Node, NodeKind, Schema, Value,
    read::{Spanned, wrong},
    tool::{CLIENT_NAME, client_name, is_name_byte},
};
use renkei_derive::FromNode;

use crate::{mcp::operation::EffectWord, text::Glob};

/// What of the server is served as this server's own, and how.
#[derive(Debug, FromNode)]
#[config(check = check)]
pub(in crate::mcp) struct Expose {
    /// What the names begin with; the system's name and `_` if left out, nothing at all if empty. No two systems may have the
    /// same.
    prefix: Option<Spanned<String>>,
    /// Its tools: `true` for all of them, or which.
    tools: Option<Chosen>,
}

/// Which tools are served, and what is said of them.
#[derive(Debug, FromNode)]
struct ExposedTools {
    /// The tools, by the names that the server gives them; all of them if left out. `*` stands for any letters: `get_*`.
    include: Option<Vec<Spanned<String>>>,
    /// Those of them that are not. `*` stands for any letters.
    #[config(default)]
    exclude: Vec<Spanned<String>>,
    /// Other names: from the server's to the whole one here, without the prefix.
    #[config(default)]
    rename: IndexMap<Arc<str>, Spanned<String>>,
    /// Other descriptions for the model, by the server's names.
    #[config(default)]
    descriptions: IndexMap<Arc<str>, Spanned<String>>,
    /// What a repeat does, by the server's names or patterns of them: `{ 'get_*': read }`. The first that fits counts. All
    /// others are `write`: what a server says of its own tools is no promise.
    #[config(default)]
    effects: IndexMap<Arc<str>, EffectWord>,
    /// How many tools are served; the rest of the list is left out, with a warning in the log.
    #[config(default = 500)]
    max_tools: usize,
}

/// The longest prefix: the rest of a name is the tool's.
const MAX_PREFIX: usize = 32;
/// More tools than this are no list that a model reads.
const MAX_TOOLS: usize = 10_000;
/// More patterns or names than this are no list that somebody reads.
const MAX_ENTRIES: usize = 1_000;

/// Which tools, taken apart.
#[derive(Debug)]
pub(super) struct Chosen {
    include: Option<Vec<Glob>>,
    exclude: Vec<Glob>,
    pub(super) rename: IndexMap<Arc<str>, Arc<str>>,
    pub(super) descriptions: IndexMap<Arc<str>, String>,
    effects: Vec<(Glob, Effect)>,
    pub(super) max_tools: usize,
}

/// What `tools: true` says.
impl Default for Chosen {
    fn default() -> Self {
        Chosen {
            include: None,
            exclude: Vec::new(),
            rename: IndexMap::new(),
            descriptions: IndexMap::new(),
            effects: Vec::new(),
            max_tools: 500,
        }
    }
}

impl FromNode for Chosen {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::Bool(true) | NodeKind::Unknown => Some(Chosen::default()),
            NodeKind::Bool(false) => {
                let diagnostic = Diagnostic::error(node.span, "`tools: false` exposes nothing");
                d.push(diagnostic.hint("leave `expose` out"));
                None
            }
            NodeKind::Map(_) => read(ExposedTools::from_node(node, d)?, node, d),
            _ => wrong(node, "`true`, or a mapping such as `{ include: ['get_*'] }`", d),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        let all = Value::from([
            ("const", Value::from(true)),
            ("description", "All of them, under their own names.".into()),
        ]);
        Value::from([("oneOf", vec![all, ExposedTools::schema(defs)])])
    }
}

fn read(fields: ExposedTools, node: &Node, d: &mut Diagnostics) -> Option<Chosen> {
    let before = d.iter().count();
    let ExposedTools { include, exclude, rename, descriptions, effects, max_tools } = fields;
    let include = include.map(|patterns| globs(&patterns, "include", d));
    let exclude = globs(&exclude, "exclude", d);
    let key_span = |key: &str| node.entry(key).map_or(node.span, |entry| entry.key_span);
    let effects: Vec<_> = effects
        .iter()
        .filter_map(|(pattern, word)| match Glob::read(pattern) {
            Ok(glob) => Some((glob, Effect::from(*word))),
            Err(why) => {
                d.error(key_span("effects"), format!("a pattern of `effects` {why}"));
                None
            }
        })
        .collect();
    check_names(&rename, d);
    for text in descriptions.values().filter(|text| text.trim().is_empty()) {
        d.push(
            Diagnostic::error(text.span, "the description is empty")
                .hint("say in a sentence what the tool does: a model decides by it"),
        );
    }
    if !(1..=MAX_TOOLS).contains(&max_tools) {
        d.push(
            Diagnostic::error(key_span("max_tools"), format!("`max_tools` is between 1 and {MAX_TOOLS}"))
                .hint("leave it out for 500"),
        );
    }
    let sizes = [
        ("include", include.as_ref().map_or(0, Vec::len)),
        ("exclude", exclude.len()),
        ("rename", rename.len()),
        ("descriptions", descriptions.len()),
        ("effects", effects.len()),
    ];
    for (key, size) in sizes.into_iter().filter(|(_, size)| *size > MAX_ENTRIES) {
        d.error(key_span(key), format!("`{key}` has {size} entries, at most {MAX_ENTRIES} fit"));
    }
    let rename = rename.into_iter().map(|(tool, name)| (tool, name.value.into())).collect();
    let descriptions = descriptions.into_iter().map(|(tool, text)| (tool, text.value)).collect();
    let chosen = Chosen { include, exclude, rename, descriptions, effects, max_tools };
    (d.iter().count() == before).then_some(chosen)
}

fn globs(patterns: &[Spanned<String>], key: &str, d: &mut Diagnostics) -> Vec<Glob> {
    let read = patterns.iter().filter_map(|pattern| match Glob::read(pattern) {
        Ok(glob) => Some(glob),
        Err(why) => {
            d.error(pattern.span, format!("a pattern of `{key}` {why}"));
            None
        }
    });
    read.collect()
}

/// The names that clients see: each of its own, and good as it is.
fn check_names(rename: &IndexMap<Arc<str>, Spanned<String>>, d: &mut Diagnostics) {
    for (at, (_, name)) in rename.iter().enumerate() {
        if name.is_empty() || name.len() > CLIENT_NAME || !name.bytes().all(is_name_byte) {
            d.push(
                Diagnostic::error(name.span, format!("`{}` cannot be the name of a tool", name.value))
                    .hint("a name has 1 to 64 letters, digits, `_`, `-` and `.`"),
            );
        }
        if let Some((_, first)) = rename.iter().take(at).find(|(_, first)| first.value == name.value) {
            d.push(
                Diagnostic::error(name.span, format!("two tools are renamed to `{}`", name.value))
                    .related(first.span, "the first one")
                    .hint("give each a name of its own"),
            );
        }
    }
}

fn check(expose: &Expose, node: &Node, d: &mut Diagnostics) {
    if let Some(prefix) = &expose.prefix
        && (prefix.len() > MAX_PREFIX || !prefix.bytes().all(is_name_byte))
    {
        d.push(
            Diagnostic::error(prefix.span, format!("`{}` cannot begin the names of tools", prefix.value))
                .hint(format!("a prefix has up to {MAX_PREFIX} letters, digits, `_`, `-` and `.`: `wiki_`")),
        );
    }
    if expose.tools.is_none() && node.entry("tools").is_none() {
        d.push(
            Diagnostic::error(node.span, "`expose` does not say what is exposed")
                .hint("add `tools: true`, or remove it"),
        );
    }
}

impl Expose {
    /// What the names begin with.
    pub(in crate::mcp) fn prefix(&self, system: &str) -> Arc<str> {
        match &self.prefix {
            Some(prefix) => prefix.value.as_str().into(),
            None => format!("{system}_").into(),
        }
    }

    /// Which tools; nothing if none are.
    pub(super) fn tools(&self) -> Option<&Chosen> {
        self.tools.as_ref()
    }
}

impl Chosen {
    pub(super) fn has(&self, tool: &str) -> bool {
        let fits = |patterns: &[Glob]| patterns.iter().any(|pattern| pattern.matches(tool));
        self.include.as_deref().is_none_or(fits) && !fits(&self.exclude)
    }

    /// What clients call it.
    pub(super) fn name(&self, prefix: &str, tool: &str) -> Arc<str> {
        match self.rename.get(tool) {
            Some(name) => name.clone(),
            None => client_name(&format!("{prefix}{tool}")),
        }
    }

    pub(super) fn effect(&self, tool: &str) -> Effect {
        let found = self.effects.iter().find(|(pattern, _)| pattern.matches(tool));
        found.map_or(Effect::Write, |(_, effect)| *effect)
    }
}
