//! Structures whose strings may be templates.

use std::sync::Arc;

use super::{Names, Scope, Template, split};
use crate::{Diagnostic, Diagnostics, Map, Node, NodeKind, Result, Value};

/// A structure whose strings may be templates: a request body, an `output:`.
#[derive(Clone, Debug)]
pub struct Tree(Branch);

#[derive(Clone, Debug)]
enum Branch {
    Literal(Value),
    Template(Template),
    Array(Arc<[Branch]>),
    Object(Arc<[(Arc<str>, Branch)]>),
}

impl Tree {
    /// Compiles all strings of a structure. Nothing, with diagnostics, if something is wrong.
    pub fn read(node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<Tree> {
        Branch::read(node, names, d).map(Tree)
    }

    /// Renders the whole; absent members and elements are dropped. `None`: the whole is absent.
    pub fn render(&self, scope: &Scope) -> Result<Option<Value>> {
        self.0.render(scope)
    }

    /// The free `$names` of all its templates.
    pub fn vars(&self) -> Vec<Arc<str>> {
        self.collect(Template::vars)
    }

    /// The names of all environment variables that its templates read.
    pub fn environment(&self) -> Vec<Arc<str>> {
        self.collect(Template::environment)
    }

    /// The paths of all files that its templates read.
    pub fn files(&self) -> Vec<Arc<str>> {
        self.collect(Template::files)
    }

    /// The value, if there is no template in it.
    pub fn literal(&self) -> Option<Value> {
        match &self.0 {
            Branch::Literal(value) => Some(value.clone()),
            _ => None,
        }
    }

    /// See [`Template::argument`].
    pub fn argument(&self) -> Option<&str> {
        match &self.0 {
            Branch::Template(template) => template.argument(),
            _ => None,
        }
    }

    fn collect(&self, what: fn(&Template) -> &[Arc<str>]) -> Vec<Arc<str>> {
        let mut all = Vec::new();
        self.0.visit(&mut |template| {
            for name in what(template) {
                if !all.contains(name) {
                    all.push(name.clone());
                }
            }
        });
        all
    }
}

impl From<Template> for Tree {
    fn from(template: Template) -> Self {
        Tree(Branch::from(template))
    }
}

impl From<Template> for Branch {
    fn from(template: Template) -> Self {
        match template.literal() {
            Some(value) => Branch::Literal(value.clone()),
            None => Branch::Template(template),
        }
    }
}

impl Branch {
    fn read(node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<Branch> {
        match &node.kind {
            NodeKind::Seq(nodes) => {
                // All are read before the first failure is returned: every problem is to be seen.
                let items: Vec<_> = nodes.iter().map(|node| Branch::read(node, names, d)).collect();
                Some(Branch::array(items.into_iter().collect::<Option<_>>()?))
            }
            NodeKind::Map(entries) => {
                let members: Vec<_> = entries
                    .iter()
                    .map(|entry| {
                        let key = literal_key(&entry.key, entry.key_span, d);
                        let value = Branch::read(&entry.value, names, d);
                        Some((key?, value?))
                    })
                    .collect();
                Some(Branch::object(members.into_iter().collect::<Option<_>>()?))
            }
            _ => Template::read(node, names, d).map(Branch::from),
        }
    }

    fn array(items: Vec<Branch>) -> Branch {
        let literals: Option<Vec<Value>> = items.iter().map(Branch::literal).collect();
        literals.map_or_else(|| Branch::Array(items.into()), |items| Branch::Literal(items.into()))
    }

    fn object(members: Vec<(Arc<str>, Branch)>) -> Branch {
        let literals: Option<Map> =
            members.iter().map(|(key, value)| Some((key.clone(), value.literal()?))).collect();
        literals.map_or_else(|| Branch::Object(members.into()), |map| Branch::Literal(map.into()))
    }

    fn literal(&self) -> Option<Value> {
        match self {
            Branch::Literal(value) => Some(value.clone()),
            _ => None,
        }
    }

    fn render(&self, scope: &Scope) -> Result<Option<Value>> {
        match self {
            Branch::Literal(value) => Ok(Some(value.clone())),
            Branch::Template(template) => template.render(scope),
            Branch::Array(items) => {
                let items = items.iter().filter_map(|item| item.render(scope).transpose());
                Ok(Some(items.collect::<Result<Vec<_>>>()?.into()))
            }
            Branch::Object(members) => {
                let members = members.iter().filter_map(|(key, value)| {
                    Some(value.render(scope).transpose()?.map(|value| (key.clone(), value)))
                });
                Ok(Some(members.collect::<Result<Map>>()?.into()))
            }
        }
    }

    fn visit(&self, see: &mut dyn FnMut(&Template)) {
        match self {
            Branch::Literal(_) => {}
            Branch::Template(template) => see(template),
            Branch::Array(items) => items.iter().for_each(|item| item.visit(see)),
            Branch::Object(members) => members.iter().for_each(|(_, value)| value.visit(see)),
        }
    }
}

/// Keys are literal: a key from a value would let a caller choose the member. `$${` is the way to
/// write `${` here, too.
fn literal_key(key: &Arc<str>, span: crate::Span, d: &mut Diagnostics) -> Option<Arc<str>> {
    if !key.contains("${") {
        return Some(key.clone());
    }
    match &split::pieces(key).unwrap_or_default()[..] {
        [split::Piece::Literal { text, .. }] => Some(text.as_str().into()),
        _ => {
            let hint = "build the object in one template: `'${ {(.key): .value} }'`; a literal `${` is written `$${`";
            d.push(Diagnostic::error(span, "A key cannot be a template").hint(hint));
            None
        }
    }
}
