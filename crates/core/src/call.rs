//! One operation on one system: what is asked, what comes back, and under which conditions.

use std::{
    any::Any,
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use crate::trace::Trace;
use crate::{Cursor, Page, Paging, Principal, Result, Tree, Value, ask::Asking};

/// What a repeat of the operation would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Changes something; a repeat changes nothing more.
    Idempotent,
    /// A repeat may do it twice.
    Write,
}

/// An operation as the config wrote it, checked and taken apart once, at start.
///
/// Its templates are `slots`: the pattern renders them, and the connector puts each value where
/// it belongs – encoded, bound or escaped there. That is why a template cannot inject.
pub struct PreparedOp {
    /// The system's name in the config.
    pub system: Arc<str>,
    /// For logs and errors: `GET /customers/{}`, `select id from orders …`. Holds no values.
    pub label: Arc<str>,
    pub effect: Effect,
    /// Whether the system's own part of every request carries `$key`, so that the system recognises a
    /// repeat within the run. A second call of the tool is another run: the effect stays what it is.
    pub carries_key: bool,
    /// Rendered in this order into [`Params`].
    pub slots: Vec<Tree>,
    /// How far its pages are followed, where its replies are pages of a list.
    pub pages: Option<Paging>,
    /// What the connector made of the rest; only it looks inside.
    pub plan: Box<dyn Any + Send + Sync>,
}

impl PreparedOp {
    /// The connector's own part. Nothing when another connector prepared it.
    pub fn plan<T: 'static>(&self) -> Option<&T> {
        self.plan.downcast_ref()
    }
}

impl fmt::Debug for PreparedOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedOp")
            .field("system", &self.system)
            .field("label", &self.label)
            .field("effect", &self.effect)
            .field("slots", &self.slots.len())
            .finish_non_exhaustive()
    }
}

/// The values of an operation's slots, in their order. `None` is "absent", which is not null.
pub type Params = Arc<[Option<Value>]>;

/// One request. Cheap to clone, so that it can be repeated.
#[derive(Clone, Debug)]
pub struct Request {
    pub op: Arc<PreparedOp>,
    pub params: Params,
    /// At most what the operation's effect is; `Idempotent` for a write that carries `$key`.
    pub effect: Effect,
    /// The step's idempotency key, if the operation carries it to the system.
    pub key: Option<Arc<str>>,
    /// What `$caller`, `$key` and `$run` of the system's own `headers` and `auth` see.
    pub vars: Arc<crate::Scope>,
    /// Which page of the list, if the operation has [`PreparedOp::pages`]; the first one without it. It makes
    /// another request of the same operation and the same values.
    pub page: Option<Cursor>,
}

/// What a system answered.
#[derive(Clone, Debug)]
pub struct Reply {
    pub value: Payload,
    /// About the reply: HTTP status and headers, rows affected, whether it was cut.
    pub meta: Value,
    /// Sentences for the model about what is not in `value`, such as rows that were cut.
    pub notices: Vec<String>,
    /// `value` as a page of a list, if the operation has [`PreparedOp::pages`]. Why it is none comes after what
    /// `value` says in a business sense: a refusal is no page.
    pub page: Option<Result<Page>>,
    /// Whether the same can be asked for under the condition that it has changed.
    pub again: Again,
}

impl Reply {
    pub fn json(value: Value) -> Self {
        Reply {
            value: Payload::Json(value),
            meta: Value::object(),
            notices: Vec::new(),
            page: None,
            again: Again::Whole,
        }
    }
}

/// What a reply says of asking for the same later.
#[derive(Clone, Debug, Default)]
pub enum Again {
    /// It is fetched whole.
    #[default]
    Whole,
    /// With this as [`CallContext::known`], an unchanged one need not be sent.
    By(Validator),
    /// It is what [`CallContext::known`] stands for, so it was not sent: the rest of this reply is empty. Only to
    /// who set that.
    Unchanged,
}

/// Tells one state of what was read from another, such as an entity tag. Only the connector that gave it looks
/// inside.
#[derive(Clone, Debug)]
pub struct Validator(pub Value);

#[derive(Clone, Debug)]
pub enum Payload {
    Json(Value),
    /// Bytes that are neither JSON nor text.
    Blob {
        bytes: Bytes,
        mime_type: Arc<str>,
    },
}

impl Payload {
    /// The value that templates and results see; a blob is `{ "mime_type", "base64" }`.
    pub fn into_value(self) -> Value {
        match self {
            Payload::Json(value) => value,
            Payload::Blob { bytes, mime_type } => {
                use base64::Engine as _;
                let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
                Value::from([("mime_type", Value::from(mime_type)), ("base64", text.into())])
            }
        }
    }
}

