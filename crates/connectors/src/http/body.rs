//! Request bodies: JSON, the two kinds of forms, and anything else as it is.

use base64::Engine as _;
use bytes::Bytes;
use http::HeaderValue;
use renkei_core::{
    Diagnostic, Diagnostics, FromNode, Map, Node, NodeKind, Result, Tree, Value, read::Spanned,
    template::Names,
};
use renkei_derive::FromNode;

use super::{
    pages::Member,
    prepare::flat,
    target::{Style, pairs},
    wire,
};
use crate::slots::{Slot, Slots};

/// What the request carries.
#[derive(Debug)]
pub(super) enum Body {
    Json(Slot),
    /// Names encoded already.
    Form(Vec<(String, Slot)>),
    Multipart(Vec<Part>),
    Raw {
        content: Content,
        content_type: HeaderValue,
    },
}

/// One part of a multipart form.
#[derive(Debug)]
pub(super) struct Part {
    /// Quoted already.
    name: String,
    content: Content,
    filename: Option<Slot>,
    content_type: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    Plain(Slot),
    Base64(Slot),
}

/// Of `raw`.
#[derive(Debug, FromNode)]
#[config(check = check_raw)]
struct RawConfig {
    /// The body as a text.
    body: Option<Node>,
    /// The body in base64, instead of `body`.
    base64: Option<Node>,
    /// Its media type, such as `text/csv`.
    content_type: Spanned<String>,
}

/// One part of `multipart` in its long form.
#[derive(Debug, FromNode)]
#[config(check = check_part)]
struct PartConfig {
    /// The content: a text, or anything if `content_type` is JSON.
    value: Option<Node>,
    /// The content in base64, instead of `value`.
    base64: Option<Node>,
    /// The name of the file, for an upload.
    filename: Option<Node>,
    /// Its media type.
    content_type: Option<Spanned<String>>,
}

fn check_raw(raw: &RawConfig, node: &Node, d: &mut Diagnostics) {
    one_content(node, "body", raw.body.is_some(), raw.base64.is_some(), d);
    media_type(&raw.content_type, d);
}

fn check_part(part: &PartConfig, node: &Node, d: &mut Diagnostics) {
    one_content(node, "value", part.value.is_some(), part.base64.is_some(), d);
    if let Some(text) = &part.content_type {
        media_type(text, d);
    }
}

fn one_content(node: &Node, plain: &str, has_plain: bool, has_base64: bool, d: &mut Diagnostics) {
    if has_plain == has_base64 {
        d.push(
            Diagnostic::error(node.span, format!("give the content as `{plain}` or as `base64`"))
                .hint(if has_plain { "remove one of them" } else { "add one of them" }),
        );
    }
}

fn media_type(text: &Spanned<String>, d: &mut Diagnostics) {
    if text.parse::<mime::Mime>().is_err() {
        d.push(
            Diagnostic::error(text.span, format!("`{}` is not a media type", text.value))
                .hint("write one such as `text/csv` or `application/pdf`"),
        );
    }
}

impl Body {
    /// Reads the body of an operation. The outer `None` is a failure, the inner "no body".
    pub(super) fn read(
        op: &Node,
        names: &Names<'_>,
        slots: &mut Slots,
        d: &mut Diagnostics,
    ) -> Option<Option<Body>> {
        let body = if let Some(node) = op.get("body") {
            Body::Json(slots.add(Tree::read(node, names, d)?, "the body"))
        } else if let Some(node) = op.get("form") {
            let entries = mapping(node, "form", d)?;
            let fields: Vec<_> = entries
                .iter()
                .map(|(name, node)| {
                    let tree = flat(node, names, "form field", name, d)?;
                    Some((wire::encode(name), slots.add(tree, format!("form field `{name}`"))))
                })
                .collect();
            Body::Form(fields.into_iter().collect::<Option<_>>()?)
        } else if let Some(node) = op.get("multipart") {
            let entries = mapping(node, "multipart", d)?;
            let parts: Vec<_> =
                entries.iter().map(|(name, node)| Part::read(name, node, names, slots, d)).collect();
            Body::Multipart(parts.into_iter().collect::<Option<_>>()?)
        } else if let Some(node) = op.get("raw") {
            let raw = RawConfig::from_node(node, d)?;
            Body::Raw {
                content: content(raw.body.as_ref(), raw.base64.as_ref(), "the body", names, slots, d)?,
                content_type: wire::header_value(&raw.content_type).ok()?,
            }
        } else {
            return Some(None);
        };
        Some(Some(body))
    }

