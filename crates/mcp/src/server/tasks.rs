//! Tasks over the protocol: calls that go on without their caller (`io.modelcontextprotocol/tasks`, SEP-2663).
//!
//! What a task is is the engine's business; here it is put in the protocol's words. A client that does not know tasks
//! waits for the result, and is told where to find it when that takes too long.

use std::{sync::Arc, time::Duration};

use renkei_core::{
    CallContext, Error, Kind, Value,
    ask::Asking,
    duration,
    run::Level,
    task::{self, Begun, STATUS_TOOL, Status, Support, Task, Tasks},
    tool::{Content, ToolResult},
};
use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, CreateTaskResult,
        DetailedTask, GetTaskResult, JsonObject, ProgressNotificationParam, TaskPayload, TaskStatus, Tool,
        ToolAnnotations, UpdateTaskParams,
    },
    service::RequestContext,
};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    Server,
    ask::{self, Again},
    call::{Record, arguments, begin, milliseconds, principal},
    handler::is_modern,
    publish,
    request::failure,
};

/// So long it waits at most.
const LONGEST_WAIT: u64 = 60;

/// What clients read of it.
pub(super) fn status_tool() -> Tool {
    let schema = serde_json::json!({
        "type": "object",
        "properties": {
            "task_id": { "type": "string", "description": "As the call that goes on has said it." },
            "wait": {
                "type": "integer", "minimum": 0, "maximum": LONGEST_WAIT, "default": 0,
                "description": "Seconds to wait for the result.",
            },
            "cancel": { "type": "boolean", "default": false, "description": "Whether it is to end now." },
        },
        "required": ["task_id"],
        "additionalProperties": false,
    });
    let serde_json::Value::Object(schema) = schema else { unreachable!("the schema above is an object") };
    let description = "The result of a call that takes long and goes on by itself, as soon as there is one; until then, how \
                       far it is. A call that does so gives its `task_id`.";
    let mut tool = Tool::new(STATUS_TOOL, description, schema);
    tool.title = Some("Result of a long call".to_owned());
    tool.annotations =
        Some(ToolAnnotations::from_raw(None, Some(false), Some(false), Some(true), Some(false)));
    tool
}

impl Server {
    /// Whether a call of the tool is one for [`Server::task`].
    pub(super) fn concerns_tasks(&self, tool: &str) -> bool {
        self.tasks.as_ref().is_some_and(|tasks| {
            tasks.support(tool) != Support::Never || tool == STATUS_TOOL && self.published.contains_key(tool)
        })
    }

    /// A call that becomes a task, or that asks after one.
    pub(super) async fn task(
        &self,
        tasks: &Arc<dyn Tasks>,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
        level: Option<Level>,
    ) -> Result<CallToolResponse, ErrorData> {
        if request.name == STATUS_TOOL {
            return self.status(tasks, &context).await.map(CallToolResponse::Complete);
        }
        let name = &*request.name;
        if !self.published.contains_key(name) {
            return Err(super::call::unknown_tool(name));
        }
        let knows_tasks = is_modern(&context)
            && context.client_capabilities().is_some_and(|capabilities| capabilities.supports_tasks());
        if tasks.support(name) == Support::Required && !knows_tasks {
            return Err(lacking());
        }
        // It is asked while it waits: a task of which it knows nothing could not ask it.
        if !knows_tasks && self.tools.find(name).is_some_and(|tool| tool.asks) {
            return self.call(request, context, level).await;
        }
        let again = Again { state: request.request_state, responses: request.input_responses };
        let asking = if knows_tasks { self.asking(again, &context)?.0 } else { Asking::Nobody };
        let (span, trace) = begin("tools/call", name, &context, self.passes_baggage);
        let deadline = Instant::now() + self.tools.timeout(name);
        let cx = CallContext { trace, asking, ..CallContext::new(deadline, principal(&context)) };
        let record = Record { tool: name, cx };
        let begun = tasks.begin(record.cx.clone(), name, arguments(&context)).instrument(span).await;
        let task = match begun {
            Ok(Begun::Task(task)) => task,
            Ok(Begun::Refused(result)) => {
                let result = record.finish(result, is_modern(&context))?;
                if let Some(asked) = result.error.as_ref().and_then(Error::asked) {
                    return ask::required(asked).map(CallToolResponse::InputRequired);
                }
                return Ok(CallToolResponse::Complete(publish::result(result, &self.exact)));
            }
            Err(unknown) => return Err(super::call::unknown_tool(&unknown.0)),
        };
        if knows_tasks {
            return Ok(CallToolResponse::Task(CreateTaskResult::new(head(&task))));
        }
        let task = follow(tasks, task, tasks.patience(), &context).await?;
        let result = match task.result {
            Some(result) if task.status.is_final() => record.finish(result, is_modern(&context))?,
            _ => self.elsewhere(name, &task),
        };
        Ok(CallToolResponse::Complete(publish::result(result, &self.exact)))
    }

