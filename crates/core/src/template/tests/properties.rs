//! What holds for every text.

use jaq_core::load::{Lexer, Parser};
use proptest::prelude::*;

use super::node;
use crate::{
    Diagnostics, Value,
    template::{Names, Piece, Scope, Template, Tree, escape, split},
};

fn parses(source: &str) -> bool {
    let Ok(tokens) = Lexer::new(source).lex() else { return false };
    Parser::new(&tokens).parse(|parser| parser.term()).is_ok()
}

/// Texts that are nearly expressions.
fn nearly() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        proptest::sample::select(vec![
            ".", ".a", "$x", "[", "]", "{", "}", "(", ")", "\"", "\\(", "\\", "\\\"", "#", "\n", "\r\n", " ",
            "|", ",", ":", ";", "//", "?", "1", "0.5e3", "a", "as", "if", "then", "else", "end", "reduce",
            "foreach", "try", "catch", "def", "label", "break", "-", "+=", "|=", "..", "@base64", "$", "${",
            "$${", "env", "file", "map", "select", "test", "limit", "ä", "\u{a0}", "'", "&",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,3}",
    ];
    proptest::collection::vec(part, 0..14).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The `}` that closes a template is the one at which jq's grammar ends.
    #[test]
    fn split_finds_the_same_end_as_parsing(source in nearly(), before in "[a-z $]{0,3}", after in "[a-z }\"]{0,5}") {
        prop_assume!(!before.ends_with('$') && !source.contains("module"));
        if parses(&source) {
            // A comment at the end would swallow the brace.
            let text = format!("{before}${{{source}\n}}{after}");
            let pieces = split(&node(&text), &mut Diagnostics::default());
            let found = pieces.into_iter().flatten().find_map(|piece| match piece {
                Piece::Expr { source, at } => Some((source, at)),
                Piece::Literal { .. } => None,
            });
            // A comment may go on after a backslash at the end of its line; then there is no end.
            if let Some((found, at)) = found {
                prop_assert_eq!(&*found, format!("{source}\n"));
                prop_assert_eq!(at, before.len() + 2);
            } else {
                prop_assert!(source.contains('#') && source.ends_with('\\'), "{}", text);
            }
        }
    }

    #[test]
    fn nothing_panics(text in nearly()) {
        let names = Names { vars: vec!["x".into()], environment: text.len() % 2 == 0, ..Names::default() };
        let mut d = Diagnostics::default();
        for text in [format!("${{{text}}}"), text.clone()] {
            match Template::read(&node(&text), &names, &mut d) {
                Some(template) => drop(template.render_within(&Scope::new(Value::from([("a", 1_i64)])), 1000)),
                None => prop_assert!(d.has_errors()),
            }
        }
        let whole = node(&text);
        let found = Template::expression(&whole, &text, 0, &names, &mut d);
        prop_assert!(found.is_some() || d.has_errors());
        for diagnostic in d.iter() {
            prop_assert!(diagnostic.span.start <= diagnostic.span.end, "{:?}", diagnostic);
        }
    }

    /// An escaped text is read as itself, next to anything.
    #[test]
    fn escape_and_read(text in "[$ {}a\"\\\\]{0,12}", after in "(\\$\\{1\\}|\\{|a)?") {
        let whole = format!("{}{after}", escape(&text));
        let template = Template::read(&node(&whole), &Names::default(), &mut Diagnostics::default()).unwrap();
        let rendered = template.render(&Scope::default()).unwrap().unwrap_or_default();
        let after = if after == "${1}" { "1" } else { &after };
        let rendered = rendered.as_str().map_or_else(|| rendered.to_json(), str::to_owned);
        prop_assert_eq!(rendered, format!("{text}{after}"));
    }

    /// A value keeps every digit and key through a template, alone or in a structure.
    #[test]
    fn values_pass_unchanged(digits in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", key in "\\PC{0,8}") {
        let value = Value::from_json(format!("{{{}:[{digits}]}}", Value::from(key)).as_bytes()).unwrap();
        let scope = Scope::new(Value::from([("v", value.clone())]));
        for text in ["${.v}", "${.v | .}", "${[.v][0]}", "${{a: .v} | .a}", "${.v | tojson | fromjson}", "${.v | walk(.)}"] {
            let template = Template::read(&node(text), &Names::default(), &mut Diagnostics::default()).unwrap();
            let rendered = Tree::from(template).render(&scope).unwrap().unwrap();
            prop_assert_eq!(rendered.to_json(), value.to_json());
        }
    }
}
