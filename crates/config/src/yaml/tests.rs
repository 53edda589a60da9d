use proptest::prelude::*;
use renkei_core::{Diagnostics, Node, NodeKind, Span};

use super::*;

fn parse(text: &str) -> Result<Node, Vec<String>> {
    let mut d = Diagnostics::default();
    let node = read(0, text, &mut d);
    let problems: Vec<String> =
        d.iter().map(|x| format!("{:?} {}", slice(text, x.span), x.message)).collect();
    match node {
        Some(node) if problems.is_empty() => Ok(node),
        _ => Err(problems),
    }
}

fn slice(text: &str, span: Span) -> &str {
    &text[span.start as usize..span.end as usize]
}

fn json(text: &str) -> String {
    parse(text).unwrap().to_value().to_json()
}

#[test]
fn plain_scalars_are_what_they_look_like() {
    let text = "[no, on, y, yes, 007, 1_000, 0x10, +1, 1., .5, .inf, 1.10, 1e3, -7, true, TRUE, null, ~, '', '1', \"true\", 2001-01-01]";
    assert_eq!(
        json(text),
        r#"["no","on","y","yes","007","1_000","0x10","+1","1.",".5",".inf",1.10,1e3,-7,true,true,null,null,"","1","true","2001-01-01"]"#
    );
    assert_eq!(
        json("a:\nb: !!str 1\nc: ! 2\nd: !!int 3\ne: !!str"),
        r#"{"a":null,"b":"1","c":"2","d":3,"e":""}"#
    );
    assert_eq!(json(""), "null");
    assert_eq!(json("# nothing\n"), "null");
    assert_eq!(json("--- \na: 1\n...\n"), r#"{"a":1}"#);
}

#[test]
fn order_is_kept() {
    assert_eq!(json("z: 1\na: 2\n404: 3\ntrue: 4\n"), r#"{"z":1,"a":2,"404":3,"true":4}"#);
}

#[test]
fn aliases_and_merge_keys_unfold() {
    let text = "base: &b { x: 1, y: 2 }\nmore: &m { y: 3, z: 4 }\none:\n  a: 0\n  <<: *b\n  y: 9\ntwo: { <<: [*b, *m] }\nsame: *b\n";
    let expected = r#""one":{"a":0,"x":1,"y":9},"two":{"x":1,"y":2,"z":4},"same":{"x":1,"y":2}}"#;
    assert!(json(text).ends_with(expected), "{}", json(text));
    assert_eq!(parse("a: { <<: 1 }").unwrap_err(), [r#""<<" `<<` merges mappings, and this is a number"#]);
    assert_eq!(parse("a: '<<'\n'<<': 1").map(|n| n.to_value().to_json()).unwrap(), r#"{"a":"<<","<<":1}"#);
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    // Some kilobytes that unfold to a little more than the limit, and to a little less.
    let squared = |number: usize| {
        format!("a: &a [{}]\nb: [{}]\n", vec!["x"; number].join(", "), vec!["*a"; number].join(", "))
    };
    let problems = parse(&squared(448)).unwrap_err();
    assert!(problems[0].contains("grows beyond 200000 values"), "{problems:?}");
    assert!(parse(&squared(445)).is_ok());

    let mut text = String::from("a0: &a0 [x]\n");
    for level in 1..80 {
        text += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    assert!(parse(&text).unwrap_err()[0].contains("levels deep"));
    assert!(parse("a: &a [*a]").unwrap_err()[0].contains("inside of what it refers to"));
    assert!(parse(&"[".repeat(300)).is_err());
    assert!(parse(&format!("{}1", "- ".repeat(100))).unwrap_err()[0].contains("levels deep"));
    assert!(parse(&" ".repeat(MAX_FILE_BYTES + 1)).unwrap_err()[0].contains("limit is"));
}

#[test]
fn places_are_bytes() {
    let text = "ключ: значение\nb:\n  - 'it''s ${.é}'\n  - \"ü ${.x}\"\n  - |\n    select ä\n\n      from ${.t}\n  - >-\n    folded ${.y}\n  -\nlast: {k: v}";
    let root = parse(text).unwrap();
    let entries = root.as_map().unwrap();
    assert_eq!(slice(text, entries[0].key_span), "ключ");
    assert_eq!(slice(text, entries[0].value.span), "значение");
    assert_eq!(slice(text, root.span), text);
    let items = entries[1].value.as_seq().unwrap();
    assert_eq!(slice(text, items[0].span), "'it''s ${.é}'");
    // An escape hides the places.
    assert_eq!(slice(text, items[0].text_span(5, 10)), "'it''s ${.é}'");
    let part = |node: &Node, word: &str| {
        let at = node.as_str().unwrap().find(word).unwrap();
        slice(text, node.text_span(at, at + word.len())).to_owned()
    };
    assert_eq!(part(&items[1], "${.x}"), "${.x}");
    assert_eq!(part(&items[2], "ä"), "ä");
    assert_eq!(part(&items[2], "from ${.t}"), "from ${.t}");
    assert_eq!(part(&items[3], "${.y}"), "${.y}");
    assert_eq!(slice(text, items[4].span), "-");
    assert_eq!(slice(text, entries[2].value.span), "{k: v}");
}

#[test]
fn folded_texts_have_places_too() {
    let text = "a: >-\n  select x\n  from ${.é}\n\n    where ${.y}\nb: plain\n  and ${.z}\nc: 'q\n  ${.w}'\nd: \"x\\n\n  ${.v}\"\n";
    let root = parse(text).unwrap();
    for (key, word) in [("a", "${.é}"), ("a", "${.y}"), ("b", "${.z}"), ("c", "${.w}")] {
        let node = root.get(key).unwrap();
        let at = node.as_str().unwrap().find(word).unwrap();
        assert_eq!(slice(text, node.text_span(at, at + word.len())), word);
    }
    let escaped = root.get("d").unwrap();
    assert_eq!(slice(text, escaped.text_span(3, 8)), slice(text, escaped.span));
}

#[test]
fn windows_line_ends() {
    let text = "a: |\r\n  one\r\n  two ${.x}\r\nb: 'c'\r\n";
    let root = parse(text).unwrap();
    assert_eq!(root.to_value().to_json(), r#"{"a":"one\ntwo ${.x}\n","b":"c"}"#);
    let a = root.get("a").unwrap();
    let at = a.as_str().unwrap().find("${").unwrap();
    assert_eq!(slice(text, a.text_span(at, at + 5)), "${.x}");
}

#[test]
fn what_is_not_allowed_is_said() {
    let cases = [
        ("a: 1\nb: 2\na: 3", r#""a" the key `a` is there twice"#),
        ("a: 1\n---\nb: 2", r#""---" a second document begins here"#),
        ("%YAML 1.1\n---\na: 1", r#""%" directives are not allowed"#),
        ("a: !env X", r#""!env" the tag `!env` has no meaning here"#),
        ("a: !!int x", r#""x" `x` does not fit its tag `!!int`"#),
        ("? [a]\n: b", r#""[" a key must be a plain text, and this is a list"#),
        ("{a: 1}: b", r#""{a: 1}" a key must be a text, and this is a mapping"#),
        (": b", r#"":" a key is missing before this `:`"#),
        ("{a: 1, ? , b: 2}", r#""" a key is missing before this `:`"#),
        ("!!str : b", r#"":" a key is missing before this `:`"#),
        ("a: {b: ${.id}}", r#""${.id}}" YAML cuts this template short"#),
        ("a: [x/${.id}, 1]", r#""${.id}, 1]" YAML cuts this template short"#),
        ("a: ${.x: y}\n", r#""${.x: y}" YAML cuts this template short"#),
        ("a: ${ {a: 1} }\n", r#""${ {a: 1} }" YAML cuts this template short"#),
        ("a: b: c\n", r#"":" a `:` is not allowed here"#),
        ("a: @b", r#""@" a text without quotes cannot begin with `@`"#),
        ("a: 'x\nb: y\n", r#""'" this quote is never closed"#),
        ("a: {b: c", r#""{" this `{` is never closed"#),
        ("a: *x", r#""*" `*x` refers to an anchor that is not there"#),
        ("- a\nb: 1\n", r#""b" this does not fit what stands before it"#),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).map(|n| n.to_value()).unwrap_err(), [expected], "{text}");
    }
}

fn check_spans(text: &str, node: &Node) {
    let whole = |span: Span| {
        let range = span.start as usize..span.end as usize;
        assert!(text.get(range).is_some(), "{span:?} in {text:?}");
    };
    whole(node.span);
    match &node.kind {
        NodeKind::String(value) => {
            for (at, letter) in value.value.char_indices() {
                whole(node.text_span(at, at + letter.len_utf8()));
            }
            if let Some(start) = value.verbatim {
                assert!(text[start as usize..].starts_with(&*value.value));
            }
        }
        NodeKind::Seq(items) => items.iter().for_each(|item| check_spans(text, item)),
        NodeKind::Map(entries) => entries.iter().for_each(|entry| {
            whole(entry.key_span);
            check_spans(text, &entry.value);
        }),
        _ => {}
    }
}

fn never_panics(text: &str) {
    let mut d = Diagnostics::default();
    let node = read(0, text, &mut d);
    for x in d.iter() {
        let range = x.span.start as usize..x.span.end as usize;
        assert!(text.get(range).is_some(), "{x:?} in {text:?}");
    }
    match node {
        Some(node) => check_spans(text, &node),
        None => assert!(d.has_errors(), "nothing said about {text:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        never_panics(&text);
    }

    #[test]
    fn anything_like_yaml_is_read_or_refused(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "a", "b: ", ": ", "\n", "\n  ", "\n    ", "- ", "{", "}", "[", "]", ",", "'", "\"", "${", "|", ">-", "\\",
                "\r\n", "\t", "#", " ", "é", "日本", "&x ", "*x", "<<: ", "!!str ", "!t ", "---", "...", "? ", "%", "\u{feff}", "1", "~", "\\u00e9", "👍",
            ]),
            0..40,
        )
    ) {
        never_panics(&parts.concat());
    }
}
