//! Encryption at rest, around any store: payloads of jobs, data of events, values of cells, and the texts of errors are
//! sealed before the store sees them.
//!
//! Names, keys, owners, states, times, headers and meta stay as they are: the store sorts and looks by them.
//! A store without a key stands behind the same wrapper, so that a sealed record is an error there and not a riddle.

mod keys;
mod store;

pub use keys::Keys;
pub use store::Sealed;
