//! The face towards agents: any `Tools` as an MCP server, over HTTP and over stdio, in both eras.

mod batch;
mod call;
mod endpoints;
mod exact;
mod handler;
mod http;
mod lines;
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
mod stdio;

use std::{fmt, sync::Arc, time::Duration};

use indexmap::IndexMap;
use renkei_core::{
    prompt::Prompts,
    resource::Resources,
    tool::{Icon, Tools},
};
use rmcp::model::{
    Implementation, JsonObject, PromptsCapability, ResourcesCapability, ServerCapabilities, ServerConfig,
    Tool,
};
use tokio::sync::Semaphore;

pub use self::{
    endpoints::Endpoints,
    http::router,
    publish::{content_json, tool_json},
    stdio::{serve_stdio, serve_streams},
};
use self::{exact::Exact, mirror::Mirror};

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
    /// How long a client may keep the tool list.
    pub list_ttl: Duration,
    /// The entries of one page of a list.
    pub list_page: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            calls: 256,
            sessions: 1000,
            session_idle: Duration::from_secs(30 * 60),
            message_bytes: 4 * 1024 * 1024,
            list_ttl: Duration::from_secs(60),
            list_page: 1000,
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
    config: ServerConfig,
    limits: Limits,
    /// All endpoints have one.
    calls: Arc<Semaphore>,
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
        let mut capabilities = ServerCapabilities::builder().enable_tools().build();
        capabilities.logging = Some(JsonObject::default());
        let mut config = ServerConfig::new(capabilities).with_server_info(implementation);
        config.instructions = info.instructions;
        let calls = Arc::new(Semaphore::new(limits.calls.min(Semaphore::MAX_PERMITS)));
        Server {
            group: None,
            tools,
            published,
            mirrors,
            exact,
            resources: None,
            prompts: None,
            config,
            limits,
            calls,
        }
    }

    fn mirrors(&self, tool: &str) -> &[Mirror] {
        self.mirrors.get(tool).map_or(&[], Vec::as_slice)
    }

    /// The longest that a request may take.
    fn longest_call(&self) -> Duration {
        let tools = self.tools.list().iter().map(|tool| self.tools.timeout(&tool.name));
        let resources = self.resources.iter().map(|resources| resources.timeout());
        let prompts = self.prompts.iter().map(|prompts| prompts.timeout());
        tools.chain(resources).chain(prompts).max().unwrap_or_default()
    }

    /// The same with resources.
    #[must_use]
    pub fn with_resources(mut self, resources: Arc<dyn Resources>) -> Self {
        self.config.capabilities.resources = Some(ResourcesCapability::default());
        self.config.capabilities.completions = Some(JsonObject::new());
        self.resources = Some(resources);
        self
    }

    /// The same with prompts.
    #[must_use]
    pub fn with_prompts(mut self, prompts: Arc<dyn Prompts>) -> Self {
        self.config.capabilities.prompts = Some(PromptsCapability::default());
        self.config.capabilities.completions = Some(JsonObject::new());
        self.prompts = Some(prompts);
        self
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
