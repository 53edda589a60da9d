//! Cells: small values that are replaced as a whole, compared by version.

use super::{Record, When};
use crate::clock::Timestamp;

/// Sets or deletes one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct CellWrite {
    /// What the cells are for: `idempotency`, `task`.
    pub space: String,
    pub key: String,
    pub expected: CellExpected,
    /// Nothing deletes it; deleting what is absent is no failure of its own.
    pub value: Option<NewCell>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewCell {
    pub value: Record,
    /// From then on it reads as absent.
    pub expires: Option<When>,
    /// Whose it is.
    pub owner: Option<String>,
    pub state: Option<String>,
    /// When somebody has to look at it.
    pub due: Option<When>,
}

impl NewCell {
    pub fn new(value: Record) -> Self {
        NewCell { value, ..Default::default() }
    }
}

/// What must be there. An expired cell is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellExpected {
    Any,
    Absent,
    Version(u64),
}

impl CellExpected {
    /// `actual` is nothing for an absent cell.
    pub fn holds(self, actual: Option<u64>) -> bool {
        match self {
            CellExpected::Any => true,
            CellExpected::Absent => actual.is_none(),
            CellExpected::Version(version) => actual == Some(version),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub space: String,
    pub key: String,
    /// Changes with every write, and never comes back, not even after the cell was absent. Only equality means
    /// something.
    pub version: u64,
    pub value: Record,
    pub expires: Option<Timestamp>,
    pub owner: Option<String>,
    pub state: Option<String>,
    pub due: Option<Timestamp>,
    pub changed: Timestamp,
}

/// Which cells of one space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellQuery {
    pub space: String,
    pub by: ScanBy,
    /// [`CellPage::next`] of the page before.
    pub after: Option<String>,
    pub limit: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanBy {
    /// Keys that begin so, in their order (by bytes); all with an empty one.
    Prefix(String),
    /// Of one owner, in the order of their keys.
    Owner(String),
    /// In one state, in the order of their keys.
    State(String),
    /// Due at this moment or before, the longest due first.
    Due(Timestamp),
}

#[derive(Clone, Debug, PartialEq)]
pub struct CellPage {
    pub cells: Vec<Cell>,
    pub next: Option<String>,
}
