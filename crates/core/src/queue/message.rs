//! The form of a message: CloudEvents 1.0, structured.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use uuid::{Uuid, Variant, Version};

use crate::{
    Error, Map, Principal, Result, Value,
    clock::Timestamp,
    principal::How,
    store::{Job, JobId, Record},
    trace::Trace,
};

/// The version of what [`Message::record`] writes.
const VERSION: u16 = 1;
const SPEC: &str = "1.0";

/// What is enqueued: the data, and what is known of where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub data: Value,
    /// Who has caused it.
    pub caller: Arc<Principal>,
    /// The trace it belongs to, as a `traceparent`.
    pub traceparent: Option<Arc<str>>,
    /// The run that enqueued it.
    pub run: Option<Arc<str>>,
}

impl Message {
    /// The payload of its job.
    pub fn record(&self) -> Record {
        Record::new(VERSION, self.data.to_json())
    }

    /// The headers of its job. Of the caller's claims only the issuer is kept: it tells two callers of one name apart.
    pub fn headers(&self) -> Bytes {
        let mut caller = Map::new();
        caller.insert("name".into(), self.caller.name.clone().into());
        caller.insert("auth".into(), self.caller.how.as_str().into());
        if let Some(issuer) = self.caller.claims.get("iss") {
            caller.insert("iss".into(), issuer.clone());
        }
        let mut headers = Map::new();
        headers.insert("caller".into(), caller.into());
        for (key, value) in [("traceparent", &self.traceparent), ("run", &self.run)] {
            if let Some(value) = value {
                headers.insert(key.into(), value.clone().into());
            }
        }
        Value::from(headers).to_json().into()
    }

    /// # Errors
    /// `internal` for what no version of Renkei has written.
    pub fn of(job: &Job) -> Result<Self> {
        let bad = |what: String| {
            Error::internal(format!("read the message `{}` of the queue `{}`: {what}", job.id, job.queue))
        };
        if job.payload.version != VERSION {
            let version = job.payload.version;
            return Err(bad(format!("its form is {version}, and this version of Renkei reads {VERSION}")));
        }
        let read = |bytes: &[u8], what: &str| {
            Value::from_json(bytes).map_err(|error| bad(format!("its {what} is no JSON: {error}")))
        };
        let data = read(&job.payload.bytes, "data")?;
        let headers = match job.headers.is_empty() {
            true => Value::object(),
            false => read(&job.headers, "head")?,
        };
        let text = |key: &str| headers.get(key).and_then(Value::as_str).map(Arc::from);
        let caller = headers.get("caller").map_or_else(Principal::anonymous, principal);
        let (traceparent, run) = (text("traceparent"), text("run"));
        Ok(Message { data, caller: Arc::new(caller), traceparent, run })
    }

    /// The place of an attempt in the trace of whoever enqueued it.
    pub fn trace(&self) -> Trace {
        self.traceparent.as_deref().map_or_else(Trace::new, |parent| Trace::child_of(parent, None))
    }

    /// The envelope that a worker sees as `$message`, without the data. Beside the attributes of CloudEvents 1.0 and its
    /// registered extensions `partitionkey`, `expirytime` and `traceparent` there are `queue`, `attempt` and `caller`.
    pub fn envelope(&self, job: &Job) -> Value {
        let mut map = Map::new();
        let mut set = |key: &str, value: Value| {
            map.insert(key.into(), value);
        };
        set("specversion", SPEC.into());
        set("id", id(job.id));
        set("source", format!("renkei://queues/{}", job.queue).into());
        set("type", format!("renkei.queue.{}", job.queue).into());
        set("time", job.created.to_string().into());
        set("datacontenttype", "application/json".into());
        if let Some(key) = &job.key {
            set("partitionkey", key.as_str().into());
        }
        if let Some(expires) = job.expires.filter(|expires| *expires != Timestamp::NEVER) {
            set("expirytime", expires.to_string().into());
        }
        if let Some(parent) = &self.traceparent {
            set("traceparent", parent.clone().into());
        }
        set("queue", job.queue.as_str().into());
        set("attempt", i64::from(job.attempts).into());
        set("caller", self.caller.name.clone().into());
        map.into()
    }

    /// The whole event: the envelope with the data in it.
    pub fn event(&self, job: &Job) -> Value {
        let envelope = self.envelope(job);
        let mut map = envelope.as_object().cloned().unwrap_or_default();
        map.insert("data".into(), self.data.clone());
        map.into()
    }
}