    /// The body under the key that the operation has it under, as data; nothing when it is absent.
    pub(super) fn show(
        &self,
        slots: &Slots,
        params: &[Option<Value>],
        style: Style,
        page: Option<&Member<'_>>,
    ) -> Result<Option<(&'static str, Value)>> {
        Ok(match self {
            Body::Json(slot) => json(slots.value(*slot, params)?, page)?.map(|value| ("body", value)),
            Body::Form(_) => {
                let Some((bytes, _)) = self.encode(slots, params, style, page)? else { return Ok(None) };
                Some(("form", wire::decoded_pairs(&bytes)))
            }
            Body::Multipart(parts) => {
                let parts = rendered(parts, slots, params)?;
                Some(("multipart", parts.iter().map(Rendered::show).collect::<Vec<_>>().into()))
            }
            Body::Raw { content, content_type } => {
                let Some(bytes) = content.bytes(false, slots, params)? else { return Ok(None) };
                let kind = String::from_utf8_lossy(content_type.as_bytes()).into_owned();
                let (key, value) = text_or_base64("body", &bytes);
                Some(("raw", Value::from([("content_type", kind.into()), (key, value)])))
            }
        })
    }

    /// The bytes and their type; nothing when the whole body is absent.
    pub(super) fn encode(
        &self,
        slots: &Slots,
        params: &[Option<Value>],
        style: Style,
        page: Option<&Member<'_>>,
    ) -> Result<Option<(Bytes, HeaderValue)>> {
        Ok(match self {
            Body::Json(slot) => json(slots.value(*slot, params)?, page)?
                .map(|value| (value.to_json().into(), HeaderValue::from_static("application/json"))),
            Body::Form(fields) => {
                let mut all = Vec::new();
                for (name, slot) in fields {
                    let value = slots.value(*slot, params)?;
                    let pairs = pairs(name, value, style);
                    all.extend(pairs.map_err(|why| slots.refuse(*slot, &why, ""))?);
                }
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                Some((all.join("&").into(), kind))
            }
            Body::Multipart(parts) => Some(multipart(parts, slots, params)?),
            Body::Raw { content, content_type } => {
                content.bytes(false, slots, params)?.map(|bytes| (bytes, content_type.clone()))
            }
        })
    }
}

/// The JSON body, with what the page adds to it.
fn json(value: Option<&Value>, page: Option<&Member<'_>>) -> Result<Option<Value>> {
    match page {
        Some(member) => member.set_in(value).map(Some),
        None => Ok(value.cloned()),
    }
}

fn mapping<'n>(node: &'n Node, what: &str, d: &mut Diagnostics) -> Option<Vec<(&'n str, &'n Node)>> {
    match node.as_map() {
        Some(entries) => Some(entries.iter().map(|entry| (&*entry.key, &entry.value)).collect()),
        None => renkei_core::read::wrong(node, &format!("a mapping of `{what}` fields to values"), d),
    }
}

fn content(
    plain: Option<&Node>,
    base64: Option<&Node>,
    place: &str,
    names: &Names<'_>,
    slots: &mut Slots,
    d: &mut Diagnostics,
) -> Option<Content> {
    match (plain, base64) {
        (Some(node), None) => Some(Content::Plain(slots.add(Tree::read(node, names, d)?, place))),
        (None, Some(node)) => Some(Content::Base64(slots.add(Tree::read(node, names, d)?, place))),
        _ => None, // told by `one_content`
    }
}

impl Part {
    fn read(
        name: &str,
        node: &Node,
        names: &Names<'_>,
        slots: &mut Slots,
        d: &mut Diagnostics,
    ) -> Option<Part> {
        let quoted = wire::quoted(name);
        if let Err(why) = quoted {
            d.error(node.span, format!("the name of the part `{}` {why}", name.escape_debug()));
        }
        let place = format!("part `{name}`");
        if !matches!(node.kind, NodeKind::Map(_)) {
            let content = Content::Plain(slots.add(Tree::read(node, names, d)?, place));
            return Some(Part { name: quoted.ok()?, content, filename: None, content_type: None });
        }
        let config = PartConfig::from_node(node, d)?;
        let content = content(config.value.as_ref(), config.base64.as_ref(), &place, names, slots, d)?;
        let filename = match &config.filename {
            Some(node) => Some(slots.add(Tree::read(node, names, d)?, format!("the file name of {place}"))),
            None => None,
        };
        let content_type = config.content_type.map(|text| text.value);
        Some(Part { name: quoted.ok()?, content, filename, content_type })
    }
}

