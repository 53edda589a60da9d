//! Takes an operation apart at start: what stands under `call: { SYSTEM: … }`.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method};
use indexmap::IndexMap;
use renkei_core::{
    Diagnostic, Diagnostics, Effect, Error, FromNode, Kind, Node, NodeKind, PreparedOp, Request, Result,
    Tree, Value, diagnostic,
    read::Bytes,
    template::{Names, Piece, split},
};
use renkei_derive::FromNode;

use super::{
    body::Body,
    config::Config,
    headers::{self, Header, KeyHeader},
    pages::{Around, Pages, PagesWord},
    target::{Style, Target},
    wire,
};
use crate::slots::{Slot, Slots};

/// One operation of an HTTP system. In short `GET /customers/${.id}`; in long a mapping with the
/// method as key and the path as its value.
#[derive(Debug, Default, FromNode)]
#[config(check = one_body)]
#[expect(dead_code, reason = "values with templates are read from the node, which has their places")]
struct Op {
    /// The path, such as `/customers/${.id}`. `${+ .path}` fills several segments.
    get: Option<Node>,
    /// The path; the reply has headers only.
    head: Option<Node>,
    /// The path.
    options: Option<Node>,
    /// The path.
    post: Option<Node>,
    /// The path.
    put: Option<Node>,
    /// The path.
    patch: Option<Node>,
    /// The path.
    delete: Option<Node>,
    /// Query parameters beside those in the path. One that is absent or null disappears, a list is
    /// repeated.
    #[config(default)]
    query: IndexMap<Arc<str>, Node>,
    /// Headers of this operation, beside those of the system. One that is absent or null disappears.
    #[config(default)]
    headers: IndexMap<Arc<str>, Node>,
    /// Carries it out only if what is there still has this entity tag (`If-Match`), so that nobody's change is
    /// overwritten: the `etag` in the meta of an earlier reply. Without a value nothing is sent. What was changed
    /// meanwhile is a `conflict`.
    if_match: Option<Node>,
    /// Carries it out only if what is there does not have this entity tag (`If-None-Match`): `'*'` creates what must
    /// not be there yet; with the `etag` of an earlier reply, a read of what is unchanged gives null, and
    /// `not_modified` in its meta.
    if_none_match: Option<Node>,
    /// Sends the key of the step, `$key`, so that the system recognises a repeat: `true` in the header
    /// `Idempotency-Key`, or the name of another header; `false` where the system does so and this operation must not.
    idempotency_key: Option<KeyHeader>,
    /// Sent as JSON. Absent members disappear, null stays.
    body: Option<Node>,
    /// Sent as `application/x-www-form-urlencoded`. A field that is absent or null disappears, a
    /// list is repeated.
    form: Option<Node>,
    /// Sent as `multipart/form-data`: for each part a value, or `{ value | base64, filename, content_type }`.
    multipart: Option<Node>,
    /// Sent as it is: `{ body | base64, content_type }`.
    raw: Option<Node>,
    /// The media types that are asked for.
    accept: Option<String>,
    /// Reads the reply as this, whatever type it names.
    #[config(rename = "as")]
    read_as: Option<ReadAs>,
    /// How a list in `query` or `form` is written.
    #[config(default)]
    style: Style,
    /// What a status means, such as `404: not_found` or `409: rejected`.
    #[config(default)]
    errors: Errors,
    /// What a repeat would do, where the method does not tell: a search by `POST` is a `read`.
    effect: Option<EffectWord>,
    /// The largest reply body that is read, instead of the system's.
    max_body: Option<Bytes>,
    /// Follows the pages of a list.
    pages: Option<PagesWord>,
}

/// How a reply body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromNode)]
pub(super) enum ReadAs {
    Json,
    Text,
    Bytes,
}

#[derive(Clone, Copy, Debug, FromNode)]
enum EffectWord {
    /// Changes nothing.
    Read,
    /// A repeat changes nothing more.
    Idempotent,
    /// A repeat may do it twice.
    Write,
}

