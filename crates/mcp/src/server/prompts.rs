//! The prompts of a server, and the completion of arguments.

use std::sync::Arc;

use renkei_core::{
    Error, Kind, Value,
    complete::Partial,
    prompt::{Message, PromptInfo, Prompts},
};
use rmcp::{
    ErrorData, RoleServer,
    model::{
        CompleteRequestParams, CompleteResult, CompletionInfo, GetPromptRequestParams, GetPromptResponse,
        GetPromptResult, ListPromptsResult, PaginatedRequestParams, Prompt, PromptArgument, PromptMessage,
        Reference,
    },
    service::RequestContext,
};

use super::{Server, ask::Again, handler::Caching, page::page, publish, request::Answered, resources::role};

impl Server {
    pub(super) fn list_prompts(
        &self,
        prompts: &Arc<dyn Prompts>,
        request: Option<PaginatedRequestParams>,
        context: &RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let all = prompts.list();
        let page = page(request.as_ref(), "prompts/list", all.len(), self.limits.list_page)?;
        let mut result = ListPromptsResult::with_all_items(all[page.range].iter().map(prompt).collect());
        result.next_cursor = page.next;
        Ok(match Caching::of(context, self.list_ttl(false)) {
            Some(Caching { ttl_ms, scope }) => result.with_ttl_ms(ttl_ms).with_cache_scope(scope),
            None => result,
        })
    }

    pub(super) async fn get_prompt(
        &self,
        prompts: &Arc<dyn Prompts>,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let name = &*request.name;
        let arguments = Value::from(serde_json::Value::Object(request.arguments.unwrap_or_default()));
        let run = |cx| async { prompts.get(cx, name, arguments).await };
        let again = Again { state: request.request_state, responses: request.input_responses };
        let what = ("prompts/get", name, prompts.timeout());
        let messages = match self.answer_or_ask(what, again, &context, run).await? {
            Answered::Done(messages) => messages,
            Answered::Asked(asked) => return Ok(asked.into()),
        };
        let mut result = GetPromptResult::new(messages.into_iter().map(message).collect());
        result.description = prompts
            .list()
            .iter()
            .find(|prompt| &*prompt.name == name)
            .and_then(|prompt| prompt.description.clone());
        Ok(result.into())
    }

    pub(super) async fn completion(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let given = request.context.and_then(|context| context.arguments).unwrap_or_default();
        let mut given: Vec<(String, String)> = given.into_iter().collect();
        given.sort();
        let partial = Partial { name: request.argument.name, value: request.argument.value, given };
        let nothing = |what: &str| Error::new(Kind::NotFound, format!("this server has no {what}"));
        let method = "completion/complete";
        let found = match request.r#ref {
            Reference::Prompt(prompt) => {
                let timeout = self.prompts.as_ref().map(|prompts| prompts.timeout()).unwrap_or_default();
                let run = |cx| async {
                    let prompts = self.prompts.as_ref().ok_or_else(|| nothing("prompts"))?;
                    prompts.complete(cx, &prompt.name, partial).await
                };
                self.answer(method, &prompt.name, timeout, &context, run).await?
            }
            Reference::Resource(resource) => {
                let timeout =
                    self.resources.as_ref().map(|resources| resources.timeout()).unwrap_or_default();
                let run = |cx| async {
                    let resources = self.resources.as_ref().ok_or_else(|| nothing("resources"))?;
                    resources.complete(cx, &resource.uri, partial).await
                };
                self.answer(method, &resource.uri, timeout, &context, run).await?
            }
            _ => return Err(ErrorData::invalid_params("only prompts and resources are completed", None)),
        };
        let more = found.total > found.values.len();
        let total = u32::try_from(found.total).ok();
        let info = CompletionInfo::with_pagination(found.values, total, more);
        info.map(CompleteResult::new).map_err(|why| ErrorData::internal_error(why, None))
    }
}

fn prompt(info: &PromptInfo) -> Prompt {
    let argument = |argument: &renkei_core::prompt::ArgumentInfo| {
        let mut out = PromptArgument::new(argument.name.to_string()).with_required(argument.required);
        out.title = argument.title.clone();
        out.description = argument.description.clone();
        out
    };
    let arguments: Vec<_> = info.arguments.iter().map(argument).collect();
    let mut out = Prompt::new(
        info.name.to_string(),
        info.description.clone(),
        (!arguments.is_empty()).then_some(arguments),
    );
    out.title = info.title.clone();
    out.icons = publish::icons(&info.icons);
    out
}

fn message(message: Message) -> PromptMessage {
    PromptMessage::new(role(message.role), publish::block(message.content))
}
