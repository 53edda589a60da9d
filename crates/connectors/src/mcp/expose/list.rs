//! The list of a server's tools, page by page.

use std::sync::Arc;

use renkei_core::{Error, Request, Result, Value, call::Attempt};

use crate::mcp::{
    error,
    link::{Ask, Link, Terms},
    message::{self, METHOD_NOT_FOUND},
};

/// More pages of a list than this have no end.
const MAX_PAGES: usize = 100;
/// No list that is of use is longer: what comes after it is left out.
const MAX_ITEMS: usize = 20_000;

/// All tools of the server, as it gave them. A server that knows no such list has none.
pub(super) async fn tools(link: &dyn Link, terms: &Terms, request: &Request) -> Result<Vec<Value>> {
    let (mut all, mut cursor) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let attempt = Arc::<Attempt>::default();
        let ask = Ask::new("tools/list", &attempt, request);
        let ask = ask.with(cursor.take().map(|cursor: Value| ("cursor", cursor)));
        let page = match link.ask(terms, ask).await?.answer {
            Ok(page) => page,
            Err(fault) if fault.code == METHOD_NOT_FOUND && all.is_empty() => return Ok(all),
            Err(fault) => {
                let system = &request.op.system;
                let why = message::shown(&fault.message);
                let text = format!("system `{system}` refused `tools/list`: {why} (code {})", fault.code);
                return Err(Error::unavailable(text));
            }
        };
        let Some(tools) = page.get("tools").and_then(Value::as_array) else {
            return Err(error::strange(request, "what is no list of tools"));
        };
        all.extend(tools.iter().take(MAX_ITEMS - all.len()).cloned());
        cursor = page.get("nextCursor").filter(|cursor| cursor.as_str().is_some()).cloned();
        if cursor.is_none() || all.len() == MAX_ITEMS {
            break;
        }
    }
    Ok(all)
}
