//! `#[derive(FromNode)]`: reading typed config, and its JSON Schema, from one type (decision 0005).
//!
//! A struct with named fields reads a mapping; an enum reads a word (unit variants) or a mapping
//! with exactly one key (variants with one unnamed field). Doc comments are the manual.
//!
//! On a field: `#[config(default)]`, `#[config(default = 5)]` (also `"30s"`, `true`, `1.5`),
//! `#[config(rename = "type")]` (on a variant, too). On a type: `#[config(check = path)]`, a
//! `fn(&Self, &Node, &mut Diagnostics)` that runs after a successful read in which all is known.

mod attributes;
mod expand;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `renkei_core::FromNode`.
#[proc_macro_derive(FromNode, attributes(config))]
pub fn from_node(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
