//! Reads `pages`: checks what it says against itself and against the rest of its operation.

use http::Method;
use renkei_core::{
    Diagnostic, Diagnostics, Effect, FromNode as _, Node, NodeKind, Paging, Span, Tree, Value,
    read::{Bytes, wrong},
    template::Names,
};

use super::{
    Pages, Size, Spot, Way,
    config::{OnReply, PagesConfig, PagesWord, SizeWord, SpotConfig, SpotWord},
};
use crate::http::{body::Body, config::Config, headers::Header, prepare::ReadAs, target::Target, wire};

const MAX_PAGES: usize = 1_000;
const MAX_ITEMS: usize = 100_000;
const WAYS: [&str; 5] = ["number", "offset", "cursor", "link", "next_url"];

/// The rest of the operation, as far as it concerns its pages.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Around<'a> {
    pub(in crate::http) config: &'a Config,
    pub(in crate::http) method: &'a Method,
    pub(in crate::http) effect: Effect,
    pub(in crate::http) target: &'a Target,
    pub(in crate::http) headers: &'a [Header],
    pub(in crate::http) body: Option<&'a Body>,
    pub(in crate::http) read_as: Option<ReadAs>,
    pub(in crate::http) max_body: Option<Bytes>,
}

impl PagesWord {
    /// Checks what stands at `node`. Nothing, with diagnostics, if something is wrong.
    pub(in crate::http) fn read(
        &self,
        node: &Node,
        around: Around<'_>,
        d: &mut Diagnostics,
    ) -> Option<(Pages, Paging)> {
        let mut reader = Reader { node, given: &self.0, around, ok: true, d };
        reader.operation();
        let given = &self.0;
        let items = reader.template("items", given.items.as_ref());
        let more = reader.template("more", given.more.as_ref());
        let total = reader.template("total", given.total.as_ref());
        let way = reader.way();
        let size = reader.size();
        let paging = reader.paging();
        if !reader.ok {
            return None;
        }
        let any_path = self.0.any_path.as_ref().is_some_and(|any| any.value);
        let base = around.config.base_url.clone();
        Some((Pages { way: way?, items, more, total, size, base, any_path }, paging))
    }
}

struct Reader<'a, 'd> {
    node: &'a Node,
    given: &'a PagesConfig,
    around: Around<'a>,
    ok: bool,
    d: &'d mut Diagnostics,
}

impl Reader<'_, '_> {
    fn error(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.d.push(Diagnostic::error(span, message).hint(hint));
        self.ok = false;
    }

    fn key_span(&self, key: &str) -> Span {
        self.node.entry(key).map_or(self.node.span, |entry| entry.key_span)
    }

    /// Whether the operation can have pages at all.
    fn operation(&mut self) {
        let span = self.node.span;
        if self.around.effect != Effect::Read {
            let message = format!(
                "`pages` beside {}: only what reads can be asked for page by page",
                self.around.method
            );
            self.error(span, message, "if it only searches, add `effect: read` to the operation");
        } else if *self.around.method == Method::HEAD {
            self.error(span, "a reply to HEAD has no items", "write `get`");
        }
        if self.around.read_as == Some(ReadAs::Bytes) {
            self.error(span, "`pages` beside `as: bytes`: bytes have no items", "remove one of them");
        }
    }

