//! A system that does what a script says.

use std::{collections::VecDeque, sync::Mutex, time::Duration};

use async_trait::async_trait;
use renkei_core::{
    Applied, Call, CallContext, Effect, Error, Kind, PreparedOp, Principal, Reply, Request, Result, Retry,
    Scope, Value,
};
use std::sync::Arc;
use tokio::time::{Instant, sleep};

/// What one try does.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    /// How long it takes.
    pub(crate) takes: Duration,
    /// Whether the request leaves, at once.
    pub(crate) sent: bool,
    pub(crate) ends: End,
}

#[derive(Clone, Debug)]
pub(crate) enum End {
    Well,
    Badly { retry: Retry, applied: Applied },
}

impl Try {
    pub(crate) fn well() -> Self {
        Try { takes: Duration::from_millis(10), sent: true, ends: End::Well }
    }

    pub(crate) fn hangs() -> Self {
        Try { takes: Duration::from_secs(1_000_000), ..Self::well() }
    }

    pub(crate) fn fails(retry: Retry) -> Self {
        Try { ends: End::Badly { retry, applied: Applied::No }, ..Self::well() }
    }

    pub(crate) fn unsent(self) -> Self {
        Try { sent: false, ..self }
    }

    pub(crate) fn in_doubt(self) -> Self {
        match self.ends {
            End::Badly { retry, .. } => Try { ends: End::Badly { retry, applied: Applied::Unknown }, ..self },
            End::Well => self,
        }
    }
}

/// What was seen of one try.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) cx: CallContext,
    pub(crate) began: Instant,
    pub(crate) ended: Option<Instant>,
}

#[derive(Debug, Default)]
pub(crate) struct Script {
    tries: Mutex<VecDeque<Try>>,
    pub(crate) seen: Mutex<Vec<Seen>>,
}

impl Script {
    pub(crate) fn new(tries: impl IntoIterator<Item = Try>) -> Arc<Self> {
        Arc::new(Script { tries: Mutex::new(tries.into_iter().collect()), seen: Mutex::default() })
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

#[async_trait]
impl Call for Script {
    async fn call(&self, cx: &CallContext, _: &Request) -> Result<Reply> {
        let next = self.tries.lock().unwrap().pop_front().unwrap_or_else(Try::well);
        let index = {
            let mut seen = self.seen.lock().unwrap();
            seen.push(Seen { cx: cx.clone(), began: Instant::now(), ended: None });
            seen.len() - 1
        };
        if next.sent {
            cx.attempt.mark_sent();
        }
        sleep(next.takes).await;
        self.seen.lock().unwrap()[index].ended = Some(Instant::now());
        match next.ends {
            End::Well => Ok(Reply::json(Value::from("good"))),
            End::Badly { retry, applied } => {
                Err(Error::new(Kind::Unavailable, "`crm` is busy").retry(retry).applied(applied))
            }
        }
    }
}

pub(crate) fn request(effect: Effect, key: Option<&str>) -> Request {
    let op = PreparedOp {
        system: "crm".into(),
        label: "GET /".into(),
        effect,
        carries_key: false,
        slots: Vec::new(),
        pages: None,
        plan: Box::new(()),
    };
    Request {
        op: Arc::new(op),
        params: Arc::default(),
        effect,
        key: key.map(Into::into),
        vars: Arc::new(Scope::default()),
        page: None,
    }
}

pub(crate) fn context(limit: Duration) -> CallContext {
    CallContext::new(Instant::now() + limit, Arc::new(Principal::anonymous()))
}
