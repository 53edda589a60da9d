//! Which request of the protocol gets which answer.

use std::sync::{Arc, Mutex, PoisonError};

use renkei_core::principal::How;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskMethod, CancelTaskParams,
        CompleteRequestMethod, CompleteRequestParams, CompleteResult, ConstString, CustomRequest,
        CustomResult, DiscoverResult, ErrorCode, GetPromptRequestMethod, GetPromptRequestParams,
        GetPromptResponse, GetTaskMethod, GetTaskParams, GetTaskResult, InitializeRequestParams,
        InitializeResult, ListPromptsRequestMethod, ListPromptsResult, ListResourceTemplatesRequestMethod,
        ListResourceTemplatesResult, ListResourcesRequestMethod, ListResourcesResult, ListToolsResult,
        PaginatedRequestParams, ProtocolVersion, ReadResourceRequestMethod, ReadResourceRequestParams,
        ReadResourceResponse, ServerConfig, SubscribeRequestMethod, SubscribeRequestParams,
        SubscriptionFilter, Tool, UnsubscribeRequestMethod, UnsubscribeRequestParams, UpdateTaskMethod,
        UpdateTaskParams,
    },
    service::{RequestContext, SubscriptionContext, SubscriptionSendError, SubscriptionSink},
};

use super::{
    Server,
    call::principal,
    logging::{Asked, SetLevel},
    page::page,
    site::{Endpoint, Lists, Versions},
    subscriptions::{Subscriptions, Waiting},
};

/// What is offered beyond the handshake. rmcp takes a request whose parameters do not fit its types for one
/// with a method of its own, and would call it unknown.
const TOOL_METHODS: [&str; 3] = ["server/discover", "tools/list", "tools/call"];
const RESOURCE_METHODS: [&str; 3] = ["resources/list", "resources/templates/list", "resources/read"];
const TASK_METHODS: [&str; 3] = ["tasks/get", "tasks/update", "tasks/cancel"];
const PROMPT_METHODS: [&str; 2] = ["prompts/list", "prompts/get"];

/// rmcp's view of an endpoint.
#[derive(Clone, Debug)]
pub(super) struct Handler {
    endpoint: Arc<Endpoint>,
    /// What a request of its own began with.
    pinned: Option<Arc<Server>>,
    asked: Arc<Asked>,
    subscriptions: Arc<Subscriptions>,
    /// The lists when a subscription was accepted.
    seen: Arc<Mutex<Versions>>,
}

impl Handler {
    /// For one session, which meets whatever is served, or for one request, which stays with what it began with.
    pub(super) fn new(endpoint: Arc<Endpoint>, pinned: Option<Arc<Server>>) -> Self {
        let seen = Arc::new(Mutex::new(endpoint.versions()));
        Handler { endpoint, pinned, asked: Arc::default(), subscriptions: Arc::default(), seen }
    }

    fn server(&self) -> Arc<Server> {
        self.pinned.clone().unwrap_or_else(|| self.endpoint.current())
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        self.server().config.clone()
    }

