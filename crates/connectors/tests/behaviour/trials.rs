//! What every connector does.

mod failures;
mod lifetime;
mod offline;
mod values;
