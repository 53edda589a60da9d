//! `idempotency` of a tool: a second call with the same key has the outcome of the first, and no effect of its own.
//!
//! The intent is durable before the action begins, the outcome before the answer. Whoever finds an intent without an
//! outcome waits for it, as long as the first call may still run; after that nobody knows what it did, and it is said so.
//!
//! The intent names its run. A durable run that is taken up again, after a crash or with an answer, finds its own and goes on;
//! how it stands is in its stream. Whoever finds the intent of one that waits for an answer is told where to give it.

use std::time::Duration;

use bytes::Bytes;
use renkei_core::{
    Applied, Error, Kind, Map, Outcome, Payload, Result, Retry, RunContext, Value,
    clock::Timestamp,
    store::{Batch, Cell, CellExpected, Change, Changes, NewCell, Record, Refusal, Store, Verdict, When},
    tool::IdempotencyPlan,
};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep_until};

use super::Engine;
use crate::durable::{self, Standing};

/// The space of the cells.
const SPACE: &str = "idempotency";
const VERSION: u16 = 1;
const STEP: &str = "idempotency";
/// A result that takes more is not kept; that it was given is.
const MAX_KEPT: usize = 1_000_000;
/// How often a call looks whether the first one has come to an end; a hint makes it look at once.
const POLL: Duration = Duration::from_millis(500);
/// A call that has had no time left for so long does not run any more.
const GRACE: Duration = Duration::from_secs(5);

/// The cell of one key.
struct Place<'a> {
    store: &'a dyn Store,
    key: String,
    /// What tells whether two calls are the same.
    input: String,
    ttl: Duration,
    /// Who looks, and whether it has a stream.
    run: &'a str,
    is_durable: bool,
}

/// What is known of a key.
enum Known {
    /// Its call may begin: the version of the intent.
    Begin(u64),
    /// The call has come to an end.
    Ended(Result<Outcome>),
    /// It is under way until then, at most.
    UnderWay(Timestamp),
}

impl Engine {
    /// Runs `action` if it is the first with its key, or gives what the first gave.
    pub(super) async fn once(
        &self,
        plan: &IdempotencyPlan,
        tool: &str,
        cx: &RunContext,
        (input, is_durable): (&Value, bool),
        action: impl Future<Output = Result<Outcome>>,
    ) -> Result<Outcome> {
        let key = match plan.key.render(&cx.scope(STEP, input.clone()))? {
            // Whoever gives no key asks for nothing.
            None | Some(Value::Null) => return action.await,
            Some(key) => key,
        };
        let store =
            self.store().ok_or_else(|| Error::internal("keep an idempotency key: there is no store here"))?;
        let place = Place {
            store: &**store,
            key: cell_key(tool, cx, &key),
            input: digest(input),
            ttl: plan.ttl,
            run: cx.id(),
            is_durable,
        };
        let mut changes = store.changes();
        let version = loop {
            match place.look(cx).await? {
                Known::Begin(version) => break version,
                Known::Ended(outcome) => return outcome,
                Known::UnderWay(until) => wait(cx, &place, until, &mut changes).await?,
            }
        };
        let outcome = action.await;
        place.end(version, &outcome).await;
        outcome
    }
}

