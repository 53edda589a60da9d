//! The syntax tree that runs: our own, so that it owns its text, and all names are resolved.

use std::sync::Arc;

use jaq_core::ops::{Cmp, Math};

use super::eval::functions::Builtin;
use crate::Value;

/// An expression, and whether it has at most one output: then nothing needs to be nested in it.
#[derive(Debug)]
pub(super) struct Expr {
    pub(super) op: Op,
    pub(super) single: bool,
}

#[derive(Debug)]
pub(super) enum Op {
    /// `.`
    Input,
    /// `..`
    Recurse,
    Const(Value),
    /// `$name` of the scope.
    Global(Arc<str>),
    /// A variable bound in the expression, counted from the innermost.
    Local(usize),
    /// `env.NAME`
    Environment(Arc<str>),
    /// `file["path"]`
    File(Arc<str>),
    /// `"… \(…) …"`, with the format that applies to what is put in.
    Text(Format, Vec<TextPart>),
    Array(Option<Box<Expr>>),
    Object(Vec<(Expr, Expr)>),
    Negate(Box<Expr>),
    Pipe(Box<[Expr; 2]>),
    Comma(Box<[Expr; 2]>),
    Alternative(Box<[Expr; 2]>),
    And(Box<[Expr; 2]>),
    Or(Box<[Expr; 2]>),
    Math(Math, Box<[Expr; 2]>),
    Compare(Cmp, Box<[Expr; 2]>),
    /// `source as pattern | body`
    Bind(Box<[Expr; 2]>, Pattern),
    /// Conditions with their branches, then what else.
    If(Vec<(Expr, Expr)>, Option<Box<Expr>>),
    Try(Box<Expr>, Option<Box<Expr>>),
    Reduce(Box<Fold>),
    Foreach(Box<Fold>),
    Label(Box<Expr>),
    /// The label, counted as a local variable.
    Break(usize),
    Path(Box<Expr>, Vec<(Step, Optional)>),
    /// `=`
    Assign(Box<[Expr; 2]>),
    /// `|=`
    Update(Box<[Expr; 2]>),
    /// `+=` and its like.
    UpdateMath(Math, Box<[Expr; 2]>),
    /// `//=`
    UpdateAlternative(Box<[Expr; 2]>),
    Call(&'static Builtin, Vec<Expr>),
}

/// Whether a step that does not fit the value is left out (`?`) instead of an error.
pub(super) type Optional = bool;

#[derive(Debug)]
pub(super) enum TextPart {
    Literal(String),
    Value(Expr),
}

#[derive(Debug)]
pub(super) enum Step {
    Index(Expr),
    Slice(Option<Expr>, Option<Expr>),
    Iterate,
}

/// What `as` binds.
#[derive(Debug)]
pub(super) enum Pattern {
    Var,
    Array(Vec<Pattern>),
    Object(Vec<(Expr, Pattern)>),
}

/// `reduce` and `foreach`.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) source: Expr,
    pub(super) pattern: Pattern,
    pub(super) init: Expr,
    pub(super) update: Expr,
    /// Only `foreach` has one.
    pub(super) extract: Option<Expr>,
}

/// `@name`: how a value becomes text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Format {
    Text,
    Json,
    Csv,
    Tsv,
    Html,
    Uri,
    UriDecode,
    Sh,
    Base64,
    Base64Decode,
}

impl Format {
    pub(super) const ALL: [(&'static str, Format); 10] = [
        ("@text", Format::Text),
        ("@json", Format::Json),
        ("@csv", Format::Csv),
        ("@tsv", Format::Tsv),
        ("@html", Format::Html),
        ("@uri", Format::Uri),
        ("@urid", Format::UriDecode),
        ("@sh", Format::Sh),
        ("@base64", Format::Base64),
        ("@base64d", Format::Base64Decode),
    ];
}

impl From<Op> for Expr {
    fn from(op: Op) -> Self {
        let both = |pair: &[Expr; 2]| pair[0].single && pair[1].single;
        let single = match &op {
            Op::Input | Op::Const(_) | Op::Global(_) | Op::Local(_) => true,
            Op::Environment(_) | Op::File(_) | Op::Array(_) | Op::Break(_) => true,
            Op::Recurse | Op::Comma(_) | Op::Foreach(_) | Op::Label(_) => false,
            Op::Text(_, parts) => parts.iter().all(|part| match part {
                TextPart::Literal(_) => true,
                TextPart::Value(expr) => expr.single,
            }),
            Op::Object(entries) => entries.iter().all(|(key, value)| key.single && value.single),
            Op::Negate(expr) => expr.single,
            Op::Pipe(pair) | Op::Alternative(pair) | Op::And(pair) | Op::Or(pair) => both(pair),
            Op::Math(_, pair) | Op::Compare(_, pair) => both(pair),
            Op::Bind(pair, pattern) => both(pair) && pattern.single(),
            Op::If(branches, otherwise) => {
                branches.iter().all(|(condition, then)| condition.single && then.single)
                    && otherwise.as_ref().is_none_or(|expr| expr.single)
            }
            Op::Try(body, catch) => body.single && catch.as_ref().is_none_or(|expr| expr.single),
            Op::Reduce(fold) => fold.init.single,
            Op::Path(base, steps) => base.single && steps.iter().all(|(step, _)| step.single()),
            Op::Update(_) => true,
            Op::Assign(pair) | Op::UpdateMath(_, pair) | Op::UpdateAlternative(pair) => pair[1].single,
            Op::Call(builtin, args) => {
                builtin.single && args.iter().all(|arg| arg.single || builtin.collects)
            }
        };
        Expr { op, single }
    }
}

impl Step {
    fn single(&self) -> bool {
        match self {
            Step::Index(expr) => expr.single,
            Step::Slice(from, to) => [from, to].into_iter().flatten().all(|expr| expr.single),
            Step::Iterate => false,
        }
    }
}

impl Pattern {
    fn single(&self) -> bool {
        match self {
            Pattern::Var => true,
            Pattern::Array(items) => items.iter().all(Pattern::single),
            Pattern::Object(members) => members.iter().all(|(key, value)| key.single && value.single()),
        }
    }
}
