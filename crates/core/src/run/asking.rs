//! `cx.ask`: a question to whoever called.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::timeout;

use super::RunContext;
use crate::{
    Applied, Error, Kind, Result, Retry,
    ask::{Answer, Asking, Question},
    duration,
};

/// So often a form that was filled in wrong is shown while the run waits.
const TRIES: usize = 3;

impl RunContext {
    /// Asks whoever called, by `name` within this action; an action that is one question needs none. The time of
    /// the run stands still meanwhile.
    ///
    /// # Errors
    /// - [suspended](Error::is_suspended): the answer comes with a later call, which begins anew. Hand it on: it
    ///   is no failure, and nothing stands in for it.
    /// - [`Error::lacks`]: the caller cannot be asked this.
    /// - Nobody answered in time, or what came is no answer. A no is none of these: it is an [`Answer`].
    pub async fn ask(&self, name: Option<&str>, question: Question) -> Result<Answer> {
        let (asker, limit) = match &self.call.asking {
            Asking::Live { asker, limit } => (asker, *limit),
            Asking::Nobody | Asking::Rounds(_) => {
                let message = "ask whoever called: nobody can be asked here";
                return Err(Error::new(Kind::Rejected, message).lacking(question.needs()));
            }
        };
        let needed = question.needs();
        if !asker.abilities().has(needed) {
            let message = format!("ask whoever called: it takes a client that can {}", needed.as_clause());
            return Err(Error::new(Kind::Rejected, message).lacking(needed));
        }
        if asker.repeats() && self.run.changed.load(Ordering::Relaxed) {
            let message = "ask after something was changed: the answer would come with a call that begins anew; the config must be mended";
            return Err(Error::internal(message).applied(Applied::Unknown));
        }
        let path = self.question_path(name);
        let mut question = question;
        for _ in 0..TRIES {
            let answer = self.answer(limit, question.timeout(), asker.ask(&path, &question)).await?;
            match question.judge(answer)? {
                Ok(answer) => return Ok(answer),
                Err(again) => question = again,
            }
        }
        let why = match &question {
            Question::Form(form) => form.again.as_deref().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        Err(Error::new(Kind::Rejected, format!("get a form filled in right, in {TRIES} tries: {why}")))
    }

    /// Where the question is in the run: by this its answer finds back.
    fn question_path(&self, name: Option<&str>) -> String {
        let names: Vec<&str> = self.path.iter().map(|part| &**part).chain(name).collect();
        match names[..] {
            [] => "ask".to_owned(),
            _ => names.join("/"),
        }
    }

    async fn answer(
        &self,
        limit: Duration,
        own: Option<Duration>,
        asked: impl Future<Output = Result<Answer>>,
    ) -> Result<Answer> {
        let Some(pauses) = &self.run.pauses else { return asked.await };
        let left = limit.saturating_sub(pauses.total());
        let time = own.map_or(left, |own| own.min(left));
        let _pause = pauses.begin();
        timeout(time, asked).await.unwrap_or_else(|_| {
            let shown = duration::format(if time < left { time } else { limit });
            let message = format!("get an answer within {shown}");
            Err(Error::new(Kind::Timeout, message).retry(Retry::Never))
        })
    }
}
