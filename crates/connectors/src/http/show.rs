//! A request as data: for config tests and dry runs.

use renkei_core::{Map, Request, Result, Value};

use super::{call, config::Config, prepare::Plan, wire};

/// `{ method, path, query, headers, body | form | multipart | raw }`, without what is empty. The path is
/// the operation's, encoded and without that of `base_url`; the headers are the operation's.
pub(super) fn show(config: &Config, request: &Request) -> Result<Value> {
    let plan = Plan::of(request)?;
    let (slots, params) = (&plan.slots, &request.params);
    let mut map = Map::new();
    map.insert("method".into(), plan.method.as_str().into());
    map.insert("path".into(), plan.target.path(slots, params)?.into());
    if let Some(query) = plan.target.query(slots, params, plan.style)? {
        map.insert("query".into(), wire::decoded_pairs(query.as_bytes()));
    }
    let headers = call::op_headers(plan, request)?;
    if !headers.is_empty() {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: Map =
            headers.iter().map(|(name, value)| (name.as_str().into(), text(value).into())).collect();
        map.insert("headers".into(), headers.into());
    }
    // Refuses what is too large.
    call::body(config, plan, request)?;
    if let Some(body) = &plan.body
        && let Some((key, value)) = body.show(slots, params, plan.style)?
    {
        map.insert(key.into(), value);
    }
    Ok(map.into())
}
