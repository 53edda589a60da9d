//! What stands under `pages`.

use renkei_core::{
    Definitions, Diagnostics, Entry, FromNode, Node, NodeKind, Schema, Span, Value,
    read::{Spanned, wrong},
};
use renkei_derive::FromNode;

/// The replies are pages of a list, which are followed. Exactly one of `number`, `offset`, `cursor`, `link` and
/// `next_url` says how; `link` alone is short for `{ link: next }`. The result is the list of all items; `max_body`
/// holds for all pages together. The templates see the reply of one page as `$result` and `$result_meta`.
#[derive(Debug, FromNode)]
pub(super) struct PagesConfig {
    /// The pages are numbered: the query parameter that takes the number, such as `page`.
    pub(super) number: Option<SpotConfig>,
    /// A page begins after so many items: the query parameter that takes how many, such as `skip`.
    pub(super) offset: Option<SpotConfig>,
    /// Each page names the next one: the query parameter that takes the name, such as `after`; `next` says where it
    /// stands.
    pub(super) cursor: Option<SpotConfig>,
    /// Where the cursor of the next page stands, such as `${$result.paging.next}`. Absent, null, false or empty: there
    /// is no further page.
    pub(super) next: Option<OnReply>,
    /// The header `Link` leads to the next page (RFC 8288): by which relation, usually `next`.
    pub(super) link: Option<Spanned<String>>,
    /// Where the URL of the next page stands, such as `${$result.links.next}`; it may be relative. Absent, null, false
    /// or empty: there is no further page.
    pub(super) next_url: Option<OnReply>,
    /// Where the items stand, such as `${$result.data}`. Without it, the reply itself is the list.
    pub(super) items: Option<OnReply>,
    /// Whether a further page follows, such as `${$result.has_more}`: null and false end the list.
    pub(super) more: Option<OnReply>,
    /// How many items the whole list has, such as `${$result.total}` or `${$result_meta.headers["x-total-count"]}`. It
    /// ends the list, and is told.
    pub(super) total: Option<OnReply>,
    /// The number of the first page (1 unless set), the first offset (0), or the cursor that asks for the first page,
    /// such as `*` (none).
    pub(super) first: Option<Spanned<Value>>,
    /// How many items a page has: `{ per_page: 100 }` also asks for it. A page with fewer is the last one, so it must be
    /// what the system grants. Without `size`, `more` and `total`, an empty page ends the list.
    pub(super) size: Option<SizeWord>,
    /// Whether the next page may leave the path of `base_url`. It never leaves its origin.
    pub(super) any_path: Option<Spanned<bool>>,
    /// How many pages are read for one call: 1 to 1000.
    #[config(default = 10)]
    pub(super) max_pages: Spanned<usize>,
    /// How many items are given for one call: 1 to 100000.
    #[config(default = 1000)]
    pub(super) max_items: Spanned<usize>,
    /// Whether only a whole list is of use: one that goes on after `max_pages` or `max_items`, or of which a page cannot
    /// be read, is an error then. Otherwise what is there is given, and it is told that the list goes on.
    #[config(default = false)]
    pub(super) whole: bool,
    /// Whether a tool that is this call alone takes an argument `cursor`, to go on where the last call ended. It does
    /// unless `whole` is set.
    pub(super) cursor_argument: Option<Spanned<bool>>,
}

/// Where something goes: a query parameter, or `{ header: NAME }`, or `{ body: PATH }` for a member of the JSON body.
#[derive(Debug, FromNode)]
pub(super) enum SpotWord {
    /// The name of a query parameter.
    Query(Spanned<String>),
    /// The name of a header.
    Header(Spanned<String>),
    /// The names that lead to a member of the JSON body, such as `paging.after`.
    Body(Spanned<String>),
}

#[derive(Debug)]
pub(super) struct SpotConfig(pub(super) SpotWord);

impl FromNode for SpotConfig {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        if node.as_str().is_some() {
            return Spanned::from_node(node, d).map(|name| SpotConfig(SpotWord::Query(name)));
        }
        SpotWord::from_node(node, d).map(SpotConfig)
    }

    fn schema(defs: &mut Definitions) -> Schema {
        Value::from([("oneOf", vec![String::schema(defs), SpotWord::schema(defs)])])
    }
}

/// A template on the reply; read by `Reader::template`, which knows what is in reach.
#[derive(Debug)]
pub(super) struct OnReply(pub(super) Node);

impl FromNode for OnReply {
    fn from_node(node: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(OnReply(node.clone()))
    }

    fn schema(defs: &mut Definitions) -> Schema {
        String::schema(defs)
    }
}

/// A number, or a parameter with a number; read by `Reader::size`, which knows the other parameters.
#[derive(Debug)]
pub(super) struct SizeWord(pub(super) Node);

impl FromNode for SizeWord {
    fn from_node(node: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(SizeWord(node.clone()))
    }

    fn schema(_: &mut Definitions) -> Schema {
        let number = || Value::from([("type", Value::from("integer")), ("minimum", 1i64.into())]);
        let parameter = Value::from([
            ("type", Value::from("object")),
            ("additionalProperties", number()),
            ("minProperties", 1i64.into()),
            ("maxProperties", 1i64.into()),
        ]);
        Value::from([("oneOf", vec![number(), parameter])])
    }
}

/// What stands under `pages`.
#[derive(Debug)]
pub(in crate::http) struct PagesWord(pub(super) PagesConfig);

impl FromNode for PagesWord {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match node.as_str() {
            Some("link") => {
                let whole = Node { kind: NodeKind::Map(vec![short(node.span)]), span: node.span };
                PagesConfig::from_node(&whole, d).map(PagesWord)
            }
            Some(_) => {
                wrong(node, "`link`, or a mapping such as `{ number: page, items: '${$result.data}' }`", d)
            }
            None => PagesConfig::from_node(node, d).map(PagesWord),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        let short = Value::from([("const", "link")]);
        Value::from([("oneOf", vec![short, PagesConfig::schema(defs)])])
    }
}

fn short(span: Span) -> Entry {
    let next = Node { kind: NodeKind::String(renkei_core::node::Text::new("next")), span };
    Entry { key: "link".into(), key_span: span, value: next }
}
