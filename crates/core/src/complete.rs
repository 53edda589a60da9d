//! Completion: what a half-typed argument may become.

use std::sync::Arc;

use crate::{Pattern, Tree};

/// Clients take at most so many values.
pub const MAX_VALUES: usize = 100;

/// Where the values come from.
#[derive(Clone, Debug)]
pub enum CompletePlan {
    /// Those that begin with what is typed are offered.
    Values(Vec<Arc<str>>),
    /// An action whose input is `{ value, arguments }`; what it gives is offered as it is.
    Query {
        action: Arc<dyn Pattern>,
        /// Gives an array of texts; the action's own value without it.
        values: Option<Tree>,
    },
}

/// What was typed so far.
#[derive(Clone, Debug)]
pub struct Partial {
    /// The argument or variable.
    pub name: String,
    pub value: String,
    /// The others, as far as they are known.
    pub given: Vec<(String, String)>,
}

/// What it may become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// At most [`MAX_VALUES`].
    pub values: Vec<String>,
    /// How many there are.
    pub total: usize,
}
