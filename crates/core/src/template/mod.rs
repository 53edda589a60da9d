//! Templates: strings with `${ … }`, each a jq expression, evaluated within a budget.
//!
//! The semantics are those of `docs/reference/language.md`; every sentence there has a test here.

pub mod budget;

mod split;

mod check;
mod parse;
mod resolve;

mod eval;
mod expr;
mod plain;

mod tree;

#[cfg(test)]
mod tests;

mod noted;
mod words;

use std::{borrow::Cow, sync::Arc};

pub use noted::Noted;
pub use split::{Piece, escape, split};
pub use tree::Tree;
pub use words::{RESERVED, is_word, word_like};

use tokio::time::Instant;

use crate::{Diagnostic, Diagnostics, Error, Kind, Map, Node, NodeKind, Result, Value, run::Given};

/// What a template may refer to at its place; anything else is a diagnostic.
#[derive(Clone, Debug, Default)]
pub struct Names<'a> {
    /// JSON Schema of `.`; nothing where it is not known.
    pub input: Option<&'a Value>,
    /// The `$names` in reach, without the `$`.
    pub vars: Vec<Cow<'a, str>>,
    /// Whether `env` and `file` are in reach: only in `server` and `systems`.
    pub environment: bool,
    /// Takes down which of `vars` templates refer to; see [`Names::noting`].
    pub noted: Noted,
}

impl<'a> Names<'a> {
    /// The same names, with a note of its own of what is referred to from now on: the edges of a dependency
    /// graph. Whoever looks at the note hands on what belongs to an outer one with [`Noted::add`].
    pub fn noting(&self) -> Self {
        Names { noted: Noted::new(), ..self.clone() }
    }

    /// The same names and `more`.
    #[must_use]
    pub fn with<N: Into<Cow<'a, str>>>(&self, more: impl IntoIterator<Item = N>) -> Self {
        let mut names = self.clone();
        names.vars.extend(more.into_iter().map(Into::into));
        names
    }
}

/// What a template sees when it is evaluated.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub(crate) input: Value,
    pub(crate) vars: Arc<Map>,
    /// What the run gives; goes before `vars`.
    pub(crate) given: Option<Arc<Given>>,
    /// From then on nothing is evaluated: one evaluation is short, but a config may ask for many.
    pub(crate) until: Option<Instant>,
}

impl Scope {
    pub fn new(input: Value) -> Self {
        Scope { input, ..Scope::default() }
    }

    /// Binds `$name`. `env` and `file` are bound like this, too, without the `$` in templates:
    /// each an object from name to text.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        Arc::make_mut(&mut self.vars).insert(name.into(), value.into());
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        let given = self.given.as_ref().and_then(|given| given.get(name));
        given.or_else(|| self.vars.get(name))
    }

    /// What a system's own part of a request sees: `$caller`, `$key` and `$run`, of the same step.
    #[must_use]
    pub fn of_system(&self) -> Scope {
        Scope { given: self.given.clone(), ..Scope::default() }
    }
}

/// A string template, checked and compiled. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Template(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    body: Body,
    refs: parse::References,
}

#[derive(Debug)]
enum Body {
    Literal(Value),
    /// The whole string is one expression: the value keeps its type.
    Whole(Expression),
    Text(Vec<Part>),
}

#[derive(Debug)]
enum Part {
    Literal(String),
    Expression(Expression),
}

/// One compiled `${ … }`.
#[derive(Debug)]
struct Expression {
    code: parse::Code,
    /// As it stands between the braces, for messages.
    source: Arc<str>,
    /// Whether nothing but the input goes in, so that the caller can mend a failure.
    input_only: bool,
}

