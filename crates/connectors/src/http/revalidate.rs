//! Asks for what is known already only if it has changed (RFC 9110, section 13): the entity tag and the time of the last
//! change that came with a reply go back with the next request for the same.
//!
//! Only for a reply that came from where it was asked for: what a redirect led to is not known by what the first server
//! says of its own. And not where the operation has conditions of its own.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use renkei_core::{
    CallContext, Map, Value,
    call::{Again, Validator},
};

use super::{call::Outgoing, prepare::Plan};

/// What a reply says of itself, and the header that asks by it.
const PAIRS: [(HeaderName, HeaderName); 2] =
    [(header::ETAG, header::IF_NONE_MATCH), (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE)];

/// Headers with which the operation says itself when it wants an answer, or which part of one.
const OWN: [HeaderName; 6] = [
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
    header::RANGE,
];

/// Whether replies of the operation may be asked for so.
fn is_free(plan: &Plan) -> bool {
    plan.method == Method::GET && !plan.headers.iter().any(|head| OWN.contains(&head.name))
}

/// Adds the conditions for what the caller knows; whether there are any.
pub(super) fn ask(cx: &CallContext, plan: &Plan, out: &mut Outgoing) -> bool {
    let Some(Validator(known)) = cx.known.as_ref().filter(|_| is_free(plan)) else { return false };
    let mut asked = false;
    for (said, asks) in PAIRS {
        let value = known.get(said.as_str()).and_then(Value::as_str).map(HeaderValue::from_str);
        if let Some(Ok(value)) = value {
            out.headers.insert(asks, value);
            asked = true;
        }
    }
    asked
}

/// The next server knows nothing of it.
pub(super) fn forget(out: &mut Outgoing) {
    for (_, asks) in PAIRS {
        out.headers.remove(asks);
    }
}

/// By what a whole reply can be asked for again.
pub(super) fn again(plan: &Plan, status: StatusCode, headers: &HeaderMap) -> Again {
    if status != StatusCode::OK || !is_free(plan) {
        return Again::Whole;
    }
    let mut said = Map::new();
    for (name, _) in PAIRS {
        if let Some(Ok(value)) = headers.get(&name).map(HeaderValue::to_str) {
            said.insert(name.as_str().into(), value.into());
        }
    }
    if said.is_empty() { Again::Whole } else { Again::By(Validator(said.into())) }
}
