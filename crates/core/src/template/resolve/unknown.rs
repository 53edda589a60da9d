//! What to say of names that nothing has: what was probably meant.

use jaq_core::{
    load::parse::{BinaryOp, Term},
    ops::Math,
    path::{Opt, Part},
};

use super::{Bound, Resolver, name_of};
use crate::{
    diagnostic::suggest,
    template::{check::Input, eval::functions, expr::Op},
};

impl<'s> Resolver<'s, '_> {
    /// `$profile-id` and `.first-name` are subtractions to jq, and never what was meant.
    pub(super) fn hyphen(
        &self,
        left: &Term<&'s str>,
        right: &Term<&'s str>,
    ) -> Option<(&'s str, String, String)> {
        let Term::Call(tail, args) = leftmost(right) else { return None };
        if !args.is_empty() {
            return None;
        }
        let to = self.place.offset(tail)?;
        let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let head = rightmost(left)?;
        let from = self.place.offset(head)?;
        let adjacent = from + head.len() + 1 == to && self.place.source[..to].ends_with('-');
        // A function that exists is meant only where there is no such name.
        if !adjacent || functions::find(tail, 0).is_some() {
            return None;
        }
        let end = self.place.source[to..]
            .find(|c| !word(c) && c != '-')
            .map_or(self.place.source.len(), |n| to + n);
        let name = &self.place.source[from..end];
        let bare = name.trim_start_matches('$');
        Some(match left {
            Term::Var(_) => {
                let hint = format!(
                    "names have no `-`: `{head}-{tail}` is `{head}` minus `{tail}`; rename it to `{}`",
                    bare.replace('-', "_")
                );
                (name, format!("`{name}` is not a name"), hint)
            }
            _ => {
                let hint = format!("`.{head}-{tail}` is `.{head}` minus `{tail}`; write `.[\"{name}\"]`");
                (name, format!("`.{name}` is a subtraction"), hint)
            }
        })
    }

    pub(super) fn unknown_function(&mut self, name: &'s str, arity: usize) -> Op {
        let arities = functions::arities(name);
        let (message, hint) = if !arities.is_empty() {
            let forms: Vec<_> = arities.iter().map(|arity| form(name, *arity)).collect();
            (format!("`{name}` does not take {arity} arguments"), format!("write {}", forms.join(" or ")))
        } else if self.names.vars.iter().any(|var| **var == *name) {
            (format!("`{name}` is not a function"), format!("the value is `${name}`"))
        } else if self.names.input.is_some_and(|input| Input::new(input).has(name)) {
            (format!("`{name}` is not a function"), format!("the argument is `.{name}`"))
        } else if let Some(close) = suggest(name, functions::names()) {
            (format!("`{name}` is not a function"), format!("did you mean `{close}`?"))
        } else {
            (format!("`{name}` is not a function"), "strings stand in `\"…\"`, arguments are `.name`".into())
        };
        self.refuse(name, message, hint)
    }

    pub(super) fn unknown_variable(&mut self, name: &'s str, bare: &str) -> Op {
        match bare {
            "ENV" => {
                let hint = "write `env.NAME`, in `server` or `systems` only";
                return self.refuse(name, "`$ENV` is not available in templates".into(), hint);
            }
            "__loc__" | "__prog_args" => {
                let hint = "it says nothing of use here";
                return self.refuse(name, format!("`{name}` is not available in templates"), hint);
            }
            _ => {}
        }
        let locals = self.bound.iter().filter_map(|bound| match bound {
            Bound::Var(name) => Some(name.trim_start_matches('$')),
            Bound::Label(_) => None,
        });
        let known: Vec<&str> = locals.chain(self.names.vars.iter().map(|name| &**name)).collect();
        let hint = match suggest(bare, known.iter().copied()) {
            Some(close) => format!("did you mean `${close}`?"),
            None if known.is_empty() => "there are no names here, only the input `.`".into(),
            None => {
                let list: Vec<_> = known.iter().map(|name| format!("`${name}`")).collect();
                format!("in reach are {}", list.join(", "))
            }
        };
        self.refuse(name, format!("`{name}` is not known here"), hint)
    }
}

/// The word that a subtraction's right side begins with.
fn leftmost<'t, 's>(term: &'t Term<&'s str>) -> &'t Term<&'s str> {
    match term {
        Term::BinOp(left, ..) => leftmost(left),
        Term::Path(base, _) => base,
        other => other,
    }
}

/// The name that a subtraction's left side ends with: of a variable with its `$`, of a member without its dot.
fn rightmost<'s>(term: &Term<&'s str>) -> Option<&'s str> {
    match term {
        Term::Var(name) => Some(name),
        Term::Path(_, path) => match path.0.last() {
            Some((Part::Index(key), Opt::Essential)) => name_of(key),
            _ => None,
        },
        Term::Call(name, args) if args.is_empty() => Some(name),
        Term::BinOp(_, BinaryOp::Math(Math::Sub), right) => rightmost(right),
        _ => None,
    }
}

/// `name`, `name(_)`, `name(_; _)`.
fn form(name: &str, arity: usize) -> String {
    match arity {
        0 => format!("`{name}`"),
        _ => format!("`{name}({})`", vec!["…"; arity].join("; ")),
    }
}