impl Template {
    /// Compiles a whole string node. Nothing, with diagnostics, if something is wrong.
    /// A number, a boolean or null stands for itself.
    pub fn read(node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<Template> {
        match node.kind {
            NodeKind::String(_) => {}
            NodeKind::Seq(_) | NodeKind::Map(_) => {
                d.push(Diagnostic::error(node.span, format!("Expected a string, found {}", node.what())));
                return None;
            }
            _ => return Some(Template::literal_of(node.to_value())),
        }
        let pieces = split(node, d)?;
        if let [Piece::Expr { source, at }] = &pieces[..] {
            return Template::expression(node, source, *at, names, d);
        }
        let mut refs = parse::References::default();
        let mut parts = Vec::with_capacity(pieces.len());
        let mut complete = true;
        for piece in pieces {
            match piece {
                Piece::Literal { text, .. } => parts.push(Part::Literal(text)),
                Piece::Expr { source, at } => match compile(node, &source, at, names, &mut refs, d) {
                    Some(expression) => parts.push(Part::Expression(expression)),
                    None => complete = false,
                },
            }
        }
        let body = match &mut parts[..] {
            [] => Body::Literal("".into()),
            [Part::Literal(text)] => Body::Literal(std::mem::take(text).into()),
            _ => Body::Text(parts),
        };
        complete.then(|| Template(Arc::new(Compiled { body, refs })))
    }

    /// Compiles one expression of [`split()`].
    pub fn expression(
        node: &Node,
        source: &str,
        at: usize,
        names: &Names<'_>,
        d: &mut Diagnostics,
    ) -> Option<Template> {
        let mut refs = parse::References::default();
        let expression = compile(node, source, at, names, &mut refs, d)?;
        Some(Template(Arc::new(Compiled { body: Body::Whole(expression), refs })))
    }

    fn literal_of(value: Value) -> Template {
        Template(Arc::new(Compiled { body: Body::Literal(value), refs: parse::References::default() }))
    }

    /// Evaluates. `None` means absent: a plain path to something that is not there, or no output.
    ///
    /// An error is `invalid` where the template reads no `$name`, `env` or `file`, for then the caller
    /// can mend it with another input; otherwise it is `internal`.
    pub fn render(&self, scope: &Scope) -> Result<Option<Value>> {
        self.render_within(scope, budget::MAX_WORK)
    }

    /// As [`Template::render`], with another number of steps for each expression.
    fn render_within(&self, scope: &Scope, steps: u64) -> Result<Option<Value>> {
        match &self.0.body {
            Body::Literal(value) => Ok(Some(value.clone())),
            Body::Whole(expression) => expression.evaluate(scope, steps),
            Body::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Literal(literal) => text.push_str(literal),
                        Part::Expression(expression) => expression.put_into(&mut text, scope, steps)?,
                    }
                }
                Ok(Some(text.into()))
            }
        }
    }

    /// The value, if there is no expression in it.
    pub fn literal(&self) -> Option<&Value> {
        match &self.0.body {
            Body::Literal(value) => Some(value),
            _ => None,
        }
    }

    /// The name of the argument that it is, where it is a path to one (`.id`) and nothing else.
    pub fn argument(&self) -> Option<&str> {
        match &self.0.body {
            Body::Whole(Expression { code: parse::Code::Plain(path), .. }) => path.argument(),
            _ => None,
        }
    }

    /// The free `$names` (without `$`; `env` and `file` for those), for dependency graphs.
    pub fn vars(&self) -> &[Arc<str>] {
        &self.0.refs.vars
    }

    /// The names of all environment variables it reads, with or without a default.
    pub fn environment(&self) -> &[Arc<str>] {
        &self.0.refs.environment
    }

    /// The paths of all files it reads, with or without a default.
    pub fn files(&self) -> &[Arc<str>] {
        &self.0.refs.files
    }
}

fn compile(
    node: &Node,
    source: &str,
    at: usize,
    names: &Names<'_>,
    refs: &mut parse::References,
    d: &mut Diagnostics,
) -> Option<Expression> {
    let mut own = parse::References::default();
    let code = parse::compile(node, source, at, names, &mut own, d)?;
    let input_only = own.vars.is_empty();
    refs.extend(own);
    Some(Expression { code, source: source.into(), input_only })
}

impl Expression {
    fn evaluate(&self, scope: &Scope, steps: u64) -> Result<Option<Value>> {
        if scope.until.is_some_and(|until| until <= Instant::now()) {
            let why = format!("evaluate `${{{}}}`: the time of the call is over", shorten(&self.source));
            return Err(Error::new(Kind::Timeout, why));
        }
        self.code.run(scope, steps).map_err(|why| self.fail(&why))
    }

    fn put_into(&self, text: &mut String, scope: &Scope, steps: u64) -> Result<()> {
        let value = self.evaluate(scope, steps)?;
        match &value {
            Some(Value::String(part)) => text.push_str(part),
            Some(scalar @ (Value::Number(_) | Value::Bool(_))) => scalar.write_json(text),
            other => {
                let what = other.as_ref().map_or("nothing", plain::with_article);
                let hint = match other {
                    Some(Value::Array(_) | Value::Object(_)) => {
                        "use `tojson`, or let the template stand alone"
                    }
                    _ => "give a default: `${… // \"\"}`",
                };
                return Err(self.fail(&format!("{what} cannot stand in a text; {hint}")));
            }
        }
        if text.len() as u64 > budget::MAX_OUTPUT_BYTES {
            return Err(self.fail(&format!("the text is longer than {} bytes", budget::MAX_OUTPUT_BYTES)));
        }
        Ok(())
    }

    fn fail(&self, why: &str) -> Error {
        let kind = if self.input_only { Kind::Invalid } else { Kind::Internal };
        Error::new(kind, format!("evaluate `${{{}}}`: {why}", shorten(&self.source)))
    }
}

/// The source on one line, cut after some eighty letters.
fn shorten(source: &str) -> String {
    const LETTERS: usize = 80;
    let mut line = source.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(LETTERS) {
        line.truncate(cut);
        line.push('…');
    }
    line
}