/// From status to kind of error.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<(u16, Kind)>);

impl Errors {
    pub(super) fn get(&self, status: u16) -> Option<Kind> {
        self.0.iter().find(|(of, _)| *of == status).map(|(_, kind)| *kind)
    }
}

impl FromNode for Errors {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        if matches!(node.kind, NodeKind::Unknown) {
            return Some(Self::default());
        }
        let Some(entries) = node.as_map() else {
            return renkei_core::read::wrong(node, "a mapping such as `404: not_found`", d);
        };
        let mut errors = Vec::with_capacity(entries.len());
        for entry in entries {
            let status = entry.key.parse::<u16>().ok().filter(|status| (300..600).contains(status));
            if status.is_none() {
                d.push(
                    Diagnostic::error(
                        entry.key_span,
                        format!("`{}` is not the status of an error", entry.key),
                    )
                    .hint("write one from 300 to 599, such as `404: not_found`"),
                );
            }
            let word = entry.value.as_str().unwrap_or_default();
            let kind = Kind::parse(word);
            if kind.is_none() {
                let words = Kind::ALL.map(Kind::as_str);
                let hint = match diagnostic::suggest(word, words) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => format!("one of `{}`", words.join("`, `")),
                };
                let message = format!("`{word}` is not a kind of error");
                d.push(Diagnostic::error(entry.value.span, message).hint(hint));
            }
            errors.extend(status.zip(kind));
        }
        Some(Errors(errors))
    }

    fn schema(_: &mut renkei_core::Definitions) -> renkei_core::Schema {
        let words: Vec<Value> = Kind::ALL.iter().map(|kind| kind.as_str().into()).collect();
        Value::from([
            ("type", Value::from("object")),
            ("propertyNames", Value::from([("pattern", "^[345][0-9]{2}$")])),
            ("additionalProperties", Value::from([("enum", Value::from(words))])),
        ])
    }
}

/// Of one operation: a text or a mapping.
pub(super) fn schema(defs: &mut renkei_core::Definitions) -> renkei_core::Schema {
    let short = Value::from([
        ("type", "string"),
        ("pattern", "^(GET|HEAD|OPTIONS|POST|PUT|PATCH|DELETE) /"),
        ("description", "Method and path, such as `GET /customers/${.id}?expand=${.expand}`."),
    ]);
    Value::from([("oneOf", Value::from(vec![short, Op::schema(defs)]))])
}

/// What this connector keeps of an operation.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) headers: Vec<Header>,
    /// The header that carries `$key`.
    pub(super) key: Option<HeaderName>,
    pub(super) body: Option<Body>,
    pub(super) accept: Option<HeaderValue>,
    pub(super) read_as: Option<ReadAs>,
    pub(super) style: Style,
    pub(super) errors: Errors,
    pub(super) max_body: Option<Bytes>,
    pub(super) pages: Option<Pages>,
    pub(super) slots: Slots,
}

impl Plan {
    pub(super) fn of(request: &Request) -> Result<&Plan> {
        request.op.plan().ok_or_else(|| {
            Error::internal(format!(
                "an operation of another connector came to the HTTP system `{}`",
                request.op.system
            ))
        })
    }

    /// The error with what a model can do about it, where its status alone does not say so.
    pub(super) fn explained(&self, error: Error) -> Error {
        if error.status_code() == Some(412) && self.headers.iter().any(Header::is_condition) {
            return error
                .adding("it is not in the state that was expected: read it again before another try");
        }
        error
    }
}

const METHODS: [(&str, Method); 7] = [
    ("get", Method::GET),
    ("head", Method::HEAD),
    ("options", Method::OPTIONS),
    ("post", Method::POST),
    ("put", Method::PUT),
    ("patch", Method::PATCH),
    ("delete", Method::DELETE),
];

