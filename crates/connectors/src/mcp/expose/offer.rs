//! What is offered of a server's list: each tool under its name here, with its schemas as they came. What the protocol
//! does not allow is left out and told, so that it breaks no client's list.

use std::sync::Arc;

use renkei_core::{
    Diagnostics, Node, NodeKind, PreparedOp, Span, Value,
    connector::{Offer, OfferedTool},
    node::Text,
    tool::{Annotations, Icon},
};

use super::config::Chosen;
use crate::mcp::{
    message::shown,
    prepare::{self, MAX_NAME},
};

/// A tool that takes more of the list than this, as JSON, is left out.
const MAX_TOOL: usize = 256 << 10;
/// So many notices are told; more would only hide them.
const MAX_NOTICES: usize = 20;

/// What is offered of `list`.
pub(super) fn offer(system: &Arc<str>, prefix: &str, chosen: &Chosen, list: &[Value]) -> Offer {
    let mut offer = Offer::default();
    let (mut seen, mut left_out): (Vec<&str>, usize) = (Vec::new(), 0);
    for tool in list {
        let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
        if !chosen.has(name) {
            continue;
        }
        if seen.contains(&name) {
            offer.notices.push(format!("the tool `{}` is in the list twice", shown(name)));
            continue;
        }
        if offer.tools.len() == chosen.max_tools {
            left_out += 1;
            continue;
        }
        match read(system, prefix, chosen, name, tool) {
            Ok(tool) if offer.tools.iter().any(|other| other.name == tool.name) => {
                let text = format!("two tools would be called `{}`, and the second is left out", tool.name);
                offer.notices.push(format!("{text}; `rename` gives it another name"));
            }
            Ok(tool) => offer.tools.push(tool),
            Err(why) => offer.notices.push(format!("the tool `{}` is left out: {why}", shown(name))),
        }
        seen.push(name);
    }
    if left_out > 0 {
        let limit = chosen.max_tools;
        offer
            .notices
            .push(format!("{left_out} tools are left out: {limit} are served at most (`max_tools`)"));
    }
    let renamed = chosen.rename.keys().map(|name| ("rename", name));
    let described = chosen.descriptions.keys().map(|name| ("descriptions", name));
    for (key, name) in renamed.chain(described).filter(|(_, name)| !seen.contains(&&***name)) {
        offer.notices.push(format!("`{key}` names `{name}`, which is not among its tools"));
    }
    let more = offer.notices.len().saturating_sub(MAX_NOTICES);
    offer.notices.truncate(MAX_NOTICES);
    if more > 0 {
        offer.notices.push(format!("and {more} more"));
    }
    offer
}

fn read(
    system: &Arc<str>,
    prefix: &str,
    chosen: &Chosen,
    name: &str,
    tool: &Value,
) -> Result<OfferedTool, String> {
    if name.is_empty() || name.len() > MAX_NAME || name.contains(char::is_control) {
        return Err(format!("its name is empty, longer than {MAX_NAME} bytes, or no text"));
    }
    let length = tool.to_json().len();
    if length > MAX_TOOL {
        return Err(format!("it has {length} bytes, and at most {MAX_TOOL} are listed"));
    }
    let input_schema = tool.get("inputSchema").cloned().unwrap_or_default();
    if input_schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("its `inputSchema` is not of type `object`".into());
    }
    let output_schema = tool.get("outputSchema").filter(|schema| !schema.is_null()).cloned();
    if output_schema.as_ref().is_some_and(|schema| schema.as_object().is_none()) {
        return Err("its `outputSchema` is no schema".into());
    }
    let text = |holder: Option<&Value>, key: &str| {
        holder.and_then(|holder| holder.get(key)).and_then(Value::as_str).map(ToOwned::to_owned)
    };
    let hints = tool.get("annotations");
    let hint = |key: &str| hints.and_then(|hints| hints.get(key)).and_then(Value::as_bool);
    let own = chosen.descriptions.get(name).cloned();
    let op = passed_on(system, name, chosen)
        .ok_or_else(|| "its name cannot be called; this is a fault in Renkei".to_owned())?;
    Ok(OfferedTool {
        name: chosen.name(prefix, name),
        title: text(Some(tool), "title").or_else(|| text(hints, "title")),
        description: own.or_else(|| text(Some(tool), "description")).unwrap_or_default(),
        input_schema,
        output_schema,
        annotations: Annotations {
            read_only: hint("readOnlyHint"),
            destructive: hint("destructiveHint"),
            idempotent: hint("idempotentHint"),
            open_world: hint("openWorldHint"),
        },
        icons: icons(tool.get("icons")),
        op: Arc::new(op),
    })
}

/// The call that a tool is: its input are the arguments.
fn passed_on(system: &Arc<str>, name: &str, chosen: &Chosen) -> Option<PreparedOp> {
    let input = Node { kind: NodeKind::String(Text::new("${.}")), span: Span::default() };
    // A template that holds nothing but the input is right in any place.
    prepare::passed_on(system, name, &input, chosen.effect(name), &mut Diagnostics::default())
}

