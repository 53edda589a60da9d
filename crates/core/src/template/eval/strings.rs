//! Functions on strings.

use std::sync::Arc;

use super::{Flow, Machine, fail, numbers, values};
use crate::{
    Value,
    template::{budget::MAX_VALUE_DEPTH, plain::with_article},
};

pub(super) fn text(value: &Value) -> Flow<&Arc<str>> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(fail(format!("a string is wanted, not {}", with_article(other)))),
    }
}

/// A string as it is, everything else as JSON.
pub(super) fn to_text(m: &mut Machine<'_>, value: &Value) -> Flow<String> {
    match value {
        Value::String(text) => {
            m.create(text.len() as u64)?;
            Ok(text.to_string())
        }
        other => m.json(other),
    }
}

pub(super) fn tostring(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    match value {
        Value::String(_) => Ok(value),
        other => Ok(m.json(&other)?.into()),
    }
}

pub(super) fn tojson(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    Ok(m.json(&value)?.into())
}

pub(super) fn fromjson(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    let text = text(&value)?;
    // An empty array of two bytes becomes a value of 24, and its own block.
    m.create(text.len() as u64 * 16)?;
    let value =
        Value::from_json(text.as_bytes()).map_err(|why| fail(format!("the text is not JSON: {why}")))?;
    m.check_depth(&value, MAX_VALUE_DEPTH)?;
    Ok(value)
}

pub(super) fn tonumber(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    match &value {
        Value::Number(_) => Ok(value),
        other => numbers::parse(m, text(other)?),
    }
}

pub(super) fn toboolean(_: &mut Machine<'_>, value: Value) -> Flow<Value> {
    match (&value, value.as_str()) {
        (Value::Bool(_), _) => Ok(value),
        (_, Some("true")) => Ok(true.into()),
        (_, Some("false")) => Ok(false.into()),
        _ => Err(fail("only `true` and `false` are booleans")),
    }
}

/// Changes a text into one that is about as long.
pub(super) fn change(m: &mut Machine<'_>, value: &Value, change: impl FnOnce(&str) -> String) -> Flow<Value> {
    let text = text(value)?;
    m.work(text.len() as u64 / 16)?;
    m.string(change(text))
}

/// Cuts something off, if it is there; what is not text stays, as in jq.
pub(super) fn cut(
    m: &mut Machine<'_>,
    value: Value,
    off: &Value,
    cut: impl FnOnce(&str, &str) -> Option<String>,
) -> Flow<Value> {
    match (value.as_str(), off.as_str()) {
        (Some(text), Some(off)) => {
            m.work((text.len() + off.len()) as u64 / 64)?;
            match cut(text, off) {
                Some(rest) => m.string(rest),
                None => Ok(value),
            }
        }
        _ => Ok(value),
    }
}

pub(super) fn compare_ends(
    m: &mut Machine<'_>,
    value: &Value,
    part: &Value,
    holds: fn(&str, &str) -> bool,
) -> Flow<Value> {
    let part = text(part)?;
    m.work(part.len() as u64 / 64)?;
    Ok(holds(text(value)?, part).into())
}

pub(super) fn repeat(m: &mut Machine<'_>, text: &str, times: f64) -> Flow<Value> {
    if times.is_nan() || times <= 0.0 {
        return Ok(Value::Null);
    }
    // The cast saturates; nothing is created before it is counted.
    let times = times.max(1.0) as usize;
    m.create((text.len() as u64).saturating_mul(times as u64))?;
    Ok(text.repeat(times).into())
}

pub(super) fn split(m: &mut Machine<'_>, value: Value, separator: Value) -> Flow<Value> {
    split_at(m, text(&value)?, text(&separator)?)
}

pub(super) fn split_at(m: &mut Machine<'_>, text: &str, separator: &str) -> Flow<Value> {
    let mut parts = Vec::new();
    let mut add = |m: &mut Machine<'_>, part: &str| {
        m.create(part.len() as u64 + 2 * values::ELEMENT)?;
        parts.push(part.into());
        Ok(())
    };
    // The separator is prepared for the search.
    m.work((text.len() + separator.len()) as u64 / 4)?;
    match (text, separator) {
        ("", _) => {}
        (text, "") => text.split("").filter(|part| !part.is_empty()).try_for_each(|part| add(m, part))?,
        (text, separator) => text.split(separator).try_for_each(|part| add(m, part))?,
    }
    Ok(parts.into())
}

pub(super) fn explode(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    let text = text(&value)?;
    m.create(values::ELEMENT * text.len() as u64)?;
    Ok(text.chars().map(|letter| Value::from(i64::from(u32::from(letter)))).collect::<Vec<_>>().into())
}

pub(super) fn implode(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    let items = super::arrays::array(value)?;
    m.create(4 * items.len() as u64)?;
    let letter = |code: &Value| {
        let code = code.as_i64().and_then(|code| u32::try_from(code).ok());
        code.and_then(char::from_u32).ok_or_else(|| fail("`implode` wants numbers of letters"))
    };
    Ok(items.iter().map(letter).collect::<Flow<String>>()?.into())
}

/// Where `part` begins, counted in letters; overlapping ones, too.
pub(super) fn positions(m: &mut Machine<'_>, text: &str, part: &str) -> Flow<Value> {
    if part.is_empty() {
        return Ok(Value::Null);
    }
    m.work((text.len() as u64 / 16) + 1)?;
    let mut found = Vec::new();
    let (mut from, mut letters, mut counted) = (0, 0_usize, 0);
    while let Some(at) = text[from..].find(part) {
        let at = from + at;
        letters += text[counted..at].chars().count();
        counted = at;
        m.create(values::ELEMENT)?;
        // Each search prepares the part anew.
        m.work(1 + part.len() as u64 / 4)?;
        found.push(letters.into());
        from = at + text[at..].chars().next().map_or(1, char::len_utf8);
    }
    Ok(found.into())
}