impl Place<'_> {
    async fn look(&self, cx: &RunContext) -> Result<Known> {
        let left = cx.call.deadline.saturating_duration_since(Instant::now());
        let intent = self.intent("begun", self.store.now().after(left + GRACE));
        match self.begin(CellExpected::Absent, &intent).await? {
            Some(version) => Ok(Known::Begin(version)),
            None => match self.store.cell(SPACE, &self.key).await? {
                Some(cell) => self.read(&cell, &intent).await,
                // It ended without an effect just now: look again at once.
                None => Ok(Known::UnderWay(self.store.now())),
            },
        }
    }

    fn intent(&self, state: &str, until: Timestamp) -> Value {
        Value::from([
            ("state", Value::from(state)),
            ("input", self.input.as_str().into()),
            ("until", until.0.into()),
            ("run", self.run.into()),
            ("durable", self.is_durable.into()),
        ])
    }

    /// The version of the intent; nothing if another one is there.
    async fn begin(&self, expected: CellExpected, intent: &Value) -> Result<Option<u64>> {
        match self.set(expected, intent).await? {
            Verdict::Done(receipt) => Ok(Some(receipt.cells.first().copied().flatten().unwrap_or_default())),
            Verdict::Refused(Refusal::Cell { .. }) => Ok(None),
            Verdict::Refused(other) => Err(other.into()),
        }
    }

    /// Puts the own intent in the place of one that holds no more.
    async fn take_over(&self, cell: &Cell, intent: &Value) -> Result<Known> {
        let version = self.begin(CellExpected::Version(cell.version), intent).await?;
        Ok(version.map_or_else(|| Known::UnderWay(self.store.now()), Known::Begin))
    }

    async fn set(&self, expected: CellExpected, value: &Value) -> Result<Verdict> {
        let mut cell = NewCell::new(Record::new(VERSION, value.to_json()));
        cell.expires = Some(When::After(self.ttl));
        self.store.commit(Batch::new().set(SPACE, self.key.as_str(), expected, cell)).await
    }

    async fn read(&self, cell: &Cell, intent: &Value) -> Result<Known> {
        let value = Value::from_json(&cell.value.bytes)
            .map_err(|error| Error::internal(format!("read an idempotency key: it is no JSON: {error}")))?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        if text("input") != self.input {
            return Err(Error::new(
                Kind::Conflict,
                "the idempotency key was used with other arguments; give a new key for a new call",
            ));
        }
        let until = Timestamp(value.get("until").and_then(Value::as_i64).unwrap_or_default());
        match text("state") {
            "done" => Ok(Known::Ended(outcome(&value))),
            "failed" => Ok(Known::Ended(Err(failure(&value)))),
            // An earlier attempt of this run: what it did is in its journal.
            _ if text("run") == self.run => self.take_over(cell, intent).await,
            state if value.get("durable").and_then(Value::as_bool) == Some(true) => {
                match durable::standing(self.store, text("run")).await? {
                    Standing::UnderWay(task) if state == "asks" => Ok(Known::Ended(Err(asks(task)))),
                    // It is taken up again, however long that takes.
                    Standing::UnderWay(_) => Ok(Known::UnderWay(until.max(self.store.now().after(POLL)))),
                    Standing::Ended(Applied::No) => self.take_over(cell, intent).await,
                    Standing::Ended(_) | Standing::Gone => Ok(Known::Ended(Err(unknown()))),
                }
            }
            _ if self.store.now() >= until => Ok(Known::Ended(Err(unknown()))),
            _ => Ok(Known::UnderWay(until)),
        }
    }

    /// Keeps the outcome. What certainly had no effect is forgotten: the same call may be tried again. A durable run that
    /// waits for an answer keeps its key.
    async fn end(&self, version: u64, outcome: &Result<Outcome>) {
        let expected = CellExpected::Version(version);
        let kept = match outcome {
            Err(error) if error.is_suspended() && self.is_durable => {
                self.set(expected, &self.intent("asks", self.store.now())).await
            }
            Err(error) if error.was_applied() == Applied::No => {
                self.store.commit(Batch::new().delete(SPACE, self.key.as_str(), expected)).await
            }
            outcome => self.set(expected, &record(&self.input, outcome)).await,
        };
        if let Err(error) = kept.and_then(Verdict::into_result) {
            // A repeat is told that nobody knows.
            tracing::warn!(
                detail = error.detail_text(),
                "the outcome of an idempotency key was not kept: {error}"
            );
        }
    }
}

