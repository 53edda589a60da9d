//! The face towards agents: any `Tools` as an MCP server, over HTTP and over stdio, in both eras.

mod ask;
mod batch;
mod call;
mod direct;
mod endpoints;
mod exact;
mod handler;
mod http;
mod lines;
mod listen;
mod logging;
mod message;
mod mirror;
mod page;
mod progress;
mod prompts;
mod publish;
mod request;
mod resources;
mod sessions;
mod site;
mod stdio;
mod subscriptions;
mod tasks;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use indexmap::IndexMap;
use renkei_core::{
    CallContext, Value,
    prompt::Prompts,
    resource::Resources,
    run::ProgressSink,
    task::{STATUS_TOOL, Support, Tasks},
    tool::{Icon, ToolInfo, ToolResult, Tools, UnknownTool},
};
use rmcp::model::{
    Implementation, JsonObject, PromptsCapability, ResourcesCapability, ServerCapabilities, ServerConfig,
    TASKS_EXTENSION_ID, Tool,
};
use tokio::sync::Semaphore;

pub use self::{
    endpoints::Endpoints,
    http::router,
    publish::{content_json, tool_json},
    site::Site,
    stdio::{serve_stdio, serve_streams},
};
use self::{exact::Exact, mirror::Mirror, site::Lists};

/// Who the server says it is.
#[derive(Clone, Debug)]
pub struct Info {
    pub name: String,
    pub title: Option<String>,
    pub version: String,
    /// For people: what it is good for.
    pub description: Option<String>,
    /// For the model: what the server is for, and how its tools go together.
    pub instructions: Option<String>,
    pub icons: Vec<Icon>,
}

/// What one server holds at most.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Calls that run at once, over all clients. One more is refused with a text that says so.
    pub calls: usize,
    /// Legacy sessions. One more takes the place of the one that is idle longest; it is refused when all
    /// have a stream open.
    pub sessions: usize,
    /// A legacy session without a message for so long is closed. At least the longest tool timeout.
    pub session_idle: Duration,
    /// Bytes of one message from a client.
    pub message_bytes: usize,
    /// Resources that one client waits for changes of.
    pub subscriptions: usize,
    /// How long a client may keep the tool list.
    pub list_ttl: Duration,
    /// The entries of one page of a list.
    pub list_page: usize,
    /// How long the answers to all questions of one call may take together, in the legacy era.
    pub ask: Duration,
    /// Questions that wait for an answer at once, over all clients of the legacy era. One more is refused.
    pub asks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            calls: 256,
            sessions: 1000,
            session_idle: Duration::from_secs(30 * 60),
            message_bytes: 4 * 1024 * 1024,
            subscriptions: 100,
            list_ttl: Duration::from_secs(60),
            list_page: 1000,
            ask: Duration::from_secs(600),
            asks: 64,
        }
    }
}

/// An MCP server over some tools: what one endpoint serves. Transports are [`router`] and [`serve_stdio`].
pub struct Server {
    /// The group whose endpoint it is; nothing for everything.
    group: Option<Arc<str>>,
    tools: Arc<dyn Tools>,
    /// As they are sent, in the order of `tools`.
    published: IndexMap<String, Tool>,
    /// By tool; only tools that have some.
    mirrors: IndexMap<String, Vec<Mirror>>,
    exact: Exact,
    resources: Option<Arc<dyn Resources>>,
    prompts: Option<Arc<dyn Prompts>>,
    tasks: Option<Arc<dyn Tasks>>,
    config: ServerConfig,
    limits: Limits,
    /// All endpoints have one.
    calls: Arc<Semaphore>,
    /// The same.
    asks: Arc<Semaphore>,
    passes_baggage: bool,
}

impl Server {
    pub fn new(tools: Arc<dyn Tools>, info: Info, limits: Limits) -> Self {
        let published: IndexMap<_, _> =
            tools.list().iter().map(|tool| (tool.name.to_string(), publish::tool(tool))).collect();
        let mirrors =
            tools.list().iter().map(|tool| (tool.name.to_string(), mirror::mirrors(&tool.input_schema)));
        let mirrors = mirrors.filter(|(_, mirrors)| !mirrors.is_empty()).collect();
        let exact = Exact::new(published.values());
        let mut implementation = Implementation::new(info.name, info.version);
        implementation.title = info.title;
        implementation.description = info.description;
        implementation.icons = publish::icons(&info.icons);
        let mut capabilities =
            ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
        capabilities.logging = Some(JsonObject::default());
        let mut config = ServerConfig::new(capabilities).with_server_info(implementation);
        config.instructions = info.instructions;
        let places = |limit: usize| Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        let (calls, asks) = (places(limits.calls), places(limits.asks));
        Server {
            group: None,
            tools,
            published,
            mirrors,
            exact,
            resources: None,
            prompts: None,
            tasks: None,
            config,
            limits,
            calls,
            asks,
            passes_baggage: false,
        }
    }

