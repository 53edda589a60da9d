//! What the templates promise, sentence by sentence.

mod adversarial;
mod diagnostics;
mod differential;
mod language;
mod properties;

use std::sync::Arc;

use super::{Names, Piece, Scope, Template, Tree, split};
use crate::{Diagnostics, Node, NodeKind, Span, Value, node::Text};

pub(super) fn node(text: &str) -> Node {
    Node {
        kind: NodeKind::String(Text { verbatim: Some(0), ..Text::new(text) }),
        span: Span { file: 0, start: 0, end: text.len() as u32 },
    }
}

pub(super) fn json(text: &str) -> Value {
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
    let pieces = split(
        &node(
            r#"a $${b} ${.x + "}" } $c ${ {"a": 1} # }
 }z"#,
        ),
        &mut Diagnostics::default(),
    );
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

/// The outputs of an expression, collected, as JSON; or the error's text.
pub(super) fn jq(expression: &str, input: &str) -> String {
    within(expression, input, super::budget::MAX_WORK)
}

/// As [`jq`], with so many steps.
pub(super) fn within(expression: &str, input: &str, steps: u64) -> String {
    let text = format!("${{[{expression}]}}");
    let mut d = Diagnostics::default();
    let names = Names { vars: vec!["x".into()], ..Names::default() };
    let Some(template) = Template::read(&node(&text), &names, &mut d) else {
        return d.iter().map(|d| d.message.clone()).collect();
    };
    let mut scope = Scope::new(json(input));
    scope.set("x", 7_i64);
    match template.render_within(&scope, steps) {
        Ok(value) => value.map_or("nothing".into(), |value| value.to_json()),
        Err(error) => {
            error.public().split_once("`: ").map_or_else(|| error.public().into(), |(_, why)| why.into())
        }
    }
}

#[test]
fn an_argument_is_a_path_of_one_step() {
    for (text, argument) in [
        ("${.id}", Some("id")),
        ("${ .[\"first-name\"] }", Some("first-name")),
        ("${.id?}", Some("id")),
        ("${.}", None),
        ("${.a.b}", None),
        ("${.[0]}", None),
        ("${$x}", None),
        ("${.id + 1}", None),
        ("a ${.id}", None),
        ("id", None),
    ] {
        let mut d = Diagnostics::default();
        let names = Names { vars: vec!["x".into()], ..Names::default() };
        let template = Template::read(&node(text), &names, &mut d).unwrap();
        assert_eq!(template.argument(), argument, "{text}");
    }
}

