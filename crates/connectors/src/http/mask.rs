//! Masks the system's own secrets where it repeats them in a reply: a debugging endpoint that echoes
//! its headers would hand the company's key to the model.

use bytes::{Bytes, BytesMut};
use renkei_core::{Payload, Reply, secret};

use super::error::Place;

/// The reply without secrets; a notice says that something was masked. `raw` is the body as it came.
pub(super) fn reply(mut reply: Reply, raw: &Bytes, place: &Place<'_>) -> Reply {
    let meta = secret::mask(&reply.meta, place.secrets);
    let value = may_hold(raw, place).then(|| payload(&reply.value, place)).flatten();
    if meta.is_some() || value.is_some() {
        reply.notices.push(format!(
            "system `{}` repeated a secret of its own `auth` or `headers`; it is shown as `***`",
            place.request.op.system
        ));
    }
    reply.meta = meta.unwrap_or(reply.meta);
    reply.value = value.unwrap_or(reply.value);
    reply
}

/// A quick look at the bytes, before every text is looked at. With a backslash there may be escapes.
fn may_hold(raw: &[u8], place: &Place<'_>) -> bool {
    raw.contains(&b'\\') || place.secrets.iter().any(|secret| secret.is_in_bytes(raw))
}

fn payload(payload: &Payload, place: &Place<'_>) -> Option<Payload> {
    match payload {
        Payload::Json(value) => secret::mask(value, place.secrets).map(Payload::Json),
        Payload::Blob { bytes, mime_type } => {
            if !place.secrets.iter().any(|secret| secret.is_in_bytes(bytes)) {
                return None;
            }
            let mut masked = BytesMut::from(&bytes[..]);
            place.secrets.iter().for_each(|secret| secret.mask_bytes(&mut masked));
            Some(Payload::Blob { bytes: masked.freeze(), mime_type: mime_type.clone() })
        }
    }
}
