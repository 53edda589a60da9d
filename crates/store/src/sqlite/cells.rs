//! Cells: compared and set.

use renkei_core::store::{CellExpected, CellWrite, Refusal};
use rusqlite::{OptionalExtension, params};

use super::{group::Group, rows::unsigned};

impl Group<'_> {
    pub(super) fn check_cell(
        &self,
        space: &str,
        key: &str,
        expected: CellExpected,
    ) -> rusqlite::Result<Option<Refusal>> {
        if expected == CellExpected::Any {
            return Ok(None);
        }
        let mut statement = self.connection.prepare_cached(
            "select version from cells where space = ?1 and key = ?2 and (expires is null or expires > ?3)",
        )?;
        let actual = statement.query_row(params![space, key, self.now.0], |row| row.get(0)).optional()?;
        let actual = actual.map(unsigned);
        let refusal = || Refusal::Cell { space: space.to_owned(), key: key.to_owned(), expected, actual };
        Ok((!expected.holds(actual)).then(refusal))
    }

    pub(super) fn write_cell(&mut self, write: &CellWrite) -> rusqlite::Result<Option<u64>> {
        let version = match &write.value {
            None => {
                self.connection
                    .prepare_cached("delete from cells where space = ?1 and key = ?2")?
                    .execute([&write.space, &write.key])?;
                None
            }
            Some(cell) => {
                let version = self.next_version();
                let moment =
                    |when: Option<renkei_core::store::When>| when.map(|when| when.resolve(self.now).0);
                let (expires, due) = (moment(cell.expires), moment(cell.due));
                self.connection
                    .prepare_cached(
                        "insert into cells (space, key, version, record, expires, owner, state, due, changed, value) \
                         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) on conflict (space, key) do update set \
                         version = ?3, record = ?4, expires = ?5, owner = ?6, state = ?7, due = ?8, changed = ?9, value = ?10",
                    )?
                    .execute(params![
                        write.space,
                        write.key,
                        version,
                        cell.value.version,
                        expires,
                        cell.owner,
                        cell.state,
                        due,
                        self.now.0,
                        &cell.value.bytes[..]
                    ])?;
                Some(unsigned(version))
            }
        };
        self.hints.cells.push((write.space.clone(), write.key.clone()));
        Ok(version)
    }
}
