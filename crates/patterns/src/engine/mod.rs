//! The engine: runs the tools of a config on its systems.
//!
//! A call passes, in this order: the limit on concurrent calls, the check of its arguments, the
//! action, the check and shaping of its result. Whatever goes wrong becomes a text that a model
//! can act on; the detail goes to the log, under the same trace id.

mod tools;

mod group;
mod tasks;

mod exposed;

mod complete;
mod prompts;
mod resources;
mod watch;

mod first;
mod job;
mod once;
mod rounds;
mod systems;
mod work;

mod arguments;
mod input;
mod plain;
mod schema;
mod shape;

mod content;
mod cursor;
mod kept;
mod output;
mod refusal;
mod seal;

#[cfg(test)]
mod tests;

pub use exposed::{Offers, plans as exposed_plans};
pub use group::Group;
pub(crate) use input::Input;
pub use kept::Keep;
pub use rounds::Limits as AskLimits;
pub use schema::check as check_schema;
pub(crate) use seal::digest_of;
pub use tools::{Engine, Options, Problem};
