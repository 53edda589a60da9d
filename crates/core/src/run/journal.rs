//! What a durable run remembers of its steps, so that it can be taken up again where it was cut off.

use async_trait::async_trait;

use crate::{
    Reply, Request, Result, Value,
    store::{Batch, Receipt},
};

/// The journal of one durable run. Steps are known by their paths: the names of the actions around them, and their own.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Before a step. The intent is durable when this answers [`Begun::New`], where the step changes something.
    ///
    /// # Errors
    /// The step must not be taken: the run is somebody else's now, or nothing can be written.
    async fn begin(&self, path: &str, request: &Request) -> Result<Begun>;

    /// After a step: its result is durable when this gives what the run goes on with, which is the same in all later
    /// attempts.
    async fn end(&self, path: &str, request: &Request, result: Result<Reply>) -> Result<Reply>;

    /// A step was cut off while it was under way, and the run goes on without it. Later attempts see it as cut off, too:
    /// this is durable before anything that the run does after it.
    fn cut_off(&self, path: &str, request: &Request);

    /// Changes the store as the step at `path`, in one commit with the record of it. `given` is what later attempts get.
    async fn commit(&self, path: &str, batch: Batch, given: Value) -> Result<Committed>;
}

/// Tells a journal of a step that is dropped before it has ended.
pub(super) struct UnderWay<'j> {
    pub(super) journal: &'j dyn Journal,
    pub(super) path: &'j str,
    pub(super) request: &'j Request,
    pub(super) has_ended: bool,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.journal.cut_off(self.path, self.request);
        }
    }
}

/// What is known of a step that is about to be taken.
#[derive(Clone, Debug)]
pub enum Begun {
    /// It has to be taken.
    New,
    /// It was taken already, with this result.
    Known(Result<Reply>),
}

/// What became of a change of the store.
#[derive(Clone, Debug, PartialEq)]
pub enum Committed {
    /// It was made now.
    Now(Receipt),
    /// An earlier attempt of this run has made it: what it noted.
    Before(Value),
}
