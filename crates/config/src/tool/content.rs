//! `content:` – the parts of a result.

use renkei_core::{Diagnostic, Diagnostics, Node, Tree, template::Names, tool::ContentPlan};
use renkei_derive::FromNode;

/// One part of the result. Its values are templates that see the input as `.`, and what the action gave as
/// `$result` and `$result_meta`.
#[derive(Clone, Debug, FromNode)]
pub(crate) enum ContentConfig {
    /// A text.
    Text(Node),
    /// A picture.
    Image(DataConfig),
    /// A sound.
    Audio(DataConfig),
    /// A resource with its content.
    Resource(ResourceConfig),
    /// A link to a resource.
    Link(LinkConfig),
}

/// Bytes with their type.
#[derive(Clone, Debug, FromNode)]
pub(crate) struct DataConfig {
    /// The bytes in base64, such as `${$result.base64}`.
    data: Node,
    /// The type, such as `image/png`.
    mime_type: Node,
}

/// A resource with its content: exactly one of `text` and `blob`.
#[derive(Clone, Debug, FromNode)]
#[config(check = check_resource)]
pub(crate) struct ResourceConfig {
    /// The resource's URI.
    uri: Node,
    /// Its type, such as `text/csv`.
    mime_type: Option<Node>,
    /// Its content, as text.
    text: Option<Node>,
    /// Its content, as bytes in base64.
    blob: Option<Node>,
}

/// A link to a resource.
#[derive(Clone, Debug, FromNode)]
pub(crate) struct LinkConfig {
    /// The resource's URI.
    uri: Node,
    /// The resource's name.
    name: Node,
    /// What it is.
    description: Option<Node>,
    /// Its type, such as `text/csv`.
    mime_type: Option<Node>,
}

fn check_resource(resource: &ResourceConfig, node: &Node, d: &mut Diagnostics) {
    let problem = match (&resource.text, &resource.blob) {
        (Some(_), Some(_)) => "`text` and `blob` exclude each other",
        (None, None) => "the resource has no content",
        _ => return,
    };
    d.push(Diagnostic::error(node.span, problem).hint("give exactly one of `text` and `blob` (base64)"));
}

/// Compiles the parts. Nothing, with diagnostics, if a template is wrong.
pub(super) fn read(
    parts: &[ContentConfig],
    names: &Names<'_>,
    d: &mut Diagnostics,
) -> Option<Vec<ContentPlan>> {
    let parts: Vec<Option<ContentPlan>> = parts.iter().map(|one| part(one, names, d)).collect();
    parts.into_iter().collect()
}

/// Compiles one part.
pub(crate) fn part(part: &ContentConfig, names: &Names<'_>, d: &mut Diagnostics) -> Option<ContentPlan> {
    plan(part, &mut |node: &Node| Tree::read(node, names, d))
}

fn plan(part: &ContentConfig, read: &mut dyn FnMut(&Node) -> Option<Tree>) -> Option<ContentPlan> {
    // Every template is read before the first `?`, so that all problems are reported.
    match part {
        ContentConfig::Text(text) => Some(ContentPlan::Text { text: read(text)? }),
        ContentConfig::Image(data) => {
            let (bytes, mime_type) = (read(&data.data), read(&data.mime_type));
            Some(ContentPlan::Image { data: bytes?, mime_type: mime_type? })
        }
        ContentConfig::Audio(data) => {
            let (bytes, mime_type) = (read(&data.data), read(&data.mime_type));
            Some(ContentPlan::Audio { data: bytes?, mime_type: mime_type? })
        }
        ContentConfig::Resource(resource) => {
            let uri = read(&resource.uri);
            let [mime_type, text, blob] =
                [&resource.mime_type, &resource.text, &resource.blob].map(|node| optional(node, read));
            Some(ContentPlan::Resource { uri: uri?, mime_type: mime_type?, text: text?, blob: blob? })
        }
        ContentConfig::Link(link) => {
            let (uri, name) = (read(&link.uri), read(&link.name));
            let [description, mime_type] =
                [&link.description, &link.mime_type].map(|node| optional(node, read));
            Some(ContentPlan::Link {
                uri: uri?,
                name: name?,
                description: description?,
                mime_type: mime_type?,
            })
        }
    }
}

/// `None` where a template is there and wrong.
fn optional(node: &Option<Node>, read: &mut dyn FnMut(&Node) -> Option<Tree>) -> Option<Option<Tree>> {
    match node {
        None => Some(None),
        Some(node) => read(node).map(Some),
    }
}
