//! One `tools/call`: its context, its span, its progress, its end. The audit is the engine's; what never reaches it
//! is told here.

use std::{any::Any, net::IpAddr, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use renkei_core::{
    CallContext, Error, Kind, Principal, Retry, Value, audit,
    call::{ClientAddress, Trace},
    run::{Level, ProgressSink},
    tool::{Content, ToolResult},
};
use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, CallToolResponse, ErrorCode, ProgressNotificationParam, ProgressToken},
    service::{Peer, RequestContext},
};
use tokio::time::Instant;
use tracing::{Instrument as _, Span, debug_span, field};

use super::{
    Server,
    ask::{self, Again, Withdrawn},
    handler::is_modern,
    logging,
    message::Arguments,
    progress::{Queue, Report},
    publish,
};

impl Server {
    /// Runs a tool for one request. Dropping the future ends the run, and so does the request's token.
    pub(super) async fn call(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
        level: Option<Level>,
    ) -> Result<CallToolResponse, ErrorData> {
        let (span, trace) = begin("tools/call", &request.name, &context, self.passes_baggage);
        let again = Again { state: request.request_state, responses: request.input_responses };
        let (asking, withdrawn) = self.asking(again, &context)?;
        let cx = CallContext {
            trace,
            asking,
            client: client(&context),
            ..CallContext::new(Instant::now() + self.tools.timeout(&request.name), principal(&context))
        };
        let run = self.run_told(&request.name, cx, &context, level);
        let result = taking_back(withdrawn, &context.peer, run).instrument(span.clone()).await;
        let failed = match &result {
            Ok(CallToolResponse::Complete(result)) => result.is_error == Some(true),
            Ok(_) => false,
            Err(_) => true,
        };
        if failed {
            span.record("otel.status_code", "error");
        }
        result
    }

    /// Runs a tool and tells the client meanwhile how it goes.
    async fn run_told(
        &self,
        name: &str,
        cx: CallContext,
        context: &RequestContext<RoleServer>,
        level: Option<Level>,
    ) -> Result<CallToolResponse, ErrorData> {
        if !self.published.contains_key(name) {
            let error = Error::new(Kind::NotFound, "there is no such tool");
            audit::refused("tool", name, false, &cx, &error);
            return Err(unknown_tool(name));
        }
        let record = Record { tool: name, cx };
        let token = context.meta.get_progress_token();
        let queue = Queue::new(token.is_some(), logging::asked(&context.meta).or(level)).map(Arc::new);
        let sink = queue.clone().map(|queue| queue as Arc<dyn ProgressSink>);
        let run = self.run(&record, arguments(context), sink);
        let forward = async {
            if let Some(queue) = &queue {
                forward(queue, token.as_ref(), &context.peer).await;
            }
        };
        let (mut run, mut forward) = (pin!(run), pin!(forward));
        // After the run, so that it is dropped before it: what the run spawned hears of the end first.
        let _cancel = record.cx.cancel.clone().drop_guard();
        let mut forwarding = queue.is_some();
        let outcome = loop {
            tokio::select! {
                biased;
                () = context.ct.cancelled() => {
                    return Err(ErrorData::internal_error("the call was cancelled", None));
                }
                outcome = &mut run => break outcome,
                () = &mut forward, if forwarding => forwarding = false,
            }
        };
        let result = outcome.and_then(|result| record.finish(result, is_modern(context)));
        // What the run reported leaves before its result. The notification under way must not be dropped:
        // the result could overtake it.
        if let Some(queue) = &queue {
            queue.close();
        }
        if forwarding {
            tokio::select! {
                () = context.ct.cancelled() => {}
                () = &mut forward => {}
            }
        }
        let result = result?;
        match result.error.as_ref().and_then(Error::asked) {
            Some(asked) => ask::required(asked).map(CallToolResponse::InputRequired),
            None => Ok(CallToolResponse::Complete(publish::result(result, &self.exact))),
        }
    }

    /// Runs a tool for a request that asks for nothing but the result. Dropping the future ends the run.
    pub(super) async fn run_plain(
        &self,
        record: &Record<'_>,
        arguments: Value,
    ) -> Result<ToolResult, ErrorData> {
        let run = pin!(self.run(record, arguments, None));
        // After the run, as above.
        let _cancel = record.cx.cancel.clone().drop_guard();
        run.await.and_then(|result| record.finish(result, true))
    }

    /// Runs a tool to its end, if there is room for one more. A panic is a result, too.
    async fn run(
        &self,
        record: &Record<'_>,
        arguments: Value,
        sink: Option<Arc<dyn ProgressSink>>,
    ) -> Result<ToolResult, ErrorData> {
        let Ok(_permit) = self.calls.try_acquire() else {
            let refusal = busy(record.tool, self.limits.calls);
            if let Some(error) = &refusal.error {
                audit::refused("tool", record.tool, true, &record.cx, error);
            }
            return Ok(refusal);
        };
        // The call itself is made inside the guarded future, so that a panic before its first await counts.
        let call = async { self.tools.call(record.cx.clone(), record.tool, arguments, sink).await };
        match AssertUnwindSafe(call).catch_unwind().await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(unknown)) => Err(unknown_tool(&unknown.0)),
            Err(panic) => Ok(failed(record.panicked(&*panic))),
        }
    }
}

/// As the client wrote them: they travel beside the message, which rmcp reads without them. No arguments are
/// an empty object.
pub(super) fn arguments(context: &RequestContext<RoleServer>) -> Value {
    let over_http = || context.extensions.get::<http::request::Parts>()?.extensions.get::<Arguments>();
    let arguments = context.extensions.get::<Arguments>().or_else(over_http);
    arguments.map_or_else(Value::object, |arguments| arguments.0.clone())
}

