//! Values of the database to JSON, from the server's binary form, as `docs/reference/postgres-types.md` tells.

mod bytes;
mod numeric;
mod time;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use renkei_core::{Map, Number, Value};
use tokio_postgres::types::{Field, Kind, Type};

use self::bytes::{Bytes, Malformed};
use crate::sql::Budget;

/// The types that are read from their binary form, beside those made of others.
const READABLE: &[Type] = &[
    Type::BOOL,
    Type::INT2,
    Type::INT4,
    Type::INT8,
    Type::OID,
    Type::XID,
    Type::CID,
    Type::FLOAT4,
    Type::FLOAT8,
    Type::NUMERIC,
    Type::TEXT,
    Type::VARCHAR,
    Type::BPCHAR,
    Type::NAME,
    Type::CHAR,
    Type::UNKNOWN,
    Type::XML,
    Type::BYTEA,
    Type::JSON,
    Type::JSONB,
    Type::UUID,
    Type::DATE,
    Type::TIME,
    Type::TIMETZ,
    Type::TIMESTAMP,
    Type::TIMESTAMPTZ,
    Type::INTERVAL,
    Type::INET,
    Type::CIDR,
    Type::MACADDR,
    Type::MACADDR8,
    Type::BIT,
    Type::VARBIT,
    Type::VOID,
];

/// Whether [`read`] knows the type. The others are read as the server's text.
pub(super) fn is_readable(kind: &Type) -> bool {
    match kind.kind() {
        Kind::Enum(_) => true,
        Kind::Domain(inner) | Kind::Array(inner) | Kind::Range(inner) => is_readable(inner),
        Kind::Multirange(inner) => is_readable(inner),
        Kind::Composite(fields) => fields.iter().all(|field| is_readable(field.type_())),
        _ => READABLE.contains(kind),
    }
}

/// The value of this type. Whatever is not exact is told to the budget.
pub(super) fn read(kind: &Type, raw: &[u8], budget: &mut Budget) -> Result<Value, Malformed> {
    match kind.kind() {
        Kind::Enum(_) => text(raw),
        Kind::Domain(inner) => read(inner, raw, budget),
        Kind::Array(inner) => array(inner, raw, budget),
        Kind::Range(inner) => range(inner, raw, budget),
        Kind::Multirange(inner) => multirange(inner, raw, budget),
        Kind::Composite(fields) => composite(fields, raw, budget),
        _ => simple(kind, raw, budget),
    }
}

fn simple(kind: &Type, raw: &[u8], budget: &mut Budget) -> Result<Value, Malformed> {
    let mut bytes = Bytes::new(raw);
    Ok(match *kind {
        Type::BOOL => Value::Bool(bytes.u8()? != 0),
        Type::INT2 => i64::from(bytes.i16()?).into(),
        Type::INT4 => i64::from(bytes.i32()?).into(),
        Type::INT8 => bytes.i64()?.into(),
        Type::OID | Type::XID | Type::CID => u64::from(bytes.u32()?).into(),
        Type::FLOAT4 => real(bytes.u32().map(f32::from_bits)?, budget),
        Type::FLOAT8 => double(bytes.u64().map(f64::from_bits)?, budget),
        Type::NUMERIC => numeric::read(bytes)?.into(),
        Type::CHAR => char(bytes.u8()?),
        Type::BYTEA => STANDARD.encode(raw).into(),
        Type::JSON => json(raw, budget)?,
        Type::JSONB => match bytes.u8()? {
            1 => json(&raw[1..], budget)?,
            _ => return Err(Malformed),
        },
        Type::UUID => uuid::Uuid::from_slice(raw).map_err(|_| Malformed)?.to_string().into(),
        Type::DATE => time::date(bytes.i32()?).into(),
        Type::TIME => time::time(bytes.i64()?).into(),
        Type::TIMETZ => {
            let micros = bytes.i64()?;
            (time::time(micros) + &time::zone(bytes.i32()?)).into()
        }
        Type::TIMESTAMP => time::timestamp(bytes.i64()?, "").into(),
        Type::TIMESTAMPTZ => time::timestamp(bytes.i64()?, "Z").into(),
        Type::INTERVAL => {
            let micros = bytes.i64()?;
            let days = bytes.i32()?;
            time::interval(bytes.i32()?, days, micros).into()
        }
        Type::INET | Type::CIDR => address(bytes)?.into(),
        Type::MACADDR | Type::MACADDR8 => {
            raw.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":").into()
        }
        Type::BIT | Type::VARBIT => bits(bytes)?.into(),
        Type::VOID => Value::Null,
        _ => text(raw)?,
    })
}

fn text(raw: &[u8]) -> Result<Value, Malformed> {
    std::str::from_utf8(raw).map(Value::from).map_err(|_| Malformed)
}

const NOT_FINITE: &str = "a number that is infinite or no number is given as null, since JSON has none";

fn real(number: f32, budget: &mut Budget) -> Value {
    // The shortest digits that mean this number, not those of the double beside it.
    match Number::parse(&number.to_string()) {
        Some(digits) => double(digits.as_f64(), budget),
        None => double(number.into(), budget),
    }
}

fn double(number: f64, budget: &mut Budget) -> Value {
    if !number.is_finite() {
        budget.tell(NOT_FINITE);
    }
    // As text, so that the sign of zero stays.
    if number == 0.0 && number.is_sign_negative() {
        return Number::parse("-0").map_or(Value::Null, Value::from);
    }
    Value::from(number)
}

