//! What a tool's result is published as: checked against its promise, an object always, and never
//! larger than the limit. What is too large is cut at whole elements, with a notice; never inside one.

use jsonschema::Validator;
use renkei_core::{Error, Map, Result, Value};

use super::{
    cursor,
    input::{describe, place},
    schema,
};

/// The compiled output schema of a tool.
#[derive(Debug)]
pub(crate) struct Promise {
    validator: Validator,
    wrapped: bool,
    /// As it is published: of type `object` always.
    pub(crate) published: Value,
}

impl Promise {
    /// `resumes`: whether the result may have a cursor, which the schema then allows.
    pub(crate) fn new(schema: &Value, resumes: bool) -> Result<Self, String> {
        let wrapped = !schema::is_object(schema);
        let published = if wrapped { schema::wrap(schema) } else { schema.clone() };
        let published = if resumes { cursor::with_member(&published) } else { published };
        let validator = schema::compile(if wrapped { schema } else { &published })?;
        Ok(Promise { validator, wrapped, published })
    }

    /// Whether the config keeps its promise with this result.
    pub(crate) fn check(&self, value: &Value) -> Result<()> {
        let copy = serde_json::Value::from(value);
        // By far the quicker question.
        if self.validator.is_valid(&copy) {
            return Ok(());
        }
        let Some(error) = self.validator.iter_errors(&copy).next() else { return Ok(()) };
        let at = match place(&error) {
            whole if whole == "arguments" => "the whole result".to_owned(),
            path => format!("`{path}`"),
        };
        let what = describe(error.kind(), &error);
        Err(Error::internal(format!(
            "the result does not keep what `output_schema` promises, at {at}: {what}; the config must be mended"
        )))
    }
}

/// An object that says where the list in it goes on, unless it says so already or its promise has no room for that. What
/// is wrapped says it beside its result.
pub(crate) fn with_next(value: Value, promise: Option<&Promise>, next: &str) -> Value {
    let Value::Object(map) = &value else { return value };
    if promise.is_some_and(|promise| promise.wrapped) || map.contains_key(cursor::MEMBER) {
        return value;
    }
    let mut with = Map::clone(map);
    with.insert(cursor::MEMBER.into(), next.into());
    let with = Value::from(with);
    match promise {
        Some(promise) if promise.check(&with).is_err() => value,
        _ => with,
    }
}

/// A result that fits.
#[derive(Debug)]
pub(crate) struct Published {
    /// JSON, or the text itself.
    pub(crate) text: String,
    pub(crate) structured: Value,
    pub(crate) notice: Option<String>,
}

/// Publishes `value`, with at most `limit` bytes of JSON; `next` is where its list goes on.
pub(crate) fn publish(
    value: Value,
    promise: Option<&Promise>,
    limit: usize,
    next: Option<&str>,
) -> Result<Published> {
    let wrapped = promise.map_or(!matches!(value, Value::Object(_)), |promise| promise.wrapped);
    let json = value.to_json();
    let (value, cut) = match json.len() <= limit {
        true => (value, None),
        false => fit(value, json.len(), limit).map(|(value, cut)| (value, Some(cut)))?,
    };
    let text = match &value {
        Value::String(text) => text.to_string(),
        cut_value if cut.is_some() => cut_value.to_json(),
        _ => json,
    };
    let structured = match wrapped {
        false => value,
        true => {
            let mut map = Map::new();
            map.insert("result".into(), value);
            if let Some(cut) = &cut {
                let truncated = Value::from([("shown", cut.shown), ("of", cut.of)]);
                map.insert("truncated".into(), truncated);
            }
            if let Some(next) = next {
                map.insert(cursor::MEMBER.into(), next.into());
            }
            map.into()
        }
    };
    Ok(Published { text, structured, notice: cut.map(|cut| cut.notice(limit)) })
}

/// What was cut from a result.
#[derive(Debug)]
struct Cut {
    /// The array inside the result; the result itself without it.
    member: Option<String>,
    what: &'static str,
    shown: usize,
    of: usize,
}

impl Cut {
    fn notice(&self, limit: usize) -> String {
        let Cut { what, shown, of, .. } = self;
        let place = match &self.member {
            Some(name) => format!(" of `{name}`"),
            None => String::new(),
        };
        let limit = size(limit);
        format!(
            "truncated: {shown} of {of} {what}{place} are shown, because a result may have {limit}; {} more are left out. Ask for less at a time to see them.",
            of - shown,
        )
    }
}

/// Cuts what can be cut without breaking the JSON: a text, an array, or the largest array of an object.
fn fit(value: Value, length: usize, limit: usize) -> Result<(Value, Cut)> {
    let cut = match &value {
        Value::String(text) => {
            let shown = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let cut = Cut { member: None, what: "bytes", shown, of: text.len() };
            Some((Value::from(&text[..shown]), cut))
        }
        Value::Array(items) => {
            let shown = fitting(items, limit.saturating_sub(2));
            let cut = Cut { member: None, what: "elements", shown, of: items.len() };
            Some((items[..shown].to_vec().into(), cut))
        }
        Value::Object(map) => cut_member(map, length, limit),
        _ => None,
    };
    match cut {
        Some((value, cut)) if cut.shown > 0 => Ok((value, cut)),
        _ => Err(Error::invalid(format!(
            "the result has {}, and at most {} can be given; ask for less",
            size(length),
            size(limit),
        ))),
    }
}

fn cut_member(map: &Map, length: usize, limit: usize) -> Option<(Value, Cut)> {
    let arrays = map.iter().filter_map(|(name, member)| Some((name, member.as_array()?)));
    let (name, items) =
        arrays.max_by_key(|(_, items)| items.iter().map(|item| item.to_json().len()).sum::<usize>())?;
    let inside = Value::from(items.to_vec()).to_json().len();
    let rest = length - inside + 2;
    let shown = fitting(items, limit.checked_sub(rest)?);
    let mut map = map.clone();
    map.insert(name.clone(), items[..shown].to_vec().into());
    Some((map.into(), Cut { member: Some(name.to_string()), what: "elements", shown, of: items.len() }))
}

/// How many elements, with a comma each, go into `room` bytes.
fn fitting(items: &[Value], room: usize) -> usize {
    let mut used = 0;
    items
        .iter()
        .take_while(|item| {
            used += item.to_json().len() + 1;
            used <= room
        })
        .count()
}

/// `256 KB`.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.0} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