    fn mirrors(&self, tool: &str) -> &[Mirror] {
        self.mirrors.get(tool).map_or(&[], Vec::as_slice)
    }

    /// The same server with nothing in it: its group is gone.
    fn emptied(&self) -> Self {
        let mut config = self.config.clone();
        config.instructions = None;
        Server {
            group: self.group.clone(),
            tools: Arc::new(NoTools),
            published: IndexMap::new(),
            mirrors: IndexMap::new(),
            exact: Exact::new([]),
            resources: None,
            prompts: None,
            tasks: None,
            config,
            limits: self.limits.clone(),
            calls: self.calls.clone(),
            asks: self.asks.clone(),
            passes_baggage: self.passes_baggage,
        }
    }

    fn offers(&self) -> Lists {
        Lists { tools: true, resources: self.resources.is_some(), prompts: self.prompts.is_some() }
    }

    /// Which lists are others than those of `old`. Instances of a resource with variables, which a system lists,
    /// may be others at any time, and count for nothing here.
    fn differs_from(&self, old: &Server) -> Lists {
        let resources = |server: &Server| {
            let of = |resources: &Arc<dyn Resources>| (resources.fixed(), resources.templates().to_vec());
            server.resources.as_ref().map(of).unwrap_or_default()
        };
        let prompts = |server: &Server| {
            server.prompts.as_ref().map(|prompts| prompts.list().to_vec()).unwrap_or_default()
        };
        Lists {
            tools: !self.exact.has_same_list(&old.exact),
            resources: resources(self) != resources(old),
            prompts: prompts(self) != prompts(old),
        }
    }

    /// The longest that a request may take, with the answers that it waits for.
    fn longest_call(&self) -> Duration {
        let tools = self.tools.list().iter().map(|tool| self.tools.timeout(&tool.name));
        let resources = self.resources.iter().map(|resources| resources.timeout());
        let prompts = self.prompts.iter().map(|prompts| prompts.timeout());
        let longest = tools.chain(resources).chain(prompts).max().unwrap_or_default();
        let asks = self.tools.list().iter().any(|tool| tool.asks)
            || self.resources.as_ref().is_some_and(|resources| resources.asks())
            || self.prompts.as_ref().is_some_and(|prompts| prompts.asks());
        if asks { longest + self.limits.ask } else { longest }
    }

    /// The same with resources.
    #[must_use]
    pub fn with_resources(mut self, resources: Arc<dyn Resources>) -> Self {
        let mut capability = resources_capability();
        capability.subscribe = resources.has_watched().then_some(true);
        self.config.capabilities.resources = Some(capability);
        self.config.capabilities.completions = Some(JsonObject::new());
        self.resources = Some(resources);
        self
    }

    /// The same, and what clients send as `baggage` goes on to the systems.
    #[must_use]
    pub fn passing_baggage(mut self, passes: bool) -> Self {
        self.passes_baggage = passes;
        self
    }

    /// The same with calls that may become tasks. Where clients that know no tasks may be left waiting for one, there is a
    /// tool for them, too, [`STATUS_TOOL`].
    #[must_use]
    pub fn with_tasks(mut self, tasks: Arc<dyn Tasks>) -> Self {
        let extensions = self.config.capabilities.extensions.get_or_insert_default();
        extensions.insert(TASKS_EXTENSION_ID.to_owned(), JsonObject::new());
        if self.published.keys().any(|tool| tasks.support(tool) == Support::Optional) {
            self.published.insert(STATUS_TOOL.to_owned(), tasks::status_tool());
            self.exact = Exact::new(self.published.values());
        }
        self.tasks = Some(tasks);
        self
    }

    /// The same with prompts.
    #[must_use]
    pub fn with_prompts(mut self, prompts: Arc<dyn Prompts>) -> Self {
        self.config.capabilities.prompts = Some(prompts_capability());
        self.config.capabilities.completions = Some(JsonObject::new());
        self.prompts = Some(prompts);
        self
    }
}

fn resources_capability() -> ResourcesCapability {
    let mut capability = ResourcesCapability::default();
    capability.list_changed = Some(true);
    capability
}

fn prompts_capability() -> PromptsCapability {
    let mut capability = PromptsCapability::default();
    capability.list_changed = Some(true);
    capability
}

/// No tool at all.
struct NoTools;

#[async_trait]
impl Tools for NoTools {
    fn list(&self) -> &[Arc<ToolInfo>] {
        &[]
    }

    fn find(&self, _: &str) -> Option<&Arc<ToolInfo>> {
        None
    }

    async fn call(
        &self,
        _: CallContext,
        name: &str,
        _: Value,
        _: Option<Arc<dyn ProgressSink>>,
    ) -> Result<ToolResult, UnknownTool> {
        Err(UnknownTool(name.to_owned()))
    }

    fn timeout(&self, _: &str) -> Duration {
        Duration::ZERO
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("name", &self.config.server_info.name)
            .field("tools", &self.tools)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
