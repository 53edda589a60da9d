//! What an error means for the message.

use std::time::Duration;

use renkei_core::{
    Applied, Error, Kind, Retry, duration,
    queue::Queue,
    store::{Job, JobChange, JobError, When},
};

/// What becomes of a message whose attempt has failed: another one after a while, or the dead letters.
pub(crate) fn of(queue: &Queue, job: &Job, error: &Error, share: f64) -> JobChange {
    let lease = job.lease();
    match wait(queue, job, error, share) {
        Some(wait) => JobChange::Retry { lease, run_at: When::After(wait), error: noted(error) },
        None => JobChange::Bury { lease, error: noted(error), on_dead: queue.on_dead },
    }
}

/// How long until another attempt. Nothing: no repeat mends it, or there were enough.
fn wait(queue: &Queue, job: &Job, error: &Error, share: f64) -> Option<Duration> {
    let backoff = queue.backoff.wait(job.attempts, share);
    let wait = match error.retry_advice() {
        Retry::Never => return None,
        Retry::Safe | Retry::Exhausted => backoff,
        Retry::After(least) => backoff.max(least),
    };
    (job.attempts < queue.attempts).then_some(wait)
}

/// Where a repeat may do the work twice, and nobody knows whether it was done, a person has to look: no repeat follows.
pub(super) fn of_doubt(error: Error, repeats_safely: bool) -> Error {
    match error.was_applied() {
        Applied::Unknown if !repeats_safely => {
            error.retry(Retry::Never).adding("whether it was done is unknown, and a repeat may do it twice")
        }
        _ => error,
    }
}

/// For a message that was claimed more often than it may be: its workers died with it.
pub(crate) fn of_too_many(queue: &Queue, job: &Job) -> Option<JobChange> {
    if job.attempts <= queue.attempts {
        return None;
    }
    let tried = queue.attempts;
    let message =
        format!("none of {tried} attempts came to an end: whoever worked on it was not heard of any more");
    let error = JobError::new(JobError::LEASE_ENDED, message);
    Some(JobChange::Bury { lease: job.lease(), error, on_dead: queue.on_dead })
}

/// What the history keeps of an error. Secrets are masked in it already.
pub(crate) fn noted(error: &Error) -> JobError {
    JobError::new(error.kind().as_str(), error.to_string())
}

/// For the log.
pub(super) fn told(change: &JobChange) -> String {
    match change {
        JobChange::Retry { run_at: When::After(wait), .. } => {
            format!("another attempt follows in {}", duration::format(*wait))
        }
        JobChange::Bury { .. } => "it is a dead letter now".to_owned(),
        _ => "it goes on".to_owned(),
    }
}

/// A fault of the worker's process, not of the work.
pub(super) fn of_stop() -> Error {
    Error::new(Kind::Cancelled, "the worker stops")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use renkei_core::{
        clock::Timestamp,
        queue::Backoff,
        store::{JobId, JobState, OnDead, Record},
    };

    use super::*;

    fn queue() -> Queue {
        Queue {
            name: "jobs".into(),
            description: None,
            input_schema: None,
            order_by: None,
            on_dead: OnDead::Skip,
            unique: None,
            priority: None,
            delay: Duration::ZERO,
            ttl: None,
            max_length: 10,
            attempts: 3,
            backoff: Backoff { first: Duration::from_secs(1), max: Duration::from_secs(10) },
            lease: Duration::from_secs(30),
            timeout: Duration::from_secs(60),
            concurrency: 1,
            rate: None,
        }
    }

    fn job(attempts: u32) -> Job {
        Job {
            id: JobId::new(),
            queue: "jobs".into(),
            key: None,
            priority: 0,
            state: JobState::Leased,
            run_at: Timestamp(0),
            expires: None,
            unique: None,
            payload: Record::default(),
            headers: Bytes::new(),
            attempts,
            token: 1,
            leased_until: None,
            worker: None,
            errors: Vec::new(),
            created: Timestamp(0),
            changed: Timestamp(0),
            dead: None,
            blocks: false,
        }
    }

    /// Seconds until the next attempt; nothing for a dead letter.
    fn next(attempts: u32, error: Error) -> Option<u64> {
        match of(&queue(), &job(attempts), &error, 1.0) {
            JobChange::Retry { run_at: When::After(wait), .. } => Some(wait.as_secs()),
            JobChange::Bury { on_dead: OnDead::Skip, .. } => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_repeat_may_mend_is_repeated_until_the_attempts_are_used_up() {
        let busy = || Error::unavailable("reach it");
        assert_eq!([1, 2, 3].map(|attempts| next(attempts, busy())), [Some(1), Some(2), None]);
        assert_eq!(next(1, busy().retry(Retry::Exhausted)), Some(1));
        assert_eq!(next(1, busy().retry(Retry::After(Duration::from_secs(7)))), Some(7));
        assert_eq!(next(2, busy().retry(Retry::After(Duration::from_secs(1)))), Some(2));
        for kind in [Kind::Invalid, Kind::NotFound, Kind::Rejected, Kind::Conflict, Kind::Internal] {
            assert_eq!(next(1, Error::new(kind, "do it")), None, "{kind}");
        }
    }

    #[test]
    fn what_may_have_happened_is_repeated_only_where_a_repeat_does_no_harm() {
        let doubt = || Error::new(Kind::Timeout, "the bank did not answer").applied(Applied::Unknown);
        assert_eq!(next(1, of_doubt(doubt(), true)), Some(1));
        assert_eq!(next(1, of_doubt(doubt(), false)), None);
        assert_eq!(next(1, of_doubt(Error::unavailable("reach it"), false)), Some(1));
    }

    #[test]
    fn a_message_that_ends_its_process_every_time_ends_itself() {
        assert_eq!(of_too_many(&queue(), &job(3)), None);
        let Some(JobChange::Bury { error, .. }) = of_too_many(&queue(), &job(4)) else { panic!() };
        assert_eq!(error.kind, JobError::LEASE_ENDED);
        assert!(error.message.contains("none of 3 attempts"), "{}", error.message);
    }
}
