//! What a model reads when a call failed: what happened, whether anything was changed, whether a
//! repeat can help, and what to change. No internals: those go to the log, under the trace id.

use renkei_core::{Applied, Effect, Error, Kind, Retry, duration};

/// The text for the model. `effect` is the strongest one the tool can have.
pub(crate) fn text(tool: &str, effect: Effect, error: &Error, trace: &str) -> String {
    let mut text = format!("`{tool}` {}: {error}", verb(error.kind()));
    if !text.ends_with(['.', '!', '?', '}']) {
        text.push('.');
    }
    for advice in [applied(effect, error), repeat(effect, error)] {
        if !advice.is_empty() {
            text.push('\n');
            text += &advice;
        }
    }
    if error.kind() == Kind::Internal {
        text += &format!("\nThe server's log has the details under the trace id {trace}.");
    }
    text
}

fn verb(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "was not carried out as asked",
        Kind::Unauthenticated => "failed, since the system does not accept this server's credentials",
        Kind::Forbidden => "is not allowed",
        Kind::NotFound => "found nothing",
        Kind::Conflict => "met a conflict",
        Kind::Rejected => "was refused",
        Kind::RateLimited => "was turned away for now",
        Kind::Unavailable => "could not reach its system",
        Kind::Timeout => "ran out of time",
        Kind::Cancelled => "was cancelled",
        Kind::Internal => "failed through a fault of this server or its config",
    }
}

/// Reads change nothing whatever happens: not worth a sentence.
fn applied(effect: Effect, error: &Error) -> String {
    match (effect, error.was_applied()) {
        (Effect::Read, _) => String::new(),
        (_, Applied::No) => "Nothing was changed.".into(),
        (_, Applied::Yes) => {
            "The operation itself was carried out; only its result cannot be shown. Do not repeat it.".into()
        }
        (Effect::Idempotent, Applied::Unknown) => {
            "It may have happened all the same; repeating it does no harm.".into()
        }
        (Effect::Write, Applied::Unknown) => {
            "It may have happened all the same: check the state before repeating it, or it may be done twice."
                .into()
        }
    }
}

fn repeat(effect: Effect, error: &Error) -> String {
    let doubtful = effect != Effect::Read && error.was_applied() != Applied::No;
    match error.retry_advice() {
        _ if error.was_applied() == Applied::Yes => String::new(),
        Retry::After(wait) => {
            format!("Try again in {} at the earliest.", duration::format(whole_seconds(wait)))
        }
        Retry::Safe if doubtful => String::new(),
        Retry::Safe => "Trying again may help.".into(),
        Retry::Exhausted => "It was tried several times; try again later, not at once.".into(),
        Retry::Never => match error.kind() {
            Kind::Invalid => "Change the arguments and call again.".into(),
            Kind::Rejected | Kind::NotFound | Kind::Conflict | Kind::Forbidden => {
                "The same call will give the same answer.".into()
            }
            _ => String::new(),
        },
    }
}

fn whole_seconds(wait: std::time::Duration) -> std::time::Duration {
    std::time::Duration::from_secs(wait.as_millis().div_ceil(1000) as u64)
}
