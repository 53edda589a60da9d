//! How far a schedule is: one cell of the store.

use renkei_core::{
    Error, Map, Result, Value,
    clock::Timestamp,
    schedule::Timetable,
    store::{Cell, NewCell, Record, Store},
};

/// The space of the cells; their keys are the names of schedules.
pub(super) const SPACE: &str = "schedule";
/// The version of what [`Progress::cell`] writes.
const VERSION: u16 = 1;

/// What the store knows of a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The expression and the time zone that it is about. Another one begins anew.
    pub cron: String,
    pub timezone: String,
    /// Every tick up to this moment is seen to.
    pub after: Timestamp,
    /// The last tick that was enqueued, or failed.
    pub last: Option<Last>,
}

/// What became of a tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Last {
    /// RFC 3339 with an offset.
    pub tick: String,
    /// The id of its message.
    pub message: Option<String>,
    /// Why there is none.
    pub problem: Option<String>,
}

impl Progress {
    /// Of a timetable that begins now.
    pub(super) fn new(timetable: &Timetable, now: Timestamp) -> Self {
        Progress {
            cron: timetable.text().to_owned(),
            timezone: timetable.zone_name().to_owned(),
            after: now,
            last: None,
        }
    }

    /// Whether it is about this timetable.
    pub fn is_of(&self, timetable: &Timetable) -> bool {
        self.cron == timetable.text() && self.timezone == timetable.zone_name()
    }

    /// Nothing for a schedule that no process has begun yet.
    ///
    /// # Errors
    /// The store cannot be read, or `internal` for what no version of Renkei has written.
    pub async fn read(store: &dyn Store, schedule: &str) -> Result<Option<Self>> {
        match store.cell(SPACE, schedule).await? {
            Some(cell) => Self::of(&cell).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn of(cell: &Cell) -> Result<Self> {
        let bad =
            |what: &str| Error::internal(format!("read how far the schedule `{}` is: {what}", cell.key));
        if cell.value.version != VERSION {
            return Err(bad(&format!(
                "its form is {}, and this version of Renkei reads {VERSION}",
                cell.value.version
            )));
        }
        let value =
            Value::from_json(&cell.value.bytes).map_err(|error| bad(&format!("it is no JSON: {error}")))?;
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let last = value.get("last").and_then(|last| {
            Some(Last {
                tick: text(last, "tick")?,
                message: text(last, "message"),
                problem: text(last, "problem"),
            })
        });
        let after = value.get("after").and_then(Value::as_i64);
        match (text(&value, "cron"), text(&value, "timezone"), after) {
            (Some(cron), Some(timezone), Some(after)) => {
                Ok(Progress { cron, timezone, after: Timestamp(after), last })
            }
            _ => Err(bad("a part is missing")),
        }
    }

    pub(super) fn cell(&self) -> NewCell {
        let mut map = Map::new();
        map.insert("cron".into(), self.cron.as_str().into());
        map.insert("timezone".into(), self.timezone.as_str().into());
        map.insert("after".into(), self.after.0.into());
        if let Some(last) = &self.last {
            let mut of_last = Map::new();
            of_last.insert("tick".into(), last.tick.as_str().into());
            for (key, text) in [("message", &last.message), ("problem", &last.problem)] {
                if let Some(text) = text {
                    of_last.insert(key.into(), text.as_str().into());
                }
            }
            map.insert("last".into(), of_last.into());
        }
        NewCell::new(Record::new(VERSION, Value::from(map).to_json()))
    }
}
