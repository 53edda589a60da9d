//! Runs a call.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use renkei_core::{
    Effect, Error, Kind, Outcome, Pattern, Position, PreparedOp, Reply, Request, Result, RunContext, Scope,
    Tree, Value,
    call::{CallSettings, Listener},
    run::Progress,
};

use super::{
    config::request_effect,
    invalidates::{self, Untrue},
};

/// The one step of this action.
pub(super) const STEP: &str = "call";
/// What a call reports: called (0), answered (1), judged (2).
const STAGES: f64 = 2.0;
/// How far a call is at most before its answer, of the way from called to answered.
const MOST: f64 = 0.999;

#[derive(Debug)]
pub(crate) struct CallAction {
    pub(super) op: Arc<PreparedOp>,
    settings: CallSettings,
    reject_when: Option<Tree>,
    invalidates: Vec<Untrue>,
    /// Whether the request carries `$key` to the system.
    keyed: bool,
    open_world: bool,
    /// Its reply is another server's result, and its progress that server's.
    is_passed_on: bool,
}

impl CallAction {
    pub(super) fn new(
        op: PreparedOp,
        settings: CallSettings,
        reject_when: Option<Tree>,
        invalidates: Vec<Untrue>,
        open_world: bool,
    ) -> Self {
        let keyed =
            op.carries_key || op.slots.iter().any(|slot| slot.vars().iter().any(|name| &**name == "key"));
        let is_passed_on = false;
        CallAction { op: Arc::new(op), settings, reject_when, invalidates, keyed, open_world, is_passed_on }
    }

    /// A call whose reply is another server's result, which is passed on.
    pub(crate) fn passing_on(op: Arc<PreparedOp>, settings: CallSettings, open_world: bool) -> Self {
        let (reject_when, invalidates) = (None, Vec::new());
        let (keyed, is_passed_on) = (false, true);
        CallAction { op, settings, reject_when, invalidates, keyed, open_world, is_passed_on }
    }

    pub(super) fn request(&self, cx: &RunContext, scope: &Scope) -> Result<Request> {
        let params: Vec<_> = self.op.slots.iter().map(|slot| slot.render(scope)).collect::<Result<_>>()?;
        Ok(Request {
            op: self.op.clone(),
            params: params.into(),
            effect: request_effect(self.op.effect, self.keyed),
            key: self.keyed.then(|| cx.key(STEP)),
            vars: Arc::new(scope.of_system()),
            page: None,
        })
    }

    /// Refuses a reply that says no.
    pub(super) fn judge(&self, reply: &Reply, mut scope: Scope) -> Result<()> {
        let Some(reject_when) = &self.reject_when else { return Ok(()) };
        scope.set("result", reply.value.clone().into_value());
        scope.set("result_meta", reply.meta.clone());
        let system = &self.op.system;
        let reason = match reject_when.render(&scope)? {
            None | Some(Value::Null | Value::Bool(false)) => return Ok(()),
            Some(Value::Bool(true)) => "no reason was given".into(),
            Some(Value::String(reason)) => reason.to_string(),
            Some(other) => {
                return Err(Error::internal(format!(
                    "`reject_when` of the call to `{system}` gave {}; it must give true, false, null or a text",
                    other.type_name(),
                )));
            }
        };
        Err(Error::new(Kind::Rejected, format!("`{system}` refused: {reason}")))
    }
}

#[async_trait]
impl Pattern for CallAction {
    fn effect(&self) -> Effect {
        self.op.effect
    }

    fn repeat(&self) -> Effect {
        request_effect(self.op.effect, self.keyed)
    }

    fn open_world(&self) -> bool {
        self.open_world
    }

    fn resumes(&self) -> bool {
        self.op.pages.is_some_and(|paging| paging.cursor_argument)
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        match self.op.pages {
            Some(paging) => Box::pin(self.follow(cx, input, paging, Position::default(), usize::MAX)).await,
            None => self.once(cx, input).await,
        }
    }

