//! Icons of the server and of tools.

use renkei_core::{Diagnostic, Diagnostics, Node, tool::Icon};
use renkei_derive::FromNode;

/// A picture for clients to show.
#[derive(Clone, Debug, FromNode)]
#[config(check = check)]
pub struct IconConfig {
    /// Where it is: `https:` or `data:`.
    pub src: String,

    /// Its type, such as `image/png`, where `src` does not tell.
    pub mime_type: Option<String>,

    /// The sizes it fits, such as `48x48`, or `any` for one that scales.
    #[config(default)]
    pub sizes: Vec<String>,
}

fn check(icon: &IconConfig, node: &Node, d: &mut Diagnostics) {
    let span = node.get("src").map_or(node.span, |src| src.span);
    // Clients must refuse other schemes: `file:` and `javascript:` reach into them.
    if !["https://", "data:image/"].iter().any(|start| icon.src.starts_with(start)) {
        d.push(
            Diagnostic::error(span, "an icon is an `https:` or `data:` URL")
                .hint("put it on a web server, or write it into the config as `data:image/png;base64,…`"),
        );
    }
    for size in &icon.sizes {
        let numbers = size.split_once('x').map(|(a, b)| a.parse::<u16>().is_ok() && b.parse::<u16>().is_ok());
        if size != "any" && numbers != Some(true) {
            let span = node.get("sizes").map_or(node.span, |sizes| sizes.span);
            d.push(
                Diagnostic::error(span, format!("`{size}` is not a size")).hint("write `48x48`, or `any`"),
            );
        }
    }
}

impl From<IconConfig> for Icon {
    fn from(icon: IconConfig) -> Self {
        Icon { src: icon.src, mime_type: icon.mime_type, sizes: icon.sizes }
    }
}
