//! Takes an operation apart at start.

use std::sync::Arc;

use renkei_core::{
    Diagnostic, Diagnostics, Effect, FromNode as _, Node, NodeKind, PreparedOp, Tree,
    template::{Names, Piece, split},
};

use super::{
    config::{Config, Place},
    glob::Glob,
    operation::{If, Op, ReadAs, Verb},
    path::{PathTemplate, Rules},
};
use crate::slots::{Slot, Slots};

/// What this connector keeps of an operation.
#[derive(Debug)]
pub(super) struct Plan {
    /// Of the system: its limits.
    pub(super) config: Arc<Config>,
    pub(super) verb: Verb,
    pub(super) path: PathTemplate,
    pub(super) to: Option<PathTemplate>,
    pub(super) content: Option<Content>,
    pub(super) content_type: Option<String>,
    pub(super) when: When,
    pub(super) glob: Option<Pattern>,
    pub(super) recursive: Option<bool>,
    pub(super) limit: Option<Slot>,
    pub(super) offset: Option<Slot>,
    pub(super) after: Option<Slot>,
    pub(super) read_as: Option<ReadAs>,
    pub(super) slots: Slots,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    Plain(Slot),
    Base64(Slot),
}

/// The condition of a change.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    Always,
    Absent,
    Etag(Slot),
}

/// Which paths a list gives.
#[derive(Debug)]
pub(super) enum Pattern {
    Fixed(Arc<Glob>),
    Value(Slot),
}

const SHORT: &str = "begin with `list`, `read`, `stat` or `delete` and a space: `read notes/${.name}.md`";

/// Checks an operation and takes it apart.
pub(super) fn prepare(
    system: &Arc<str>,
    config: &Arc<Config>,
    node: &Node,
    names: &Names<'_>,
    d: &mut Diagnostics,
) -> Option<PreparedOp> {
    let mut reader = Reader { system, config, names, slots: Slots::default(), d };
    let plan = match &node.kind {
        NodeKind::String(_) => reader.short(node)?,
        NodeKind::Map(_) => reader.long(node)?,
        _ => {
            let message = format!("expected an operation, found {}", node.what());
            d.push(Diagnostic::error(node.span, message).hint(
                "write `read notes/${.name}.md`, or a mapping such as `{ write: notes/${.name}.md, content: '${.text}' }`",
            ));
            return None;
        }
    };
    let effect = match (plan.verb, plan.when) {
        (Verb::List | Verb::Read | Verb::Stat, _) => Effect::Read,
        (Verb::Write | Verb::Copy, When::Always) | (Verb::Delete, _) => Effect::Idempotent,
        // A repeat would find what the first one did, and say conflict.
        (Verb::Write | Verb::Copy, _) | (Verb::Append | Verb::Rename, _) => Effect::Write,
    };
    let slots = plan.slots.trees.clone();
    Some(PreparedOp {
        system: system.clone(),
        label: label(&plan).into(),
        effect,
        carries_key: false,
        slots,
        pages: None,
        plan: Box::new(plan),
    })
}

