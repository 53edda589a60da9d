//! Plain paths (`.a.b`, `$x["k"]`, `.items[0]`): taken apart at start, followed without the evaluator.

use std::sync::Arc;

use super::{
    Scope,
    expr::{Expr, Op, Step},
};
use crate::Value;

/// Where a path begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Root {
    Input,
    Var(Arc<str>),
    /// `env.NAME`
    Environment(Arc<str>),
    /// `file["path"]`
    File(Arc<str>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Key {
    Member(Arc<str>),
    Element(i64),
}

#[derive(Clone, Debug)]
pub(super) struct Plain {
    pub(super) root: Root,
    /// Each with whether a value of the wrong type there is no error (`?`).
    pub(super) steps: Vec<(Key, bool)>,
}

impl Plain {
    /// The member of the input that it is, if it is no more than that.
    pub(super) fn argument(&self) -> Option<&str> {
        match (&self.root, &self.steps[..]) {
            (Root::Input, [(Key::Member(name), _)]) => Some(name),
            _ => None,
        }
    }

    /// The plain path that an expression is, if it is one.
    pub(super) fn of(expr: &Expr) -> Option<Plain> {
        let (base, steps) = match &expr.op {
            Op::Path(base, steps) => (&**base, &steps[..]),
            _ => (expr, &[][..]),
        };
        let root = match &base.op {
            Op::Input => Root::Input,
            Op::Global(name) => Root::Var(name.clone()),
            Op::Environment(name) => Root::Environment(name.clone()),
            Op::File(path) => Root::File(path.clone()),
            _ => return None,
        };
        let key = |step: &Step| match step {
            Step::Index(Expr { op: Op::Const(Value::String(key)), .. }) => Some(Key::Member(key.clone())),
            Step::Index(Expr { op: Op::Const(Value::Number(index)), .. }) => index.as_i64().map(Key::Element),
            _ => None,
        };
        let steps = steps.iter().map(|(step, optional)| Some((key(step)?, *optional)));
        Some(Plain { root, steps: steps.collect::<Option<_>>()? })
    }

    /// The value; nothing if the last step, or one before, leads to something that is not there.
    pub(super) fn follow(&self, scope: &Scope) -> Result<Option<Value>, String> {
        let mut value = match &self.root {
            Root::Input => &scope.input,
            Root::Var(name) => match scope.get(name) {
                Some(value) => value,
                None => return Ok(None),
            },
            Root::Environment(name) => environment(scope, name)?,
            Root::File(path) => file(scope, path)?,
        };
        for (key, optional) in &self.steps {
            let next = match (key, value) {
                (_, Value::Null) => None,
                (Key::Member(key), Value::Object(map)) => map.get(key),
                (Key::Element(index), Value::Array(items)) => element(items, *index),
                _ if *optional => None,
                (Key::Member(key), other) => {
                    return Err(format!("{} has no member `{key}`", with_article(other)));
                }
                (Key::Element(index), other) => {
                    return Err(format!("{} has no element `[{index}]`", with_article(other)));
                }
            };
            match next {
                Some(next) => value = next,
                None => return Ok(None),
            }
        }
        Ok(Some(value.clone()))
    }
}

pub(super) fn environment<'s>(scope: &'s Scope, name: &str) -> Result<&'s Value, String> {
    scope.get("env").and_then(|env| env.get(name)).ok_or_else(|| {
        format!(
            "the environment variable `{name}` is not set; set it, or give a default: `env.{name} // \"…\"`"
        )
    })
}

pub(super) fn file<'s>(scope: &'s Scope, path: &str) -> Result<&'s Value, String> {
    scope.get("file").and_then(|files| files.get(path)).ok_or_else(|| {
        format!("the file `{path}` cannot be read; create it, or give a default: `file[\"{path}\"] // \"…\"`")
    })
}

/// Negative numbers count from the end.
pub(super) fn element(items: &[Value], index: i64) -> Option<&Value> {
    let index = if index < 0 { index.checked_add(i64::try_from(items.len()).ok()?)? } else { index };
    items.get(usize::try_from(index).ok()?)
}

/// `a string`, `an array`, `null`: for messages. Never the value itself, which may be a secret.
pub(super) fn with_article(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
