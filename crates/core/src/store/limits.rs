//! The limits of what is stored, and whether a batch keeps them. One place, so that all stores refuse the same.

use std::{collections::BTreeSet, hash::Hash};

use super::{Batch, Claim, JobChange};
use crate::{Error, Result};

/// A record, in bytes: the payload of a job, the data of an event, the value of a cell. An encrypted one has 64 less.
pub const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;
/// The headers of a job or the meta of an event, in bytes.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;
/// The name of a stream, a queue or a space, a key, an id, an owner: in bytes.
pub const MAX_NAME_BYTES: usize = 1024;
/// Everything in one batch together, in bytes.
pub const MAX_BATCH_BYTES: usize = 32 * 1024 * 1024;
/// Single things in one batch.
pub const MAX_BATCH_ITEMS: usize = 10_000;
/// Jobs that one claim leases.
pub const MAX_CLAIM: usize = 1_000;
/// Entries of one page; a greater limit means this one, and 0 means 1.
pub const MAX_PAGE: usize = 1_000;
/// Failed attempts that a job remembers.
pub const MAX_ERRORS: usize = 20;
/// The message of a failed attempt, in bytes; longer ones are cut.
pub const MAX_ERROR_BYTES: usize = 4 * 1024;

impl Batch {
    /// Whether it keeps the limits and names nothing twice; its size in bytes, about. Stores call it first.
    ///
    /// # Errors
    /// `invalid`, with the thing, its size and the limit.
    pub fn validate(&self) -> Result<usize> {
        limit("a batch has", self.items(), MAX_BATCH_ITEMS, "items")?;
        let mut sizes = Sizes { bytes: 0 };
        self.validate_log(&mut sizes)?;
        self.validate_jobs(&mut sizes)?;
        self.validate_cells(&mut sizes)?;
        limit("a batch has", sizes.bytes, MAX_BATCH_BYTES, "bytes")?;
        Ok(sizes.bytes)
    }

    fn validate_log(&self, sizes: &mut Sizes) -> Result<()> {
        once(self.appends.iter().map(|append| append.stream.as_str()), "stream")?;
        once(self.trims.iter().map(|trim| trim.stream.as_str()), "stream to trim")?;
        for append in &self.appends {
            sizes.name("stream", &append.stream)?;
            if append.events.is_empty() {
                return Err(Error::invalid(format!("append to `{}`: there is no event", append.stream)));
            }
            once(append.events.iter().map(|event| event.id.as_str()), "event")?;
            for event in &append.events {
                sizes.name("event id", &event.id)?;
                sizes.name("event kind", &event.kind)?;
                sizes.record("event", event.data.bytes.len())?;
                sizes.headers("meta of an event", event.meta.len())?;
            }
        }
        self.trims.iter().try_for_each(|trim| sizes.name("stream", &trim.stream))
    }

    fn validate_jobs(&self, sizes: &mut Sizes) -> Result<()> {
        let new = self.enqueues.iter().map(|job| job.id);
        once(new.chain(self.jobs.iter().map(JobChange::job)), "job")?;
        let unique =
            |job: &super::NewJob| job.unique.as_ref().map(|unique| (job.queue.clone(), unique.key.clone()));
        once(self.enqueues.iter().filter_map(unique), "unique key")?;
        for job in &self.enqueues {
            sizes.name("queue", &job.queue)?;
            for (what, name) in
                [("key", &job.key), ("unique key", &job.unique.as_ref().map(|u| u.key.clone()))]
            {
                name.as_ref().map_or(Ok(()), |name| sizes.name(what, name))?;
            }
            sizes.record("payload", job.payload.bytes.len())?;
            sizes.headers("headers of a job", job.headers.len())?;
        }
        for change in &self.jobs {
            if let JobChange::Retry { error, .. } | JobChange::Bury { error, .. } = change {
                sizes.name("error's kind", &error.kind)?;
                sizes.bytes += error.message.len().min(MAX_ERROR_BYTES);
            }
        }
        Ok(())
    }

    fn validate_cells(&self, sizes: &mut Sizes) -> Result<()> {
        once(self.cells.iter().map(|cell| (cell.space.as_str(), cell.key.as_str())), "cell")?;
        for write in &self.cells {
            sizes.name("space", &write.space)?;
            sizes.name("key", &write.key)?;
            let Some(cell) = &write.value else { continue };
            sizes.record("cell", cell.value.bytes.len())?;
            for (what, name) in [("owner", &cell.owner), ("state", &cell.state)] {
                name.as_ref().map_or(Ok(()), |name| sizes.name(what, name))?;
            }
        }
        Ok(())
    }
}