fn label(plan: &Plan) -> String {
    let path = plan.path.label();
    let word = plan.verb.word();
    let label = match &plan.to {
        Some(to) => format!("{word} {path} to {}", to.label()),
        None => format!("{word} {path}"),
    };
    label.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

struct Reader<'a, 'd> {
    system: &'a str,
    config: &'a Arc<Config>,
    names: &'a Names<'a>,
    slots: Slots,
    d: &'d mut Diagnostics,
}

impl Reader<'_, '_> {
    /// `read notes/${.name}.md`
    fn short(&mut self, node: &Node) -> Option<Plan> {
        let mut pieces = split(node, self.d)?;
        let word = match pieces.first() {
            Some(Piece::Literal { text, .. }) => {
                let word = text.split(' ').next().unwrap_or_default();
                (text.len() > word.len()).then(|| word.to_owned())
            }
            _ => None,
        };
        let Some(word) = word else {
            self.d.push(Diagnostic::error(node.span, "this is not an operation on files").hint(SHORT));
            return None;
        };
        let span = node.text_span(0, word.len());
        let verb = match Verb::parse(&word) {
            Some(verb @ (Verb::List | Verb::Read | Verb::Stat | Verb::Delete)) => verb,
            Some(_) => {
                self.d.push(
                    Diagnostic::error(span, format!("`{word}` needs more than a path"))
                        .hint(format!("write a mapping: `{{ {word}: …, … }}`")),
                );
                return None;
            }
            None => {
                self.d.push(
                    Diagnostic::error(span, format!("`{word}` is nothing that files can do")).hint(SHORT),
                );
                return None;
            }
        };
        if let Some(Piece::Literal { text, at }) = pieces.first_mut() {
            text.drain(..=word.len());
            *at += word.len() + 1;
            if text.is_empty() {
                pieces.remove(0);
            }
        }
        self.check_verb(verb, span)?;
        let path = self.path(node, pieces, matches!(verb, Verb::List | Verb::Stat))?;
        Some(self.plan(verb, path))
    }

    fn long(&mut self, node: &Node) -> Option<Plan> {
        let op = Op::from_node(node, self.d);
        let verb = Verb::ALL.into_iter().find(|verb| node.get(verb.word()).is_some())?;
        let entry = node.entry(verb.word())?;
        let allowed = self.check_verb(verb, entry.key_span);
        // All parts are read before the first failure is returned: every problem is to be seen at once.
        let path = self.path_of(&entry.value, matches!(verb, Verb::List | Verb::Stat));
        let to = node.get("to").map(|to| self.path_of(to, false));
        let content = self.content(node);
        let when = self.when(verb, node, op.as_ref()?);
        let glob = node.get("glob").map(|glob| self.glob(glob));
        let limit = node.get("limit").map(|node| self.whole_number(node, "limit"));
        let offset = node.get("offset").map(|node| self.whole_number(node, "offset"));
        let after = node.get("after").map(|node| self.flat(node, "after"));
        let op = op?;
        allowed?;
        let path = path?;
        Some(Plan {
            to: to.map_or(Some(None), |to| to.map(Some))?,
            content: content?,
            content_type: op.content_type.map(|kind| kind.value),
            when: when?,
            glob: glob.map_or(Some(None), |glob| glob.map(Some))?,
            recursive: op.recursive,
            limit: limit.map_or(Some(None), |slot| slot.map(Some))?,
            offset: offset.map_or(Some(None), |slot| slot.map(Some))?,
            after: after.map_or(Some(None), |slot| slot.map(Some))?,
            read_as: op.read_as,
            ..self.plan(verb, path)
        })
    }

    fn plan(&mut self, verb: Verb, path: PathTemplate) -> Plan {
        Plan {
            config: self.config.clone(),
            verb,
            path,
            to: None,
            content: None,
            content_type: None,
            when: When::Always,
            glob: None,
            recursive: None,
            limit: None,
            offset: None,
            after: None,
            read_as: None,
            slots: std::mem::take(&mut self.slots),
        }
    }

    /// What this system can never do is told at start.
    fn check_verb(&mut self, verb: Verb, span: renkei_core::Span) -> Option<()> {
        let word = verb.word();
        let (message, hint) = match (verb, self.config.place()) {
            _ if verb.changes() && self.config.read_only => (
                format!("`{word}` changes `{}`, which is `read_only: true`", self.system),
                "only `list`, `read` and `stat` can run there",
            ),
            (Verb::Append, Place::S3(_) | Place::Webdav(_)) => (
                format!("`{word}` is not possible in `{}`: its store has no such operation", self.system),
                "write a file of its own for each entry, or `read` and `write` with `if: { etag: … }`",
            ),
            (Verb::Rename, Place::S3(_)) => (
                format!("`{word}` is not possible in `{}`: S3 has no such operation", self.system),
                "`copy` the file, then `delete` it",
            ),
            _ => return Some(()),
        };
        self.d.push(Diagnostic::error(span, message).hint(hint));
        None
    }

    fn path_of(&mut self, node: &Node, root: bool) -> Option<PathTemplate> {
        let pieces = split(node, self.d)?;
        self.path(node, pieces, root)
    }

    fn path(&mut self, node: &Node, pieces: Vec<Piece>, root: bool) -> Option<PathTemplate> {
        let rules = Rules { hidden: self.config.hidden, root };
        PathTemplate::read(node, pieces, rules, self.names, &mut self.slots, self.d)
    }

    fn content(&mut self, node: &Node) -> Option<Option<Content>> {
        if let Some(content) = node.get("content") {
            let tree = Tree::read(content, self.names, self.d)?;
            return Some(Some(Content::Plain(self.slots.add(tree, "`content`"))));
        }
        match node.get("base64") {
            Some(content) => Some(Some(Content::Base64(self.flat(content, "base64")?))),
            None => Some(None),
        }
    }

    fn when(&mut self, verb: Verb, node: &Node, op: &Op) -> Option<When> {
        if verb == Verb::Copy && op.when.is_some() && matches!(self.config.place(), Place::S3(_)) {
            let span = node.get("if").map_or(node.span, |node| node.span);
            self.d.push(
                Diagnostic::error(span, "`if` is not possible with `copy` in S3")
                    .hint("`read` the file, and `write` it with `if: absent`"),
            );
            return None;
        }
        match &op.when {
            None => Some(When::Always),
            Some(If::Absent) => Some(When::Absent),
            Some(If::Etag(node)) => Some(When::Etag(self.flat(node, "etag")?)),
        }
    }

    fn glob(&mut self, node: &Node) -> Option<Pattern> {
        let tree = self.tree(node, "glob")?;
        let Some(literal) = tree.literal() else {
            return Some(Pattern::Value(self.slots.add(tree, "`glob`")));
        };
        match Glob::read(literal.as_str().unwrap_or_default()) {
            Ok(glob) => Some(Pattern::Fixed(Arc::new(glob))),
            Err(why) => {
                self.d.push(
                    Diagnostic::error(node.span, format!("this is not a glob: it {why}"))
                        .hint("write one such as `*.md` or `**/*.{png,jpg}`"),
                );
                None
            }
        }
    }

    fn whole_number(&mut self, node: &Node, key: &str) -> Option<Slot> {
        let tree = self.tree(node, key)?;
        if let Some(value) = tree.literal()
            && value.as_i64().is_none_or(|number| number < 0)
        {
            self.d.push(
                Diagnostic::error(node.span, format!("`{key}` is not a whole number that is not negative"))
                    .hint("write a number, or a template that gives one"),
            );
            return None;
        }
        Some(self.slots.add(tree, format!("`{key}`")))
    }

    fn flat(&mut self, node: &Node, key: &str) -> Option<Slot> {
        let tree = self.tree(node, key)?;
        Some(self.slots.add(tree, format!("`{key}`")))
    }

    /// A value that goes into one place: a mapping or a list can never fit.
    fn tree(&mut self, node: &Node, key: &str) -> Option<Tree> {
        if matches!(node.kind, NodeKind::Map(_) | NodeKind::Seq(_)) {
            self.d.push(
                Diagnostic::error(node.span, format!("`{key}` is {}", node.what()))
                    .hint("give it one value, or a template that gives one"),
            );
            return None;
        }
        Tree::read(node, self.names, self.d)
    }
}