    /// Tells where the result will be.
    fn elsewhere(&self, tool: &str, task: &Task) -> ToolResult {
        let id = &task.id;
        let (far, ttl) = (far(task), duration::format(task.ttl));
        let text = format!(
            "`{tool}` goes on by itself{far}. Call `{STATUS_TOOL}` with {{\"task_id\": \"{id}\", \"wait\": 30}} for its result, \
             which is kept for {ttl}. Do not call `{tool}` again for it: that would do it twice."
        );
        let content = vec![Content::Text(text.clone())];
        // A result must be what the tool's schema promises; what is none is an error in the protocol's terms.
        let promises = self.published.get(tool).is_some_and(|tool| tool.output_schema.is_some());
        match promises {
            true => {
                let error = Error::new(Kind::Unavailable, text).applied(renkei_core::Applied::Unknown);
                ToolResult { content, structured: None, error: Some(error) }
            }
            false => ToolResult { content, structured: Some(described(task)), error: None },
        }
    }

    /// The tool for clients that know no tasks.
    async fn status(
        &self,
        tasks: &Arc<dyn Tasks>,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let given = arguments(context);
        let result = match Asked::of(&given) {
            Ok(asked) => self.look(tasks, &asked, context).await?,
            Err(why) => {
                let text = format!(
                    "`{STATUS_TOOL}` was not carried out as asked: {why}. Change the arguments and call again."
                );
                let error = Error::invalid(why);
                ToolResult { content: vec![Content::Text(text)], structured: None, error: Some(error) }
            }
        };
        Ok(publish::result(result, &self.exact))
    }

    async fn look(
        &self,
        tasks: &Arc<dyn Tasks>,
        asked: &Asked,
        context: &RequestContext<RoleServer>,
    ) -> Result<ToolResult, ErrorData> {
        let caller = principal(context);
        let found = async {
            if asked.cancel {
                tasks.cancel(&caller, &asked.id).await?;
            }
            tasks.task(&caller, &asked.id).await
        };
        let task = match found.await {
            Ok(task) => follow(tasks, task, asked.wait, context).await?,
            Err(error) => {
                let content = vec![Content::Text(format!("`{STATUS_TOOL}` found nothing: {error}."))];
                return Ok(ToolResult { content, structured: None, error: Some(error) });
            }
        };
        if let (true, Some(result)) = (task.status.is_final(), &task.result) {
            return Ok(result.clone());
        }
        let text = format!("The call is {}{}.", task.status.as_str().replace('_', " "), far(&task));
        Ok(ToolResult { content: vec![Content::Text(text)], structured: Some(described(&task)), error: None })
    }

    pub(super) async fn get_task(
        &self,
        tasks: &Arc<dyn Tasks>,
        id: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let task = tasks.task(&principal(context), id).await.map_err(|error| failure(&error))?;
        Ok(GetTaskResult::new(self.detailed(task)))
    }

    pub(super) async fn update_task(
        &self,
        tasks: &Arc<dyn Tasks>,
        request: UpdateTaskParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let caller = principal(context);
        let task = tasks.task(&caller, &request.task_id).await.map_err(|error| failure(&error))?;
        // What answers nothing that is asked is left out, whatever it looks like.
        let asked = |key: &str| task.questions.contains_key(key);
        let responses = request.input_responses.into_iter().filter(|(key, _)| asked(key)).collect();
        let answers = ask::answers(responses, context)?;
        tasks.answer(&caller, &request.task_id, answers).await.map_err(|error| failure(&error))
    }

    pub(super) async fn cancel_task(
        &self,
        tasks: &Arc<dyn Tasks>,
        id: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        tasks.cancel(&principal(context), id).await.map_err(|error| failure(&error))
    }

    /// The whole task, as the protocol has it.
    pub(super) fn detailed(&self, task: Task) -> DetailedTask {
        let head = head(&task);
        let payload = match (task.status, task.result) {
            (Status::Completed, Some(result)) => {
                let result = serde_json::to_value(publish::result(result, &self.exact));
                TaskPayload::Completed { result: members(result.unwrap_or_default()) }
            }
            (Status::Failed, Some(ToolResult { error: Some(error), .. })) => {
                let code = error.protocol_code().unwrap_or(-32603);
                let data = serde_json::json!({ "kind": error.kind().as_str() });
                let error = serde_json::json!({ "code": code, "message": error.to_string(), "data": data });
                TaskPayload::Failed { error: members(error) }
            }
            // It was dropped meanwhile: only its head is left.
            (Status::Completed | Status::Failed, _) => {
                let error =
                    serde_json::json!({ "code": -32603, "message": "the result is not kept any more" });
                TaskPayload::Failed { error: members(error) }
            }
            (Status::Cancelled, _) => TaskPayload::Cancelled,
            (Status::InputRequired, _) => match ask::requests(&task.questions) {
                Ok(input_requests) => TaskPayload::InputRequired { input_requests },
                Err(error) => {
                    TaskPayload::Failed { error: members(serde_json::to_value(error).unwrap_or_default()) }
                }
            },
            (Status::Working, _) => TaskPayload::Working,
        };
        DetailedTask::new(head, payload)
    }
}

