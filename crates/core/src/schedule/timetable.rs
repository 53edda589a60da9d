//! When a schedule ticks: a cron expression in a time zone.
//!
//! On days when clocks change, it is as with cron: a tick at a fixed time that does not exist comes at the first moment
//! after the gap, and one at a time that exists twice comes once, the first time. Ticks at every so many minutes or hours
//! follow the elapsed time: none in the gap, and in both of the repeated hours.

use std::fmt;

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Zoned, tz::TimeZone};

use crate::clock::Timestamp;

/// The longest expression, in bytes.
const MAX_BYTES: usize = 200;
/// The fields of an expression with seconds; five fields are without the first one.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, or `L` for the last one"),
    ("month", "1 to 12, or JAN to DEC"),
    ("day of the week", "0 to 7 (0 and 7 are Sunday), or SUN to SAT"),
];
const NICKNAMES: [&str; 7] =
    ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// A cron expression in a time zone, checked.
#[derive(Clone)]
pub struct Timetable {
    text: String,
    zone_name: String,
    cron: Cron,
    zone: TimeZone,
}

/// One moment of a timetable, to the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    pub at: Timestamp,
    /// RFC 3339 with the offset of the time zone at that moment.
    pub text: String,
}

/// Ticks whose time has come, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    pub ticks: Vec<Tick>,
    /// There are older ones, which are left out.
    pub more: bool,
}

/// Why an expression cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Where in the text, in bytes.
    pub from: usize,
    pub to: usize,
    pub message: String,
    pub hint: String,
}

impl Timetable {
    /// Reads five fields, or six with seconds before them, or a nickname such as `@daily`.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str, zone_name: &str, zone: TimeZone) -> Result<Self, ParseError> {
        let whole = |message: String, hint: &str| ParseError {
            from: 0,
            to: text.len(),
            message,
            hint: hint.to_owned(),
        };
        if text.len() > MAX_BYTES || !text.is_ascii() {
            let message = format!("a cron expression has ASCII letters only, at most {MAX_BYTES}");
            return Err(whole(message, "for 3 in the morning: `0 3 * * *`"));
        }
        let fields = fields(text);
        let nickname = text.contains('@');
        if nickname && !NICKNAMES.contains(&text.trim().to_ascii_lowercase().as_str()) {
            let known: Vec<String> = NICKNAMES.iter().map(|name| format!("`{name}`")).collect();
            let message = format!("`{}` is no cron expression", text.trim());
            return Err(whole(message, &format!("there are {}", known.join(", "))));
        }
        if !nickname && !matches!(fields.len(), 5 | 6) {
            let message = format!("a cron expression has five fields, and this has {}", fields.len());
            return Err(whole(
                message,
                "minute, hour, day of the month, month, day of the week; seconds may stand before them",
            ));
        }
        if !nickname {
            wrong_field(text, &fields)?;
        }
        let cron = parse(text).map_err(|error| {
            whole(format!("this is no cron expression: {error}"), "for 3 in the morning: `0 3 * * *`")
        })?;
        Ok(Timetable { text: text.trim().to_owned(), zone_name: zone_name.to_owned(), cron, zone })
    }

    /// The expression, as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name of its time zone.
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// The first tick after a moment. Nothing: none comes any more.
    pub fn next(&self, after: Timestamp) -> Option<Tick> {
        let after = jiff::Timestamp::from_millisecond(after.0).ok()?.to_zoned(self.zone.clone());
        self.cron.find_next_occurrence(&after, false).ok().map(|zoned| Tick::of(&zoned))
    }

    /// The ticks after a moment, up to now (inclusive): the last `limit` of them. The effort depends on `limit`, not on how
    /// many there are.
    pub fn due(&self, after: Timestamp, now: Timestamp, limit: usize) -> Due {
        let all = self.up_to(after, now, limit);
        if all.len() <= limit {
            return Due { ticks: all, more: false };
        }
        // From `few` on there are not too many, from `many` on there are. Ticks are a second apart at least.
        let (mut many, mut few) = (after.0.div_euclid(1000), now.0.div_euclid(1000) + 1);
        let mut ticks = Vec::new();
        while few - many > 1 {
            let middle = many + (few - many) / 2;
            let found = self.up_to(Timestamp(middle * 1000), now, limit);
            if found.len() > limit {
                many = middle;
            } else {
                (few, ticks) = (middle, found);
            }
        }
        Due { ticks, more: true }
    }

    /// One more than `limit` at most.
    fn up_to(&self, after: Timestamp, now: Timestamp, limit: usize) -> Vec<Tick> {
        let mut ticks: Vec<Tick> = Vec::new();
        while ticks.len() <= limit {
            let last = ticks.last().map_or(after, |tick| tick.at);
            match self.next(last) {
                // What does not come later would come for ever.
                Some(tick) if tick.at <= now && tick.at > last => ticks.push(tick),
                _ => break,
            }
        }
        ticks
    }
}

