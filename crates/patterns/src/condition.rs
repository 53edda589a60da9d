//! `when: '${…}'`: whether something is done at all.

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Error, FromNode, Kind, Node, NodeKind, Result, RunContext, Schema,
    Tree, Value, read::wrong, template::Names,
};

#[derive(Debug)]
pub(crate) struct Condition(Tree);

/// Stands in a config type for what [`Condition`] reads.
#[derive(Debug)]
pub(crate) struct When;

impl FromNode for When {
    fn from_node(_: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(When)
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([("type", "string"), ("pattern", "\\$\\{")])
    }
}

impl Condition {
    pub(crate) fn read(node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<Self> {
        if !matches!(node.kind, NodeKind::String(_)) {
            return wrong(node, "a template such as `${.express == true}`", d);
        }
        let tree = Tree::read(node, names, d)?;
        if tree.literal().is_some() {
            d.push(
                Diagnostic::error(node.span, "this condition is always the same")
                    .hint("ask the input or a result: `${.express == true}`"),
            );
            return None;
        }
        Some(Condition(tree))
    }

    /// Null and absent count as false.
    pub(crate) fn holds(&self, cx: &RunContext, input: &Value) -> Result<bool> {
        match self.0.render(&cx.scope("when", input.clone()))? {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(Error::new(
                blame(&self.0),
                format!(
                    "decide by `when`: it gave a value of type {}; it must give true or false",
                    other.type_name()
                ),
            )),
        }
    }

    /// Whose fault it is when it does not fit.
    pub(crate) fn blame(&self) -> Kind {
        blame(&self.0)
    }
}

/// What a template gives is the caller's business if nothing but the input goes in.
pub(crate) fn blame(tree: &Tree) -> Kind {
    if tree.vars().is_empty() { Kind::Invalid } else { Kind::Internal }
}
