//! Config files in, a checked plan out: everything that is wrong is said at once.

pub mod yaml;
