//! Asking whoever called: the questions of a run in the protocol's words, in both eras.
//!
//! A client of the legacy era gets requests while its own request is under way ([`Live`]). A client of the modern era
//! gets the questions as the result, with a state that it gives back with the answers (multi-round requests); the
//! engine keeps what has to be kept, and this only translates.

mod live;
mod wire;

use std::sync::Arc;

use indexmap::IndexMap;
use renkei_core::{
    Error,
    ask::{Answer, Asked, Asking, Question, Rounds},
};
use rmcp::{
    ErrorData, RoleServer,
    model::{ErrorCode, InputRequests, InputRequiredResult, InputResponses},
    service::RequestContext,
};

pub(super) use self::live::{Live, Withdrawn};
use super::{Server, handler::is_modern, message::Responses};

/// What a request brings with it that answers questions of one before.
#[derive(Debug, Default)]
pub(super) struct Again {
    pub(super) state: Option<String>,
    pub(super) responses: Option<InputResponses>,
}

impl Server {
    /// How the sender of a request can be asked, and the questions that have to be taken back when it ends.
    ///
    /// # Errors
    /// An answer is none.
    pub(super) fn asking(
        &self,
        again: Again,
        context: &RequestContext<RoleServer>,
    ) -> Result<(Asking, Option<Withdrawn>), ErrorData> {
        let abilities = wire::abilities(context.client_capabilities().as_ref());
        if !is_modern(context) {
            let (live, withdrawn) =
                Live::new(abilities, context.peer.clone(), self.asks.clone(), self.limits.asks);
            let asking = Asking::Live { asker: live, limit: self.limits.ask };
            return Ok((asking, Some(withdrawn)));
        }
        let answers = answers(again.responses.unwrap_or_default(), context)?;
        let rounds = Rounds { abilities, state: again.state, answers };
        Ok((Asking::Rounds(rounds.into()), None))
    }
}

/// By key.
///
/// # Errors
/// An answer is none.
pub(super) fn answers(
    responses: InputResponses,
    context: &RequestContext<RoleServer>,
) -> Result<IndexMap<Arc<str>, Answer>, ErrorData> {
    let exact = exact(context);
    let answers = responses.into_iter().map(|(key, response)| {
        // With every digit, where the message was read here.
        let response = exact.and_then(|exact| exact.0.get(&key).cloned()).unwrap_or_else(|| response.into());
        let answer = wire::answer(&response).map_err(|why| {
            let shown: String = key.chars().take(100).collect();
            let text = format!("the answer under `inputResponses.{shown}` is none: {why}");
            ErrorData::invalid_params(text, None)
        });
        Ok((key.as_str().into(), answer?))
    });
    answers.collect()
}

fn exact(context: &RequestContext<RoleServer>) -> Option<&Responses> {
    let over_http = || context.extensions.get::<http::request::Parts>()?.extensions.get::<Responses>();
    context.extensions.get::<Responses>().or_else(over_http)
}

/// The result that asks.
pub(super) fn required(asked: &Asked) -> Result<InputRequiredResult, ErrorData> {
    let requests = requests(&asked.questions)?;
    Ok(InputRequiredResult::new(Some(requests), Some(asked.state.clone())))
}

/// Questions as the requests that a result carries.
pub(super) fn requests(questions: &IndexMap<Arc<str>, Question>) -> Result<InputRequests, ErrorData> {
    let requests = questions.iter().map(|(key, question)| Ok((key.to_string(), wire::input(question)?)));
    requests.collect::<Result<_, serde_json::Error>>().map_err(|error| {
        tracing::error!(%error, "a question is none of the protocol");
        ErrorData::internal_error("a question cannot be put; the config must be mended", None)
    })
}

/// The error of the protocol for a modern client that cannot be asked.
pub(super) fn lacking(error: &Error, context_is_modern: bool) -> Option<ErrorData> {
    let ability = error.lacks().filter(|_| context_is_modern)?;
    let data = serde_json::json!({ "requiredCapabilities": wire::required_capabilities(ability) });
    Some(ErrorData::new(ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY, error.to_string(), Some(data)))
}
