//! What the templates promise, sentence by sentence.

use std::sync::Arc;

use super::{Names, Piece, Scope, Template, Tree, split};
use crate::{Diagnostics, Node, NodeKind, Span, Value, node::Text};

pub(super) fn node(text: &str) -> Node {
    Node {
        kind: NodeKind::String(Text { verbatim: Some(0), ..Text::new(text) }),
        span: Span { file: 0, start: 0, end: text.len() as u32 },
    }
}

fn json(text: &str) -> Value {
    Value::from_json(text.as_bytes()).unwrap()
}

fn render(text: &str, input: &str) -> Option<Value> {
    let mut d = Diagnostics::default();
    let names = Names { vars: vec!["x".into(), "key".into()], ..Names::default() };
    let template = Template::read(&node(text), &names, &mut d);
    let template = template.unwrap_or_else(|| panic!("{text}: {d:?}"));
    let mut scope = Scope::new(json(input));
    scope.set("x", json(r#"{"y": [1, 2.50], "k k": "v"}"#));
    template.render(&scope).unwrap()
}

#[test]
fn splits_at_templates() {
    let pieces = split(&node(r#"a $${b} ${.x + "}" } $c ${ {"a": 1} # }
 }z"#), &mut Diagnostics::default());
    let literal = |text: &str, at| Piece::Literal { text: text.into(), at };
    let expr = |source: &str, at| Piece::Expr { source: Arc::from(source), at };
    assert_eq!(
        pieces.unwrap(),
        [
            literal("a ${b} ", 0),
            expr(".x + \"}\" ", 10),
            literal(" $c ", 20),
            expr(" {\"a\": 1} # }\n ", 26),
            literal("z", 42),
        ]
    );
}

#[test]
fn plain_paths_keep_types_and_digits() {
    assert_eq!(render("${.a.b}", r#"{"a":{"b":1.10}}"#).unwrap().to_json(), "1.10");
    assert_eq!(render("${$x.y}", "null"), Some(json("[1,2.50]")));
    assert_eq!(render("${$x[\"k k\"]}", "null"), Some(json("\"v\"")));
    assert_eq!(render("${.a}", r#"{"a":null}"#), Some(Value::Null));
    assert_eq!(render("${.a.b}", r#"{"a":null}"#), None);
    assert_eq!(render("${.a}", "{}"), None);
    assert_eq!(render("no ${.a} ${$x.y[0]}!", r#"{"a":"b"}"#), Some("no b 1!".into()));
}

#[test]
fn absent_members_are_dropped() {
    let entry = |key: &str, text: &str| crate::Entry {
        key: key.into(),
        key_span: Span::default(),
        value: node(text),
    };
    let map = Node {
        kind: NodeKind::Map(vec![entry("a", "${.a}"), entry("b", "${.b}"), entry("c", "c")]),
        span: Span::default(),
    };
    let tree = Tree::read(&map, &Names::default(), &mut Diagnostics::default()).unwrap();
    let rendered = tree.render(&Scope::new(json(r#"{"b":null}"#))).unwrap().unwrap();
    assert_eq!(rendered.to_json(), r#"{"b":null,"c":"c"}"#);
}

#[test]
fn a_rendered_text_is_no_template() {
    let mut node = node("pass${word");
    let NodeKind::String(text) = &mut node.kind else { unreachable!() };
    text.literal = true;
    let mut d = Diagnostics::default();
    let template = Template::read(&node, &Names::default(), &mut d).unwrap();
    assert_eq!(template.render(&Scope::default()).unwrap(), Some("pass${word".into()));
    assert!(d.is_empty());
}
