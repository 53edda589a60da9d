//! The patterns, one folder each, and the engine that runs them as tools.

pub mod engine;

mod call;
mod run;

#[cfg(test)]
mod fake;

use renkei_core::PatternKind;

/// All patterns, in the order of the reference.
pub static PATTERNS: &[&dyn PatternKind] = &[&call::Kind, &run::Kind];