fn icons(icons: Option<&Value>) -> Vec<Icon> {
    let icons = icons.and_then(Value::as_array).unwrap_or_default();
    let icon = |icon: &Value| {
        let text = |key: &str| icon.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
        let src = text("src").filter(|src| src.starts_with("https:") || src.starts_with("data:"))?;
        let sizes = icon.get("sizes").and_then(Value::as_array).unwrap_or_default();
        let sizes = sizes.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
        Some(Icon { src, mime_type: text("mimeType"), sizes })
    };
    icons.iter().filter_map(icon).collect()
}

#[cfg(test)]
mod tests {
    use renkei_core::FromNode as _;

    use super::*;
    use crate::fixture::{json, node};

    fn chosen(text: &str) -> Chosen {
        let mut d = Diagnostics::default();
        let chosen = Chosen::from_node(&node(&json(text)), &mut d);
        chosen.unwrap_or_else(|| panic!("{:?}", crate::fixture::texts(&d)))
    }

    fn tool(name: &str) -> String {
        format!(r#"{{"name":"{name}","description":"Does {name}.","inputSchema":{{"type":"object"}}}}"#)
    }

    fn offered(config: &str, tools: &[String]) -> Offer {
        let list = json(&format!("[{}]", tools.join(",")));
        offer(&"shop".into(), "shop_", &chosen(config), list.as_array().unwrap())
    }

    fn names(offer: &Offer) -> String {
        offer.tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn tools_are_chosen_named_and_described() {
        let tools = ["get_a", "get_b", "put_a", "drop"].map(tool);
        assert_eq!(names(&offered("true", &tools)), "shop_get_a shop_get_b shop_put_a shop_drop");
        let some = r#"{"include": ["get_*", "drop"], "exclude": ["*_b"], "rename": {"drop": "throw_away"},
                       "descriptions": {"get_a": "Gets it."}, "effects": {"get_*": "read"}}"#;
        let some = offered(some, &tools);
        assert_eq!(names(&some), "shop_get_a throw_away");
        assert_eq!(some.notices, [""; 0]);
        let texts: Vec<_> = some.tools.iter().map(|tool| &*tool.description).collect();
        assert_eq!(texts, ["Gets it.", "Does drop."]);
        let effects: Vec<_> = some.tools.iter().map(|tool| format!("{:?}", tool.op.effect)).collect();
        assert_eq!(effects, ["Read", "Write"]);
    }

    #[test]
    fn what_a_tool_says_is_passed_on_unchanged() {
        let schema = r##"{"type":"object","$defs":{"n":{"$ref":"#/$defs/n"}},"properties":{"a":{"type":["number","null"],"default":1.10}},"x":[]}"##;
        let output = r#"{"type":"array","items":{}}"#;
        let text = format!(
            r#"{{"name":"a","title":"A","inputSchema":{schema},"outputSchema":{output},"annotations":{{"readOnlyHint":true}},
               "icons":[{{"src":"https://a.example/a.png","sizes":["any"]}},{{"src":"file:///a"}}]}}"#
        );
        let offer = offered("true", &[text]);
        let tool = &offer.tools[0];
        assert_eq!(tool.input_schema.to_json(), schema);
        assert_eq!(tool.output_schema.as_ref().unwrap().to_json(), output);
        assert_eq!((tool.title.as_deref(), &*tool.description), (Some("A"), ""));
        assert_eq!((tool.annotations.read_only, tool.annotations.destructive), (Some(true), None));
        assert_eq!(tool.icons.len(), 1);
    }

    #[test]
    fn what_would_break_a_list_is_left_out_and_told() {
        let wide = "x".repeat(300_000);
        let tools = [
            tool("good"),
            tool("good"),
            tool(""),
            r#"{"name":"bare"}"#.into(),
            r#"{"name":"flat","inputSchema":{"type":"string"}}"#.into(),
            r#"{"name":"odd","inputSchema":{"type":"object"},"outputSchema":7}"#.into(),
            format!(r#"{{"name":"wide","inputSchema":{{"type":"object"}},"description":"{wide}"}}"#),
            r#""text""#.into(),
        ];
        let offer = offered("true", &tools);
        assert_eq!((names(&offer).as_str(), offer.notices.len()), ("shop_good", 7), "{:?}", offer.notices);
        let few = offered(r#"{"max_tools": 2, "rename": {"gone": "g"}}"#, &["a", "b", "c", "d"].map(tool));
        assert_eq!(names(&few), "shop_a shop_b");
        let told = few.notices.join("\n");
        assert!(told.contains("2 tools are left out") && told.contains("`rename` names `gone`"), "{told}");
    }

    #[test]
    fn names_are_short_and_never_the_same() {
        let long = "n".repeat(100);
        let tools = ["a b", "a_b", "ü", &long, &format!("{long}n")].map(tool);
        let offer = offered("true", &tools);
        assert_eq!((offer.tools.len(), offer.notices.len()), (5, 0), "{:?}", offer.notices);
        for tool in &offer.tools {
            assert!(tool.name.len() <= 64 && tool.name.starts_with("shop_"), "{}", tool.name);
        }
        // A name by hand that is another one's already.
        let same = offered(r#"{"rename": {"b": "shop_a"}}"#, &["a", "b"].map(tool));
        assert_eq!(names(&same), "shop_a");
        assert!(same.notices[0].contains("two tools would be called `shop_a`"), "{:?}", same.notices);
    }
}
