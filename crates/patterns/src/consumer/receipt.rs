//! What a receiver holds of a message: which one, and under which lease.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use renkei_core::{
    Error, Kind, Principal, Result, RunContext, Value,
    queue::Queue,
    store::{Job, JobId, JobState, Lease, Store},
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

const BYTES: usize = 24;
/// Letters of a caller's name that people see.
const SHOWN: usize = 60;

/// Opaque for receivers.
pub(super) fn write(lease: Lease) -> String {
    let mut bytes = [0; BYTES];
    bytes[..16].copy_from_slice(lease.job.0.as_bytes());
    bytes[16..].copy_from_slice(&lease.token.to_be_bytes());
    BASE64.encode(bytes)
}

fn read(text: &str) -> Option<Lease> {
    let bytes: [u8; BYTES] = BASE64.decode(text).ok()?.try_into().ok()?;
    let (job, token) = bytes.split_at(16);
    let (job, token) = (Uuid::from_slice(job).ok()?, u64::from_be_bytes(token.try_into().ok()?));
    Some(Lease { job: JobId(job), token })
}

/// Who has a message that a caller received. Two callers never have the same one.
pub(super) fn holder(caller: &Principal) -> String {
    let issuer = caller.claims.get("iss").map(Value::to_json).unwrap_or_default();
    let parts =
        Value::from(vec![caller.how.as_str().into(), Value::from(issuer), caller.name.clone().into()]);
    let digest = Sha256::digest(parts.to_json());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let name: String = caller.name.chars().filter(|letter| !letter.is_control()).take(SHOWN).collect();
    format!("caller {name} {hex}")
}

/// The message that a receipt is for, still held by its caller.
///
/// # Errors
/// `conflict` when it is not: settled already, received again, or never received by this caller.
pub(super) async fn open(cx: &RunContext, store: &dyn Store, queue: &Queue, receipt: &Value) -> Result<Job> {
    let lease = receipt.as_str().and_then(read).ok_or_else(|| {
        Error::invalid(format!(
            "this is no receipt of the queue `{queue}`: give the one that came with the message"
        ))
    })?;
    let job = store.job(lease.job).await?;
    job.filter(|job| {
        *job.queue == *queue.name
            && job.state == JobState::Leased
            && job.lease() == lease
            && job.worker.as_deref() == Some(&holder(&cx.call.principal))
    })
    .ok_or_else(stale)
}

fn stale() -> Error {
    Error::new(
        Kind::Conflict,
        "the receipt is not good any more: the message was settled, or its lease ended and it was received again; receive anew",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_read_as_it_was_written() {
        let lease = Lease { job: JobId::new(), token: u64::MAX };
        assert_eq!(read(&write(lease)), Some(lease));
        for wrong in ["", "x", "AAAA", &write(lease)[1..], &format!("{}=", write(lease))] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
