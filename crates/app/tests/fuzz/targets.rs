//! What must hold for every input: a function a target takes bytes, and panics where it does not hold. They reach the
//! code as its users do, through the public API of each crate.
//!
//! `cargo xtask fuzz` drives them with inputs that coverage leads to (`fuzz/`); the tests here, with a few.

#[path = "config.rs"]
mod config;
#[path = "http.rs"]
mod http;
#[path = "mcp.rs"]
mod mcp;
#[path = "seeds.rs"]
pub mod seeds;
#[path = "sql.rs"]
mod sql;
#[path = "templates.rs"]
mod templates;

use renkei_core::{Node, NodeKind, Span, node::Text};

/// A name, and what takes an input.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 5] = [
    ("config", config::check),
    ("templates", templates::check),
    ("sql", sql::check),
    ("http", http::check),
    ("mcp", mcp::check),
];

/// A text as if a file held nothing else, so that spans are offsets in it.
fn text_node(text: &str) -> Node {
    let span = Span { file: 0, start: 0, end: u32::try_from(text.len()).unwrap_or(u32::MAX) };
    Node { kind: NodeKind::String(Text { verbatim: Some(0), ..Text::new(text) }), span }
}
