//! Streams: appending to them, and dropping what is of no more use.

use renkei_core::store::{Append, Appended, Expected, NewEvent, Position, Refusal, Trim, TrimTo};
use rusqlite::{OptionalExtension, params};

use super::{group::Group, rows::unsigned};

impl Group<'_> {
    /// Its number and the version of its last event; nothing when it never had one.
    fn stream(&self, name: &str) -> rusqlite::Result<Option<(i64, i64)>> {
        let mut statement =
            self.connection.prepare_cached("select stream, last from streams where name = ?1")?;
        statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }

    pub(super) fn check_stream(&self, name: &str, expected: Expected) -> rusqlite::Result<Option<Refusal>> {
        let actual = unsigned(self.stream(name)?.map_or(0, |(_, last)| last));
        Ok((!expected.holds(actual)).then(|| Refusal::Stream { stream: name.to_owned(), expected, actual }))
    }

    pub(super) fn check_append(&self, append: &Append) -> rusqlite::Result<Option<Refusal>> {
        let stream = self.stream(&append.stream)?;
        if let Some((stream, _)) = stream {
            for event in &append.events {
                if let Some((version, same)) = self.event(stream, event)? {
                    let (stream, id) = (append.stream.clone(), event.id.clone());
                    return Ok(Some(Refusal::EventExists { stream, id, version, same }));
                }
            }
        }
        let actual = unsigned(stream.map_or(0, |(_, last)| last));
        let refusal = Refusal::Stream { stream: append.stream.clone(), expected: append.expected, actual };
        Ok((!append.expected.holds(actual)).then_some(refusal))
    }

    /// The version of the event with this id, and whether it is the same.
    fn event(&self, stream: i64, event: &NewEvent) -> rusqlite::Result<Option<(u64, bool)>> {
        let mut statement = self.connection.prepare_cached(
            "select version, kind = ?3 and record = ?4 and data = ?5 and meta = ?6 from events where stream = ?1 and id = ?2",
        )?;
        let NewEvent { id, kind, data, meta } = event;
        statement
            .query_row(params![stream, id, kind, data.version, &data.bytes[..], &meta[..]], |row| {
                Ok((unsigned(row.get(0)?), row.get(1)?))
            })
            .optional()
    }

    pub(super) fn append(&mut self, append: &Append) -> rusqlite::Result<Appended> {
        let (stream, before) = match self.stream(&append.stream)? {
            Some(found) => found,
            None => {
                self.connection
                    .prepare_cached("insert into streams (name, last, first) values (?1, 0, 1)")?
                    .execute([&append.stream])?;
                (self.connection.last_insert_rowid(), 0)
            }
        };
        let (mut version, mut position) = (before, 0);
        for event in &append.events {
            version += 1;
            position = self.next_position();
            let NewEvent { id, kind, data, meta } = event;
            let mut statement = self.connection.prepare_cached(
                "insert into events (position, stream, version, id, kind, record, data, meta, at) \
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?;
            let at = self.now.0;
            let (record, data) = (data.version, &data.bytes[..]);
            statement.execute(params![position, stream, version, id, kind, record, data, &meta[..], at])?;
        }
        self.connection
            .prepare_cached("update streams set last = ?2 where stream = ?1")?
            .execute([stream, version])?;
        self.hints.log = Some(position);
        Ok(Appended { version: unsigned(version), position: Position::from_number(unsigned(position)) })
    }

    pub(super) fn trim(&mut self, trim: &Trim) -> rusqlite::Result<()> {
        let Some((stream, last)) = self.stream(&trim.stream)? else { return Ok(()) };
        match trim.to {
            TrimTo::Version(first) => {
                let first = i64::try_from(first).unwrap_or(i64::MAX).min(last.saturating_add(1));
                self.connection
                    .prepare_cached("delete from events where stream = ?1 and version < ?2")?
                    .execute([stream, first])?;
                self.connection
                    .prepare_cached("update streams set first = ?2 where stream = ?1 and first < ?2")?
                    .execute([stream, first])?;
            }
            TrimTo::Forgotten => {
                self.connection.prepare_cached("delete from events where stream = ?1")?.execute([stream])?;
                self.connection.prepare_cached("delete from streams where stream = ?1")?.execute([stream])?;
            }
        }
        Ok(())
    }
}
