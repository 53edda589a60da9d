//! `pages:` of an operation: how one page of a list leads to the next.
//!
//! Nothing here asks for a page: a request names one, its reply says which one follows, and the pattern decides whether
//! to go on. Reading order: `config` with `read`, `turn` (what a page changes about the request), `follow` (what a reply says of
//! its page), `link` (the header `Link`).

mod config;
mod follow;
mod link;
mod read;
mod turn;

pub(super) use self::{
    config::PagesWord,
    follow::Seen,
    read::Around,
    turn::{Member, Turn},
};

use http::HeaderName;
use renkei_core::{Tree, Value};
use url::Url;

/// How the pages of an operation are asked for and found.
#[derive(Debug)]
pub(super) struct Pages {
    way: Way,
    /// The reply itself without it.
    items: Option<Tree>,
    more: Option<Tree>,
    total: Option<Tree>,
    size: Option<Size>,
    /// Where a URL of a next page has to stay.
    base: Url,
    any_path: bool,
}

/// How one page leads to the next.
#[derive(Debug)]
enum Way {
    Number {
        spot: Spot,
        first: u64,
    },
    Offset {
        spot: Spot,
        first: u64,
    },
    Cursor {
        spot: Spot,
        next: Tree,
        /// What asks for the first page.
        first: Option<Value>,
    },
    /// The header `Link`, by its relation.
    Link(String),
    NextUrl(Tree),
}

/// Where a number, an offset or a cursor goes in the request.
#[derive(Debug)]
enum Spot {
    /// Percent-encoded already.
    Query(String),
    Header(HeaderName),
    /// The names that lead to a member of the JSON body.
    Body(Vec<String>),
}

impl Pages {
    /// The header that asks for a page.
    pub(super) fn header(&self) -> Option<&HeaderName> {
        match &self.way {
            Way::Number { spot, .. } | Way::Offset { spot, .. } | Way::Cursor { spot, .. } => match spot {
                Spot::Header(name) => Some(name),
                Spot::Query(_) | Spot::Body(_) => None,
            },
            Way::Link(_) | Way::NextUrl(_) => None,
        }
    }
}

#[derive(Debug)]
struct Size {
    /// Percent-encoded already; the operation says it by itself without it.
    parameter: Option<String>,
    items: u64,
}
