//! The resources of a server: their lists, and reading one.

use std::sync::Arc;

use renkei_core::{
    Kind,
    resource::{Contents, Listing, ResourceInfo, Resources, Role},
};
use rmcp::{
    ErrorData, RoleServer,
    model::{
        Annotations, ErrorCode, ListResourceTemplatesResult, ListResourcesResult, MetaObject,
        PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
        Resource, ResourceContents, ResourceTemplate,
    },
    service::RequestContext,
};

use super::{
    Server,
    ask::Again,
    handler::{Caching, is_modern, scope},
    page::page,
    publish,
    request::Answered,
};

/// Where a list says what is missing from it.
const INCOMPLETE: &str = "renkei/incomplete";

impl Server {
    pub(super) async fn list_resources(
        &self,
        resources: &Arc<dyn Resources>,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let list = |cx| async { resources.list(cx).await };
        let Listing { resources: all, missing, queried } =
            self.answer("resources/list", "", resources.timeout(), &context, list).await?;
        let page = page(request.as_ref(), "resources/list", all.len(), self.limits.list_page)?;
        let mut result = ListResourcesResult::with_all_items(all[page.range].iter().map(resource).collect());
        result.next_cursor = page.next;
        if !missing.is_empty() {
            let mut meta = MetaObject::default();
            meta.insert(INCOMPLETE.to_owned(), missing.into());
            result.meta = Some(meta);
        }
        Ok(match Caching::of(&context, self.list_ttl(queried)) {
            Some(Caching { ttl_ms, scope }) => result.with_ttl_ms(ttl_ms).with_cache_scope(scope),
            None => result,
        })
    }

    pub(super) fn list_resource_templates(
        &self,
        resources: &Arc<dyn Resources>,
        request: Option<PaginatedRequestParams>,
        context: &RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let all = resources.templates();
        let page = page(request.as_ref(), "resources/templates/list", all.len(), self.limits.list_page)?;
        let mut result =
            ListResourceTemplatesResult::with_all_items(all[page.range].iter().map(template).collect());
        result.next_cursor = page.next;
        Ok(match Caching::of(context, self.list_ttl(false)) {
            Some(Caching { ttl_ms, scope }) => result.with_ttl_ms(ttl_ms).with_cache_scope(scope),
            None => result,
        })
    }

    pub(super) async fn read_resource(
        &self,
        resources: &Arc<dyn Resources>,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = &*request.uri;
        let run = |cx| async { resources.read(cx, uri).await };
        let again =
            Again { state: request.request_state.clone(), responses: request.input_responses.clone() };
        let what = ("resources/read", uri, resources.timeout());
        let read = self.answer_or_ask(what, again, &context, run).await;
        let found = match read.map_err(|error| not_found(error, uri))? {
            Answered::Done(found) => found,
            Answered::Asked(asked) => return Ok(asked.into()),
        };
        let (ttl, private) = (found.ttl, found.private);
        let result = ReadResourceResult::new(vec![contents(uri, found)]);
        Ok(if is_modern(&context) {
            let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            let scope = if private { rmcp::model::CacheScope::Private } else { scope(&context) };
            result.with_ttl_ms(ttl_ms).with_cache_scope(scope).into()
        } else {
            result.into()
        })
    }
}

/// The legacy era has a code of its own for what is not there; rmcp takes it back for the modern one.
fn not_found(mut error: ErrorData, uri: &str) -> ErrorData {
    let kind = error.data.as_ref().and_then(|data| data.get("kind")).and_then(|kind| kind.as_str());
    if kind == Some(Kind::NotFound.as_str()) {
        error.code = ErrorCode::RESOURCE_NOT_FOUND;
        error.data = Some(serde_json::json!({ "uri": uri }));
    }
    error
}

fn resource(info: &ResourceInfo) -> Resource {
    let mut out = Resource::new(info.uri.clone(), info.name.clone());
    out.title = info.title.clone();
    out.description = info.description.clone();
    out.mime_type = info.mime_type.clone();
    out.size = info.size;
    out.annotations = annotations(info);
    out.icons = publish::icons(&info.icons);
    out
}

fn template(info: &ResourceInfo) -> ResourceTemplate {
    let mut out = ResourceTemplate::new(info.uri.clone(), info.name.clone());
    out.title = info.title.clone();
    out.description = info.description.clone();
    out.mime_type = info.mime_type.clone();
    out.annotations = annotations(info);
    out.icons = publish::icons(&info.icons);
    out
}

fn annotations(info: &ResourceInfo) -> Option<Annotations> {
    let own = &info.annotations;
    let mut out = Annotations::default();
    if !own.audience.is_empty() {
        out.audience = Some(own.audience.iter().map(|role| self::role(*role)).collect());
    }
    out.priority = own.priority.map(|priority| priority as f32);
    (out != Annotations::default()).then_some(out)
}

pub(super) fn role(role: Role) -> rmcp::model::Role {
    match role {
        Role::User => rmcp::model::Role::User,
        Role::Assistant => rmcp::model::Role::Assistant,
    }
}

fn contents(uri: &str, found: Contents) -> ResourceContents {
    let Contents { mime_type, body, meta, .. } = found;
    let mut out = publish::contents(uri.to_owned(), mime_type, body);
    if let Some(serde_json::Value::Object(members)) = meta.as_ref().map(serde_json::Value::from) {
        out = out.with_meta(MetaObject(members));
    }
    out
}

#[cfg(test)]
mod tests {
    use renkei_core::tool::ResourceBody;

    use super::*;

    #[test]
    fn only_what_is_not_there_is_not_found() {
        let error = |kind: &str| ErrorData::internal_error("x", Some(serde_json::json!({ "kind": kind })));
        assert_eq!(not_found(error("not_found"), "u").code, ErrorCode::RESOURCE_NOT_FOUND);
        assert_eq!(not_found(error("timeout"), "u").code, ErrorCode::INTERNAL_ERROR);
    }

    #[test]
    fn bodies_keep_their_kind() {
        let found = |body| Contents {
            mime_type: None,
            body,
            meta: None,
            ttl: std::time::Duration::ZERO,
            private: false,
        };
        let json = |contents| serde_json::to_value(contents).unwrap();
        assert_eq!(
            json(contents("x:1", found(ResourceBody::Text("a".into())))),
            serde_json::json!({ "uri": "x:1", "text": "a" })
        );
        assert_eq!(
            json(contents("x:1", found(ResourceBody::Blob(bytes::Bytes::from_static(b"\xff"))))),
            serde_json::json!({ "uri": "x:1", "blob": "/w==" })
        );
    }
}
