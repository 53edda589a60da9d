//! The values of one call go into the gaps of a statement.

use std::fmt::Write as _;

use renkei_core::{Result, Value};

use super::{Scalar, Segment, Statement};
use crate::sql::{
    Origin,
    dialect::{Dialect, Parameters},
};

/// The most elements that a list in a statement may have.
pub const MAX_LIST: usize = 1_000;

/// A statement ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    pub text: String,
    /// In the order of the parameters; absent is null. Scalars, unless the dialect takes structures.
    pub values: Vec<Value>,
    /// Of each of the values.
    pub origins: Vec<Origin>,
}

impl Rendered {
    fn push(&mut self, value: Value, origin: Origin) {
        self.values.push(value);
        self.origins.push(origin);
    }

    /// Who chose a value, by its place.
    pub fn origin(&self, at: usize) -> Origin {
        self.origins.get(at).copied().unwrap_or_default()
    }
}

impl Statement {
    /// Puts the values of one call into the gaps.
    pub fn render(&self, params: &[Option<Value>]) -> Result<Rendered> {
        let mut done = Rendered { text: String::new(), values: Vec::new(), origins: Vec::new() };
        if let Parameters::Numbered(_) = self.dialect.parameters {
            for scalar in &self.scalars {
                done.push(scalar.value(params, self.dialect)?, scalar.origin);
            }
        }
        for segment in &self.segments {
            match segment {
                Segment::Text(part) => done.text.push_str(part),
                Segment::Scalar(index) => match self.dialect.parameters {
                    Parameters::Numbered(mark) => push(&mut done.text, mark, index + 1),
                    Parameters::InOrder(mark) => {
                        let scalar = &self.scalars[*index];
                        done.text.push_str(mark);
                        done.push(scalar.value(params, self.dialect)?, scalar.origin);
                    }
                },
                Segment::List { source, slot, origin, negated } => {
                    let items = list(source, *origin, param(params, *slot), self.dialect)?;
                    if items.is_empty() {
                        done.text.push_str(if *negated { self.dialect.no_rows } else { "null" });
                    }
                    for (at, item) in items.into_iter().enumerate() {
                        if at > 0 {
                            done.text.push_str(", ");
                        }
                        done.push(item, *origin);
                        match self.dialect.parameters {
                            Parameters::Numbered(mark) => push(&mut done.text, mark, done.values.len()),
                            Parameters::InOrder(mark) => done.text.push_str(mark),
                        }
                    }
                }
                // With spaces, so that it never grows together with what stands beside it.
                Segment::Choice(index) => {
                    let _ = write!(done.text, " {} ", self.choices[*index].pick(params)?);
                }
            }
        }
        Ok(done)
    }
}

fn push(text: &mut String, mark: &str, number: usize) {
    let _ = write!(text, "{mark}{number}");
}

fn param(params: &[Option<Value>], slot: usize) -> &Value {
    params.get(slot).and_then(Option::as_ref).unwrap_or(&Value::Null)
}

impl Scalar {
    fn value(&self, params: &[Option<Value>], dialect: &Dialect) -> Result<Value> {
        let value = param(params, self.slot);
        match self.list {
            true => list(&self.source, self.origin, value, dialect).map(Value::from),
            false => scalar(&self.source, self.origin, value, dialect),
        }
    }
}

fn scalar(source: &str, origin: Origin, value: &Value, dialect: &Dialect) -> Result<Value> {
    match value {
        Value::Array(_) | Value::Object(_) if dialect.structures => Ok(value.clone()),
        Value::Array(_) => Err(origin.error(&format!(
            "bind `${{{source}}}`: it is an array, and SQL takes single values; \
             write `in (${{{source}}})` for a list, or `tojson` for its text"
        ))),
        Value::Object(_) => Err(origin.error(&format!(
            "bind `${{{source}}}`: it is an object, and SQL takes single values; \
             write `${{{source} | tojson}}` for its text"
        ))),
        scalar => Ok(scalar.clone()),
    }
}

fn list(source: &str, origin: Origin, value: &Value, dialect: &Dialect) -> Result<Vec<Value>> {
    match value {
        Value::Array(items) if items.len() > MAX_LIST => Err(origin.error(&format!(
            "bind `${{{source}}}`: it has {} elements, and a list in SQL takes at most {MAX_LIST}; pass fewer",
            items.len()
        ))),
        Value::Array(items) => items.iter().map(|item| scalar(source, origin, item, dialect)).collect(),
        Value::Null => Ok(Vec::new()),
        single => Ok(vec![scalar(source, origin, single, dialect)?]),
    }
}
