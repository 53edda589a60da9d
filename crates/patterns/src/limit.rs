//! The `timeout` of a part of a run.

use std::time::Duration;

use renkei_core::{Applied, Error, Kind, Outcome, Result, RunContext, duration};
use tokio::time::Instant;

/// Runs `run` with at most `limit`, if there is one. `what` names it in the error.
pub(crate) async fn limited<R: Future<Output = Result<Outcome>>>(
    cx: &RunContext,
    limit: Option<Duration>,
    what: &str,
    run: impl FnOnce(RunContext) -> R,
) -> Result<Outcome> {
    let Some(limit) = limit else { return run(cx.clone()).await };
    let (narrow, effects) = cx.within(limit).watched();
    let own = narrow.call.deadline < cx.call.deadline;
    let ended = narrow.in_time(run(narrow.clone())).await;
    let (applied, detail) = match ended {
        // What is inside keeps to the same deadline, and knows whether its request was sent.
        Some(Err(error)) if own && error.kind() == Kind::Timeout && Instant::now() >= narrow.deadline() => {
            (error.was_applied(), Some(error.to_string()))
        }
        Some(result) => return result,
        // What was done before the end leaves the whole half-done: nobody should call that "not applied".
        None if effects.applied() == Applied::No => (Applied::No, None),
        None => (Applied::Unknown, None),
    };
    let message = match own {
        true => format!("{what} was not done within {}, its `timeout`", duration::format(limit)),
        false => format!("the time for the whole call was used up before {what} was done"),
    };
    let error = Error::new(Kind::Timeout, message).applied(applied);
    Err(match detail {
        Some(detail) => error.detail(detail),
        None => error,
    })
}