pub(super) fn unknown_tool(name: &str) -> ErrorData {
    let shown: String = name.chars().take(100).collect();
    ErrorData::invalid_params(format!("unknown tool `{shown}`; `tools/list` names those there are"), None)
}

/// Worded as the engine words its refusals: what, why, whether it was done, when to come back.
fn busy(tool: &str, limit: usize) -> ToolResult {
    let error = Error::new(Kind::RateLimited, format!("this server runs `{limit}` calls already, its limit"))
        .retry(Retry::After(Duration::from_secs(1)));
    let text = format!(
        "`{tool}` was turned away by a limit: {error}.\nNothing was changed.\nTry again in 1s at the earliest."
    );
    ToolResult { content: vec![Content::Text(text)], structured: None, error: Some(error) }
}

fn failed(error: Error) -> ToolResult {
    ToolResult { content: Vec::new(), structured: None, error: Some(error) }
}

/// Sends the reports of one run until the queue is closed and empty, or the client is gone.
async fn forward(queue: &Queue, token: Option<&ProgressToken>, peer: &Peer<RoleServer>) {
    while let Some(report) = queue.next().await {
        let sent = match (report, token) {
            (Report::Progress(progress), Some(token)) => {
                let mut params = ProgressNotificationParam::new(token.clone(), progress.done);
                params.total = progress.total.filter(|total| total.is_finite());
                params.message = progress.message;
                peer.notify_progress(params).await
            }
            (Report::Progress(_), None) => Ok(()),
            (Report::Line(line), _) => logging::send(line, peer).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Runs, and tells the client meanwhile, and at the end, which questions nobody waits for any more.
pub(super) async fn taking_back<T>(
    withdrawn: Option<Withdrawn>,
    peer: &Peer<RoleServer>,
    run: impl Future<Output = T>,
) -> T {
    let Some(mut withdrawn) = withdrawn else { return run.await };
    let output = tokio::select! {
        biased;
        output = run => output,
        never = withdrawn.tell(peer) => match never {},
    };
    withdrawn.end(peer).await;
    output
}

/// Whom the HTTP crate let in. Over stdio, nobody asked.
pub(super) fn principal(context: &RequestContext<RoleServer>) -> Arc<Principal> {
    let parts = context.extensions.get::<http::request::Parts>();
    let principal = parts.and_then(|parts| parts.extensions.get::<Arc<Principal>>());
    principal.cloned().unwrap_or_else(|| Arc::new(Principal::anonymous()))
}

/// From where it was asked; nothing over stdio.
pub(super) fn client(context: &RequestContext<RoleServer>) -> Option<IpAddr> {
    let parts = context.extensions.get::<http::request::Parts>()?;
    parts.extensions.get::<ClientAddress>().map(|client| client.0)
}

/// The span of a request, and its place in the trace that its sender named.
pub(super) fn begin(
    method: &'static str,
    name: &str,
    context: &RequestContext<RoleServer>,
    passes_baggage: bool,
) -> (Span, Trace) {
    let span = span(method, name, &principal(context), client(context));
    let trace = Trace::of_request(&span, received(context, passes_baggage));
    (span, trace)
}

pub(super) fn span(method: &'static str, name: &str, principal: &Principal, client: Option<IpAddr>) -> Span {
    debug_span!(
        "request",
        otel.kind = "server",
        otel.name = method,
        otel.status_code = field::Empty,
        name,
        principal = &*principal.name,
        client.address = client.map(field::display),
    )
}

/// The request's own trace before that of the HTTP request that carries it.
fn received(context: &RequestContext<RoleServer>, passes_baggage: bool) -> Option<Trace> {
    let meta = &context.meta;
    if let Some(parent) = meta.get_traceparent() {
        let baggage = meta.get_baggage().filter(|_| passes_baggage);
        return Trace::received(parent, meta.get_tracestate(), baggage);
    }
    let headers = &context.extensions.get::<http::request::Parts>()?.headers;
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Trace::received(
        header("traceparent")?,
        header("tracestate"),
        header("baggage").filter(|_| passes_baggage),
    )
}

/// What is needed to answer a call.
pub(super) struct Record<'a> {
    pub(super) tool: &'a str,
    pub(super) cx: CallContext,
}

impl Record<'_> {
    /// The result; or the error of the protocol that the config makes of a failure, or that a client gets who cannot be
    /// asked.
    pub(super) fn finish(&self, result: ToolResult, is_modern: bool) -> Result<ToolResult, ErrorData> {
        if let Some(lacking) = result.error.as_ref().and_then(|error| ask::lacking(error, is_modern)) {
            return Err(lacking);
        }
        let of_protocol = result.error.as_ref().and_then(|error| Some((error, error.protocol_code()?)));
        match of_protocol {
            Some((error, code)) => {
                let data = serde_json::json!({ "kind": error.kind().as_str(), "trace": self.cx.trace.id() });
                Err(ErrorData::new(ErrorCode(code), error.to_string(), Some(data)))
            }
            None => Ok(result),
        }
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> Error {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no text");
        let trace = self.cx.trace.id();
        tracing::error!(tool = self.tool, trace, panic = text, "a tool panicked");
        let tool = self.tool;
        Error::internal(format!(
            "the tool `{tool}` stopped on a fault of the server. It may have been carried out all the same: \
             look before it is repeated. Trying again will not help until the server's operator has mended \
             the fault, whose cause is in the log under the trace id {trace}."
        ))
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
