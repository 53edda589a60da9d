//! What a tool gave, as a reply.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use renkei_core::{Map, Payload, Reply, Request, Result, Secret, Value, call::Again, secret};

use super::{error, message::Answer, operation::ReadAs, prepare::Plan};

/// The reply that an answer to `tools/call` is.
pub(super) fn reply(request: &Request, plan: &Plan, answer: &Answer, secrets: &[Secret]) -> Result<Reply> {
    let result = match answer {
        Ok(result) => result,
        Err(fault) => return Err(error::of_fault(request, plan, fault, secrets)),
    };
    if result.get("resultType").and_then(Value::as_str) == Some("input_required") {
        return Err(error::asks(request));
    }
    if plan.is_passed_on {
        return whole(request, result, secrets);
    }
    let content = match result.get("content") {
        Some(Value::Array(parts)) => parts.to_vec(),
        None if result.get("structuredContent").is_some() => Vec::new(),
        _ => return Err(error::strange(request, "what is no result of a tool")),
    };
    if result.get("isError").and_then(Value::as_bool) == Some(true) {
        return Err(error::of_tool(request, plan, &text_of(&content), secrets));
    }
    let structured = result.get("structuredContent").filter(|value| !value.is_null());
    let mut meta = Map::new();
    let value = match (plan.read_as, structured) {
        (Some(ReadAs::Parts), _) => Payload::Json(content.clone().into()),
        (Some(ReadAs::Text), _) => Payload::Json(text_of(&content).into()),
        (Some(ReadAs::Json), _) => {
            let text = text_of(&content);
            let value = Value::from_json(text.trim().as_bytes());
            Payload::Json(value.map_err(|why| {
                error::strange(request, &format!("a text that is no JSON ({why}); read it with `as: text`"))
            })?)
        }
        (None, Some(structured)) => Payload::Json(structured.clone()),
        (None, None) => match &content[..] {
            [part] => only(part),
            _ => Payload::Json(content.clone().into()),
        },
    };
    meta.insert("content".into(), content.into());
    meta.insert("structured".into(), structured.is_some().into());
    let value = match value {
        Payload::Json(value) => Payload::Json(secret::mask(&value, secrets).unwrap_or(value)),
        blob @ Payload::Blob { .. } => blob,
    };
    let meta = Value::from(meta);
    let meta = secret::mask(&meta, secrets).unwrap_or(meta);
    Ok(Reply { value, meta, notices: Vec::new(), page: None, again: Again::Whole })
}

/// The whole result, whatever it says: without what is between the server and us.
fn whole(request: &Request, result: &Value, secrets: &[Secret]) -> Result<Reply> {
    let has_parts = matches!(result.get("content"), Some(Value::Array(_)));
    if !has_parts && result.get("structuredContent").is_none() {
        return Err(error::strange(request, "what is no result of a tool"));
    }
    let members = ["content", "structuredContent", "isError"];
    let kept = members.into_iter().filter_map(|key| Some((key.into(), result.get(key)?.clone())));
    let value = Value::from(kept.collect::<Map>());
    Ok(Reply::json(secret::mask(&value, secrets).unwrap_or(value)))
}

/// The only part of a result, as what it is: a text, bytes, or the part itself.
fn only(part: &Value) -> Payload {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
    let blob = |holder: &Value, key: &str| {
        let bytes = STANDARD.decode(text(holder, key)?.trim_ascii()).ok()?;
        let mime_type = text(holder, "mimeType").unwrap_or_else(|| "application/octet-stream".into());
        Some(Payload::Blob { bytes: bytes.into(), mime_type: mime_type.into() })
    };
    let found = match part.get("type").and_then(Value::as_str) {
        Some("text") => text(part, "text").map(|text| Payload::Json(text.into())),
        Some("image" | "audio") => blob(part, "data"),
        Some("resource") => part.get("resource").and_then(|resource| {
            text(resource, "text").map(|text| Payload::Json(text.into())).or_else(|| blob(resource, "blob"))
        }),
        _ => None,
    };
    found.unwrap_or_else(|| Payload::Json(part.clone()))
}

/// The text of all text parts, each on lines of its own.
fn text_of(content: &[Value]) -> String {
    let texts = content.iter().filter(|part| part.get("type").and_then(Value::as_str) == Some("text"));
    texts.filter_map(|part| part.get("text").and_then(Value::as_str)).collect::<Vec<_>>().join("\n")
}
