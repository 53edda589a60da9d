//! What a model reads when a call failed: what failed and why, whether anything was changed, whether a
//! repeat can help and when, and what to change. No internals: those go to the log, under the trace id.

use renkei_core::{Applied, Effect, Error, Kind, Retry, duration};

/// The text for the model. `effect` is the strongest one the tool can have.
pub(crate) fn text(tool: &str, effect: Effect, error: &Error, trace: &str) -> String {
    let mut text = format!("`{tool}` {}: {error}", verb(error));
    if !text.ends_with(['.', '!', '?', '}']) {
        text.push('.');
    }
    let advice = if error.was_applied() == Applied::Yes { done(error) } else { repeat(effect, error) };
    for sentence in [applied(effect, error), &*advice] {
        if !sentence.is_empty() {
            text.push('\n');
            text += sentence;
        }
    }
    if error.kind() == Kind::Internal {
        text += &format!("\nThe server's log has the details under the trace id {trace}.");
    }
    text
}

fn verb(error: &Error) -> &'static str {
    if error.was_applied() == Applied::Yes {
        return "was carried out, but its result cannot be given";
    }
    match error.kind() {
        Kind::Invalid => "was not carried out as asked",
        Kind::Unauthenticated => "failed, since the system does not accept this server's credentials",
        Kind::Forbidden => "is not allowed",
        Kind::NotFound => "found nothing",
        Kind::Conflict => "met a conflict",
        Kind::Rejected => "was refused",
        Kind::RateLimited => "was turned away by a limit",
        Kind::Unavailable => "could not reach its system",
        Kind::Timeout => "ran out of time",
        Kind::Cancelled => "was cancelled",
        Kind::Internal => "failed through a fault of this server or its config",
    }
}

/// A tool that only reads changes nothing, whatever happens.
fn applied(effect: Effect, error: &Error) -> &'static str {
    match (effect, error.was_applied()) {
        (Effect::Read, _) | (_, Applied::No) => "Nothing was changed.",
        (_, Applied::Yes) => "What it does is done: do not repeat it.",
        (Effect::Idempotent, Applied::Unknown) => {
            "It may have happened all the same; repeating it does no harm."
        }
        (Effect::Write, Applied::Unknown) => {
            "It may have happened all the same: check the state before repeating it, or it may be done twice."
        }
    }
}

/// What can be changed about a result that cannot be given.
fn done(error: &Error) -> String {
    match error.kind() {
        Kind::Internal => "The next call has the same fault, until the server's operator mends it.".into(),
        _ => "Look at the outcome with a call that asks for less.".into(),
    }
}

fn repeat(effect: Effect, error: &Error) -> String {
    let doubtful = effect != Effect::Read && error.was_applied() != Applied::No;
    match error.retry_advice() {
        Retry::After(wait) => {
            format!("Try again in {} at the earliest.", duration::format(whole_seconds(wait)))
        }
        // Said already, with what to look at first.
        Retry::Safe if doubtful => String::new(),
        Retry::Safe => "Trying again may help.".into(),
        Retry::Exhausted => "It was tried several times; try again later, not at once.".into(),
        Retry::Never => never(error.kind()).into(),
    }
}

/// Why the same call would end the same way, and what could be changed.
fn never(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "Change the arguments and call again.",
        Kind::NotFound => "The same call will give the same answer: ask for something that exists.",
        Kind::Conflict => {
            "The same call will give the same answer until the state has changed: look at it first."
        }
        Kind::Rejected => "The same call will give the same answer: change what was objected to.",
        Kind::Forbidden => {
            "The same call by the same caller will give the same answer: it needs other rights."
        }
        Kind::Unauthenticated => {
            "Trying again will not help until the server's operator has mended the credentials."
        }
        Kind::Internal => "Trying again will not help until the server's operator has mended the fault.",
        Kind::Cancelled => "Call again only if it is still wanted.",
        Kind::RateLimited | Kind::Unavailable | Kind::Timeout => "Trying again now will not help.",
    }
}

fn whole_seconds(wait: std::time::Duration) -> std::time::Duration {
    std::time::Duration::from_secs(wait.as_millis().div_ceil(1000) as u64)
}
