//! Our tools and results in the protocol's types.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use renkei_core::{
    Value,
    tool::{Content, Icon, ResourceBody, ToolInfo, ToolResult},
};
use rmcp::model::{
    CallToolResult, ContentBlock, JsonObject, Resource, ResourceContents, Tool, ToolAnnotations,
};

use super::exact::Exact;

/// A tool as `tools/list` shows it.
pub(super) fn tool(info: &ToolInfo) -> Tool {
    let mut tool = Tool::new(info.name.to_string(), info.description.clone(), schema(&info.input_schema));
    if info.description.is_empty() {
        tool.description = None;
    }
    tool.title = info.title.clone();
    tool.output_schema = info.output_schema.as_ref().map(schema);
    tool.annotations = Some(ToolAnnotations::from_raw(
        None,
        Some(info.read_only),
        Some(info.destructive),
        Some(info.idempotent),
        Some(info.open_world),
    ));
    tool.icons = icons(&info.icons);
    tool
}

/// `Tools` promises schemas that are objects; anything else is published as "any object".
fn schema(schema: &Value) -> Arc<JsonObject> {
    match serde_json::Value::from(schema) {
        serde_json::Value::Object(map) => Arc::new(map),
        _ => Arc::new(JsonObject::from_iter([("type".to_owned(), "object".into())])),
    }
}

pub(super) fn icons(icons: &[Icon]) -> Option<Vec<rmcp::model::Icon>> {
    let icons: Vec<_> = icons
        .iter()
        .map(|icon| {
            let mut out = rmcp::model::Icon::new(icon.src.clone());
            out.mime_type = icon.mime_type.clone();
            out.sizes = (!icon.sizes.is_empty()).then(|| icon.sizes.clone());
            out
        })
        .collect();
    (!icons.is_empty()).then_some(icons)
}

/// A result. A failure without content of its own says its error.
pub(super) fn result(result: ToolResult, exact: &Exact) -> CallToolResult {
    let mut content: Vec<_> = result.content.into_iter().map(block).collect();
    let mut out = match result.error {
        Some(error) => {
            if content.is_empty() {
                content.push(ContentBlock::text(error.to_string()));
            }
            CallToolResult::error(content)
        }
        None => CallToolResult::success(content),
    };
    out.structured_content = result.structured.as_ref().map(|value| exact.structured(value));
    out
}

pub(super) fn block(content: Content) -> ContentBlock {
    match content {
        Content::Text(text) => ContentBlock::text(text),
        Content::Image { data, mime_type } => ContentBlock::image(STANDARD.encode(data), mime_type),
        Content::Audio { data, mime_type } => ContentBlock::audio(STANDARD.encode(data), mime_type),
        Content::Resource { uri, mime_type, body } => ContentBlock::resource(contents(uri, mime_type, body)),
        Content::Link { uri, name, description, mime_type } => {
            let mut link = Resource::new(uri, name);
            link.description = description;
            link.mime_type = mime_type;
            ContentBlock::resource_link(link)
        }
        // What is none of the protocol's parts would break a client: it reads it as text.
        Content::Part(part) => read_part(&part).unwrap_or_else(|| ContentBlock::text(part.to_json())),
    }
}

/// A part of another server's result, if it is one.
pub(super) fn read_part(part: &Value) -> Option<ContentBlock> {
    serde_json::from_value(part.into()).ok()
}

/// A resource with its content.
pub(super) fn contents(uri: String, mime_type: Option<String>, body: ResourceBody) -> ResourceContents {
    match body {
        ResourceBody::Text(text) => {
            let mut out = ResourceContents::text(text, uri);
            // Not to be told what it may not be.
            if let ResourceContents::TextResourceContents { mime_type: own, .. } = &mut out {
                *own = mime_type;
            }
            out
        }
        ResourceBody::Blob(data) => {
            let out = ResourceContents::blob(STANDARD.encode(data), uri);
            match mime_type {
                Some(mime_type) => out.with_mime_type(mime_type),
                None => out,
            }
        }
    }
}

/// The JSON of a tool as `tools/list` sends it: what a list costs is measured on this.
pub fn tool_json(info: &ToolInfo) -> String {
    serde_json::to_string(&tool(info)).unwrap_or_default()
}

/// A part of a result as `tools/call` sends it.
pub fn content_json(content: &Content) -> Value {
    serde_json::to_value(block(content.clone())).map_or(Value::Null, Value::from)
}
