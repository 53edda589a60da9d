//! A request as data: for config tests and dry runs.

use std::sync::Arc;

use renkei_core::{Request, Result, Value};

use super::{Plan, Rendered};

/// `{ sql, params }`, or `{ transaction: [{ sql, params }, …] }`: [`System::show`] of every SQL system. White space
/// between words is a single space.
///
/// # Errors
/// A value that cannot be bound, or an operation of another system.
///
/// [`System::show`]: renkei_core::System::show
pub fn show(request: &Request, system: &Arc<str>) -> Result<Value> {
    let plan = Plan::of(request, system)?;
    let rendered = plan.render(&request.params)?;
    Ok(rendered_as_data(plan, rendered))
}

/// The same of statements that have their values already.
pub fn rendered_as_data(plan: &Plan, rendered: Vec<Rendered>) -> Value {
    let mut parts: Vec<Value> = rendered
        .into_iter()
        .map(|part| Value::from([("sql", Value::from(plain(&part.text))), ("params", part.values.into())]))
        .collect();
    match plan.transaction {
        false if parts.len() == 1 => parts.remove(0),
        _ => Value::from([("transaction", parts)]),
    }
}

/// A statement on one line: with single spaces, none inside parentheses and before commas. What is quoted stays.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    let mut space = false;
    for letter in text.trim().trim_end_matches(';').trim_end().chars() {
        if let Some(open) = quote {
            out.push(letter);
            if letter == open {
                quote = None;
            }
            continue;
        }
        if letter.is_whitespace() {
            space = true;
            continue;
        }
        if space && !matches!(letter, ',' | ')') && !out.ends_with('(') {
            out.push(' ');
        }
        space = false;
        out.push(letter);
        if matches!(letter, '\'' | '"' | '`') {
            quote = Some(letter);
        }
    }
    out
}
