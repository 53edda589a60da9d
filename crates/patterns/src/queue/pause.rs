//! Whether a queue is paused: nothing is claimed while it is. What is under way goes on.

use renkei_core::{
    Map, Result, Value,
    clock::Timestamp,
    store::{Batch, CellExpected, NewCell, Record, Store},
};

/// The space of the cells; the key is the queue's name.
pub const PAUSED: &str = "queue_paused";
const VERSION: u16 = 1;

/// Since when a queue is paused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    pub since: Timestamp,
    pub reason: Option<String>,
}

impl Paused {
    /// Nothing: the queue is not paused.
    pub async fn read(store: &dyn Store, queue: &str) -> Result<Option<Self>> {
        let Some(cell) = store.cell(PAUSED, queue).await? else { return Ok(None) };
        // What cannot be read is a pause all the same.
        let value = Value::from_json(&cell.value.bytes).unwrap_or_default();
        let reason = value.get("reason").and_then(Value::as_str).map(str::to_owned);
        Ok(Some(Paused { since: cell.changed, reason }))
    }

    /// Pauses a queue in all processes; each sees it within a second. One that is paused already gets the new reason.
    pub async fn set(store: &dyn Store, queue: &str, reason: Option<&str>) -> Result<()> {
        store.commit(Self::setting(queue, reason)).await?.into_result().map(drop)
    }

    pub(crate) fn setting(queue: &str, reason: Option<&str>) -> Batch {
        let mut map = Map::new();
        if let Some(reason) = reason {
            map.insert("reason".into(), reason.into());
        }
        let cell = NewCell::new(Record::new(VERSION, Value::from(map).to_json()));
        Batch::new().set(PAUSED, queue, CellExpected::Any, cell)
    }

    /// Goes on with a queue, whether it was paused or not.
    pub async fn clear(store: &dyn Store, queue: &str) -> Result<()> {
        store.commit(Self::clearing(queue)).await?.into_result().map(drop)
    }

    pub(crate) fn clearing(queue: &str) -> Batch {
        Batch::new().delete(PAUSED, queue, CellExpected::Any)
    }
}
