//! What is done, made up at random: small worlds, so that things meet.

use std::time::Duration;

use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop_oneof},
};
use renkei_core::store::{
    Append, Batch, CellExpected, Check, Expected, JobChange, JobError, JobId, JobState, Lease, NewCell,
    NewEvent, NewJob, OnDead, OnTaken, Record, Trim, TrimTo, Unique, When,
};
use uuid::Uuid;

use crate::model::Model;

pub(crate) const SPACE: &str = "space";
pub(crate) const LEASE: Duration = Duration::from_millis(1_000);

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Commit(Vec<Part>),
    Claim {
        queue: String,
        max: usize,
    },
    /// Milliseconds, forward or back.
    Clock(i64),
    Crash,
    Prune,
}

/// A part of a batch, with numbers in the place of what is known only when it is done.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Append {
        stream: u8,
        expected: u8,
        id: u8,
    },
    Enqueue {
        id: u8,
        queue: u8,
        key: Option<u8>,
        unique: Option<(u8, bool)>,
        delay: u8,
        expires: Option<u8>,
        priority: i16,
        max: Option<u64>,
    },
    /// Of one of the jobs that there are, with the right token or an older one.
    Change {
        job: u8,
        kind: u8,
        stale: bool,
        delay: u8,
    },
    Held {
        job: u8,
        stale: bool,
    },
    Cell {
        key: u8,
        expected: u8,
        set: bool,
        expires: Option<u8>,
    },
    Trim {
        stream: u8,
        to: Option<u8>,
    },
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => vec(part(), 1..4).prop_map(Step::Commit),
        5 => (0..2_u8, 1..4_usize).prop_map(|(queue, max)| Step::Claim { queue: queue_name(queue), max }),
        2 => prop_oneof![Just(100_i64), Just(600), Just(1_000), Just(5_000), Just(-700), Just(-60_000)].prop_map(Step::Clock),
        1 => Just(Step::Crash),
        1 => Just(Step::Prune),
    ];
    vec(step, 1..60)
}

fn part() -> impl Strategy<Value = Part> {
    let enqueue = (
        (0..40_u8, 0..2_u8, option::of(0..2_u8), option::of((0..2_u8, any::<bool>()))),
        (0..3_u8, option::of(0..4_u8), -1..2_i16, option::weighted(0.2, 1..6_u64)),
    );
    prop_oneof![
        3 => (0..2_u8, 0..6_u8, 0..30_u8).prop_map(|(stream, expected, id)| Part::Append { stream, expected, id }),
        6 => enqueue.prop_map(|((id, queue, key, unique), (delay, expires, priority, max))| Part::Enqueue {
            id, queue, key, unique, delay, expires, priority, max,
        }),
        8 => (any::<u8>(), 0..12_u8, option::weighted(0.1, Just(())), 0..3_u8)
            .prop_map(|(job, kind, stale, delay)| Part::Change { job, kind, stale: stale.is_some(), delay }),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(job, stale)| Part::Held { job, stale }),
        3 => (0..3_u8, 0..4_u8, any::<bool>(), option::of(0..4_u8))
            .prop_map(|(key, expected, set, expires)| Part::Cell { key, expected, set, expires }),
        1 => (0..2_u8, option::of(0..8_u8)).prop_map(|(stream, to)| Part::Trim { stream, to }),
    ]
}

fn queue_name(number: u8) -> String {
    format!("q{number}")
}

fn delay(number: u8) -> When {
    match number {
        0 => When::Now,
        number => When::After(Duration::from_millis(400 * u64::from(number))),
    }
}

/// The batch. What would name something twice is left out.
pub(crate) fn plan(parts: &[Part], model: &Model) -> Batch {
    let mut batch = Batch::new();
    for part in parts {
        let longer = with(batch.clone(), part, model);
        if longer.validate().is_ok() {
            batch = longer;
        }
    }
    batch
}

