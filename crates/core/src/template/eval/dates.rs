//! Dates, all in UTC: no time zone database is read, and no clock (`$now` is the time of the run).

use jiff::{Timestamp, civil::DateTime, fmt::strtime, tz::TimeZone};

use super::{Flow, Machine, arrays::array, fail, numbers::number, strings::text};
use crate::Value;

fn timestamp(value: &Value) -> Flow<Timestamp> {
    let number = number(value)?;
    let found = match number.as_i64() {
        Some(seconds) => Timestamp::from_second(seconds),
        // The cast saturates, and what is out of range is refused.
        None => Timestamp::from_microsecond((number.as_f64() * 1e6) as i64),
    };
    found.map_err(|_| fail("the number of seconds is not a date"))
}

fn seconds(m: &mut Machine<'_>, at: Timestamp) -> Value {
    match at.subsec_nanosecond() {
        0 => at.as_second().into(),
        _ => m.number(at.as_microsecond() as f64 / 1e6),
    }
}

/// `[year, month from 0, day, hours, minutes, seconds, day of the week, day of the year]`
fn parts(m: &mut Machine<'_>, date: DateTime) -> Flow<Value> {
    let seconds = match date.subsec_nanosecond() {
        0 => i64::from(date.second()).into(),
        nanoseconds => m.number(f64::from(date.second()) + f64::from(nanoseconds) / 1e9),
    };
    let int = |number: i64| Value::from(number);
    m.array(vec![
        int(date.year().into()),
        int(i64::from(date.month()) - 1),
        int(date.day().into()),
        int(date.hour().into()),
        int(date.minute().into()),
        seconds,
        int(date.weekday().to_sunday_zero_offset().into()),
        int(i64::from(date.day_of_year()) - 1),
    ])
}

fn date(value: &Value) -> Flow<DateTime> {
    let items = array(value.clone())?;
    let part = |at: usize| items.get(at).and_then(Value::as_f64);
    let whole = |at: usize| part(at).map(|number| number.floor());
    // The casts saturate, and what is out of range is refused.
    let read = || {
        let seconds = part(5)?;
        let nanoseconds = (seconds.fract() * 1e9) as i32;
        let small = |at: usize| whole(at).map(|number| number as i8);
        let month = (whole(1)? + 1.0) as i8;
        DateTime::new(whole(0)? as i16, month, small(2)?, small(3)?, small(4)?, seconds as i8, nanoseconds)
            .ok()
    };
    read().ok_or_else(|| fail("a date is `[year, month, day, hours, minutes, seconds]`, with months from 0"))
}

fn utc(date: DateTime) -> Flow<Timestamp> {
    let zoned = date.to_zoned(TimeZone::UTC).map_err(|_| fail("the date is out of range"))?;
    Ok(zoned.timestamp())
}

pub(super) fn todate(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    let text = timestamp(&value)?.to_string();
    m.string(text)
}

/// RFC 3339, with any offset.
pub(super) fn fromdate(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    let at: Timestamp =
        text(&value)?.parse().map_err(|_| fail("the text is not a date such as `2026-01-31T12:00:00Z`"))?;
    Ok(seconds(m, at))
}

pub(super) fn gmtime(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    let date = TimeZone::UTC.to_datetime(timestamp(&value)?);
    parts(m, date)
}

pub(super) fn mktime(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    let at = utc(date(&value)?)?;
    Ok(seconds(m, at))
}

pub(super) fn strftime(m: &mut Machine<'_>, value: Value, format: Value) -> Flow<Value> {
    let at = match &value {
        Value::Array(_) => utc(date(&value)?)?,
        _ => timestamp(&value)?,
    };
    let format = text(&format)?;
    // A specifier of two letters writes some tens, padding at most 255.
    m.create(format.len() as u64 * 128)?;
    let written = strtime::format(&**format, &at.to_zoned(TimeZone::UTC));
    m.string(written.map_err(|_| fail("`strftime` does not know this format"))?)
}

pub(super) fn strptime(m: &mut Machine<'_>, value: Value, format: Value) -> Flow<Value> {
    let (value, format) = (text(&value)?, text(&format)?);
    m.work((value.len() + format.len()) as u64)?;
    let unfit = || fail("the text does not fit the format of `strptime`");
    let found = strtime::parse(&**format, &**value).map_err(|_| unfit())?;
    let date = found.to_datetime().map_err(|_| unfit())?;
    let date = match found.offset() {
        None => date,
        Some(offset) => TimeZone::UTC.to_datetime(offset.to_timestamp(date).map_err(|_| unfit())?),
    };
    parts(m, date)
}