/// What [`STATUS_TOOL`] is asked.
struct Asked {
    id: String,
    wait: Duration,
    cancel: bool,
}

impl Asked {
    fn of(given: &Value) -> Result<Self, String> {
        let known = ["task_id", "wait", "cancel"];
        let members = given.as_object();
        if let Some(stray) =
            members.into_iter().flat_map(|map| map.keys()).find(|key| !known.contains(&&***key))
        {
            return Err(format!("there is no argument `{stray}`; there are `task_id`, `wait` and `cancel`"));
        }
        let there = |key: &str| given.get(key).filter(|value| !value.is_null());
        let id =
            there("task_id").and_then(Value::as_str).ok_or("`task_id` is missing, or is not a string")?;
        let wait = match there("wait") {
            None => 0,
            Some(value) => value
                .as_i64()
                .and_then(|wait| u64::try_from(wait).ok())
                .filter(|wait| *wait <= LONGEST_WAIT)
                .ok_or_else(|| {
                    format!(
                        "`wait` is {}; it is a number of seconds from 0 to {LONGEST_WAIT}",
                        value.to_json()
                    )
                })?,
        };
        let cancel = match there("cancel") {
            None => false,
            Some(value) => value.as_bool().ok_or("`cancel` is not true or false")?,
        };
        Ok(Asked { id: id.to_owned(), wait: Duration::from_secs(wait), cancel })
    }
}

/// Waits until the task has ended, or so long at most; tells meanwhile how far it is, if that was asked for.
async fn follow(
    tasks: &Arc<dyn Tasks>,
    task: Task,
    time: Duration,
    context: &RequestContext<RoleServer>,
) -> Result<Task, ErrorData> {
    let (until, caller) = (Instant::now() + time, principal(context));
    let token = context.meta.get_progress_token();
    let (mut task, mut reports) = (task, 0.0);
    while !task.status.is_final() && Instant::now() < until {
        let next = tokio::select! {
            () = context.ct.cancelled() => {
                return Err(ErrorData::internal_error("nobody waits for the task here any more; it goes on", None));
            }
            next = tasks.changed(&caller, &task, until) => next.map_err(|error| failure(&error))?,
        };
        if let (Some(token), true, Some(message)) = (&token, next.message != task.message, &next.message) {
            reports += 1.0;
            let mut report = ProgressNotificationParam::new(token.clone(), reports);
            report.message = Some(message.clone());
            // A courtesy: whoever is gone is seen to be gone above.
            let _ = context.peer.notify_progress(report).await;
        }
        task = next;
    }
    Ok(task)
}

/// After "goes on", how far it is.
fn far(task: &Task) -> String {
    task.message.as_ref().map(|message| format!(" ({message})")).unwrap_or_default()
}

fn described(task: &Task) -> Value {
    Value::from([
        ("task_id", Value::from(task.id.as_str())),
        ("status", task.status.as_str().into()),
        ("message", task.message.clone().into()),
    ])
}

/// What all tasks have in the protocol.
fn head(task: &Task) -> rmcp::model::Task {
    let status = match task.status {
        task::Status::Working => TaskStatus::Working,
        task::Status::InputRequired => TaskStatus::InputRequired,
        task::Status::Completed => TaskStatus::Completed,
        task::Status::Failed => TaskStatus::Failed,
        task::Status::Cancelled => TaskStatus::Cancelled,
    };
    let (created, updated) = (task.created.to_string(), task.updated.to_string());
    let mut head = rmcp::model::Task::new(task.id.clone(), status, created, updated)
        .with_ttl_ms(milliseconds(task.ttl))
        .with_poll_interval_ms(milliseconds(task.poll));
    head.status_message = task.message.clone();
    head
}

fn members(value: serde_json::Value) -> JsonObject {
    match value {
        serde_json::Value::Object(members) => members,
        _ => JsonObject::new(),
    }
}

fn lacking() -> ErrorData {
    ErrorData::missing_required_client_capability(ClientCapabilities::builder().enable_tasks().build())
}