impl fmt::Debug for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.text, self.zone_name)
    }
}

impl Tick {
    fn of(zoned: &Zoned) -> Self {
        let moment = zoned.timestamp();
        Tick {
            at: Timestamp(moment.as_millisecond()),
            text: moment.display_with_offset(zoned.offset()).to_string(),
        }
    }
}

fn parse(text: &str) -> Result<Cron, croner::errors::CronError> {
    CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build().parse(text)
}

/// Each field with its place.
fn fields(text: &str) -> Vec<(usize, &str)> {
    text.split_ascii_whitespace()
        .map(|field| (field.as_ptr() as usize - text.as_ptr() as usize, field))
        .collect()
}

/// Tries each field beside others that are sound: the first one that cannot be read is told.
fn wrong_field(text: &str, fields: &[(usize, &str)]) -> Result<(), ParseError> {
    let known = &FIELDS[FIELDS.len() - fields.len()..];
    for (place, ((from, field), (name, values))) in fields.iter().zip(known).enumerate() {
        let mut alone = vec!["*"; fields.len()];
        alone[place] = field;
        if parse(&alone.join(" ")).is_err() {
            return Err(ParseError {
                from: *from,
                to: from + field.len(),
                message: format!("`{field}` in `{text}` is no {name}"),
                hint: format!("{values}; also `*`, lists `1,2`, ranges `1-5` and steps `*/5`"),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(text: &str, zone: &str) -> Timetable {
        Timetable::parse(text, zone, TimeZone::get(zone).unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        crate::queue::moment(text).unwrap()
    }

    /// The first ticks after a moment.
    fn ticks(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let (table, mut last) = (table(text, zone), at(after));
        let next = || {
            let tick = table.next(last)?;
            last = tick.at;
            Some(tick.text)
        };
        std::iter::from_fn(next).take(count).collect()
    }

    #[test]
    fn ticks_come_at_the_wall_clock_time_of_the_zone() {
        assert_eq!(
            ticks("0 3 * * *", "Europe/Berlin", "2026-06-30T01:00:00Z", 2),
            ["2026-07-01T03:00:00+02:00", "2026-07-02T03:00:00+02:00"]
        );
        assert_eq!(ticks("30 12 L * *", "UTC", "2028-02-01T00:00:00Z", 1), ["2028-02-29T12:30:00+00:00"]);
        assert_eq!(
            ticks("@hourly", "Asia/Kolkata", "2026-01-01T00:00:00Z", 1),
            ["2026-01-01T06:00:00+05:30"]
        );
        assert_eq!(
            ticks("*/30 * * * * *", "UTC", "2026-01-01T00:00:00.500Z", 2),
            ["2026-01-01T00:00:30+00:00", "2026-01-01T00:01:00+00:00"]
        );
        // A day of the month or a day of the week: either is enough.
        assert_eq!(
            ticks("0 0 13 * FRI", "UTC", "2026-03-11T00:00:00Z", 2),
            ["2026-03-13T00:00:00+00:00", "2026-03-20T00:00:00+00:00"]
        );
    }

    /// In Berlin, 2026-03-29 has no time from 02:00 to 03:00.
    #[test]
    fn a_fixed_time_in_a_gap_comes_at_its_end_and_an_interval_goes_on() {
        assert_eq!(
            ticks("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3),
            ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
        );
        assert_eq!(
            ticks("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 4),
            [
                "2026-03-29T01:30:00+01:00",
                "2026-03-29T03:00:00+02:00",
                "2026-03-29T03:30:00+02:00",
                "2026-03-29T04:00:00+02:00",
            ]
        );
    }

    /// In Berlin, 2026-10-25 has the time from 02:00 to 03:00 twice.
    #[test]
    fn a_fixed_time_that_is_there_twice_comes_once_and_an_interval_in_both() {
        assert_eq!(
            ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
        );
        assert_eq!(
            ticks("30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", 3),
            ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"]
        );
    }

    #[test]
    fn what_never_comes_is_found_to_end() {
        assert_eq!(table("0 0 30 2 *", "UTC").next(Timestamp(0)), None);
        assert_eq!(table("0 0 31 4,6,9,11 *", "Europe/Berlin").next(Timestamp(0)), None);
        assert_eq!(ticks("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 1), ["2028-02-29T00:00:00+00:00"]);
        assert_eq!(table("* * * * *", "UTC").next(Timestamp::NEVER), None);
    }

    #[test]
    fn a_wrong_field_is_told_with_its_place() {
        let told = |text: &str| Timetable::parse(text, "UTC", TimeZone::UTC).map(drop).unwrap_err();
        let error = told("0  61 * * *");
        assert_eq!((error.from, error.to), (3, 5));
        assert!(error.message.contains("no hour") && error.hint.contains("0 to 23"), "{error:?}");
        let error = told("0 0 0 * * MOO");
        assert_eq!((error.from, error.to), (10, 13));
        assert!(error.message.contains("no day of the week"), "{error:?}");
        assert!(told("0 3 * *").message.contains("has 4"));
        assert!(told("0 0 3 * * * 2026").message.contains("has 7"));
        assert!(told("").message.contains("has 0"));
        assert!(told("@never").hint.contains("@daily"));
        assert!(told("0 3 * * ä").message.contains("ASCII"));
        assert!(told(&"1,".repeat(200)).message.contains("at most 200"));
    }

    #[test]
    fn of_many_ticks_that_are_due_the_last_are_given_without_counting_all() {
        let table = table("* * * * * *", "UTC");
        let now = at("2026-12-01T00:00:00.700Z");
        let due = table.due(at("1996-12-01T00:00:00Z"), now, 3);
        let texts: Vec<&str> = due.ticks.iter().map(|tick| &*tick.text).collect();
        assert!(due.more);
        assert_eq!(
            texts,
            ["2026-11-30T23:59:58+00:00", "2026-11-30T23:59:59+00:00", "2026-12-01T00:00:00+00:00"]
        );
        let due = table.due(at("2026-11-30T23:59:58Z"), now, 3);
        assert_eq!((due.ticks.len(), due.more), (2, false));
        assert_eq!(table.due(now, now, 3), Due::default());
        // A clock that was set back.
        assert_eq!(table.due(at("2027-01-01T00:00:00Z"), now, 3), Due::default());
    }

    proptest! {
        /// Whatever is written: it is refused, or it ticks forward.
        #[test]
        fn no_text_is_too_much(text in "[0-9*,/LW#?@A-Z -]{0,24}", after in 0i64..4_000_000_000_000) {
            if let Ok(table) = Timetable::parse(&text, "UTC", TimeZone::UTC)
                && let Some(tick) = table.next(Timestamp(after))
            {
                prop_assert!(tick.at > Timestamp(after));
            }
        }

        /// Which ticks there are does not depend on where one begins to look, on days when clocks change, too.
        #[test]
        fn every_beginning_finds_the_same_ticks(
            text in prop::sample::select(vec!["30 2 * * *", "*/20 * * * *", "0 */2 * * *", "15 2,3 * * *", "0 0 * * SUN"]),
            zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
            day in 0i64..366,
            offset in 0i64..86_400,
        ) {
            let table = table(text, zone);
            let start = at("2026-01-01T00:00:00Z").0 + day * 86_400_000;
            let begin = Timestamp(start + offset * 1000);
            let mut last = Timestamp(start);
            while last <= begin {
                last = table.next(last).unwrap().at;
            }
            prop_assert_eq!(table.next(begin).unwrap().at, last);
        }
    }
}