/// Checks an operation and takes it apart.
pub(super) fn prepare(
    system: &Arc<str>,
    config: &Config,
    node: &Node,
    names: &Names<'_>,
    d: &mut Diagnostics,
) -> Option<PreparedOp> {
    let mut slots = Slots::default();
    // All parts are read before the first failure is returned: every problem is to be seen at once.
    let (op, target) =
        match &node.kind {
            NodeKind::String(_) => (Some(Op::default()), short(node, names, &mut slots, d)),
            NodeKind::Map(_) => (Op::from_node(node, d), long(node, names, &mut slots, d)),
            _ => {
                let message = format!("expected an operation, found {}", node.what());
                d.push(Diagnostic::error(node.span, message).hint(
                    "write `GET /customers/${.id}`, or a mapping such as `{ post: /customers, body: … }`",
                ));
                return None;
            }
        };
    let query = read_query(node, names, &mut slots, d);
    let headers = headers::read(node, config, names, &mut slots, d);
    let body = Body::read(node, names, &mut slots, d);
    let (op, (method, mut target), query, headers, body) = (op?, target?, query?, headers?, body?);
    let accept = match op.accept.as_deref().map(wire::header_value) {
        Some(Err(why)) => {
            d.error(node.get("accept").map_or(node.span, |node| node.span), format!("`accept` {why}"));
            return None;
        }
        accept => accept.and_then(Result::ok),
    };
    for (name, slot) in query {
        target.add_query(&name, slot);
    }
    let effect = op.effect.map_or_else(|| effect_of(&method), Effect::from);
    let key = headers::key(op.idempotency_key.as_ref(), effect == Effect::Write, config, &headers, node, d);
    let pages = match (&op.pages, node.get("pages")) {
        (Some(pages), Some(node)) => {
            let (read_as, max_body) = (op.read_as, op.max_body);
            let (method, target, headers, body) = (&method, &target, &headers[..], body.as_ref());
            let around = Around { config, method, effect, target, headers, body, read_as, max_body };
            Some(pages.read(node, around, d)?)
        }
        _ => None,
    };
    let (pages, paging) = pages.unzip();
    Some(PreparedOp {
        system: system.clone(),
        label: format!("{method} {}", target.label()).into(),
        effect,
        carries_key: key.is_some() || config.carries_key(),
        slots: slots.trees.clone(),
        pages: paging,
        plan: Box::new(Plan {
            method,
            target,
            headers,
            key,
            body,
            accept,
            read_as: op.read_as,
            style: op.style,
            errors: op.errors,
            max_body: op.max_body,
            pages,
            slots,
        }),
    })
}

impl From<EffectWord> for Effect {
    fn from(word: EffectWord) -> Self {
        match word {
            EffectWord::Read => Effect::Read,
            EffectWord::Idempotent => Effect::Idempotent,
            EffectWord::Write => Effect::Write,
        }
    }
}

/// RFC 9110, section 9.2.
fn effect_of(method: &Method) -> Effect {
    match method.as_str() {
        "GET" | "HEAD" | "OPTIONS" => Effect::Read,
        "PUT" | "DELETE" => Effect::Idempotent,
        _ => Effect::Write,
    }
}

fn one_body(_: &Op, node: &Node, d: &mut Diagnostics) {
    let bodies = ["body", "form", "multipart", "raw"];
    let given: Vec<_> = bodies.into_iter().filter_map(|key| node.entry(key)).collect();
    if let [first, second, ..] = &given[..] {
        let message = format!("the request has two bodies, `{}` and `{}`", first.key, second.key);
        d.push(
            Diagnostic::error(second.key_span, message)
                .hint("keep one: `body` is JSON, `form` and `multipart` are forms, `raw` is anything else")
                .related(first.key_span, "the other one"),
        );
    }
}

