//! What a failure means: the kind, whether a repeat can help, and whether it happened anyway.

use renkei_core::{Applied, Effect, Error, Kind, Request, Retry, Secret, read::Bytes};

use super::{
    message::{Fault, METHOD_NOT_FOUND},
    prepare::Plan,
};

/// How much of a server's own words gets into an error.
const MAX_WORDS: usize = 2_000;

/// Nobody knows whether it happened, unless there was nothing to happen.
fn unknown(request: &Request) -> Applied {
    match request.effect {
        Effect::Read => Applied::No,
        Effect::Idempotent | Effect::Write => Applied::Unknown,
    }
}

/// The server said in a word that it did it.
fn done(request: &Request) -> Applied {
    match request.effect {
        Effect::Read => Applied::No,
        Effect::Idempotent | Effect::Write => Applied::Yes,
    }
}

/// The program has ended, and whoever waited gets no answer.
pub(super) fn ended(reason: Option<Error>, request: &Request, sent: bool) -> Error {
    let system = &request.op.system;
    let reason =
        reason.unwrap_or_else(|| Error::unavailable(format!("the server of system `{system}` has ended")));
    match sent {
        true => reason.applied(unknown(request)).adding("no answer came"),
        false => reason,
    }
}

pub(super) fn too_large(request: &Request, limit: Bytes) -> Error {
    Error::internal(format!(
        "`{}` of system `{}` answered with more than {limit} (`max_message` of the system); ask for less",
        request.op.label, request.op.system
    ))
    .applied(done(request))
}

pub(super) fn too_large_to_send(request: &Request, limit: Bytes) -> Error {
    Error::invalid(format!(
        "the request to system `{}` has more than {limit} (`max_message` of the system); send less",
        request.op.system
    ))
}

/// As many calls as may be are under way.
pub(super) fn full(request: &Request, limit: usize) -> Error {
    Error::new(
        Kind::RateLimited,
        format!(
            "system `{}` has {limit} calls under way already (`max_calls`); try again later",
            request.op.system
        ),
    )
}

/// What came is nothing that the protocol knows.
pub(super) fn strange(request: &Request, what: &str) -> Error {
    let (label, system) = (&request.op.label, &request.op.system);
    Error::unavailable(format!("system `{system}` answered `{label}` with {what}"))
        .retry(Retry::Never)
        .applied(unknown(request))
}

/// The answer ended before it was whole.
pub(super) fn cut_off(request: &Request) -> Error {
    let (label, system) = (&request.op.label, &request.op.system);
    Error::unavailable(format!("system `{system}` ended its answer to `{label}` before it was whole"))
        .applied(unknown(request))
}

/// The tool wants to know something of somebody before it does anything.
pub(super) fn asks(request: &Request) -> Error {
    let (label, system) = (&request.op.label, &request.op.system);
    Error::new(
        Kind::Rejected,
        format!(
            "`{label}` of system `{system}` asks somebody a question, which Renkei does not hand on; give all in the arguments"
        ),
    )
}

/// The tool answered that it failed. A pattern of `errors` says what that means.
pub(super) fn of_tool(request: &Request, plan: &Plan, text: &str, secrets: &[Secret]) -> Error {
    let (label, system) = (&request.op.label, &request.op.system);
    let words = words(text, secrets);
    let text = match words.is_empty() {
        true => format!("`{label}` of system `{system}` failed and does not say why"),
        false => format!("`{label}` of system `{system}` failed: {words}"),
    };
    match plan.errors.get(&words) {
        Some(kind) => Error::new(kind, text),
        None => Error::new(Kind::Rejected, text).applied(unknown(request)),
    }
}

/// The server answered with an error of the protocol.
pub(super) fn of_fault(request: &Request, plan: &Plan, fault: &Fault, secrets: &[Secret]) -> Error {
    let (label, system) = (&request.op.label, &request.op.system);
    let words = words(&fault.message, secrets);
    let text = format!("system `{system}` refused `{label}`: {words} (code {})", fault.code);
    if let Some(kind) = plan.errors.get(&words) {
        return Error::new(kind, text);
    }
    match fault.code {
        // The request was not understood, or asks for what is not there.
        -32602 => Error::invalid(text),
        -32002 => Error::new(Kind::NotFound, text),
        METHOD_NOT_FOUND | -32600 | -32700 | -32022..=-32020 => Error::internal(text),
        // URL elicitation: somebody has to go somewhere first.
        -32042 => Error::new(Kind::Unauthenticated, text),
        -32001 => Error::new(Kind::Timeout, text).applied(unknown(request)),
        -32603 => Error::unavailable(text).applied(unknown(request)),
        _ => Error::new(Kind::Rejected, text).applied(unknown(request)),
    }
}

fn words(text: &str, secrets: &[Secret]) -> String {
    let text = secrets.iter().fold(text.trim().to_owned(), |text, secret| secret.redact(&text));
    match text.char_indices().nth(MAX_WORDS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
