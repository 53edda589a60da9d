//! Which request of the protocol gets which answer.

use std::sync::Arc;

use renkei_core::principal::How;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, DiscoverResult,
        ErrorCode, ListToolsResult, PaginatedRequestParams, ProtocolVersion, ServerConfig, Tool,
    },
    service::RequestContext,
};

use super::{Server, call::principal};

/// What is offered beyond the handshake. rmcp takes a request whose parameters do not fit its types for one
/// with a method of its own, and would call it unknown.
const OFFERED_METHODS: [&str; 3] = ["server/discover", "tools/list", "tools/call"];

/// rmcp's view of the server.
#[derive(Clone, Debug)]
pub(super) struct Handler(pub(super) Arc<Server>);

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        self.0.config.clone()
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
        if request.is_some_and(|request| request.cursor.is_some()) {
            return Err(ErrorData::invalid_params("the list has one page: ask without `cursor`", None));
        }
        let list = ListToolsResult::with_all_items(self.0.exact.list());
        // Legacy peers do not know these two.
        Ok(match context.protocol_version() {
            Some(version) if version >= ProtocolVersion::V_2026_07_28 => {
                list.with_ttl_ms(self.ttl_ms()).with_cache_scope(scope(&context))
            }
            _ => list,
        })
    }

    /// Without it rmcp would not compare `Mcp-Param-*` headers with the arguments.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.0.published.get(name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.0.call(request, context).await.map(CallToolResponse::Complete)
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method;
        if OFFERED_METHODS.contains(&&*method) {
            let text = format!("the parameters of `{method}` are not what the protocol says");
            return Err(ErrorData::invalid_params(text, None));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None))
    }
}

impl Handler {
    fn ttl_ms(&self) -> u64 {
        u64::try_from(self.0.limits.list_ttl.as_millis()).unwrap_or(u64::MAX)
    }
}

/// An answer to somebody with a name stays with them: a shared cache must not hand it to others.
fn scope(context: &RequestContext<RoleServer>) -> CacheScope {
    match principal(context).how {
        How::None => CacheScope::Public,
        _ => CacheScope::Private,
    }
}