    /// A template on the reply.
    fn template(&mut self, key: &str, found: Option<&OnReply>) -> Option<Tree> {
        let OnReply(found) = found?;
        let example = match found.as_str() {
            Some(text)
                if !text.is_empty()
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b)) =>
            {
                format!("${{$result.{}}}", text.trim_matches('.'))
            }
            _ => "${$result.data}".to_owned(),
        };
        if !matches!(found.kind, NodeKind::String(_)) {
            self.ok = false;
            return wrong(found, &format!("a template on the reply, such as `{example}`"), self.d);
        }
        // Here is a reply, and no input: its schema has no member.
        let no_input = Value::from([("type", "object".into()), ("additionalProperties", Value::Bool(false))]);
        let vars = ["result", "result_meta"].map(Into::into).into();
        let names = Names { input: Some(&no_input), vars, ..Names::default() };
        let tree = Tree::read(found, &names, self.d);
        self.ok &= tree.is_some();
        if tree.as_ref().is_some_and(|tree| tree.literal().is_some()) {
            self.error(
                found.span,
                format!("`{key}` is the same for every reply"),
                format!("ask the reply: `{key}: '{example}'`"),
            );
            return None;
        }
        tree
    }

    fn way(&mut self) -> Option<Way> {
        let (node, given) = (self.node, self.given);
        let short = node.as_str().is_some();
        let mut entries = WAYS.iter().filter_map(|key| node.entry(key));
        let Some(entry) = entries.next() else {
            if short {
                return Some(Way::Link("next".into()));
            }
            self.error(
                node.span,
                "`pages` does not say how one page leads to the next",
                "add one of `number: page`, `offset: skip`, `cursor: after` with `next`, `link: next`, `next_url: '${…}'`",
            );
            return None;
        };
        if let Some(second) = entries.next() {
            let message =
                format!("pages follow each other in one way, not by `{}` and `{}`", entry.key, second.key);
            self.d.push(
                Diagnostic::error(second.key_span, message)
                    .related(entry.key_span, "the first way")
                    .hint("keep the one that the system documents"),
            );
            self.ok = false;
            return None;
        }
        let way = &*entry.key;
        self.only_beside(way, "next", &["cursor"], "`next_url` is for a whole URL");
        self.only_beside(
            way,
            "first",
            &["number", "offset", "cursor"],
            "the system itself says where a page stands",
        );
        self.only_beside(
            way,
            "size",
            &["number", "offset"],
            "write it into `query`: `query: { per_page: 100 }`",
        );
        self.only_beside(way, "any_path", &["link", "next_url"], "only a URL can leave the path");
        match way {
            "number" => {
                let first = self.first_number(1);
                Some(Way::Number { spot: self.spot(given.number.as_ref()?)?, first: first? })
            }
            "offset" => {
                let first = self.first_number(0);
                Some(Way::Offset { spot: self.spot(given.offset.as_ref()?)?, first: first? })
            }
            "cursor" => {
                let spot = self.spot(given.cursor.as_ref()?);
                if given.next.is_none() {
                    self.error(
                        entry.key_span,
                        "`cursor` without `next`: where the cursor of the next page stands is not said",
                        "add `next: '${$result.next_cursor}'`",
                    );
                }
                let next = self.template("next", given.next.as_ref());
                let first = self.first_cursor();
                Some(Way::Cursor { spot: spot?, next: next?, first })
            }
            "link" => {
                let relation = given.link.as_ref()?;
                if relation.value.is_empty() || relation.value.contains(char::is_whitespace) {
                    self.error(relation.span, "this is not a relation of a link", "usually it is `next`");
                }
                Some(Way::Link(relation.value.clone()))
            }
            _ => Some(Way::NextUrl(self.template("next_url", given.next_url.as_ref())?)),
        }
    }

    fn first_number(&mut self, default: u64) -> Option<u64> {
        let Some(first) = &self.given.first else { return Some(default) };
        let number = first.value.as_i64().and_then(|number| u64::try_from(number).ok());
        if number.is_none() {
            let message =
                format!("the first page is asked for by a whole number, and `first` is `{}`", first.value);
            self.error(first.span, message, "write 0 or 1, as the system documents");
        }
        number
    }

    fn first_cursor(&mut self) -> Option<Value> {
        let first = self.given.first.as_ref()?;
        let text = first.value.as_str();
        if wire::scalar(&first.value).is_none()
            || text.is_some_and(|text| text.is_empty() || text.contains("${"))
        {
            let message = "`first` of a cursor is a text or a number, and no template";
            self.error(first.span, message, "write what the system documents, such as `*`");
        }
        Some(first.value.clone())
    }

    fn only_beside(&mut self, way: &str, key: &str, ways: &[&str], hint: &str) {
        if self.node.entry(key).is_some() && !ways.contains(&way) {
            let mut listed: Vec<String> = ways.iter().map(|way| format!("`{way}`")).collect();
            let last = listed.pop().unwrap_or_default();
            let owners = if listed.is_empty() { last } else { format!("{} and {last}", listed.join(", ")) };
            let message = format!("`{key}` belongs to {owners}, and the pages go by `{way}`");
            self.error(self.key_span(key), message, format!("remove it; {hint}"));
        }
    }

    fn spot(&mut self, given: &SpotConfig) -> Option<Spot> {
        match &given.0 {
            SpotWord::Query(name) => self.parameter(name, name.span).map(Spot::Query),
            SpotWord::Header(name) => {
                let header = wire::header_name(name, name.span, self.d);
                let Some(header) = header else {
                    self.ok = false;
                    return None;
                };
                let own = self.around.headers.iter().any(|own| own.name == header);
                if own || self.around.config.sets_header(&header).is_some() || header == http::header::HOST {
                    let message =
                        format!("the header `{}` is set already, and `pages` would set it, too", name.value);
                    self.error(name.span, message, "keep one of them");
                }
                Some(Spot::Header(header))
            }
            SpotWord::Body(path) => {
                let names: Vec<String> = path.value.split('.').map(str::to_owned).collect();
                if names.iter().any(String::is_empty) {
                    self.error(
                        path.span,
                        "this leads to no member",
                        "write names with dots between: `paging.after`",
                    );
                }
                if !matches!(self.around.body, Some(Body::Json(_))) {
                    self.error(
                        path.span,
                        "the page goes into the body, and the operation has no JSON body",
                        "add `body: {}`, or name a query parameter",
                    );
                }
                Some(Spot::Body(names))
            }
        }
    }

    /// The encoded name of a query parameter that only `pages` sets.
    fn parameter(&mut self, name: &str, span: Span) -> Option<String> {
        if name.is_empty() {
            self.error(
                span,
                "a query parameter has a name",
                "write the one that the system documents, such as `page`",
            );
            return None;
        }
        let encoded = wire::encode(name);
        if self.around.target.has_query(&encoded) {
            let message =
                format!("the operation sets the query parameter `{name}`, and `pages` sets it, too");
            self.error(span, message, format!("remove `{name}` from the path or `query` of the operation"));
            return None;
        }
        Some(encoded)
    }

    /// A number, or a parameter with a number.
    fn size(&mut self) -> Option<Size> {
        let SizeWord(node) = self.given.size.as_ref()?;
        let (parameter, number) = match node.as_map() {
            Some([entry]) => (Some(self.parameter(&entry.key, entry.key_span)?), &entry.value),
            Some(_) => {
                self.ok = false;
                return wrong(node, "a number, or one parameter with a number: `{ per_page: 100 }`", self.d);
            }
            None => (None, node),
        };
        match number.kind {
            NodeKind::Unknown => Some(Size { parameter, items: 1 }),
            NodeKind::Number(_) => match u64::from_node(number, self.d) {
                Some(items) if items > 0 => Some(Size { parameter, items }),
                Some(_) => {
                    self.error(
                        number.span,
                        "a page of no items would never end",
                        "write the size of a page, such as 100",
                    );
                    None
                }
                None => {
                    self.ok = false;
                    None
                }
            },
            _ => {
                self.ok = false;
                wrong(number, "a number, or one parameter with a number: `{ per_page: 100 }`", self.d)
            }
        }
    }

    fn paging(&mut self) -> Paging {
        let given = self.given;
        for (key, limit, most) in
            [("max_pages", &given.max_pages, MAX_PAGES), ("max_items", &given.max_items, MAX_ITEMS)]
        {
            if !(1..=most).contains(&limit.value) {
                let message = format!("`{key}` is {}", limit.value);
                self.error(limit.span, message, format!("write a number from 1 to {most}"));
            }
        }
        let wanted = given.cursor_argument.as_ref();
        if let Some(wanted) = wanted.filter(|wanted| wanted.value && given.whole) {
            self.error(
                wanted.span,
                "`cursor_argument: true` beside `whole: true`: a list that is given whole does not go on",
                "remove one of them",
            );
        }
        Paging {
            max_pages: given.max_pages.value,
            max_items: given.max_items.value,
            max_bytes: self.around.max_body.unwrap_or(self.around.config.max_body).0,
            whole: given.whole,
            cursor_argument: wanted.map_or(!given.whole, |wanted| wanted.value),
        }
    }
}