/// Waits until the cell may have changed.
async fn wait(cx: &RunContext, place: &Place<'_>, until: Timestamp, changes: &mut Changes) -> Result<()> {
    if Instant::now() >= cx.call.deadline {
        let text = "the first call with this idempotency key is still under way; ask again with the same key";
        return Err(Error::new(Kind::Timeout, text).retry(Retry::Safe).applied(Applied::Unknown));
    }
    let left = until.since(place.store.now()).min(POLL);
    let look = (Instant::now() + left).min(cx.call.deadline);
    let hint = async {
        while let Some(change) = changes.next().await {
            match change {
                Change::Cell { space, key } if *space == *SPACE && *key == *place.key => return,
                Change::Unknown => return,
                _ => {}
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = hint => {}
        () = sleep_until(look) => {}
    }
    Ok(())
}

/// Two callers never share a key, and neither do two tools.
fn cell_key(tool: &str, cx: &RunContext, key: &Value) -> String {
    let caller = &cx.call.principal;
    let issuer = caller.claims.get("iss").cloned().unwrap_or_default();
    let parts = [tool.into(), caller.how.as_str().into(), issuer, caller.name.clone().into(), key.clone()];
    digest(&Value::from(parts.to_vec()))
}

/// The same for equal values, in whatever order their members stand.
fn digest(value: &Value) -> String {
    let digest = Sha256::digest(sorted(value).to_json());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            members.into_iter().collect::<Map>().into()
        }
        Value::Array(items) => items.iter().map(sorted).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}

fn record(input: &str, outcome: &Result<Outcome>) -> Value {
    let mut map = Map::new();
    let mut set = |key: &str, value: Value| {
        map.insert(key.into(), value);
    };
    set("input", input.into());
    match outcome {
        Ok(outcome) => {
            set("state", "done".into());
            match &outcome.value {
                Payload::Json(value) => set("value", value.clone()),
                Payload::Blob { .. } => set("blob", outcome.value.clone().into_value()),
            }
            set("meta", outcome.meta.clone());
            set(
                "notices",
                outcome.notices.iter().map(|text| Value::from(text.as_str())).collect::<Vec<_>>().into(),
            );
            set("results", outcome.results.iter().cloned().collect::<Map>().into());
        }
        Err(error) => {
            set("state", "failed".into());
            set("kind", error.kind().as_str().into());
            set("message", error.to_string().into());
            set("applied", error.was_applied().as_str().into());
        }
    }
    let whole = Value::from(map);
    if whole.to_json().len() <= MAX_KEPT {
        return whole;
    }
    Value::from([("input", Value::from(input)), ("state", "done".into()), ("too_large", true.into())])
}

fn outcome(value: &Value) -> Result<Outcome> {
    if value.get("too_large").is_some() {
        let text = "the call with this idempotency key was done, and its result was too large to be kept";
        return Err(Error::new(Kind::Conflict, text).applied(Applied::Yes));
    }
    let member = |key: &str| value.get(key).cloned().unwrap_or_default();
    let payload = match value.get("blob") {
        Some(blob) => blob_of(blob)?,
        None => Payload::Json(member("value")),
    };
    let notices = member("notices");
    let notices = notices.as_array().unwrap_or_default().iter().filter_map(Value::as_str);
    let results = member("results");
    let results = results.as_object().cloned().unwrap_or_default();
    Ok(Outcome {
        value: payload,
        meta: member("meta"),
        notices: notices.map(str::to_owned).collect(),
        results: results.into_iter().collect(),
        next: None,
    })
}

fn blob_of(value: &Value) -> Result<Payload> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let bytes = STANDARD
        .decode(text("base64"))
        .map_err(|error| Error::internal(format!("read an idempotency key: {error}")))?;
    Ok(Payload::Blob { bytes: Bytes::from(bytes), mime_type: text("mime_type").into() })
}

fn failure(value: &Value) -> Error {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let kind = Kind::parse(text("kind")).unwrap_or(Kind::Internal);
    let applied = Applied::ALL.into_iter().find(|applied| applied.as_str() == text("applied"));
    Error::new(kind, text("message")).retry(Retry::Never).applied(applied.unwrap_or(Applied::Unknown))
}

fn asks(task: Option<String>) -> Error {
    let place = task.map(|id| format!(", in the task `{id}`")).unwrap_or_default();
    let text = format!("the first call with this idempotency key waits for an answer{place}: answer there");
    Error::new(Kind::Conflict, text).retry(Retry::Never).applied(Applied::No)
}

fn unknown() -> Error {
    let text = "the first call with this idempotency key was cut off, and whether it was done is unknown; look before you \
                try again with a new key";
    Error::new(Kind::Unavailable, text).retry(Retry::Never).applied(Applied::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_as_it_was_kept() {
        let whole = Outcome {
            meta: Value::from([("status", 201i64)]),
            notices: vec!["more rows exist".into()],
            results: vec![("rate".into(), 3i64.into())],
            ..Outcome::json(Value::from([("id", 7i64)]))
        };
        let read = outcome(&record("x", &Ok(whole.clone()))).unwrap();
        assert_eq!(format!("{read:?}"), format!("{whole:?}"));
        let blob = Payload::Blob { bytes: Bytes::from_static(b"\x89PNG"), mime_type: "image/png".into() };
        let whole = Outcome { value: blob, ..whole };
        let read = outcome(&record("x", &Ok(whole.clone()))).unwrap();
        assert_eq!(format!("{read:?}"), format!("{whole:?}"));
        let error = Error::new(Kind::Timeout, "the bank did not answer").applied(Applied::Unknown);
        let read = failure(&record("x", &Err(error)));
        assert_eq!((read.kind(), read.was_applied()), (Kind::Timeout, Applied::Unknown));
    }

    #[test]
    fn what_is_too_large_is_known_to_be_done() {
        let large = Outcome::json("x".repeat(MAX_KEPT).into());
        let error = outcome(&record("x", &Ok(large))).unwrap_err();
        assert_eq!((error.kind(), error.was_applied()), (Kind::Conflict, Applied::Yes));
    }

    #[test]
    fn the_order_of_members_does_not_matter() {
        let value = |text: &str| Value::from_json(text.as_bytes()).unwrap();
        assert_eq!(
            digest(&value(r#"{"a":1,"b":[{"c":2,"d":3}]}"#)),
            digest(&value(r#"{"b":[{"d":3,"c":2}],"a":1}"#))
        );
        assert_ne!(digest(&value("[1,2]")), digest(&value("[2,1]")));
    }
}