/// `GET /customers/${.id}?expand=${.expand}`.
fn short(node: &Node, names: &Names<'_>, slots: &mut Slots, d: &mut Diagnostics) -> Option<(Method, Target)> {
    let mut pieces = split(node, d)?;
    let hint = "write a method and a path: `GET /customers/${.id}`";
    if pieces.is_empty() {
        pieces.push(Piece::Literal { text: String::new(), at: 0 });
    }
    let Some(Piece::Literal { text, at }) = pieces.first_mut() else {
        d.push(Diagnostic::error(node.span, "the method of an operation cannot be a template").hint(hint));
        return None;
    };
    let word = text.split(' ').next().unwrap_or_default();
    let known = METHODS.iter().find(|(_, method)| method.as_str() == word);
    let Some((_, method)) = known else {
        let words: Vec<&str> = METHODS.iter().map(|(_, method)| method.as_str()).collect();
        let hint = match diagnostic::suggest(&word.to_ascii_uppercase(), words.iter().copied()) {
            Some(close) if !word.is_empty() => format!("did you mean `{close}`?"),
            _ => hint.to_owned(),
        };
        let span = node.text_span(*at, *at + word.len());
        d.push(
            Diagnostic::error(span, format!("the operation does not start with a method, but `{word}`"))
                .hint(hint),
        );
        return None;
    };
    let rest = text[word.len()..].trim_start_matches(' ');
    *at += text.len() - rest.len();
    *text = rest.to_owned();
    // What follows the path would otherwise be taken for a part of it.
    if let Some(Piece::Literal { text, .. }) = pieces.last_mut() {
        text.truncate(text.trim_end_matches(' ').len());
    }
    Some((method.clone(), Target::read(node, pieces, names, slots, d)?))
}

/// `{ get: /customers/${.id}, … }`.
fn long(node: &Node, names: &Names<'_>, slots: &mut Slots, d: &mut Diagnostics) -> Option<(Method, Target)> {
    let mut methods = METHODS.iter().filter_map(|(key, method)| node.entry(key).map(|entry| (method, entry)));
    let Some((method, entry)) = methods.next() else {
        d.push(
            Diagnostic::error(node.span, "the operation has no method")
                .hint("add one with the path as its value: `get: /customers/${.id}`"),
        );
        return None;
    };
    if let Some((_, second)) = methods.next() {
        d.push(
            Diagnostic::error(
                second.key_span,
                format!("the operation has two methods, `{}` and `{}`", entry.key, second.key),
            )
            .hint("keep one; two requests are two operations")
            .related(entry.key_span, "the other one"),
        );
        return None;
    }
    let path = &entry.value;
    let NodeKind::String(text) = &path.kind else {
        d.push(
            Diagnostic::error(path.span, format!("expected a path, found {}", path.what()))
                .hint("write `/customers/${.id}`"),
        );
        return None;
    };
    if let Some((word, _)) = text.value.split_once(" /")
        && METHODS.iter().any(|(_, method)| method.as_str() == word)
    {
        d.push(
            Diagnostic::error(path.text_span(0, word.len()), "the method is named twice")
                .hint(format!("`{}` says it already: write the path alone", entry.key)),
        );
        return None;
    }
    let pieces = split(path, d)?;
    Some((method.clone(), Target::read(path, pieces, names, slots, d)?))
}

fn read_query(
    node: &Node,
    names: &Names<'_>,
    slots: &mut Slots,
    d: &mut Diagnostics,
) -> Option<Vec<(Arc<str>, Slot)>> {
    let entries = node.get("query").and_then(Node::as_map).unwrap_or_default();
    let slots: Vec<_> = entries
        .iter()
        .map(|entry| {
            let tree = flat(&entry.value, names, "query parameter", &entry.key, d)?;
            Some((entry.key.clone(), slots.add(tree, format!("query parameter `{}`", entry.key))))
        })
        .collect();
    slots.into_iter().collect()
}

/// A value that goes into one place: a mapping can never fit.
pub(super) fn flat(
    node: &Node,
    names: &Names<'_>,
    what: &str,
    name: &str,
    d: &mut Diagnostics,
) -> Option<Tree> {
    if matches!(node.kind, NodeKind::Map(_)) {
        d.push(
            Diagnostic::error(node.span, format!("the {what} `{name}` cannot be a mapping")).hint(
                "give it a text, a number, a boolean or a list; `${ … | tojson}` makes a mapping a text",
            ),
        );
        return None;
    }
    Tree::read(node, names, d)
}
