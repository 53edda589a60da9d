//! A request as data: for config tests and dry runs.

use std::sync::Arc;

use renkei_core::{Request, Result, Value};

use super::{Plan, Rendered};

/// `{ sql, params }`, or `{ transaction: [{ sql, params }, …] }`: [`System::show`] of every SQL system.
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
        .map(|part| Value::from([("sql", Value::from(part.text)), ("params", part.values.into())]))
        .collect();
    match plan.transaction {
        false if parts.len() == 1 => parts.remove(0),
        _ => Value::from([("transaction", parts)]),
    }
}
