//! A request as data: for config tests and dry runs.

use renkei_core::{Map, Request, Result, Value};

use super::{call, config::Config, pages::Turn, prepare::Plan, wire};

/// `{ method, path, query, headers, body | form | multipart | raw }`, without what is empty. The path is
/// the operation's, encoded and without that of `base_url`; the headers are the operation's.
pub(super) fn show(config: &Config, request: &Request) -> Result<Value> {
    let plan = Plan::of(request)?;
    let (slots, params) = (&plan.slots, &request.params);
    let turn = Turn::of(plan, request)?;
    let (path, query) = call::target(&config.base_url, plan, request, &turn)?;
    let base = config.base_url.path().trim_end_matches('/');
    // Only a next page may lie outside.
    let path = path.strip_prefix(base).filter(|rest| rest.starts_with('/')).unwrap_or(&path);
    let mut map = Map::new();
    map.insert("method".into(), plan.method.as_str().into());
    map.insert("path".into(), path.into());
    if let Some(query) = query {
        map.insert("query".into(), wire::decoded_pairs(query.as_bytes()));
    }
    let headers = call::op_headers(plan, request, &turn)?;
    if !headers.is_empty() {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: Map =
            headers.iter().map(|(name, value)| (name.as_str().into(), text(value).into())).collect();
        map.insert("headers".into(), headers.into());
    }
    // Refuses what is too large.
    call::body(config, plan, request, &turn)?;
    if let Some(body) = &plan.body
        && let Some((key, value)) = body.show(slots, params, plan.style, turn.body.as_ref())?
    {
        map.insert(key.into(), value);
    }
    Ok(map.into())
}
