//! Templates: strings with `${ … }`, each a jq expression, evaluated within a budget.
//!
//! The semantics are those of `docs/reference/language.md`; every sentence there has a test here.

use std::{borrow::Cow, sync::Arc};

use crate::{Diagnostics, Map, Node, Result, Value};

/// What a template may refer to at its place; anything else is a diagnostic.
#[derive(Clone, Debug, Default)]
pub struct Names<'a> {
    /// JSON Schema of `.`; nothing where it is not known.
    pub input: Option<&'a Value>,
    /// The `$names` in reach, without the `$`.
    pub vars: Vec<Cow<'a, str>>,
    /// Whether `env` and `file` are in reach: only in `server` and `systems`.
    pub environment: bool,
}

/// What a template sees when it is evaluated.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub(crate) input: Value,
    pub(crate) vars: Map,
}

impl Scope {
    pub fn new(input: Value) -> Self {
        Scope { input, vars: Map::new() }
    }

    /// Binds `$name`. `env` and `file` are bound like this, too, without the `$` in templates.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.vars.insert(name.into(), value.into());
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.vars.get(name)
    }
}

/// A part of a template string, before its expressions are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it stands, `$${` already read as `${`.
    Literal { text: String, at: usize },
    /// The source between `${` and `}`; `at` is the offset of its first byte in the text.
    Expr { source: Arc<str>, at: usize },
}

/// Splits a string node at its `${ … }`. The end of each is found by lexing jq. An unclosed `${`
/// is a diagnostic. Connectors that treat literals and values apart (paths, SQL) start here.
pub fn split(node: &Node, d: &mut Diagnostics) -> Option<Vec<Piece>> {
    let _ = (node, d);
    unimplemented!("filled by the template work")
}

/// A string template, checked and compiled.
#[derive(Clone, Debug)]
pub struct Template;

impl Template {
    /// Compiles a whole string node. Nothing, with diagnostics, if something is wrong.
    pub fn read(node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<Template> {
        let _ = (node, names, d);
        unimplemented!("filled by the template work")
    }

    /// Compiles one expression of [`split`].
    pub fn expression(
        node: &Node,
        source: &str,
        at: usize,
        names: &Names<'_>,
        d: &mut Diagnostics,
    ) -> Option<Template> {
        let _ = (node, source, at, names, d);
        unimplemented!("filled by the template work")
    }

    /// Evaluates. `None` means absent: a plain path to something that is not there, or no output.
    pub fn render(&self, scope: &Scope) -> Result<Option<Value>> {
        let _ = scope;
        unimplemented!("filled by the template work")
    }

    /// The free `$names` (without `$`; `env` and `file` for those), for dependency graphs.
    pub fn vars(&self) -> &[Arc<str>] {
        &[]
    }
}

/// A structure whose strings may be templates: a request body, an `output:`.
#[derive(Clone, Debug)]
pub struct Tree;

impl Tree {
    pub fn read(node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<Tree> {
        let _ = (node, names, d);
        unimplemented!("filled by the template work")
    }

    /// Renders the whole; absent members and elements are dropped. `None`: the whole is absent.
    pub fn render(&self, scope: &Scope) -> Result<Option<Value>> {
        let _ = scope;
        unimplemented!("filled by the template work")
    }

    /// The free `$names` of all its templates.
    pub fn vars(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// The value, if there is no template in it.
    pub fn literal(&self) -> Option<Value> {
        None
    }
}

impl From<Template> for Tree {
    fn from(_: Template) -> Self {
        unimplemented!("filled by the template work")
    }
}
