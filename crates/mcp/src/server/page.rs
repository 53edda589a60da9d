//! Long lists in pages. A cursor is opaque to clients, and checked when it comes back.

use std::ops::Range;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rmcp::{ErrorData, model::PaginatedRequestParams};

/// A page of a list: which entries, and how to ask for those after it.
#[derive(Debug, PartialEq)]
pub(super) struct Page {
    pub(super) range: Range<usize>,
    pub(super) next: Option<String>,
}

/// The page of `list` (its method) with `total` entries that is asked for, of at most `size`.
pub(super) fn page(
    request: Option<&PaginatedRequestParams>,
    list: &str,
    total: usize,
    size: usize,
) -> Result<Page, ErrorData> {
    let cursor = request.and_then(|request| request.cursor.as_deref());
    let from = match cursor {
        None => 0,
        Some(cursor) => read(cursor, list).ok_or_else(|| {
            ErrorData::invalid_params("this cursor is none of this list: begin without one", None)
        })?,
    };
    // A list may have become shorter since.
    let from = from.min(total);
    let to = from.saturating_add(size).min(total);
    let next = (to < total).then(|| URL_SAFE_NO_PAD.encode(format!("{list} {to}")));
    Ok(Page { range: from..to, next })
}

fn read(cursor: &str, list: &str) -> Option<usize> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (of, from) = std::str::from_utf8(&bytes).ok()?.split_once(' ')?;
    if of == list { from.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(cursor: Option<&str>, list: &str, total: usize) -> Option<Page> {
        let request = PaginatedRequestParams::default().with_cursor(cursor.map(str::to_owned));
        page(Some(&request), list, total, 10).ok()
    }

    #[test]
    fn pages_follow_each_other() {
        let first = page(None, "tools/list", 25, 10).unwrap();
        assert_eq!(first.range, 0..10);
        let second = ask(first.next.as_deref(), "tools/list", 25).unwrap();
        assert_eq!(second.range, 10..20);
        let third = ask(second.next.as_deref(), "tools/list", 25).unwrap();
        assert_eq!(third, Page { range: 20..25, next: None });
        // The list became shorter.
        assert_eq!(
            ask(second.next.as_deref(), "tools/list", 12).unwrap(),
            Page { range: 12..12, next: None }
        );
        assert_eq!(ask(None, "tools/list", 10).unwrap(), Page { range: 0..10, next: None });
    }

    #[test]
    fn foreign_cursors_are_refused() {
        let next = page(None, "tools/list", 25, 10).unwrap().next;
        assert_eq!(ask(next.as_deref(), "prompts/list", 25), None);
        for wrong in ["", "x", "10", "dG9vbHMvbGlzdA", "dG9vbHMvbGlzdCAteA"] {
            assert_eq!(ask(Some(wrong), "tools/list", 25), None, "{wrong}");
        }
    }
}