impl Content {
    /// Nothing when it is absent or null.
    fn bytes(self, json: bool, slots: &Slots, params: &[Option<Value>]) -> Result<Option<Bytes>> {
        let (Content::Plain(slot) | Content::Base64(slot)) = self;
        let Some(value) = slots.value(slot, params)?.filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let refused = |why: &str| slots.refuse(slot, why, "");
        if json {
            return Ok(Some(value.to_json().into()));
        }
        let Some(text) = wire::scalar(value) else {
            let what = value.type_name();
            return Err(refused(&format!(
                "is an {what} in a place for text; `tojson` in the template makes it one"
            )));
        };
        match self {
            Content::Plain(_) => Ok(Some(text.into())),
            Content::Base64(_) => match base64::engine::general_purpose::STANDARD.decode(text.trim()) {
                Ok(bytes) => Ok(Some(bytes.into())),
                Err(_) => Err(refused("is not base64; give it the standard alphabet with padding")),
            },
        }
    }
}

/// One part as it goes onto the wire. `name` and `filename` are quoted.
struct Rendered<'p> {
    name: &'p str,
    filename: Option<String>,
    content_type: Option<&'p str>,
    bytes: Bytes,
}

impl Rendered<'_> {
    /// `{ name, filename, content_type, value | base64 }`
    fn show(&self) -> Value {
        let unquoted = |text: &str| Value::from(text.trim_matches('"'));
        let mut map = Map::new();
        map.insert("name".into(), unquoted(self.name));
        if let Some(filename) = &self.filename {
            map.insert("filename".into(), unquoted(filename));
        }
        if let Some(kind) = self.content_type {
            map.insert("content_type".into(), kind.into());
        }
        let (key, value) = text_or_base64("value", &self.bytes);
        map.insert(key.into(), value);
        map.into()
    }
}

/// Bytes as a text under `key`, or under `base64` if they are none.
fn text_or_base64(key: &'static str, bytes: &[u8]) -> (&'static str, Value) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (key, text.into()),
        Err(_) => ("base64", base64::engine::general_purpose::STANDARD.encode(bytes).into()),
    }
}

/// A part that is absent or null disappears, a list is repeated.
fn rendered<'p>(parts: &'p [Part], slots: &Slots, params: &[Option<Value>]) -> Result<Vec<Rendered<'p>>> {
    let mut rendered = Vec::new();
    for part in parts {
        let mut filename = None;
        if let Some(slot) = part.filename
            && let Some(value) = slots.value(slot, params)?.filter(|value| !value.is_null())
        {
            let refused = |why: &str| slots.refuse(slot, why, "");
            let text = wire::scalar(value).ok_or_else(|| refused("is not a text"))?;
            filename = Some(wire::quoted(&text).map_err(refused)?);
        }
        let content_type = part.content_type.as_deref();
        let with = |bytes| Rendered { name: &part.name, filename: filename.clone(), content_type, bytes };
        let json = content_type.is_some_and(is_json);
        if let (Content::Plain(slot), false) = (part.content, json)
            && let Some(Value::Array(items)) = slots.value(slot, params)?
        {
            for item in items.iter().filter(|item| !item.is_null()) {
                let text = wire::scalar(item).ok_or_else(|| {
                    let what = item.type_name();
                    slots.refuse(slot, &format!("holds an {what} in a place for text"), "")
                })?;
                rendered.push(with(text.into()));
            }
        } else if let Some(bytes) = part.content.bytes(json, slots, params)? {
            rendered.push(with(bytes));
        }
    }
    Ok(rendered)
}

/// RFC 7578.
fn multipart(parts: &[Part], slots: &Slots, params: &[Option<Value>]) -> Result<(Bytes, HeaderValue)> {
    let rendered = rendered(parts, slots, params)?;
    let boundary = boundary(&rendered);
    let mut out = Vec::new();
    for part in &rendered {
        let mut head = format!("Content-Disposition: form-data; name={}", part.name);
        if let Some(filename) = &part.filename {
            head += &format!("; filename={filename}");
        }
        if let Some(kind) = part.content_type {
            head += &format!("\r\nContent-Type: {kind}");
        }
        out.extend_from_slice(format!("--{boundary}\r\n{head}\r\n\r\n").as_bytes());
        out.extend_from_slice(&part.bytes);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let kind = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"))
        .expect("a boundary of hexadecimal digits is a valid header value");
    Ok((out.into(), kind))
}

/// A separator that nobody can foresee and that no part contains.
fn boundary(parts: &[Rendered<'_>]) -> String {
    loop {
        let boundary = format!("renkei-{}", uuid::Uuid::new_v4().simple());
        let inside = |bytes: &[u8]| bytes.windows(boundary.len()).any(|window| window == boundary.as_bytes());
        if !parts.iter().any(|part| inside(&part.bytes)) {
            return boundary;
        }
    }
}

/// Whether a media type is JSON.
pub(super) fn is_json(media_type: &str) -> bool {
    media_type
        .parse::<mime::Mime>()
        .is_ok_and(|kind| kind.essence_str() == "application/json" || kind.suffix() == Some(mime::JSON))
}