impl Claim {
    /// Whether it keeps the limits.
    ///
    /// # Errors
    /// `invalid`, with the value and the limit.
    pub fn validate(&self) -> Result<()> {
        limit("a claim asks for", self.max, MAX_CLAIM, "jobs")?;
        let mut sizes = Sizes { bytes: 0 };
        sizes.name("queue", &self.queue)?;
        sizes.name("worker", &self.worker)
    }
}

struct Sizes {
    bytes: usize,
}

impl Sizes {
    fn name(&mut self, what: &str, name: &str) -> Result<()> {
        self.bytes += name.len();
        if name.is_empty() {
            return Err(Error::invalid(format!("store this: the {what} is empty")));
        }
        if name.contains('\0') {
            return Err(Error::invalid(format!("store this: the {what} has a NUL character")));
        }
        limit(&format!("the {what} has"), name.len(), MAX_NAME_BYTES, "bytes")
    }

    fn record(&mut self, what: &str, bytes: usize) -> Result<()> {
        self.bytes += bytes;
        limit(&format!("the {what} has"), bytes, MAX_RECORD_BYTES, "bytes")
    }

    fn headers(&mut self, what: &str, bytes: usize) -> Result<()> {
        self.bytes += bytes;
        limit(&format!("the {what} have"), bytes, MAX_HEADER_BYTES, "bytes")
    }
}

fn limit(what: &str, actual: usize, max: usize, unit: &str) -> Result<()> {
    if actual <= max {
        return Ok(());
    }
    Err(Error::invalid(format!("store this: {what} {actual} {unit}, at most {max} are allowed")))
}

fn once<T: Ord + Hash + std::fmt::Debug>(things: impl Iterator<Item = T>, what: &str) -> Result<()> {
    let mut seen = BTreeSet::new();
    for thing in things {
        if seen.contains(&thing) {
            return Err(Error::invalid(format!("store this: the batch names the {what} {thing:?} twice")));
        }
        seen.insert(thing);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::store::{
        Append, CellExpected, Expected, JobId, NewCell, NewEvent, NewJob, OnTaken, Record, Unique,
    };

    fn event(id: &str) -> NewEvent {
        NewEvent { id: id.into(), kind: "order_placed".into(), data: Record::default(), meta: Bytes::new() }
    }

    fn refused(batch: Batch) -> String {
        batch.validate().unwrap_err().to_string()
    }

    #[test]
    fn what_is_named_twice_is_refused() {
        let append = Append { stream: "orders".into(), expected: Expected::Any, events: vec![event("1")] };
        assert!(Batch::new().append(append.clone()).validate().is_ok());
        assert!(
            refused(Batch::new().append(append.clone()).append(append.clone())).contains("\"orders\" twice")
        );
        let twice = Append { events: vec![event("1"), event("1")], ..append };
        assert!(refused(Batch::new().append(twice)).contains("the event \"1\" twice"));
        let set = |batch: Batch| batch.set("task", "1", CellExpected::Any, NewCell::default());
        assert!(refused(set(set(Batch::new()))).contains("cell"));
        let mut job = NewJob::new(JobId::new(), "reports", Record::default());
        job.unique = Some(Unique { key: "2026".into(), on_taken: OnTaken::Join });
        let other = NewJob { id: JobId::new(), ..job.clone() };
        assert!(refused(Batch::new().enqueue(job.clone()).enqueue(other)).contains("unique key"));
        assert!(
            refused(Batch::new().enqueue(job.clone()).job(JobChange::Discard { job: job.id }))
                .contains("job")
        );
    }

    #[test]
    fn what_is_too_large_is_refused_with_its_size_and_the_limit() {
        let set = |key: &str, bytes: usize| {
            let cell = NewCell::new(Record::new(1, vec![0; bytes]));
            Batch::new().set("task", key, CellExpected::Any, cell)
        };
        assert!(set("1", MAX_RECORD_BYTES).validate().is_ok());
        let text = refused(set("1", MAX_RECORD_BYTES + 1));
        assert!(text.contains("16777217") && text.contains("16777216"), "{text}");
        assert!(refused(set(&"k".repeat(MAX_NAME_BYTES + 1), 1)).contains("1024"));
        assert!(refused(set("", 1)).contains("empty"));
        assert!(refused(set("a\0b", 1)).contains("NUL"));
        let many = (0..=MAX_BATCH_ITEMS).map(|_| NewJob::new(JobId::new(), "q", Record::default()));
        assert!(refused(Batch { enqueues: many.collect(), ..Batch::default() }).contains("10000"));
    }
}
