//! Results of statements, as every SQL system gives them.

use renkei_core::{Kind, Map, Payload, Reply, Value, call::Again, read::Bytes};

/// The result of one statement.
#[derive(Debug)]
pub struct Done {
    /// Rows, one row, or what the statement changed.
    pub value: Value,
    pub meta: Map,
    pub notices: Vec<String>,
    /// How many rows were changed.
    pub affected: u64,
    pub truncated: bool,
}

impl From<Done> for Reply {
    fn from(done: Done) -> Self {
        let meta = done.meta.into();
        Reply {
            value: Payload::Json(done.value),
            meta,
            notices: done.notices,
            page: None,
            again: Again::Whole,
        }
    }
}

/// The results of a transaction.
pub fn together(done: impl Iterator<Item = Done>) -> Reply {
    let (mut values, mut metas, mut notices) = (Vec::new(), Vec::new(), Vec::new());
    let (mut affected, mut truncated) = (0, false);
    for (at, done) in done.enumerate() {
        affected += done.affected;
        truncated |= done.truncated;
        notices.extend(done.notices.into_iter().map(|notice| format!("statement {}: {notice}", at + 1)));
        values.push(done.value);
        metas.push(Value::from(done.meta));
    }
    let meta = Value::from([
        ("affected", Value::from(affected)),
        ("truncated", truncated.into()),
        ("statements", metas.into()),
    ]);
    Reply { value: Payload::Json(values.into()), meta, notices, page: None, again: Again::Whole }
}

/// `one: true`: one row, or exactly one row changed. What else there is, in words.
pub fn one(rows: u64) -> Result<(), (Kind, &'static str)> {
    match rows {
        1 => Ok(()),
        0 => Err((Kind::NotFound, "no row matches")),
        _ => Err((Kind::Conflict, "more than one row matches, where `one: true` asks for exactly one")),
    }
}

/// How much a result may still grow, and what is worth telling about its values.
#[derive(Debug)]
pub struct Budget {
    left: usize,
    notices: Vec<&'static str>,
}

impl Budget {
    pub fn new(bytes: usize) -> Self {
        Budget { left: bytes, notices: Vec::new() }
    }

    /// Takes the bytes, if there are as many.
    pub fn take(&mut self, bytes: usize) -> Option<()> {
        self.left = self.left.checked_sub(bytes)?;
        Some(())
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Tells the model something about the values, once a statement.
    pub fn tell(&mut self, notice: &'static str) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    pub fn notices(&self) -> Vec<String> {
        self.notices.iter().map(|notice| (*notice).into()).collect()
    }
}

/// Why not all rows are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Rows,
    Bytes,
}

impl Cut {
    /// For the model. `rows` is how many are given.
    pub fn notice(self, rows: usize, max_bytes: Bytes) -> String {
        let rows = thousands(rows);
        match self {
            Cut::Rows => {
                format!("cut at {rows} rows (`max_rows`); there are more, so narrow the query")
            }
            Cut::Bytes => {
                format!(
                    "cut after {rows} rows at {max_bytes} (`max_bytes`); there are more, so narrow the query"
                )
            }
        }
    }
}

/// `12345` as `12,345`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
