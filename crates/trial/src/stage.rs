//! Mocks in the places of systems. They stand inside the layers, so that retries and timeouts are those of
//! production; what would be sent is made by the real connector.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use indexmap::IndexMap;
use renkei_core::{
    Call, CallContext, ConnectContext, Connection, Diagnostics, Error, Node, PreparedOp, Reply, Request,
    Result, System, Value, connector::SystemPlan, template::Names, trial::Mock,
};

use crate::compare::{Difference, Extent, differences};

/// What happened to the systems of one test.
#[derive(Debug, Default)]
pub struct Stage {
    scripts: IndexMap<Arc<str>, Arc<Script>>,
    pub(crate) pad: Arc<crate::Pad>,
}

impl Stage {
    /// The systems with mocks in their places.
    pub fn new(
        systems: &IndexMap<Arc<str>, SystemPlan>,
        mocks: &IndexMap<Arc<str>, Vec<Mock>>,
    ) -> (Self, IndexMap<Arc<str>, SystemPlan>) {
        let mut stage = Stage::default();
        let mut mocked = IndexMap::with_capacity(systems.len());
        for (name, plan) in systems {
            let own = mocks.get(name).cloned().unwrap_or_default();
            let script = Arc::new(Script::new(own));
            stage.scripts.insert(name.clone(), script.clone());
            let system = Arc::new(Mocked { inner: plan.system.clone(), script });
            mocked.insert(name.clone(), SystemPlan { system, ..plan.clone() });
        }
        (stage, mocked)
    }

    /// What came to each system that has mocks, or to which something came.
    pub fn scripts(&self) -> impl Iterator<Item = (&Arc<str>, &Script)> {
        self.scripts.iter().map(|(name, script)| (name, &**script))
    }

    pub fn script(&self, system: &str) -> Option<&Script> {
        self.scripts.get(system).map(|script| &**script)
    }
}

/// What one system answers, and what came to it.
#[derive(Debug)]
pub struct Script {
    mocks: Vec<Mock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How often each mock was used.
    used: Vec<usize>,
    /// Which mock answered, one request after the other.
    order: Vec<usize>,
    requests: Vec<Value>,
    unmatched: Vec<Unmatched>,
}

/// A request that no mock fits.
#[derive(Clone, Debug)]
pub struct Unmatched {
    pub request: Value,
    /// The mock that differs least, and where. Nothing if there is none.
    pub nearest: Option<Nearest>,
}

#[derive(Clone, Debug)]
pub struct Nearest {
    /// Its number in the list, from 1.
    pub number: usize,
    /// Empty if it fits and is used up.
    pub differences: Vec<Difference>,
}

impl Script {
    fn new(mocks: Vec<Mock>) -> Self {
        let state = State { used: vec![0; mocks.len()], ..State::default() };
        Script { mocks, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing inside panics while it is held; what a panic elsewhere left is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mock for a request.
    fn take(&self, request: &Value) -> Option<Mock> {
        let mut state = self.state();
        state.requests.push(request.clone());
        let compared: Vec<Vec<Difference>> = self
            .mocks
            .iter()
            .map(|mock| match &mock.request {
                Some(expected) => differences(expected, request, Extent::Part),
                None => Vec::new(),
            })
            .collect();
        let fits = compared
            .iter()
            .enumerate()
            .position(|(at, found)| found.is_empty() && state.used[at] < self.mocks[at].times);
        if let Some(at) = fits {
            state.used[at] += 1;
            state.order.push(at);
            return Some(self.mocks[at].clone());
        }
        let nearest = compared.into_iter().enumerate().min_by_key(|(_, found)| found.len());
        let nearest = nearest.map(|(at, differences)| Nearest { number: at + 1, differences });
        state.unmatched.push(Unmatched { request: request.clone(), nearest });
        None
    }

    /// All requests, in their order.
    pub fn requests(&self) -> Vec<Value> {
        self.state().requests.clone()
    }

    /// Which mocks answered, by their index, one request after the other.
    pub fn order(&self) -> Vec<usize> {
        self.state().order.clone()
    }

    pub fn unmatched(&self) -> Vec<Unmatched> {
        self.state().unmatched.clone()
    }

    /// Of each mock that had to be used more often: its number from 1, how often it was used, and how often it
    /// had to be.
    pub fn unused(&self) -> Vec<(usize, usize, usize)> {
        let state = self.state();
        let all = self.mocks.iter().zip(&state.used).enumerate();
        all.filter(|(_, (mock, used))| !mock.optional && **used < mock.times)
            .map(|(at, (mock, used))| (at + 1, *used, mock.times))
            .collect()
    }
}

/// A system that prepares as the real one does, and answers as told.
#[derive(Debug)]
struct Mocked {
    inner: Arc<dyn System>,
    script: Arc<Script>,
}

#[async_trait]
impl System for Mocked {
    fn prepare(&self, op: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<PreparedOp> {
        self.inner.prepare(op, names, d)
    }

    fn show(&self, request: &Request) -> Result<Value> {
        self.inner.show(request)
    }

    fn is_local(&self) -> bool {
        self.inner.is_local()
    }

    fn depends_on_caller(&self) -> bool {
        self.inner.depends_on_caller()
    }

    fn address(&self, request: &Request) -> Option<Vec<String>> {
        self.inner.address(request)
    }

    async fn connect(&self, _: &ConnectContext) -> Result<Connection> {
        let call = Answering { inner: self.inner.clone(), script: self.script.clone() };
        Ok(Connection::new(Arc::new(call)))
    }
}

struct Answering {
    inner: Arc<dyn System>,
    script: Arc<Script>,
}

#[async_trait]
impl Call for Answering {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        // What the connector refuses to send is refused here, too.
        let shown = self.inner.show(request)?;
        let Some(mock) = self.script.take(&shown) else {
            return Err(Error::internal(format!("no mock of `{}` fits the request", request.op.system)));
        };
        if mock.sent {
            cx.attempt.mark_sent();
        }
        if !mock.delay.is_zero() {
            tokio::time::sleep(mock.delay).await;
        }
        mock.answer.answer(request)
    }
}
