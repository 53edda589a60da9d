//! Dates and times as text: ISO 8601, and RFC 3339 where it reaches. Years before 1 end in ` BC`.

use std::fmt::Write as _;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Days from 2000-01-01.
pub(super) fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".into(),
        i32::MIN => "-infinity".into(),
        _ => {
            let (date, era) = civil(days.into());
            date + era
        }
    }
}

/// Microseconds from midnight.
pub(super) fn time(micros: i64) -> String {
    let mut text = format!("{:02}:{:02}", micros / HOUR, micros % HOUR / MINUTE);
    let _ = write!(text, ":{:02}", micros % MINUTE / SECOND);
    fraction(&mut text, micros % SECOND);
    text
}

/// Seconds west of Greenwich.
pub(super) fn zone(west: i32) -> String {
    let sign = if west > 0 { '-' } else { '+' };
    let east = west.unsigned_abs();
    let mut text = format!("{sign}{:02}:{:02}", east / 3600, east % 3600 / 60);
    if !east.is_multiple_of(60) {
        let _ = write!(text, ":{:02}", east % 60);
    }
    text
}

/// Microseconds from 2000-01-01 00:00.
pub(super) fn timestamp(micros: i64, zone: &str) -> String {
    match micros {
        i64::MAX => "infinity".into(),
        i64::MIN => "-infinity".into(),
        _ => {
            let (date, era) = civil(micros.div_euclid(DAY));
            format!("{date}T{}{zone}{era}", time(micros.rem_euclid(DAY)))
        }
    }
}

/// As ISO 8601 has it, each part with its own sign.
pub(super) fn interval(months: i32, days: i32, micros: i64) -> String {
    match (months, days, micros) {
        (i32::MAX, i32::MAX, i64::MAX) => return "infinity".into(),
        (i32::MIN, i32::MIN, i64::MIN) => return "-infinity".into(),
        _ => {}
    }
    let mut text = String::from("P");
    let part = |text: &mut String, number: i64, unit: char| {
        if number != 0 {
            let _ = write!(text, "{number}{unit}");
        }
    };
    part(&mut text, (months / 12).into(), 'Y');
    part(&mut text, (months % 12).into(), 'M');
    part(&mut text, days.into(), 'D');
    if micros != 0 || text == "P" {
        text.push('T');
        part(&mut text, micros / HOUR, 'H');
        part(&mut text, micros % HOUR / MINUTE, 'M');
        let seconds = micros % MINUTE;
        if seconds != 0 || text.ends_with('T') {
            let sign = if seconds < 0 { "-" } else { "" };
            let _ = write!(text, "{sign}{}", (seconds / SECOND).abs());
            fraction(&mut text, (seconds % SECOND).abs());
            text.push('S');
        }
    }
    text
}

fn fraction(text: &mut String, micros: i64) {
    if micros != 0 {
        let digits = format!("{micros:06}");
        let _ = write!(text, ".{}", digits.trim_end_matches('0'));
    }
}

/// Year, month and day of a day, and its era. After Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn civil(days: i64) -> (String, &'static str) {
    // From 0000-03-01, so that leap days come last in their year.
    const TO_2000: i64 = 730_425;
    const ERA: i64 = 146_097;
    let days = days + TO_2000;
    let era = days.div_euclid(ERA);
    let day_of_era = days.rem_euclid(ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (year, suffix) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{year:04}-{month:02}-{day:02}"), suffix)
}