/// From where a request came: the listener puts it beside the request for whoever makes a call of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// Under which conditions a call runs. Cheap to clone; layers narrow it on the way in.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// Everything under this call shares what is left until then.
    pub deadline: Instant,
    pub principal: Arc<Principal>,
    /// From where it was asked, as far as that is known: for the log and the audit, never for a decision.
    pub client: Option<IpAddr>,
    /// Whether nobody asked for this very call: the server looks again for somebody who subscribed. The audit leaves it out.
    pub unasked: bool,
    /// Cancelled when nobody waits for the result any more.
    pub cancel: CancellationToken,
    pub trace: Trace,
    /// Of the attempt under way; the retry layer sets a new one for each.
    pub attempt: Arc<Attempt>,
    /// Takes what is worth knowing while the call is under way; see [`CallContext::tell`].
    pub listener: Option<Arc<dyn Listener>>,
    /// Is shown what a system answered before it is read; see [`CallContext::show`].
    pub witness: Option<Arc<dyn Witness>>,
    /// Which run this is and when it began; a new one, now, without it.
    pub start: Option<RunStart>,
    /// What the call says of its layers, beside its operation; the system's own where there is nothing.
    pub settings: Option<CallSettings>,
    /// How whoever called can be asked.
    pub asking: Asking,
    /// What the caller has of the reply already: a system that can tell answers [`Again::Unchanged`] if it is still so.
    /// For reads, and only for who can go on with that answer.
    pub known: Option<Validator>,
}

/// What [`Layers::read_call`](crate::Layers::read_call) made of a call's settings; only the layers look inside.
pub type CallSettings = Arc<dyn Any + Send + Sync>;

/// What `$run` and `$now` are.
#[derive(Clone, Debug)]
pub struct RunStart {
    pub id: Arc<str>,
    /// RFC 3339.
    pub now: Arc<str>,
}

impl RunStart {
    /// A run with an id of its own that begins now.
    pub fn new() -> Self {
        Self::at(jiff::Timestamp::now())
    }

    /// A run with an id of its own that began then.
    pub(crate) fn at(began: jiff::Timestamp) -> Self {
        let seconds = u64::try_from(began.as_second()).unwrap_or_default();
        let nanoseconds = u32::try_from(began.subsec_nanosecond()).unwrap_or_default();
        let id = uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanoseconds));
        RunStart { id: id.to_string().into(), now: began.to_string().into() }
    }
}

impl Default for RunStart {
    fn default() -> Self {
        Self::new()
    }
}

/// Hears what happens in a call: that it is repeated, that a statement of several is done.
pub trait Listener: Send + Sync {
    /// `note` is a lower-case fragment without secrets. Must not block.
    fn note(&self, note: &str);

    /// The system says that it has done this share of its work: 0 is nothing, 1 is all. Must not block.
    fn share(&self, _: f64, note: &str) {
        self.note(note);
    }
}

impl fmt::Debug for dyn Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// Sees what a system answered as it came, where the reply or the error that is made of it says less: a
/// config test is recorded from it.
pub trait Witness: Send + Sync {
    /// `answer` is in the words of [`answer_words`](crate::ConnectorKind::answer_words), without the system's own
    /// secrets. Must not block.
    fn answered(&self, answer: Value);
}

impl fmt::Debug for dyn Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness")
    }
}

impl CallContext {
    pub fn new(deadline: Instant, principal: Arc<Principal>) -> Self {
        CallContext {
            deadline,
            principal,
            client: None,
            unasked: false,
            cancel: CancellationToken::new(),
            trace: Trace::new(),
            attempt: Arc::default(),
            listener: None,
            witness: None,
            start: None,
            settings: None,
            asking: Asking::Nobody,
            known: None,
        }
    }

    /// Tells whoever waits what happens in this call. A courtesy: it neither blocks nor fails.
    /// The note is made only if somebody listens.
    pub fn tell(&self, note: impl FnOnce() -> String) {
        if let Some(listener) = &self.listener {
            listener.note(&note());
        }
    }

    /// Shows what the system answered to whoever records it. The answer is put together only then.
    pub fn show(&self, answer: impl FnOnce() -> Value) {
        if let Some(witness) = &self.witness {
            witness.answered(answer());
        }
    }
}

/// What is known of one attempt. Only ever grows.
#[derive(Debug, Default)]
pub struct Attempt(AtomicU8);

const SENT: u8 = 1;
const REFUSED: u8 = 2;
const ELSEWHERE: u8 = 4;

impl Attempt {
    /// The connector says so *before* the first byte of the request leaves. From then on a
    /// timeout means "unknown", until then "not applied".
    pub fn mark_sent(&self) {
        self.mark(SENT);
    }

    pub fn was_sent(&self) -> bool {
        self.is(SENT)
    }

    /// A layer says so when it does not let the attempt through – a breaker, a limit: another attempt
    /// would fare no better, and it says nothing about the system.
    pub fn mark_refused(&self) {
        self.mark(REFUSED);
    }

    pub fn was_refused(&self) -> bool {
        self.is(REFUSED)
    }

    /// The connector says so when the system has answered and sent it on to somebody else, such as by a
    /// redirect to another host: what fails from then on is not the system's failure.
    pub fn mark_elsewhere(&self) {
        self.mark(ELSEWHERE);
    }

    pub fn was_elsewhere(&self) -> bool {
        self.is(ELSEWHERE)
    }

    fn mark(&self, flag: u8) {
        self.0.fetch_or(flag, Ordering::Release);
    }

    fn is(&self, flag: u8) -> bool {
        self.0.load(Ordering::Acquire) & flag != 0
    }
}

/// One verb, so that a layer is one verb.
///
/// Dropping the future ends the call and frees what it held.
#[async_trait]
pub trait Call: Send + Sync {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply>;
}