    async fn resume(&self, cx: &RunContext, input: Value, from: Position, room: usize) -> Result<Outcome> {
        match self.op.pages {
            Some(paging) => Box::pin(self.follow(cx, input, paging, from, room)).await,
            None => Err(Error::internal(format!("`{}` has no pages to go on with", self.op.label))),
        }
    }
}

impl CallAction {
    /// One request, with what this call says of its layers and makes untrue.
    pub(super) async fn step(
        &self,
        cx: &RunContext,
        name: &str,
        request: Request,
        scope: &Scope,
        stages: &Stages,
    ) -> Result<Reply> {
        let invalidating = invalidates::begin(&self.invalidates, scope, cx)?;
        let mut step = cx.clone();
        step.call.settings = Some(self.settings.clone());
        step.call.listener = stages.listener();
        let result = step.step(name, request).await;
        invalidating.end(&result);
        result
    }

    async fn once(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let scope = cx.scope(STEP, input);
        let request = self.request(cx, &scope)?;
        let system = &self.op.system;
        let stages = if self.is_passed_on { Stages::of_another(cx) } else { Stages::new(cx) };
        stages.called(system);
        let reply = self.step(cx, STEP, request, &scope, &stages).await?;
        stages.answered(system);
        self.judge(&reply, scope)?;
        stages.judged();
        Ok(Outcome {
            value: reply.value,
            meta: reply.meta,
            notices: reply.notices,
            results: Vec::new(),
            next: None,
        })
    }
}

/// Tells how far a call is, if somebody wants to know.
pub(super) struct Stages(Option<Arc<Notes>>);

impl Stages {
    pub(super) fn new(cx: &RunContext) -> Self {
        Self::with(cx, STAGES)
    }

    /// Those of another server: there are none of ours around them.
    fn of_another(cx: &RunContext) -> Self {
        Self::with(cx, 1.0)
    }

    fn with(cx: &RunContext, total: f64) -> Self {
        let notes = || Arc::new(Notes { cx: cx.clone(), left: Mutex::new(1.0), total });
        Stages(cx.wants_progress().then(notes))
    }

    fn report(&self, done: f64, message: impl FnOnce() -> String) {
        if let Some(notes) = self.0.as_ref().filter(|notes| notes.total >= STAGES) {
            notes.cx.progress(Progress { done, total: Some(STAGES), message: Some(message()) });
        }
    }

    pub(super) fn called(&self, system: &str) {
        self.report(0.0, || format!("calling `{system}`"));
    }

    pub(super) fn answered(&self, system: &str) {
        self.report(1.0, || format!("`{system}` answered"));
    }

    pub(super) fn judged(&self) {
        self.report(STAGES, || "the reply is good".into());
    }

    /// Something between "called" and "answered".
    pub(super) fn note(&self, note: impl FnOnce() -> String) {
        if let Some(notes) = &self.0 {
            notes.note(&note());
        }
    }

    /// Who hears the notes of a step.
    fn listener(&self) -> Option<Arc<dyn Listener>> {
        self.0.clone().map(|notes| notes as Arc<dyn Listener>)
    }
}

/// Turns what happens in the call into reports between "called" and "answered". How many there
/// will be is not known: each goes half of the way that is left.
struct Notes {
    cx: RunContext,
    left: Mutex<f64>,
    /// How much the whole is; all that is noted lies between 0 and 1.
    total: f64,
}

impl Listener for Notes {
    fn note(&self, note: &str) {
        let Ok(mut left) = self.left.lock() else { return };
        *left /= 2.0;
        let done = 1.0 - *left;
        self.cx.progress(Progress { done, total: Some(self.total), message: Some(note.to_owned()) });
    }

    /// As far as the system says, but never back, and never quite to "answered".
    fn share(&self, share: f64, note: &str) {
        let Ok(mut left) = self.left.lock() else { return };
        if share.is_finite() && share > 0.0 {
            *left = left.min(1.0 - share.min(MOST));
        }
        // Each report is greater than the one before.
        *left *= MOST;
        let done = 1.0 - *left;
        self.cx.progress(Progress { done, total: Some(self.total), message: Some(note.to_owned()) });
    }
}