    async fn discover(&self, context: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info())
            .with_ttl_ms(self.ttl_ms())
            .with_cache_scope(scope(&context)))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let server = self.server();
        let all = &server.published;
        let page = page(request.as_ref(), "tools/list", all.len(), server.limits.list_page)?;
        let mut list = if page.range.len() == all.len() {
            ListToolsResult::with_all_items(server.exact.list())
        } else {
            let tools = all.get_range(page.range).into_iter().flat_map(|tools| tools.values());
            ListToolsResult::with_all_items(tools.cloned().collect())
        };
        list.next_cursor = page.next;
        Ok(match Caching::of(&context, self.ttl_ms()) {
            Some(Caching { ttl_ms, scope }) => list.with_ttl_ms(ttl_ms).with_cache_scope(scope),
            None => list,
        })
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let server = self.server();
        let resources = offered::<ListResourcesRequestMethod, _>(&server.resources)?;
        server.list_resources(resources, request, context).await
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let server = self.server();
        let resources = offered::<ListResourceTemplatesRequestMethod, _>(&server.resources)?;
        server.list_resource_templates(resources, request, &context)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let server = self.server();
        let resources = offered::<ReadResourceRequestMethod, _>(&server.resources)?;
        server.read_resource(resources, request, context).await
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let server = self.server();
        let prompts = offered::<ListPromptsRequestMethod, _>(&server.prompts)?;
        server.list_prompts(prompts, request, &context)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let server = self.server();
        let prompts = offered::<GetPromptRequestMethod, _>(&server.prompts)?;
        server.get_prompt(prompts, request, context).await
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let server = self.server();
        offered::<CompleteRequestMethod, _>(&server.config.capabilities.completions)?;
        server.completion(request, context).await
    }

    /// Without it rmcp would not compare `Mcp-Param-*` headers with the arguments.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.server().published.get(name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let server = self.server();
        match &server.tasks {
            Some(tasks) if server.concerns_tasks(&request.name) => server.task(tasks, request, context).await,
            _ => server.call(request, context, self.asked.level()).await,
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let server = self.server();
        let tasks = offered::<GetTaskMethod, _>(&server.tasks)?;
        server.get_task(tasks, &request.task_id, &context).await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let server = self.server();
        let tasks = offered::<UpdateTaskMethod, _>(&server.tasks)?;
        // Answers to questions that no one asked are left alone.
        server.get_task(tasks, &request.task_id, &context).await.map(drop)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let server = self.server();
        let tasks = offered::<CancelTaskMethod, _>(&server.tasks)?;
        server.cancel_task(tasks, &request.task_id, &context).await
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        let negotiated = self.negotiate_initialize(&request)?;
        context.peer.set_peer_info(request);
        // Before the answer, so that no change is lost after it.
        self.endpoint.listen(context.peer);
        Ok(negotiated)
    }

    /// Changes of lists, as far as there are such lists, and of resources; rmcp looks at the capabilities.
    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        // Before the client is told that it is heard, so that no change is lost between.
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = self.endpoint.versions();
        let mut accepted = SubscriptionFilter::default();
        accepted.tools_list_changed = Some(true);
        accepted.resources_list_changed = Some(true);
        accepted.prompts_list_changed = Some(true);
        accepted.resource_subscriptions = self.server().granted(requested);
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = Waiting::begin(&self.endpoint, &self.server(), &context).await?;
        loop {
            let now = tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = self.endpoint.shutdown.cancelled() => return Ok(()),
                uri = waiting.next() => {
                    if context.sink().notify_resource_updated(uri).await.is_err() {
                        return Ok(());
                    }
                    continue;
                }
                now = self.endpoint.changed_since(seen) => now,
            };
            if notify(context.sink(), now.since(seen)).await.is_err() {
                return Ok(());
            }
            seen = now;
        }
    }

    async fn set_level(
        &self,
        request: SetLevel,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        // Newer clients ask with each request.
        if is_modern(&context) {
            return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "logging/setLevel", None));
        }
        self.asked.set(&request);
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.check_watched::<SubscribeRequestMethod>()?;
        self.subscriptions.subscribe(&self.endpoint, request, context).await
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.check_watched::<UnsubscribeRequestMethod>()?;
        self.subscriptions.unsubscribe(&request);
        Ok(())
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method;
        // Newer clients ask for log messages with each request.
        let legacy_only = method == "logging/setLevel" && !is_modern(&context);
        if legacy_only || self.offers(&method) {
            let text = format!("the parameters of `{method}` are not what the protocol says");
            return Err(ErrorData::invalid_params(text, None));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None))
    }
}

impl Handler {
    fn ttl_ms(&self) -> u64 {
        self.server().list_ttl(false)
    }

    fn check_watched<M: ConstString>(&self) -> Result<(), ErrorData> {
        if self.server().has_watched() { Ok(()) } else { Err(ErrorData::method_not_found::<M>()) }
    }

    fn offers(&self, method: &str) -> bool {
        let server = self.server();
        let capabilities = &server.config.capabilities;
        TOOL_METHODS.contains(&method)
            || capabilities.resources.is_some() && RESOURCE_METHODS.contains(&method)
            || capabilities.prompts.is_some() && PROMPT_METHODS.contains(&method)
            || server.tasks.is_some() && TASK_METHODS.contains(&method)
            || capabilities.completions.is_some() && method == "completion/complete"
    }
}

impl Server {
    /// How long a client may keep a list, in milliseconds. What a query gave may be different at once.
    pub(super) fn list_ttl(&self, of_query: bool) -> u64 {
        if of_query { 0 } else { u64::try_from(self.limits.list_ttl.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// Tells of the lists that the client asked for.
async fn notify(sink: &SubscriptionSink, changed: Lists) -> Result<(), SubscriptionSendError> {
    let accepted = sink.accepted();
    if changed.tools && accepted.tools_list_changed == Some(true) {
        sink.notify_tool_list_changed().await?;
    }
    if changed.resources && accepted.resources_list_changed == Some(true) {
        sink.notify_resource_list_changed().await?;
    }
    if changed.prompts && accepted.prompts_list_changed == Some(true) {
        sink.notify_prompt_list_changed().await?;
    }
    Ok(())
}

fn offered<M: ConstString, T>(what: &Option<T>) -> Result<&T, ErrorData> {
    what.as_ref().ok_or_else(ErrorData::method_not_found::<M>)
}

/// What a list says about keeping it. Legacy peers do not know this.
pub(super) struct Caching {
    pub(super) ttl_ms: u64,
    pub(super) scope: CacheScope,
}

impl Caching {
    pub(super) fn of(context: &RequestContext<RoleServer>, ttl_ms: u64) -> Option<Self> {
        is_modern(context).then(|| Caching { ttl_ms, scope: scope(context) })
    }
}

pub(super) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// An answer to somebody with a name stays with them: a shared cache must not hand it to others.
pub(super) fn scope(context: &RequestContext<RoleServer>) -> CacheScope {
    match principal(context).how {
        How::None => CacheScope::Public,
        _ => CacheScope::Private,
    }
}
