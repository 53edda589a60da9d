//! Reads which list, how many at once, and what tells its elements apart.

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, FromNode, Node, NodeKind, Schema, Tree, Value, read::wrong,
    template::Names,
};
use renkei_derive::FromNode;

const MAX_CONCURRENCY: usize = 100;
const MAX_ELEMENTS: usize = 10_000;

/// An action for each element of a list. The action also sees `$item`, the element, and `$index`, its place from 0.
#[derive(Debug, FromNode)]
#[config(check = FanOutConfig::check)]
pub(crate) struct FanOutConfig {
    /// The list: a template such as `${.ids}`, or a list of templates.
    #[config(rename = "in")]
    list: Node,
    /// What tells one element from another, such as `${$item.id}`: a part of the `$key` of its steps. Without it,
    /// the place in the list does. Two elements with the same one are an error.
    key: Option<Node>,
    /// How many elements run at the same time, at most 100.
    #[config(default = 8)]
    concurrency: usize,
    /// The longest list that is taken, at most 10000. A longer one is an error, before anything is done.
    #[config(default = 1000)]
    max: usize,
}

impl FanOutConfig {
    fn check(&self, node: &Node, d: &mut Diagnostics) {
        for (key, value, most) in
            [("concurrency", self.concurrency, MAX_CONCURRENCY), ("max", self.max, MAX_ELEMENTS)]
        {
            if !(1..=most).contains(&value) {
                let span = node.get(key).map_or(node.span, |node| node.span);
                let message = format!("`{key}` is {value}; it can be 1 to {most}");
                d.push(Diagnostic::error(span, message).hint("leave it out for the default"));
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct FanOut {
    pub(super) list: Tree,
    pub(super) key: Option<Tree>,
    pub(super) concurrency: usize,
    pub(super) max: usize,
}

impl FanOut {
    /// Reads the mapping of [`FanOutConfig`], or the list alone. `names` are those around it.
    pub(crate) fn read(node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<Self> {
        let short;
        let node = match &node.kind {
            NodeKind::Map(_) | NodeKind::Unknown => node,
            _ => {
                let entry = renkei_core::Entry { key: "in".into(), key_span: node.span, value: node.clone() };
                short = Node { kind: NodeKind::Map(vec![entry]), span: node.span };
                &short
            }
        };
        let config = FanOutConfig::from_node(node, d)?;
        let list = list(&config.list, names, d);
        let key = config.key.as_ref().map(|key| self::key(key, names, d));
        let key = match key {
            Some(read) => Some(read?),
            None => None,
        };
        Some(FanOut { list: list?, key, concurrency: config.concurrency, max: config.max })
    }

    /// What the action of each element sees beside `names`.
    pub(crate) fn inner<'n>(names: &Names<'n>) -> Names<'n> {
        names.with(["item", "index"])
    }

    /// Of the short and the long form.
    pub(crate) fn schema(defs: &mut Definitions) -> Schema {
        let template = Value::from([("type", "string"), ("pattern", "\\$\\{")]);
        let forms = vec![template, Value::from([("type", "array")]), FanOutConfig::schema(defs)];
        Value::from([("oneOf", Value::from(forms))])
    }
}

fn list(node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<Tree> {
    match &node.kind {
        NodeKind::String(_) | NodeKind::Seq(_) => {
            let tree = Tree::read(node, names, d)?;
            match tree.literal() {
                Some(literal) if literal.as_array().is_none() => wrong(node, EXPECTED, d),
                _ => Some(tree),
            }
        }
        _ => wrong(node, EXPECTED, d),
    }
}

const EXPECTED: &str = "a list, or a template that gives one, such as `${.ids}`";

fn key(node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<Tree> {
    let expected = "a template that tells elements apart, such as `${$item.id}`";
    if !matches!(node.kind, NodeKind::String(_)) {
        return wrong(node, expected, d);
    }
    let tree = Tree::read(node, &FanOut::inner(names), d)?;
    match tree.literal() {
        Some(_) => wrong(node, expected, d),
        None => Some(tree),
    }
}