/// The id of the message that a step of a run makes: always the same one. It is a UUID of version 7 with the time of the
/// run, if that has one.
pub fn message_id(run: &str, key: &str) -> JobId {
    let digest: [u8; 32] = Sha256::digest(key).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    if let Ok(run) = Uuid::parse_str(run)
        && run.get_version_num() == 7
    {
        bytes[..6].copy_from_slice(&run.as_bytes()[..6]);
    }
    JobId(
        uuid::Builder::from_bytes(bytes)
            .with_variant(Variant::RFC4122)
            .with_version(Version::SortRand)
            .into_uuid(),
    )
}

fn id(job: JobId) -> Value {
    job.to_string().into()
}

fn principal(value: &Value) -> Principal {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let how = [How::None, How::ApiKey, How::Jwt].into_iter().find(|how| how.as_str() == text("auth"));
    let mut claims = Map::new();
    if let Some(issuer) = value.get("iss") {
        claims.insert("iss".into(), issuer.clone());
    }
    Principal { name: text("name").into(), how: how.unwrap_or(How::None), claims: claims.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::JobState;

    fn job(message: &Message) -> Job {
        Job {
            id: JobId("01930000-0000-7000-8000-000000000001".parse().unwrap()),
            queue: "reports".into(),
            key: Some("2026".into()),
            priority: 0,
            state: JobState::Leased,
            run_at: Timestamp(0),
            expires: None,
            unique: None,
            payload: message.record(),
            headers: message.headers(),
            attempts: 2,
            token: 7,
            leased_until: None,
            worker: None,
            errors: Vec::new(),
            created: Timestamp(1_796_083_200_123),
            changed: Timestamp(0),
            dead: None,
            blocks: false,
        }
    }

    fn message() -> Message {
        let claims = Value::from([("iss", "https://id.example.com"), ("email", "ann@example.com")]);
        Message {
            data: Value::from([("year", 2026i64)]),
            caller: Arc::new(Principal { name: "ann".into(), how: How::Jwt, claims }),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            run: Some("r1".into()),
        }
    }

    #[test]
    fn a_message_is_read_as_it_was_written_but_for_the_callers_claims() {
        let read = Message::of(&job(&message())).unwrap();
        assert_eq!(read.data, message().data);
        assert!(read.caller.is_same(&message().caller));
        assert_eq!(read.caller.claims.to_json(), r#"{"iss":"https://id.example.com"}"#);
        assert_eq!(read.trace().id(), "0af7651916cd43dd8448eb211c80319c");
    }

    /// The bytes of version 1, as they stand in stores.
    #[test]
    fn what_version_1_wrote_is_read() {
        let old = Job {
            payload: Record::new(1, r#"{"year":2026}"#),
            headers: Bytes::from_static(br#"{"caller":{"name":"bob","auth":"api_key"}}"#),
            ..job(&message())
        };
        let read = Message::of(&old).unwrap();
        assert_eq!((&*read.caller.name, read.caller.how), ("bob", How::ApiKey));
        let bare = Job { headers: Bytes::new(), ..old.clone() };
        assert_eq!(Message::of(&bare).unwrap().caller.how, How::None);
        let later = Job { payload: Record::new(2, "{}"), ..old.clone() };
        assert!(Message::of(&later).unwrap_err().to_string().contains("its form is 2"));
        let torn = Job { payload: Record::new(1, "{"), ..old };
        assert!(Message::of(&torn).unwrap_err().to_string().contains("no JSON"));
    }

    #[test]
    fn a_step_makes_one_message_however_often_it_is_taken() {
        let run = "01930000-0000-7000-8000-000000000001";
        let id = message_id(run, &format!("{run}/enqueue"));
        assert_eq!(id, message_id(run, &format!("{run}/enqueue")));
        assert_ne!(id, message_id(run, &format!("{run}/again/enqueue")));
        assert_eq!((id.0.get_version_num(), &id.0.as_bytes()[..6]), (7, &[1, 0x93, 0, 0, 0, 0][..]));
        assert_eq!(message_id("test", "test/enqueue"), message_id("test", "test/enqueue"));
    }

    #[test]
    fn the_envelope_is_a_cloud_event() {
        let message = message();
        let event = message.event(&job(&message));
        assert_eq!(
            event.to_json(),
            r#"{"specversion":"1.0","id":"01930000-0000-7000-8000-000000000001","source":"renkei://queues/reports","type":"renkei.queue.reports","time":"2026-12-01T00:00:00.123Z","datacontenttype":"application/json","partitionkey":"2026","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","queue":"reports","attempt":2,"caller":"ann","data":{"year":2026}}"#
        );
    }
}
