//! SQL text in every dialect: where a statement ends, and where a template may stand in it.
//!
//! A template becomes a bound parameter and nothing else. For that the text is lexed (`lex`), each
//! template's position is judged by what stands around it (`place`, `inert`), and the rest is kept as text with
//! gaps (`statement`). A dialect is data (`dialect`): its quotes, its comments, its placeholders.
//! What every SQL system takes and gives is here, too: operations (`operation`) and results (`reply`).

mod answer;
pub mod catalog;
mod checks;
pub mod choose;
pub mod dialect;
mod expected;
mod explain;
mod inert;
pub mod lex;
pub mod operation;
pub mod origin;
pub mod place;
pub mod reply;
mod show;
pub mod statement;
mod visible;

#[cfg(test)]
mod tests;

pub use answer::Answers;
pub use checks::{Check, Says, check, checks};
pub use choose::{Choice, Choose};
pub use dialect::Dialect;
pub use expected::{read_request, write_request};
pub use operation::{Operation, Plan, Refusal, Rules, Step};
pub use origin::Origin;
pub use reply::{Budget, Cut, Done, one, together};
pub use show::{rendered_as_data, show};
pub use statement::{MAX_LIST, Rendered, Slots, Statement, Verb};
