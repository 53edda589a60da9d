//! Asking: what a run wants to know from whoever called, and the ports through which faces answer.
//!
//! There are two ways. A [`Asking::Live`] caller answers while the run waits. A caller [in rounds](Asking::Rounds)
//! gets the questions as the outcome of the call, and calls again with the answers: then the run begins again
//! with them at hand, which is why nothing may be changed before a question.

mod answer;
mod question;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use indexmap::IndexMap;

pub use self::{
    answer::Answer,
    question::{Check, Form, ModelPreferences, Part, Question, Sample, SampleTool},
};
use crate::Result;

/// What a caller can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ability {
    /// To show its user a form.
    Form,
    /// To send its user to a page.
    Url,
    /// To ask its model.
    Sample,
    /// To ask its model, which may use tools.
    SampleTools,
    /// For the folders that it works in.
    Roots,
}

impl Ability {
    /// After "a client that can …".
    pub fn as_clause(self) -> &'static str {
        match self {
            Ability::Form => "show its user a form (`elicitation`)",
            Ability::Url => "send its user to a page (`elicitation.url`)",
            Ability::Sample => "ask its model (`sampling`)",
            Ability::SampleTools => "ask its model with tools (`sampling.tools`)",
            Ability::Roots => "name the folders that it works in (`roots`)",
        }
    }
}

/// What a caller said that it can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    pub form: bool,
    pub url: bool,
    pub sample: bool,
    pub sample_tools: bool,
    pub roots: bool,
}

impl Abilities {
    pub const ALL: Abilities =
        Abilities { form: true, url: true, sample: true, sample_tools: true, roots: true };

    pub fn has(self, ability: Ability) -> bool {
        match ability {
            Ability::Form => self.form,
            Ability::Url => self.url,
            Ability::Sample => self.sample,
            Ability::SampleTools => self.sample && self.sample_tools,
            Ability::Roots => self.roots,
        }
    }
}

/// Puts questions to whoever called.
#[async_trait]
pub trait Asker: Send + Sync {
    fn abilities(&self) -> Abilities;

    /// The answer to the question at `path`, which is the same whenever the run with the same input is
    /// repeated. Dropping the future takes the question back.
    ///
    /// # Errors
    /// [`Error::suspended`](crate::Error::suspended) if the answer comes with a later call.
    async fn ask(&self, path: &str, question: &Question) -> Result<Answer>;

    /// Whether a run that is suspended begins again from the start: then nothing may be changed before a question.
    fn repeats(&self) -> bool {
        false
    }
}

/// How the caller of a run can be asked.
#[derive(Clone, Default)]
pub enum Asking {
    #[default]
    Nobody,
    /// While the run waits; all its questions together at most so long. The time of the run stands still meanwhile.
    Live { asker: Arc<dyn Asker>, limit: Duration },
    /// By calls that come again.
    Rounds(Arc<Rounds>),
}

/// What a call said that may be the first of several.
#[derive(Clone, Debug, Default)]
pub struct Rounds {
    pub abilities: Abilities,
    /// What the call before gave as [`Asked::state`]; nothing on the first one. Anything, as far as is known here.
    pub state: Option<String>,
    /// By the path of the question.
    pub answers: IndexMap<Arc<str>, Answer>,
}

/// The outcome of a call that waits for answers.
#[derive(Clone, Debug)]
pub struct Asked {
    /// By path. At least one.
    pub questions: IndexMap<Arc<str>, Question>,
    /// To be given back with the answers. Tells nobody anything.
    pub state: String,
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asking::Nobody => f.write_str("Nobody"),
            Asking::Live { limit, .. } => {
                f.debug_struct("Live").field("limit", limit).finish_non_exhaustive()
            }
            Asking::Rounds(rounds) => f.debug_tuple("Rounds").field(rounds).finish(),
        }
    }
}
