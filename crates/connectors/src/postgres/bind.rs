//! JSON to values of the database: each as the text that the server reads for the type that it inferred.

use std::error::Error;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use renkei_core::{Number, Value};
use tokio_postgres::types::{Field, Format, IsNull, Kind, ToSql, Type, to_sql_checked};

/// A parameter. Without a text it is null.
#[derive(Debug)]
pub(super) struct Bound(Option<String>);

impl ToSql for Bound {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(match &self.0 {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// The value for a parameter of this type; the error says why there is none.
pub(super) fn bind(kind: &Type, value: &Value) -> Result<Bound, String> {
    let text = text(kind, value)?;
    if text.as_ref().is_some_and(|text| text.contains('\0')) {
        return Err("it holds the character U+0000, which PostgreSQL cannot keep".into());
    }
    Ok(Bound(text))
}

fn text(kind: &Type, value: &Value) -> Result<Option<String>, String> {
    Ok(Some(match (kind.kind(), value) {
        (_, Value::Null) => return Ok(None),
        (Kind::Domain(inner), value) => return text(inner, value),
        (Kind::Array(inner), Value::Array(items)) => array(inner, items)?,
        (Kind::Composite(fields), Value::Object(map)) => composite(fields, map)?,
        (Kind::Range(inner), Value::Object(map)) => range(inner, map)?,
        (Kind::Multirange(inner), Value::Array(items)) => multirange(inner, items)?,
        (_, value) => simple(kind, value)?,
    }))
}

fn simple(kind: &Type, value: &Value) -> Result<String, String> {
    let what = value.type_name();
    match (kind, value) {
        (&Type::JSON | &Type::JSONB, value) => Ok(value.to_json()),
        (&Type::BYTEA, Value::String(text)) => match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => Ok(hexadecimal(&bytes)),
            Err(_) => Err("it is no base64 (RFC 4648, padded), which stands for bytes".into()),
        },
        (&Type::BYTEA, _) => Err(format!("it is a {what}; bytes are a string in base64")),
        (&Type::INT2 | &Type::INT4 | &Type::INT8 | &Type::OID, Value::Number(number)) => Ok(whole(number)),
        (_, Value::String(text)) => Ok(text.to_string()),
        (_, Value::Number(number)) => Ok(number.to_string()),
        (_, Value::Bool(flag)) => Ok(flag.to_string()),
        (_, Value::Array(_) | Value::Object(_)) => Err(format!(
            "it is an {what}, and the server expects `{}`; write `… | tojson` for its text, or a cast such as `::jsonb`",
            kind.name()
        )),
        (_, Value::Null) => Ok(String::new()),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Doubles have every integer up to this one.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// `7.0` and `7e0` are integers to JSON, but not to the server.
fn whole(number: &Number) -> String {
    let float = number.as_f64();
    match number.as_i64() {
        None if number.is_integral() && float.abs() < EXACT => format!("{float:.0}"),
        _ => number.to_string(),
    }
}

/// In quotation marks, as arrays and ranges take it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn array(inner: &Type, items: &[Value]) -> Result<String, String> {
    let json = matches!(*inner, Type::JSON | Type::JSONB);
    let mut parts = Vec::with_capacity(items.len());
    for item in items {
        parts.push(match item {
            Value::Null => "NULL".into(),
            // A further dimension; in an array of JSON it is a value.
            Value::Array(deeper) if !json && !matches!(inner.kind(), Kind::Multirange(_)) => {
                array(inner, deeper)?
            }
            item => quoted(&text(inner, item)?.unwrap_or_default()),
        });
    }
    let comma = if *inner == Type::BOX { ";" } else { "," };
    Ok(format!("{{{}}}", parts.join(comma)))
}

fn composite(fields: &[Field], map: &renkei_core::Map) -> Result<String, String> {
    if let Some(key) = map.keys().find(|key| fields.iter().all(|field| field.name() != &***key)) {
        let names: Vec<String> = fields.iter().map(|field| format!("`{}`", field.name())).collect();
        return Err(format!("it has a member `{key}`; the type has {}", names.join(", ")));
    }
    let mut parts = Vec::with_capacity(fields.len());
    for field in fields {
        let value = map.get(field.name()).unwrap_or(&Value::Null);
        parts.push(text(field.type_(), value)?.map_or_else(String::new, |text| quoted(&text)));
    }
    Ok(format!("({})", parts.join(",")))
}

fn range(inner: &Type, map: &renkei_core::Map) -> Result<String, String> {
    const KEYS: [&str; 4] = ["lower", "upper", "bounds", "empty"];
    if let Some(key) = map.keys().find(|key| !KEYS.contains(&&***key)) {
        return Err(format!(
            "it has a member `{key}`; a range has `lower`, `upper` and `bounds`, or `empty`"
        ));
    }
    if map.get("empty") == Some(&Value::Bool(true)) {
        return Ok("empty".into());
    }
    let mut ends = match map.get("bounds") {
        None | Some(Value::Null) => "[)",
        Some(Value::String(bounds)) if matches!(&**bounds, "[]" | "[)" | "(]" | "()") => bounds,
        Some(_) => return Err("its `bounds` are none of `[]`, `[)`, `(]` and `()`".into()),
    }
    .chars();
    let bound = |key: &str| match map.get(key) {
        Some(value) => Ok(text(inner, value)?.map_or_else(String::new, |text| quoted(&text))),
        None => Ok::<_, String>(String::new()),
    };
    let (open, close) = (ends.next().unwrap_or('['), ends.next().unwrap_or(')'));
    Ok(format!("{open}{},{}{close}", bound("lower")?, bound("upper")?))
}

fn multirange(inner: &Type, items: &[Value]) -> Result<String, String> {
    let of = match inner.kind() {
        Kind::Range(of) => of,
        _ => inner,
    };
    let ranges = items.iter().map(|item| match item {
        Value::Object(map) => range(of, map),
        Value::String(text) => Ok(text.to_string()),
        other => Err(format!("it holds a {}; a multirange is a list of ranges", other.type_name())),
    });
    Ok(format!("{{{}}}", ranges.collect::<Result<Vec<_>, _>>()?.join(",")))
}
