//! Lists that come in pages: what a connector says of one page, and how far a list is followed.

use crate::Value;

/// Where a page stands, in words that only the connector understands that gave them.
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor(pub Value);

/// How far the pages of an operation are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// So many pages are read for one call.
    pub max_pages: usize,
    /// So many items are given for one call.
    pub max_items: usize,
    /// So much comes over the wire for the pages of one call; the first page is always given.
    pub max_bytes: u64,
    /// Whether a list that is not whole is an error.
    pub whole: bool,
    /// Whether a tool that is such a call takes a cursor, to go on where the last call ended.
    pub cursor_argument: bool,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    pub items: Vec<Value>,
    /// The page after this one; nothing if this is the last one.
    pub next: Option<Cursor>,
    /// How many items the whole list has, where the system tells.
    pub total: Option<u64>,
    /// What came over the wire for it.
    pub bytes: u64,
}

/// Where a list goes on; at its beginning by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Position {
    /// The first page without it.
    pub page: Option<Cursor>,
    /// So many items of that page were given already.
    pub skip: usize,
}
