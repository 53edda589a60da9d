//! What a resource holds: from an action's result, from templates, or from a file.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use renkei_core::{Error, Kind, Payload, Result, Scope, Tree, Value, resource::BodyPlan, tool::ResourceBody};
use tokio::io::AsyncReadExt as _;

use crate::engine::output::size;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// The body, and its type as far as it tells.
pub(super) async fn read(
    plan: &BodyPlan,
    payload: Option<Payload>,
    scope: &Scope,
    base_dir: &Path,
    limit: usize,
) -> Result<(ResourceBody, Option<String>)> {
    let (body, mime_type) = match plan {
        BodyPlan::Result(None) => match payload {
            Some(Payload::Blob { bytes, mime_type }) => {
                (ResourceBody::Blob(bytes), Some(mime_type.to_string()))
            }
            Some(Payload::Json(value)) => of_value(&value),
            None => of_value(&Value::Null),
        },
        BodyPlan::Result(Some(output)) => of_value(&output.render(scope)?.unwrap_or_default()),
        BodyPlan::Text(tree) => {
            let text = match tree.render(scope)?.unwrap_or_default() {
                Value::String(text) => text.to_string(),
                Value::Null => return Err(wrong("text", "there is no value")),
                other => other.to_json(),
            };
            (ResourceBody::Text(text), Some(TEXT.to_owned()))
        }
        BodyPlan::Blob(tree) => (ResourceBody::Blob(decoded(tree, scope)?), None),
        BodyPlan::File(path) => {
            (file(&base_dir.join(path), limit).await?, of_extension(path).map(str::to_owned))
        }
    };
    let bytes = match &body {
        ResourceBody::Text(text) => text.len(),
        ResourceBody::Blob(bytes) => bytes.len(),
    };
    if bytes > limit { Err(too_large(size(bytes), limit)) } else { Ok((body, mime_type)) }
}

/// What is known of the type before it is read.
pub(super) fn mime_type_of(plan: &BodyPlan) -> Option<&'static str> {
    match plan {
        BodyPlan::Text(_) => Some(TEXT),
        BodyPlan::File(path) => of_extension(path),
        BodyPlan::Result(_) | BodyPlan::Blob(_) => None,
    }
}

fn of_value(value: &Value) -> (ResourceBody, Option<String>) {
    match value {
        Value::String(text) => (ResourceBody::Text(text.to_string()), Some(TEXT.to_owned())),
        other => (ResourceBody::Text(other.to_json()), Some(JSON.to_owned())),
    }
}

fn decoded(tree: &Tree, scope: &Scope) -> Result<Bytes> {
    match tree.render(scope)? {
        Some(Value::String(text)) => match STANDARD.decode(text.trim_ascii()) {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) => Err(wrong("blob", "it is not base64").detail(error)),
        },
        other => {
            let found = other.as_ref().map_or("nothing", Value::type_name);
            Err(wrong("blob", &format!("expected base64, got {found}")))
        }
    }
}

fn wrong(key: &str, what: &str) -> Error {
    Error::internal(format!("the resource's `{key}` does not work out: {what}; the config must be mended"))
}

fn too_large(size_of_it: String, limit: usize) -> Error {
    let limit = size(limit);
    Error::new(
        Kind::Rejected,
        format!(
            "the resource has {size_of_it}, and at most {limit} can be given (`server.limits.content_bytes`)"
        ),
    )
}

/// Text where it is UTF-8.
async fn file(path: &Path, limit: usize) -> Result<ResourceBody> {
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Unavailable,
        };
        Error::new(kind, "the file behind the resource cannot be read")
            .detail(format!("{}: {error}", path.display()))
    };
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut bytes = Vec::new();
    // One byte more than allowed shows that there is more.
    file.take(limit as u64 + 1).read_to_end(&mut bytes).await.map_err(failed)?;
    if bytes.len() > limit {
        return Err(too_large(format!("more than {}", size(limit)), limit));
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => ResourceBody::Text(text),
        Err(error) => ResourceBody::Blob(error.into_bytes().into()),
    })
}

fn of_extension(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "txt" | "log" => TEXT,
        "md" | "markdown" => "text/markdown",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "csv" => "text/csv",
        "js" | "mjs" => "text/javascript",
        "json" => JSON,
        "yaml" | "yml" => "application/yaml",
        "xml" => "application/xml",
        "sql" => "application/sql",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        _ => return None,
    })
}
