//! The end of an attempt that needs answers.

use renkei_core::{
    Error, Kind,
    store::{Batch, CellExpected, JobChange, NewCell, When},
    task::Status,
    tool::ToolResult,
};

use super::{
    asking::{Conversation, Open, Round},
    attempt::{Attempt, End},
    record::{self, ASKED},
    scribe::{Scribe, Trouble},
    task::{ASKS, Kept, TASK},
};

impl Attempt {
    /// What becomes of the run once its action has returned.
    pub(super) fn of_action(&self, tool: &str, result: ToolResult, conversation: &Conversation) -> End {
        if !result.error.as_ref().is_some_and(Error::is_suspended) {
            return End::Ended(result);
        }
        match conversation.round() {
            Ok(round) => End::Asks(round),
            Err(error) => End::Ended(self.engine.refused(tool, error)),
        }
    }

    /// The run waits for answers: its questions, and the end of the attempt, are one commit.
    pub(super) async fn suspend(&self, scribe: &mut Scribe, task: Option<&str>, round: &Round) {
        let kept = match task {
            Some(id) => match self.store.cell(TASK, id).await {
                Ok(cell) => cell.map(|cell| Kept::of_cell(&cell)).transpose(),
                Err(error) => return self.pause(&error).await,
            },
            None => Ok(None),
        };
        let (id, mut kept) = match (task, kept) {
            (Some(id), Ok(Some(kept))) => (id, kept),
            (_, Err(error)) => return self.pause(&error).await,
            // Its time is over: nobody is left who could answer.
            _ => {
                let error = Error::new(Kind::Timeout, "get an answer: the time of the task is over");
                return self.conclude(scribe, task, self.engine.refused("ask", error)).await;
            }
        };
        kept.status = Status::InputRequired;
        kept.updated = self.store.now();
        let asks = record::record(&Open::new(round).to_value());
        let (bytes, limit) = (asks.bytes.len(), self.options.result_bytes);
        if bytes > limit {
            let message = format!(
                "keep the questions, which have {bytes} bytes: `server.limits.task_result` is {limit}; ask for less"
            );
            return self
                .conclude(scribe, task, self.engine.refused(&kept.tool, Error::internal(message)))
                .await;
        }
        let asks = NewCell { expires: Some(When::At(kept.ends())), ..NewCell::new(asks) };
        let run_at = When::At(round.expires);
        let batch = Batch::new()
            .job(JobChange::Release { lease: self.lease, run_at })
            .set(TASK, id, CellExpected::Any, kept.cell())
            .set(ASKS, id, CellExpected::Any, asks);
        let event = |value| record::event(format!("ask#{}", scribe.version), ASKED, value);
        let events = round.event.iter().map(event).collect();
        match scribe.commit(batch, events).await {
            // Whoever wanted its end before this commit could not wake it.
            Ok(Ok(_)) if self.is_to_end(task).await => {
                let wake = JobChange::Reschedule { job: self.job.id, run_at: When::Now };
                if let Err(error) = self.store.commit(Batch::new().job(wake)).await {
                    tracing::warn!(job = %self.job.id, "a run that is to end waits for its answers: {error}");
                }
            }
            Ok(Ok(_)) => {}
            Ok(Err(refusal)) => self.pause(&refusal.into()).await,
            Err(Trouble::Lost) => self.lost(),
            Err(Trouble::Store(error)) => self.pause(&error).await,
        }
    }
}
