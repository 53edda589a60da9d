//! What the server's error numbers mean, and what of its words may be told.
//!
//! <https://mariadb.com/kb/en/mariadb-error-codes/> and <https://dev.mysql.com/doc/mysql-errors/8.4/en/>.

use mysql_async::ServerError;
use renkei_core::{Kind, Retry};

use super::error::State;

/// What a server error means: kind, retry, and its words.
pub(super) struct Meaning {
    pub(super) kind: Kind,
    pub(super) retry: Option<Retry>,
    pub(super) text: String,
    pub(super) state: State,
    /// Whether the server's message holds nothing but names and the config's own text.
    pub(super) quotable: bool,
}

impl Meaning {
    pub(super) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Meaning { kind, retry: None, text: text.into(), state: State::Ready, quotable: false }
    }

    pub(super) fn retry(self, retry: Retry) -> Self {
        Meaning { retry: Some(retry), ..self }
    }

    pub(super) fn lost(self) -> Self {
        Meaning { state: State::Lost, ..self }
    }

    pub(super) fn quotable(self) -> Self {
        Meaning { quotable: true, ..self }
    }
}

/// Of an error of a statement.
pub(super) fn of(why: &ServerError) -> Meaning {
    constraint(why).or_else(|| unfit(why)).or_else(|| forbidden(why)).unwrap_or_else(|| misfit(why))
}

/// A rule of the database does not hold.
fn constraint(why: &ServerError) -> Option<Meaning> {
    let message = &why.message;
    let conflict = |text: String| Some(Meaning::new(Kind::Conflict, text));
    let named = |what: &str, name: Option<&str>, rest: &str| match name {
        Some(name) => format!("{what} `{name}` {rest}"),
        None => format!("{what} {rest}"),
    };
    match why.code {
        1062 | 1586 | 1557 | 1761 | 1762 => {
            conflict(named("the unique key", last_quoted(message, " for key "), "has this value already"))
        }
        1048 | 1263 | 1121 => {
            conflict(named("the column", last_quoted(message, "Column "), "must have a value (not null)"))
        }
        1364 => conflict(named(
            "the column",
            last_quoted(message, "Field "),
            "must have a value (it has no default)",
        )),
        4025 | 3819 => conflict(named(
            "the check constraint",
            last_quoted(message, "CONSTRAINT ").or_else(|| last_quoted(message, "Check constraint ")),
            "does not hold for the values",
        )),
        1451 | 1452 | 1216 | 1217 => conflict(named(
            "the foreign key constraint",
            last_quoted(message, "CONSTRAINT "),
            "does not hold: a row is missing, or still in use",
        )),
        1369 => conflict("the row does not belong to the view (`with check option`)".into()),
        // `signal sqlstate '45000' set message_text = '…'`: the words of whoever made the database.
        1643..=1645 => Some(Meaning::new(Kind::Rejected, message.clone()).quotable()),
        _ => None,
    }
}

/// The values do not fit. Of the message only the column is told.
fn unfit(why: &ServerError) -> Option<Meaning> {
    // A value that looks like the end of a message is cut by this, too.
    let told = why.message.rsplit_once(" at row ").map(|(before, _)| before);
    let column = told.and_then(|message| last_quoted(message, "olumn "));
    let text = |what: &str| match column {
        Some(column) => format!("a value does not fit the column `{column}`: {what}"),
        None => format!("a value does not fit: {what}"),
    };
    let what = match why.code {
        1264 | 1690 | 1916 => "it is out of range",
        1406 | 1301 => "it is too long",
        1292 | 1411 if why.message.contains("time value") => {
            "it is no such time; write it in UTC without a zone, as `2026-01-31T10:00:00`, or declare the argument as `date-time`"
        }
        1265 | 1366 | 1292 | 1525 | 1411 | 1441 | 1918 | 4078 | 1367 => "it has another type or form",
        3140 | 3141 | 4036..=4041 => "it is no JSON",
        1365 => "it is divided by zero",
        1139 | 3692 | 3685..=3700 => "it is no regular expression",
        1153 | 1162 | 1105 => "it is longer than the server takes (`max_allowed_packet`)",
        1416 | 4079 | 3037 | 3548 => "it is no geometry",
        1210 => "a function takes no such argument",
        _ => return None,
    };
    Some(Meaning::new(Kind::Invalid, text(what)))
}

/// The user may not do it.
fn forbidden(why: &ServerError) -> Option<Meaning> {
    let text = match why.code {
        1142 | 1143 | 1044 | 1045 | 1370 | 1227 | 1410 | 1419 | 1095 => {
            "the database user may not do this; grant it, or use another user"
        }
        1290 | 1792 | 1836 | 3100 => "the server, or this system, is read-only",
        _ => return None,
    };
    Some(Meaning::new(Kind::Forbidden, text).quotable())
}

/// The rest: the statement does not fit the database, which is the config's fault.
fn misfit(why: &ServerError) -> Meaning {
    match why.code {
        // Messages about names and the text of the statement, which hold no values.
        1046 | 1051 | 1052 | 1054 | 1060 | 1063 | 1064 | 1066 | 1072 | 1075 | 1091 | 1093 | 1109 | 1110
        | 1111 | 1136 | 1140 | 1146 | 1149 | 1176 | 1222 | 1235 | 1241 | 1242 | 1247 | 1248 | 1055 | 1056
        | 1295 | 1305 | 1318 | 1327 | 1336 | 1424 | 1428 | 1582 | 1583 | 4161 | 1172 | 1267 | 1270 | 1271
        | 1273 | 1115 => {
            let text = format!("the statement does not fit the database: {}", why.message);
            Meaning::new(Kind::Internal, text).quotable()
        }
        code => Meaning::new(
            Kind::Internal,
            format!("the statement does not fit the database ({code}, {})", why.state),
        ),
    }
}

/// The last part of the name in quotation marks after `before`: of `` `shop`.`products`.`price` ``
/// it is `price`. Nothing if there is none.
fn last_quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    let rest = &message[message.rfind(before)? + before.len()..];
    let mut name = None;
    let mut at = 0;
    while let Some(quote @ ('\'' | '`')) = rest[at..].chars().next() {
        let from = at + 1;
        let to = from + rest[from..].find(quote)?;
        name = Some(&rest[from..to]);
        at = to + 1;
        match rest[at..].starts_with('.') {
            true => at += 1,
            false => break,
        }
    }
    name.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_names_and_no_values() {
        for (message, before, name) in [
            ("Duplicate entry 'a' for key 'products.sku'", " for key ", Some("products.sku")),
            ("Duplicate entry 'x' for key 'y' for key 'PRIMARY'", " for key ", Some("PRIMARY")),
            ("Incorrect integer value: 'abc' for column `shop`.`t`.`n` at row 1", "olumn ", Some("n")),
            ("Data too long for column 'name' at row 1", "olumn ", Some("name")),
            ("Incorrect datetime value: 'column 'x'", "olumn ", Some("x")),
            ("Truncated incorrect DOUBLE value: 'abc'", "olumn ", None),
            ("for column `unclosed", "olumn ", None),
            ("for column ", "olumn ", None),
            ("for column ''", "olumn ", None),
            ("CONSTRAINT `few` failed for `shop`.`t`", "CONSTRAINT ", Some("few")),
        ] {
            assert_eq!(last_quoted(message, before), name, "{message}");
        }
    }
}