#[test]
fn runs_jq() {
    let table = [
        (".a, .b", r#"{"a":1}"#, "[1,null]"),
        (".[] | . + 1", "[1,2.5]", "[2,3.5]"),
        ("(1,2) + (10,20)", "null", "[11,12,21,22]"),
        ("{a: (1,2), b: (3,4)} | [.a, .b]", "null", "[[1,3],[1,4],[2,3],[2,4]]"),
        (
            "{a, $x, \"b\": 2, (\"c\", \"d\"): 3}",
            r#"{"a":1}"#,
            r#"[{"a":1,"x":7,"b":2,"c":3},{"a":1,"x":7,"b":2,"d":3}]"#,
        ),
        ("reduce .[] as $n (0; . + $n)", "[1,2,3]", "[6]"),
        ("foreach .[] as $n (0; . + $n; [$n, .])", "[1,2,3]", "[[1,1],[2,3],[3,6]]"),
        ("foreach .[] as $n (0; . + $n)", "[1,2,3]", "[1,3,6]"),
        (". as [$a, {b: $b}] | $a + $b", r#"[1,{"b":2}]"#, "[3]"),
        ("try error(\"x\") catch .", "null", "[\"x\"]"),
        ("(.a | error)? // 5", r#"{"a":1}"#, "[5]"),
        ("first(range(10; 0; -3)), last(range(5)), nth(2; range(5))", "null", "[10,4,2]"),
        ("limit(3; range(100000000000))", "null", "[0,1,2]"),
        ("label $f | 1, break $f, 2", "null", "[1]"),
        ("try (1, error(\"x\"), 3) catch .", "null", "[1,\"x\"]"),
        (
            ".[] as $n | try ($n | if . == 2 then error(\"b\") else . end) catch \"c\"",
            "[1,2,3]",
            "[1,\"c\",3]",
        ),
        (".a |= . + 1", r#"{"a":1,"b":2}"#, r#"[{"a":2,"b":2}]"#),
        (".[] |= empty", "[1,2,3]", "[[]]"),
        ("(.[] | select(. > 1)) |= empty", "[1,2,3]", "[[1]]"),
        (".a.b.c = 1", "null", r#"[{"a":{"b":{"c":1}}}]"#),
        (".[2] = 1", "null", "[[null,null,1]]"),
        (".[1:3] = [9]", "[1,2,3,4]", "[[1,9,4]]"),
        (".a += 1 | .b -= 1 | .c //= 3", r#"{"a":1,"b":1}"#, r#"[{"a":2,"b":0,"c":3}]"#),
        ("del(.a, .b[0])", r#"{"a":1,"b":[1,2]}"#, r#"[{"b":[2]}]"#),
        ("to_entries, with_entries(.value += 1)", r#"{"a":1}"#, r#"[[{"key":"a","value":1}],{"a":2}]"#),
        ("path(..)", "[[1]]", "[[],[0],[0,0]]"),
        ("[paths], [leaf_paths]", r#"{"a":[1]}"#, r#"[[["a"],["a",0]],[["a",0]]]"#),
        ("pick(.a.b, .c[1])", r#"{"a":{"b":1,"x":2},"c":[1,2]}"#, r#"[{"a":{"b":1},"c":[null,2]}]"#),
        ("walk(if type == \"number\" then . + 1 else . end)", r#"[1,{"a":2}]"#, r#"[[2,{"a":3}]]"#),
        (
            "sort, sort_by(-.), group_by(. % 2), unique, min, max, reverse, add, any, all",
            "[3,1,2,1]",
            "[[1,1,2,3],[3,2,1,1],[[2],[3,1,1]],[1,2,3],1,3,[1,2,1,3],7,true,true]",
        ),
        ("flatten, flatten(1)", "[1,[2,[3]]]", "[[1,2,3],[1,2,[3]]]"),
        ("transpose", "[[1,2],[3]]", "[[[1,3],[2,null]]]"),
        ("combinations", "[[1,2],[3,4]]", "[[1,3],[1,4],[2,3],[2,4]]"),
        ("combinations(2)", "[0,1]", "[[0,0],[0,1],[1,0],[1,1]]"),
        (
            "@base64 \"x\\(.)\", (. | @base64 | @base64d), @uri, @html, @json, @sh, (@text)",
            "\"a<'b c\"",
            r#"["xYTwnYiBj","a<'b c","a%3C%27b%20c","a&lt;&#39;b c","\"a<'b c\"","'a<'\\''b c'","a<'b c"]"#,
        ),
        ("@csv, @tsv", r#"[1,"a\"b",null,true]"#, r#"["1,\"a\"\"b\",,true","1\ta\"b\t\ttrue"]"#),
        (
            "test(\"B\"; \"i\"), [match(\"b\"; \"g\").offset], capture(\"(?<n>b.)\"), [scan(\"b.\")], sub(\"b\"; \"x\"), gsub(\"(?<l>b)\"; \"<\\(.l)>\"), [splits(\"b\")], split(\"b\"; null)",
            "\"äb1b2\"",
            r#"[true,[1,3],{"n":"b1"},["b1","b2"],"äx1b2","ä<b>1<b>2",["ä","1","2"],["ä","1","2"]]"#,
        ),
        (
            "todate, (todate | fromdate), gmtime, (gmtime | mktime), strftime(\"%Y-%m\")",
            "1425599621",
            r#"["2015-03-05T23:53:41Z",1425599621,[2015,2,5,23,53,41,4,63],1425599621,"2015-03"]"#,
        ),
        ("strptime(\"%Y-%m-%dT%H:%M:%SZ\") | mktime", "\"2015-03-05T23:51:47Z\"", "[1425599507]"),
        ("indices(\", \"), index(\",\"), rindex(\",\")", "\"a,b, cd, efg\"", "[[3,7],1,7]"),
        ("indices(1), indices([1,2])", "[0,1,2,1,3,1,2]", "[[1,3,5],[1,5]]"),
        ("inside([1,2,3]), contains([1])", "[1,2]", "[true,true]"),
        ("splits(\", *\")", "\"a, b,c\"", r#"["a","b","c"]"#),
        (". / \",\"", "\"a,b\"", r#"[["a","b"]]"#),
        (". * 3, 0 * .", "\"ab\"", r#"["ababab",null]"#),
        (". * {b: {d: 4}}", r#"{"a":1,"b":{"c":3}}"#, r#"[{"a":1,"b":{"c":3,"d":4}}]"#),
        (
            "9223372036854775807 + 0, 9223372036854775807 + 1, 7 / 2, 6 / 2, -7 % 3, 5.9 % 3",
            "null",
            "[9223372036854775807,9223372036854775808,3.5,3,-1,2]",
        ),
        (
            "nan < 1, (nan == nan), ([nan, 1] | sort | last), infinite > 1, -infinite < 1",
            "null",
            "[true,false,1,true,true]",
        ),
        ("if .a then 1 elif .b then 2 else 3 end, if false then 1 end", r#"{"b":true}"#, r#"[2,{"b":true}]"#),
        (".[1:], .[:-1], .[1:2], .[-2:]", "\"aäb\"", r#"["äb","aä","ä","äb"]"#),
        (
            "getpath([\"a\",0,\"b\"]), setpath([\"a\"]; 1), delpaths([[\"a\"]])",
            r#"{"a":[{"b":5}]}"#,
            r#"[5,{"a":1},{}]"#,
        ),
        (
            "ltrimstr(\"a\"), rtrimstr(\"c\"), trimstr(\"a\"), ascii_upcase, explode, (explode | implode), length, utf8bytelength",
            "\"abc\"",
            r#"["bc","ab","bc","ABC",[97,98,99],"abc",3,3]"#,
        ),
        (
            "tojson, (tojson | fromjson), tostring",
            r#"{"a":[1.10,null]}"#,
            r#"["{\"a\":[1.10,null]}",{"a":[1.10,null]},"{\"a\":[1.10,null]}"]"#,
        ),
        ("tonumber", "\"1.50\"", "[1.50]"),
        ("IN(1, 2), IN(.; 3), INDEX(.a)", "[{\"a\":1}]", r#"[false,false,{"1":{"a":1}}]"#),
        (
            "isempty(empty), isvalid(error), any(. > 1), all(.[]; . > 0), isempty(1, error)",
            "[1,2]",
            "[true,false,true,true,false]",
        ),
        (".. | numbers", r#"[1,{"a":2}]"#, "[1,2]"),
        ("[.[] | tostring] | join(\"-\")", "[1,null,\"a\"]", "[\"1-null-a\"]"),
        ("join(\",\")", "[1,null,\"a\",true]", "[\"1,,a,true\"]"),
        ("floor, ceil, round, sqrt, pow(.; 2), fabs, (4 | log2)", "6.25", "[6,7,6,2.5,39.0625,6.25,2]"),
        (
            "min_by(.a), max_by(.a), unique_by(.a), (sort_by(.a) | map(.b))",
            r#"[{"a":2,"b":1},{"a":1,"b":2},{"a":2,"b":3}]"#,
            r#"[{"a":1,"b":2},{"a":2,"b":3},[{"a":1,"b":2},{"a":2,"b":1}],[2,1,3]]"#,
        ),
        (
            "skip(2; .[]), (. as [$a] | $a), (.[1:] | first), last, nth(1), has(0), (0 | in([1]))",
            "[1,2,3]",
            "[3,1,2,3,2,true,true]",
        ),
        ("to_entries | from_entries", r#"{"a":null,"b":false}"#, r#"[{"a":null,"b":false}]"#),
        (
            "from_entries",
            r#"[{"k":1,"v":2},{"name":"x","Value":3},{"key":null},{"key":false,"value":1}]"#,
            r#"[{"1":2,"x":3,"null":null,"false":1}]"#,
        ),
        ("map_values(empty), map_values(., 9)", r#"{"a":1}"#, r#"[{},{"a":1}]"#),
        ("[.[]?], [.a?], [..?]", "5", "[[],[],[5]]"),
        ("reduce empty as $x (1; 2), (reduce (1,2) as $x (0; empty))", "null", "[1,null]"),
        ("-(1, 2), -.a", r#"{"a":3}"#, "[-1,-2,-3]"),
        ("\"a\\(1, 2)b\\(3)\"", "null", r#"["a1b3","a2b3"]"#),
        ("1 as $x | 2 as $y | [$x, $y, $__a]", "null", "`$__a` is not known here"),
        (".a = (.b, .c)", r#"{"b":1,"c":2}"#, r#"[{"b":1,"c":2,"a":1},{"b":1,"c":2,"a":2}]"#),
        ("getpath([\"a\",\"b\"]) = 5", "null", r#"[{"a":{"b":5}}]"#),
        ("limit(1; .[] | select(. > 1)) = 9", "[1,2,3]", "[[1,9,3]]"),
        ("first(.[]) |= 5, (.[0] // .[1]) |= 6", "[1,2]", "[[5,2],[6,2]]"),
        ("toarray, ([1] | toarray)", "1", "[[1],[1]]"),
        ("tojson | length", "[1,[2]]", "[7]"),
        ("abs", "-5", "[5]"),
        ("env.X", "null", "`env` is not in reach here"),
    ];
    let found = table.map(|(expression, input, _)| (expression, jq(expression, input)));
    let expected = table.map(|(expression, _, expected)| (expression, expected.to_owned()));
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
}
