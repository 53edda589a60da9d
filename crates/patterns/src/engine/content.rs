//! The parts of a result: what `content:` declares, or one part by the kind of the result.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use renkei_core::{
    Error, Result, Scope, Tree, Value,
    resource::Role,
    tool::{Content, ContentPlan, ResourceBody},
};

use super::output::size;

/// Renders the parts of `content:`. A part whose text, data or address is absent is left out.
pub(crate) fn render(plans: &[ContentPlan], scope: &Scope, limit: usize) -> Result<Vec<Content>> {
    let mut parts = Vec::with_capacity(plans.len());
    for (index, plan) in plans.iter().enumerate() {
        let part = Part { place: "content", index, scope };
        parts.extend(part.render(plan)?);
    }
    check_size(&parts, limit)?;
    Ok(parts)
}

/// Renders the messages of a prompt. One whose text, data or address is absent is left out.
pub(crate) fn messages(
    plans: &[(Role, ContentPlan)],
    scope: &Scope,
    limit: usize,
) -> Result<Vec<(Role, Content)>> {
    let (mut roles, mut parts) = (Vec::new(), Vec::new());
    for (index, (role, plan)) in plans.iter().enumerate() {
        let part = Part { place: "messages", index, scope };
        if let Some(part) = part.render(plan)? {
            roles.push(*role);
            parts.push(part);
        }
    }
    check_size(&parts, limit)?;
    Ok(roles.into_iter().zip(parts).collect())
}

fn check_size(parts: &[Content], limit: usize) -> Result<()> {
    let bytes: usize = parts.iter().map(length).sum();
    if bytes <= limit { Ok(()) } else { Err(too_large(bytes, limit)) }
}

pub(crate) fn too_large(bytes: usize, limit: usize) -> Error {
    let (bytes, limit) = (size(bytes), size(limit));
    Error::invalid(format!(
        "the parts of the result have {bytes}, and at most {limit} can be given; ask for less"
    ))
}

/// The one part that stands for a blob.
pub(crate) fn of_blob(bytes: Bytes, mime_type: &str, run: &str) -> Content {
    let mime_type = mime_type.to_owned();
    match mime_type.split('/').next() {
        Some("image") => Content::Image { data: bytes, mime_type },
        Some("audio") => Content::Audio { data: bytes, mime_type },
        _ => Content::Resource {
            uri: format!("renkei://result/{run}"),
            mime_type: Some(mime_type),
            body: ResourceBody::Blob(bytes),
        },
    }
}

fn length(part: &Content) -> usize {
    match part {
        Content::Text(text) | Content::Resource { body: ResourceBody::Text(text), .. } => text.len(),
        Content::Image { data, .. }
        | Content::Audio { data, .. }
        | Content::Resource { body: ResourceBody::Blob(data), .. } => data.len(),
        Content::Link { uri, .. } => uri.len(),
        Content::Part(part) => part.to_json().len(),
    }
}

struct Part<'a> {
    /// The key in the config.
    place: &'static str,
    index: usize,
    scope: &'a Scope,
}

impl Part<'_> {
    fn render(&self, plan: &ContentPlan) -> Result<Option<Content>> {
        Ok(match plan {
            ContentPlan::Text { text } => self.text(text)?.map(Content::Text),
            ContentPlan::Image { data, mime_type } => match self.data("data", data)? {
                Some(data) => Some(Content::Image { data, mime_type: self.needed("mime_type", mime_type)? }),
                None => None,
            },
            ContentPlan::Audio { data, mime_type } => match self.data("data", data)? {
                Some(data) => Some(Content::Audio { data, mime_type: self.needed("mime_type", mime_type)? }),
                None => None,
            },
            ContentPlan::Resource { uri, mime_type, text, blob } => {
                let body = match (text, blob) {
                    (Some(text), _) => self.text(text)?.map(ResourceBody::Text),
                    (None, Some(blob)) => self.data("blob", blob)?.map(ResourceBody::Blob),
                    (None, None) => None,
                };
                match body {
                    Some(body) => Some(Content::Resource {
                        uri: self.needed("uri", uri)?,
                        mime_type: self.optional("mime_type", mime_type.as_ref())?,
                        body,
                    }),
                    None => None,
                }
            }
            ContentPlan::Link { uri, name, description, mime_type } => {
                match self.optional("uri", Some(uri))? {
                    Some(uri) => Some(Content::Link {
                        uri,
                        name: self.needed("name", name)?,
                        description: self.optional("description", description.as_ref())?,
                        mime_type: self.optional("mime_type", mime_type.as_ref())?,
                    }),
                    None => None,
                }
            }
        })
    }

    /// A text as it is, anything else as JSON; nothing for absent and null.
    fn text(&self, tree: &Tree) -> Result<Option<String>> {
        Ok(match self.value("text", tree)? {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.to_string()),
            Some(other) => Some(other.to_json()),
        })
    }

    fn data(&self, key: &str, tree: &Tree) -> Result<Option<Bytes>> {
        let Some(text) = self.optional(key, Some(tree))? else { return Ok(None) };
        match STANDARD.decode(text.trim_ascii()) {
            Ok(data) => Ok(Some(data.into())),
            Err(error) => Err(self.wrong(key, "it is not base64").detail(error)),
        }
    }

    fn needed(&self, key: &str, tree: &Tree) -> Result<String> {
        self.optional(key, Some(tree))?.ok_or_else(|| self.wrong(key, "there is no value"))
    }

    fn optional(&self, key: &str, tree: Option<&Tree>) -> Result<Option<String>> {
        match tree.map(|tree| self.value(key, tree)).transpose()?.flatten() {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.to_string())),
            Some(other) => Err(self.wrong(key, &format!("expected a text, got {}", other.type_name()))),
        }
    }

    fn value(&self, key: &str, tree: &Tree) -> Result<Option<Value>> {
        tree.render(self.scope).map_err(|error| self.wrong(key, &error.to_string()))
    }

    fn wrong(&self, key: &str, what: &str) -> Error {
        let Part { place, index, .. } = self;
        Error::internal(format!(
            "`{key}` of `{place}[{index}]` does not work out: {what}; the config must be mended"
        ))
    }
}