fn with(batch: Batch, part: &Part, model: &Model) -> Batch {
    match part {
        Part::Append { stream, expected, id } => {
            let stream = format!("s{stream}");
            let expected = match expected {
                0 => Expected::None,
                1 => Expected::Exists,
                2 => Expected::Version(model.last(&stream)),
                3 => Expected::Version(model.last(&stream) + 1),
                _ => Expected::Any,
            };
            let event = NewEvent {
                id: id.to_string(),
                kind: "k".into(),
                data: Record::default(),
                meta: Vec::new().into(),
            };
            batch.append(Append { stream, expected, events: vec![event] })
        }
        Part::Enqueue { id, queue, key, unique, delay: after, expires, priority, max } => {
            batch.enqueue(NewJob {
                key: key.map(|key| format!("k{key}")),
                priority: *priority,
                run_at: delay(*after),
                expires: expires.map(delay),
                unique: unique.map(|(key, joins)| Unique {
                    key: format!("u{key}"),
                    on_taken: if joins { OnTaken::Join } else { OnTaken::Refuse },
                }),
                max_length: *max,
                ..NewJob::new(JobId(Uuid::from_u128(u128::from(*id))), queue_name(*queue), Record::default())
            })
        }
        Part::Change { job, kind, stale, delay: after } => match lease(model, *job, *stale, *kind) {
            Some(lease) => batch.job(change(lease, *kind, delay(*after))),
            None => batch,
        },
        Part::Held { job, stale } => match lease(model, *job, *stale, 0) {
            Some(lease) => batch.check(Check::Held(lease)),
            None => batch,
        },
        Part::Cell { key, expected, set, expires } => {
            let key = format!("c{key}");
            let expected = match expected {
                0 => CellExpected::Absent,
                1 => CellExpected::Version(model.cell_version(&key)),
                _ => CellExpected::Any,
            };
            let cell = NewCell { expires: expires.map(delay), ..NewCell::default() };
            if *set { batch.set(SPACE, key, expected, cell) } else { batch.delete(SPACE, key, expected) }
        }
        Part::Trim { stream, to } => {
            let to = to.map_or(TrimTo::Forgotten, |version| TrimTo::Version(u64::from(version)));
            batch.trim(Trim { stream: format!("s{stream}"), to })
        }
    }
}

/// Mostly of a job in a state for such a change.
fn lease(model: &Model, choice: u8, stale: bool, kind: u8) -> Option<Lease> {
    let wanted = |state: JobState| match kind {
        0..=7 => state == JobState::Leased,
        8 => state.is_waiting(),
        9 | 10 => state == JobState::Dead,
        _ => true,
    };
    let all: Vec<_> = model.jobs().iter().collect();
    let fit: Vec<_> = all.iter().filter(|job| wanted(job.state)).copied().collect();
    let among = if fit.is_empty() || choice > 230 { all } else { fit };
    let job = among.get(usize::from(choice) % among.len().max(1))?;
    let token = if stale { job.token.saturating_sub(1) } else { job.token };
    Some(Lease { job: job.new.id, token })
}

fn change(lease: Lease, kind: u8, run_at: When) -> JobChange {
    let job = lease.job;
    let error = JobError::new("unavailable", "down");
    match kind {
        0 | 1 => JobChange::Finish { lease, keep_until: None },
        2 => JobChange::Finish { lease, keep_until: Some(run_at) },
        3 => JobChange::Retry { lease, run_at, error },
        4 => JobChange::Bury { lease, error, on_dead: OnDead::Block },
        5 => JobChange::Bury { lease, error, on_dead: OnDead::Skip },
        6 => JobChange::Extend { lease, lease_for: LEASE },
        7 => JobChange::Release { lease, run_at },
        8 => JobChange::Reschedule { job, run_at },
        9 => JobChange::Replay { job, run_at },
        10 => JobChange::Unblock { job },
        _ => JobChange::Discard { job },
    }
}
