//! Arguments that a header repeats, where a tool's schema says so (`x-mcp-header`), so that what stands between can route
//! by them. Which ones is in the list of tools, which is read with the first call.

use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use renkei_core::{Result, Value, call::Attempt};

use super::{Exchanged, Remote};
use crate::mcp::link::{Answered, Ask, Terms};

/// More pages of a list than this have no end.
const MAX_PAGES: usize = 100;
/// Deeper in a schema nobody is looked for.
const MAX_DEPTH: usize = 16;

/// Of each tool that has some: the way to the argument, and its header.
type Known = IndexMap<String, Vec<(Vec<Arc<str>>, String)>>;

#[derive(Default)]
pub(super) struct Mirrors {
    known: Mutex<Option<Arc<Known>>>,
    /// Held by whoever reads the list.
    reading: tokio::sync::Mutex<()>,
}

impl Mirrors {
    /// The headers of a call.
    pub(super) async fn of(
        &self,
        remote: &Remote,
        terms: &Terms,
        ask: &Ask<'_>,
    ) -> Result<Vec<(String, String)>> {
        let known = match self.known() {
            Some(known) => known,
            None => {
                let _reading = self.reading.lock().await;
                match self.known() {
                    Some(known) => known,
                    None => {
                        let known = Arc::new(read(remote, terms, ask).await?);
                        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
                        known
                    }
                }
            }
        };
        let Some(mirrors) = ask.name().and_then(|name| known.get(name)) else { return Ok(Vec::new()) };
        let arguments = ask.params.get("arguments").cloned().unwrap_or_default();
        let header = |(path, header): &(Vec<Arc<str>>, String)| {
            let found = path.iter().try_fold(&arguments, |value, key| value.get(key))?;
            let text = match found {
                Value::String(text) => text.to_string(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                _ => return None,
            };
            Some((header.clone(), text))
        };
        Ok(mirrors.iter().filter_map(header).collect())
    }

    /// Reads the list again with the next call; says whether it had been read.
    pub(super) fn forget(&self) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    fn known(&self) -> Option<Arc<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn read(remote: &Remote, terms: &Terms, ask: &Ask<'_>) -> Result<Known> {
    let mut known = Known::new();
    let mut cursor = None;
    for _ in 0..MAX_PAGES {
        // Nothing of the call itself is sent by this.
        let attempt = Arc::<Attempt>::default();
        let list = Ask::new("tools/list", &attempt, ask.request);
        let list = list.with(cursor.take().map(|cursor: Value| ("cursor", cursor)));
        let Exchanged::Answered(Answered { answer: Ok(page), .. }) = remote.exchange(terms, &list).await?
        else {
            // A server without a list may have tools all the same.
            break;
        };
        for tool in page.get("tools").and_then(Value::as_array).unwrap_or_default() {
            let mut found = Vec::new();
            if let Some(schema) = tool.get("inputSchema") {
                collect(schema, &mut Vec::new(), &mut found);
            }
            if let Some(name) = tool.get("name").and_then(Value::as_str).filter(|_| !found.is_empty()) {
                known.insert(name.to_owned(), found);
            }
        }
        cursor = page.get("nextCursor").filter(|cursor| cursor.as_str().is_some()).cloned();
        if cursor.is_none() {
            break;
        }
    }
    Ok(known)
}

/// The annotated properties that are reached through `properties` alone.
fn collect(schema: &Value, path: &mut Vec<Arc<str>>, found: &mut Vec<(Vec<Arc<str>>, String)>) {
    if path.len() == MAX_DEPTH {
        return;
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        path.push(name.clone());
        if let Some(header) = property.get("x-mcp-header").and_then(Value::as_str) {
            found.push((path.clone(), format!("mcp-param-{}", header.to_ascii_lowercase())));
        }
        collect(property, path, found);
        path.pop();
    }
}
