//! `list:` – the instances of a resource with variables.

use indexmap::IndexMap;
use renkei_core::{
    Diagnostic, Diagnostics, Entry, Node, NodeKind, Tree, pattern::Holder, resource::ListPlan,
    uri::UriTemplate,
};
use renkei_derive::FromNode;

use super::{check_reads, check_silent, mapping};
use crate::{
    action::World,
    tool::{absent_or, input, names, with_results},
};

/// The instances of a resource with variables: an action that gives them, and what is said of each. The
/// templates see one as `$item`, its place as `$index`, and the whole as `$result`.
#[derive(Clone, Debug, FromNode)]
#[expect(dead_code, reason = "templates are read from the tree; the fields are the manual")]
pub(crate) struct ListConfig {
    /// The list, such as `${$result.orders}`; what the action gave if left out.
    items: Option<Node>,
    /// The URI's variables, each with a template such as `${$item.order_id}`. One that is left out is the
    /// item's member of the same name.
    variables: Option<Node>,
    /// The name of one; its URI if left out.
    name: Option<Node>,
    /// A name for people to read.
    title: Option<Node>,
    /// What it is; the resource's own description if left out.
    description: Option<Node>,
    /// Its type; the resource's own if left out.
    mime_type: Option<Node>,
    /// Its length in bytes.
    size: Option<Node>,
}

const KEYS: [&str; 7] = ["items", "variables", "name", "title", "description", "mime_type", "size"];

pub(super) fn read(
    entry: &Entry,
    uri: Option<&UriTemplate>,
    world: &World<'_>,
    d: &mut Diagnostics,
) -> Option<ListPlan> {
    if uri.is_some_and(UriTemplate::is_fixed) {
        let message = "a resource without variables is listed as it is";
        d.push(
            Diagnostic::error(entry.key_span, message)
                .hint("remove `list`, or put a variable into the `uri`"),
        );
        return None;
    }
    let NodeKind::Map(members) = &entry.value.kind else {
        let message = format!("`list` is a mapping with an action, and this is {}", entry.value.what());
        d.push(Diagnostic::error(entry.value.span, message).hint("write `list: { call: { … } }`"));
        return None;
    };
    let holder = Holder { kind: "a list", name: "the list", at: entry.key_span, keys: &KEYS };
    let members = holder.known(members, world.patterns, d);
    let generic = holder.own(&members);
    let nothing = input::none();
    let scope = names(Some(&nothing));
    let action = holder.action(&members, &mut world.context(scope.clone(), d));
    check_reads(action.as_deref(), "the list", entry, d);
    check_silent(action.as_deref(), "the list", entry.key_span, d);
    let scope = with_results(&scope, action.as_deref(), true);
    let items = generic.get("items").map(|node| Tree::read(node, &scope, d));
    let scope = scope.with(["item", "index"]);
    let variables = match generic.get("variables") {
        Some(node) => variables(node, uri, &scope, d),
        None => Some(IndexMap::new()),
    };
    let mut text = |key: &str| generic.get(key).map(|node: &Node| Tree::read(node, &scope, d));
    let [name, title, description, mime_type, size] =
        ["name", "title", "description", "mime_type", "size"].map(&mut text);
    Some(ListPlan {
        action: action?,
        items: absent_or(items)?,
        variables: variables?,
        name: absent_or(name)?,
        title: absent_or(title)?,
        description: absent_or(description)?,
        mime_type: absent_or(mime_type)?,
        size: absent_or(size)?,
    })
}

fn variables(
    node: &Node,
    uri: Option<&UriTemplate>,
    scope: &renkei_core::template::Names<'_>,
    d: &mut Diagnostics,
) -> Option<IndexMap<std::sync::Arc<str>, Tree>> {
    let members = mapping(node, "`variables`", "write `variables: { id: '${$item.id}' }`", d)?;
    let mut read = Vec::new();
    for member in members {
        let tree = Tree::read(&member.value, scope, d);
        let known: Vec<&str> = uri.into_iter().flat_map(UriTemplate::variables).map(|name| &**name).collect();
        if uri.is_some() && !known.contains(&&*member.key) {
            let diagnostic =
                Diagnostic::error(member.key_span, format!("the URI has no variable `{}`", member.key));
            let list: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            d.push(diagnostic.hint(format!("its variables: {}", list.join(", "))));
            read.push(None);
            continue;
        }
        read.push(tree.map(|tree| (member.key.clone(), tree)));
    }
    read.into_iter().collect()
}
