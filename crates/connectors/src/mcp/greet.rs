//! The first words with a server: which era it speaks.
//!
//! A server of the modern era answers `server/discover`; one of the legacy era knows no such method, and gets
//! `initialize`. One that says nothing to what it does not know is given half of the time.

use std::{sync::Arc, time::Duration};

use renkei_core::{Error, Map, Request, Result, Value, call::Attempt, duration};
use tokio::time::timeout;

use super::{
    config::EraWord,
    link::{Ask, Link, Terms},
    message::{
        self, Era, Fault, HEADER_MISMATCH, LEGACY, MISSING_CAPABILITY, MODERN, OLDER, UNSUPPORTED_VERSION,
    },
};

/// The terms before anything is agreed upon.
fn opening(era: Era) -> Terms {
    let version = if era == Era::Modern { MODERN } else { LEGACY };
    Terms { era, version: version.into(), session: None }
}

/// Finds out how to speak with the server. `request` stands for this in messages, `limit` is the time there is.
pub(super) async fn greet(
    link: &dyn Link,
    era: EraWord,
    request: &Request,
    limit: Duration,
) -> Result<Terms> {
    let greeting = async {
        match era {
            EraWord::Legacy => initialize(link, request).await,
            EraWord::Modern => match discover(link, request).await? {
                Discovered::Modern(terms) => Ok(terms),
                Discovered::Legacy(why) => Err(disagreed(request, &why, "`era: modern`")),
            },
            EraWord::Auto => match timeout(limit / 2, discover(link, request)).await {
                Ok(Ok(Discovered::Modern(terms))) => Ok(terms),
                Ok(Err(error)) => Err(error),
                Ok(Ok(Discovered::Legacy(_))) | Err(_) => initialize(link, request).await,
            },
        }
    };
    timeout(limit, greeting).await.unwrap_or_else(|_| {
        let (system, limit) = (&request.op.system, duration::format(limit));
        Err(Error::unavailable(format!(
            "the server of system `{system}` did not say hello within {limit} (`timeout.connect`); a program that is installed first needs more"
        )))
    })
}

enum Discovered {
    Modern(Terms),
    /// It speaks the legacy era only; why that is thought.
    Legacy(String),
}

async fn discover(link: &dyn Link, request: &Request) -> Result<Discovered> {
    let terms = opening(Era::Modern);
    let attempt = Arc::<Attempt>::default();
    let answered = link.ask(&terms, Ask::new("server/discover", &attempt, request)).await?;
    match answered.answer {
        Ok(result) => {
            let versions = result.get("supportedVersions").and_then(Value::as_array).unwrap_or_default();
            let speaks = |version: &str| versions.iter().any(|own| own.as_str() == Some(version));
            if speaks(MODERN) {
                return Ok(Discovered::Modern(terms));
            }
            if speaks(LEGACY) || OLDER.iter().any(|version| speaks(version)) {
                return Ok(Discovered::Legacy("it speaks an older revision only".into()));
            }
            Err(disagreed(
                request,
                &message::shown(&Value::from(versions.to_vec()).to_json()),
                "the protocol",
            ))
        }
        Err(Fault { code: MISSING_CAPABILITY | HEADER_MISMATCH, message, .. }) => {
            Err(disagreed(request, &message::shown(&message), "`server/discover`"))
        }
        Err(Fault { code: UNSUPPORTED_VERSION, data, message, .. }) => {
            let versions = data.get("supported").and_then(Value::as_array).unwrap_or_default();
            let older =
                versions.iter().filter_map(Value::as_str).any(|own| own == LEGACY || OLDER.contains(&own));
            match older {
                true => Ok(Discovered::Legacy("it speaks an older revision only".into())),
                false => Err(disagreed(request, &message::shown(&message), "the protocol")),
            }
        }
        Err(fault) => Ok(Discovered::Legacy(message::shown(&fault.message))),
    }
}

pub(super) async fn initialize(link: &dyn Link, request: &Request) -> Result<Terms> {
    let terms = opening(Era::Legacy);
    let attempt = Arc::<Attempt>::default();
    let ask = Ask::new("initialize", &attempt, request).with([
        ("protocolVersion", LEGACY.into()),
        ("capabilities", Map::new().into()),
        ("clientInfo", message::client_info()),
    ]);
    let answered = link.ask(&terms, ask).await?;
    let result = answered
        .answer
        .map_err(|fault| disagreed(request, &message::shown(&fault.message), "`initialize`"))?;
    let version = result.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    if version != LEGACY && !OLDER.contains(&version) {
        let why = format!("it answered with the revision `{}`", message::shown(version));
        return Err(disagreed(request, &why, "the protocol"));
    }
    let terms = Terms { version: version.into(), session: answered.session, ..terms };
    link.tell(&terms, "notifications/initialized", request).await?;
    Ok(terms)
}

fn disagreed(request: &Request, why: &str, about: &str) -> Error {
    Error::unavailable(format!(
        "the server of system `{}` does not agree with Renkei about {about}: {why}",
        request.op.system
    ))
}
