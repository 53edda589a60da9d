//! An MCP server as one writes it by hand over rmcp: a list of tools, one that asks a REST service, one that asks
//! SQLite. Nothing is checked and nothing is logged.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Body,
    http::{Request, Uri},
};
use http_body_util::BodyExt as _;
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt as _,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, JsonObject,
        ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::{
        StreamableHttpServerConfig, StreamableHttpService, io::stdio,
        streamable_http_server::session::local::LocalSessionManager,
    },
};
use serde_json::{Value, json};

use crate::{
    proxy::{self, HttpClient},
    rows::{CONNECTIONS, Rows},
    serve,
};

const LIST_TTL_MS: u64 = 60_000;

/// What every request of it shares.
#[derive(Clone)]
pub(crate) struct Bare(Arc<Shared>);

struct Shared {
    tools: Vec<Tool>,
    client: HttpClient,
    upstream: String,
    rows: Arc<Rows>,
}

impl Bare {
    /// `tools` in the list, all of the same shape; a call goes by its name's beginning.
    pub(crate) fn new(upstream: &str, database: &Path, tools: usize) -> Result<Bare> {
        let rows = Arc::new(Rows::open(database, CONNECTIONS)?);
        let tools = (0..tools).map(tool).collect();
        let client = proxy::client();
        Ok(Bare(Arc::new(Shared { tools, client, upstream: upstream.to_owned(), rows })))
    }

    async fn run(&self, name: &str, id: i64) -> Result<Value> {
        match name {
            "get_row" => Ok(serde_json::to_value(self.0.rows.clone().item_elsewhere(id).await?)?),
            _ => self.get(&format!("{}/stock/{id}", self.0.upstream)).await,
        }
    }

    async fn get(&self, url: &str) -> Result<Value> {
        let request = Request::get(url.parse::<Uri>()?).body(Body::empty())?;
        let answer = self.0.client.request(request).await?;
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }
}

/// As Renkei's own in the bench: an argument with a description, hints, a schema of what comes back.
fn tool(number: usize) -> Tool {
    let description = format!("One item, by its id, with name and price; the variant {number}.");
    let input = json!({
        "type": "object",
        "properties": { "id": { "type": "integer", "minimum": 1, "description": "The item's number" } },
        "required": ["id"],
        "additionalProperties": false,
    });
    Tool::new(format!("get_item_{number}"), description, object(input))
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(members) => members,
        _ => JsonObject::new(),
    }
}

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("yardstick", env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let list = ListToolsResult::with_all_items(self.0.tools.clone());
        Ok(list.with_ttl_ms(LIST_TTL_MS).with_cache_scope(CacheScope::Public))
    }

    /// As rmcp's own router of tools does: the headers are compared with the schema.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.0.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let id = request.arguments.as_ref().and_then(|arguments| arguments.get("id")?.as_i64());
        let id = id.ok_or_else(|| ErrorData::invalid_params("`id` is missing", None))?;
        let value = self.run(&request.name, id).await;
        let value = value.map_err(|error| ErrorData::internal_error(format!("{error:#}"), None))?;
        Ok(CallToolResponse::Complete(CallToolResult::structured(value)))
    }
}

pub(crate) async fn serve_http(server: Bare) -> Result<()> {
    let config = StreamableHttpServerConfig::default().with_json_response(true);
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(server.clone()), sessions, config);
    serve::serve(Router::new().route_service("/mcp", service), "/mcp").await
}

pub(crate) async fn serve_stdio(server: Bare) -> Result<()> {
    let running = server.serve(stdio()).await.context("the handshake failed")?;
    running.waiting().await?;
    Ok(())
}