/// The type `"char"`: one byte, written as the server writes it.
fn char(byte: u8) -> Value {
    match byte {
        0 => "".into(),
        1..0x80 => char::from(byte).to_string().into(),
        _ => format!("\\{byte:03o}").into(),
    }
}

fn json(raw: &[u8], budget: &mut Budget) -> Result<Value, Malformed> {
    match Value::from_json(raw) {
        Ok(value) => Ok(value),
        // Deeper than we go, or with a key twice.
        Err(_) => {
            budget.tell("a JSON value that cannot be taken apart is given as a string");
            text(raw)
        }
    }
}

fn address(mut bytes: Bytes<'_>) -> Result<String, Malformed> {
    const V4: u8 = 2;
    const V6: u8 = 3;
    let (family, width, is_cidr, length) = (bytes.u8()?, bytes.u8()?, bytes.u8()? != 0, bytes.u8()?);
    let (address, full) = match (family, length) {
        (V4, 4) => (bytes.array::<4>().map(|octets| std::net::Ipv4Addr::from(octets).to_string())?, 32),
        (V6, 16) => (bytes.array::<16>().map(|octets| std::net::Ipv6Addr::from(octets).to_string())?, 128),
        _ => return Err(Malformed),
    };
    Ok(if is_cidr || width != full { format!("{address}/{width}") } else { address })
}

fn bits(mut bytes: Bytes<'_>) -> Result<String, Malformed> {
    let length = usize::try_from(bytes.i32()?).map_err(|_| Malformed)?;
    let rest = bytes.rest();
    if rest.len() != length.div_ceil(8) {
        return Err(Malformed);
    }
    Ok((0..length).map(|at| if rest[at / 8] >> (7 - at % 8) & 1 == 1 { '1' } else { '0' }).collect())
}

/// At most six in PostgreSQL.
const MAX_DIMENSIONS: i32 = 6;

fn array(inner: &Type, raw: &[u8], budget: &mut Budget) -> Result<Value, Malformed> {
    let mut bytes = Bytes::new(raw);
    let (dimensions, _nulls, _element) = (bytes.i32()?, bytes.i32()?, bytes.u32()?);
    if !(0..=MAX_DIMENSIONS).contains(&dimensions) {
        return Err(Malformed);
    }
    let mut lengths = Vec::new();
    for _ in 0..dimensions {
        lengths.push(usize::try_from(bytes.i32()?).map_err(|_| Malformed)?);
        let _first_index = bytes.i32()?;
    }
    if lengths.is_empty() {
        return Ok(Vec::new().into());
    }
    items(inner, &lengths, &mut bytes, budget)
}

fn items(
    inner: &Type,
    lengths: &[usize],
    bytes: &mut Bytes<'_>,
    budget: &mut Budget,
) -> Result<Value, Malformed> {
    let Some((length, deeper)) = lengths.split_first() else {
        return part(inner, bytes, budget);
    };
    // Not reserved: the length is only a claim.
    let mut values = Vec::new();
    for _ in 0..*length {
        values.push(items(inner, deeper, bytes, budget)?);
    }
    Ok(values.into())
}

/// A value behind its length.
fn part(kind: &Type, bytes: &mut Bytes<'_>, budget: &mut Budget) -> Result<Value, Malformed> {
    match bytes.part()? {
        Some(raw) => read(kind, raw, budget),
        None => Ok(Value::Null),
    }
}

fn composite(fields: &[Field], raw: &[u8], budget: &mut Budget) -> Result<Value, Malformed> {
    let mut bytes = Bytes::new(raw);
    if usize::try_from(bytes.i32()?) != Ok(fields.len()) {
        return Err(Malformed);
    }
    let mut map = Map::with_capacity(fields.len());
    for field in fields {
        let _type = bytes.u32()?;
        map.insert(field.name().into(), part(field.type_(), &mut bytes, budget)?);
    }
    Ok(map.into())
}

fn range(inner: &Type, raw: &[u8], budget: &mut Budget) -> Result<Value, Malformed> {
    const EMPTY: u8 = 0x01;
    const LOWER_IN: u8 = 0x02;
    const UPPER_IN: u8 = 0x04;
    const NO_LOWER: u8 = 0x08;
    const NO_UPPER: u8 = 0x10;
    let mut bytes = Bytes::new(raw);
    let flags = bytes.u8()?;
    if flags & EMPTY != 0 {
        return Ok(Value::from([("empty", true)]));
    }
    let mut bound = |none: u8| match flags & none {
        0 => part(inner, &mut bytes, budget),
        _ => Ok(Value::Null),
    };
    let (lower, upper) = (bound(NO_LOWER)?, bound(NO_UPPER)?);
    let bounds = match (flags & LOWER_IN != 0, flags & UPPER_IN != 0) {
        (true, true) => "[]",
        (true, false) => "[)",
        (false, true) => "(]",
        (false, false) => "()",
    };
    Ok(Value::from([("lower", lower), ("upper", upper), ("bounds", bounds.into())]))
}

fn multirange(inner: &Type, raw: &[u8], budget: &mut Budget) -> Result<Value, Malformed> {
    // The library names the range or what it ranges over.
    let inner = match inner.kind() {
        Kind::Range(of) => of,
        _ => inner,
    };
    let mut bytes = Bytes::new(raw);
    let mut ranges = Vec::new();
    for _ in 0..bytes.i32()? {
        ranges.push(range(inner, bytes.part()?.ok_or(Malformed)?, budget)?);
    }
    Ok(ranges.into())
}
