//! From source to something that runs, with every check that needs no value.

use std::sync::Arc;

use jaq_core::{
    load::{
        lex::StrPart,
        parse::{Parser, Term},
        Lexer,
    },
    path::{Opt, Part},
};

use super::{
    Names, Scope,
    plain::{Key, Plain, Root},
};
use crate::{Diagnostic, Diagnostics, Node, Value};

/// What an expression refers to.
#[derive(Debug, Default)]
pub(super) struct References {
    /// Free `$names`, and `env` and `file`.
    pub(super) vars: Vec<Arc<str>>,
    pub(super) environment: Vec<Arc<str>>,
    pub(super) files: Vec<Arc<str>>,
    /// Whether `.` is used.
    pub(super) input: bool,
}

impl References {
    pub(super) fn extend(&mut self, other: References) {
        let add = |all: &mut Vec<Arc<str>>, more: Vec<Arc<str>>| {
            for name in more {
                if !all.contains(&name) {
                    all.push(name);
                }
            }
        };
        add(&mut self.vars, other.vars);
        add(&mut self.environment, other.environment);
        add(&mut self.files, other.files);
        self.input |= other.input;
    }
}

/// Something that runs.
#[derive(Debug)]
pub(super) enum Code {
    Plain(Plain),
}

impl Code {
    pub(super) fn run(&self, scope: &Scope) -> Result<Option<Value>, String> {
        match self {
            Code::Plain(path) => path.follow(scope),
        }
    }
}

pub(super) fn compile(
    node: &Node,
    source: &str,
    at: usize,
    names: &Names<'_>,
    refs: &mut References,
    d: &mut Diagnostics,
) -> Option<Code> {
    let span = node.text_span(at, at + source.len());
    let term = Lexer::new(source)
        .lex()
        .ok()
        .and_then(|tokens| Parser::new(&tokens).parse(|parser| parser.term()).ok());
    let Some(term) = term else {
        d.push(Diagnostic::error(span, "This is not a jq expression"));
        return None;
    };
    let Some(path) = plain(&term, names.environment) else {
        d.push(Diagnostic::error(span, "This template is more than a plain path"));
        return None;
    };
    match &path.root {
        Root::Input => refs.input = true,
        Root::Var(name) => {
            if !names.vars.iter().any(|known| **known == **name) {
                d.push(Diagnostic::error(span, format!("`${name}` is not known here")));
                return None;
            }
            refs.vars.push(name.clone());
        }
        Root::Environment(name) => {
            refs.vars.push("env".into());
            refs.environment.push(name.clone());
        }
        Root::File(path) => {
            refs.vars.push("file".into());
            refs.files.push(path.clone());
        }
    }
    Some(Code::Plain(path))
}

fn plain(term: &Term<&str>, environment: bool) -> Option<Plain> {
    let (root, mut parts) = match term {
        Term::Path(root, path) => (&**root, &path.0[..]),
        other => (other, &[][..]),
    };
    let root = match (root, parts) {
        (Term::Id, _) => Root::Input,
        (Term::Var(name), _) => Root::Var(name.strip_prefix('$')?.into()),
        (Term::Call(word @ ("env" | "file"), args), [(first, Opt::Essential), rest @ ..])
            if environment && args.is_empty() =>
        {
            parts = rest;
            match (key(first)?, *word) {
                (Key::Member(name), "env") => Root::Environment(name),
                (Key::Member(path), _) => Root::File(path),
                _ => return None,
            }
        }
        _ => return None,
    };
    let steps = parts.iter().map(|(part, opt)| Some((key(part)?, matches!(opt, Opt::Optional))));
    Some(Plain { root, steps: steps.collect::<Option<_>>()? })
}

fn key(part: &Part<Term<&str>>) -> Option<Key> {
    match part {
        Part::Index(Term::Str(None, parts)) => match &parts[..] {
            [StrPart::Str(text)] => Some(Key::Member((*text).into())),
            _ => None,
        },
        Part::Index(Term::Num(digits)) => digits.parse().ok().map(Key::Element),
        _ => None,
    }
}
