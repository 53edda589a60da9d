//! A test for each sentence of `docs/reference/language.md` that concerns templates alone, named after
//! it. What concerns paths, queries, headers and SQL is tested by the connectors; the reading of YAML by the config.

use std::fmt::Write;

use super::{jq, json, node};
use crate::{
    Diagnostics, Map, Node, NodeKind, Span, Value,
    template::{Names, Scope, Template, Tree, budget, eval::functions, expr::Format},
};

const PAGE: &str = include_str!("../../../../../docs/reference/language.md");

fn names() -> Names<'static> {
    Names { vars: ["x", "now", "result"].map(Into::into).to_vec(), environment: true, ..Names::default() }
}

fn scope(input: &str) -> Scope {
    let mut scope = Scope::new(json(input));
    scope.set("x", json(r#"{"y": 1}"#));
    scope.set("now", "2026-01-31T12:00:00Z");
    scope.set("env", Value::from([("SET", "value"), ("EMPTY", "")]));
    scope.set("file", Value::from([("/run/secrets/x", "secret")]));
    scope
}

/// The value, `absent`, `refused` at start, or the error's kind and text.
fn result(text: &str, input: &str) -> String {
    let mut d = Diagnostics::default();
    match Template::read(&node(text), &names(), &mut d) {
        None => format!("refused: {}", d.iter().map(|d| d.message.as_str()).collect::<String>()),
        Some(template) => match template.render(&scope(input)) {
            Ok(value) => value.map_or("absent".into(), |value| value.to_json()),
            Err(error) => format!("{}: {}", error.kind(), error.public()),
        },
    }
}

fn tree(node: &Node, input: &str) -> String {
    let tree = Tree::read(node, &names(), &mut Diagnostics::default()).unwrap();
    tree.render(&scope(input)).unwrap().map_or("absent".into(), |value| value.to_json())
}

fn map(entries: &[(&str, &str)]) -> Node {
    let entry = |(key, text): &(&str, &str)| crate::Entry {
        key: (*key).into(),
        key_span: Span::default(),
        value: node(text),
    };
    Node { kind: NodeKind::Map(entries.iter().map(entry).collect()), span: Span::default() }
}

#[test]
fn dollar_dollar_brace_is_the_literal() {
    assert_eq!(result("$${.a} $$ $ {", "{}"), r#""${.a} $$ $ {""#);
    assert_eq!(result("$$${.a}", "{}"), r#""$${.a}""#);
}

// Where templates stand, and what they see

#[test]
fn env_must_be_set_or_have_a_default() {
    assert_eq!(result("${env.SET}", "{}"), r#""value""#);
    assert!(result("${env.UNSET}", "{}").contains("the environment variable `UNSET` is not set"));
    assert!(result("a ${env.UNSET | length}", "{}").contains("the environment variable `UNSET` is not set"));
    assert_eq!(result("${env.UNSET // \"default\"}", "{}"), r#""default""#);
    assert_eq!(result("${env.EMPTY // \"default\"}", "{}"), r#""""#);
}

#[test]
fn file_is_a_files_text() {
    assert_eq!(result("${file[\"/run/secrets/x\"]}", "{}"), r#""secret""#);
    assert!(result("${file[\"/etc/passwd\"]}", "{}").contains("the file `/etc/passwd` cannot be read"));
    assert_eq!(result("${file[\"/etc/passwd\"] // \"none\"}", "{}"), r#""none""#);
}

#[test]
fn profile_id_is_a_subtraction() {
    assert!(result("${$x-y}", "{}").starts_with("refused: `$x-y` is not a name"));
    assert_eq!(result("${.[\"first-name\"]}", r#"{"first-name":"Ada"}"#), r#""Ada""#);
}

// A small, safe jq

#[test]
fn all_functions_of_the_list_and_no_others() {
    let row = |line: &str| line.split('|').nth(2).unwrap_or_default().to_owned();
    let section = PAGE.split("## Functions").nth(1).unwrap().split("\n## ").next().unwrap();
    let listed: Vec<String> = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(2)
        .flat_map(|line| {
            row(line).split(", ").map(|item| item.trim().trim_matches('`').to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let form = |(name, arity): (&str, usize)| match arity {
        0 => name.to_owned(),
        _ => format!("{name}({})", vec!["…"; arity].join("; ")),
    };
    let mut have: Vec<String> = functions::all().map(form).collect();
    have.extend(Format::ALL.map(|(name, _)| name.to_owned()));
    let (mut listed, mut have) = (listed, have);
    listed.sort();
    have.sort();
    assert_eq!(listed, have);
}

/// Each function runs on something, and fails without a panic on everything else.
#[test]
fn every_function_takes_every_value() {
    let inputs = [
        "null",
        "true",
        "0",
        "-1.5",
        "1e400",
        "\"a,b\"",
        "[]",
        "[3,1,2]",
        "[[1,2],[3]]",
        "{}",
        r#"{"a":[1],"b":{"key":"c"}}"#,
    ];
    for (name, arity) in functions::all() {
        for argument in [".", "1", "\"a\"", "[\"a\"]", "{}", "null", "nan", "empty", "(1, \"b\")"] {
            let arguments = vec![argument; arity].join("; ");
            let call = if arity == 0 { name.to_owned() } else { format!("{name}({arguments})") };
            let mut succeeded = 0;
            for input in inputs {
                let found = super::within(&format!("{call}?"), input, 2_000);
                succeeded += usize::from(found.starts_with('['));
            }
            assert!(succeeded > 0 || found_refused(&call), "{call}");
        }
    }
}

/// A literal that is no regular expression is refused at start.
fn found_refused(call: &str) -> bool {
    !jq(call, "null").starts_with('[')
}

#[test]
fn def_recurse_repeat_until_and_while_are_refused() {
    for text in
        ["def f: 1; f", "recurse(.a)", "recurse(.a; true)", "repeat(.)", "until(true; .)", "while(false; .)"]
    {
        assert!(jq(text, "1").contains("is not available in templates"), "{text}");
    }
    assert_eq!(jq("[..], [recurse]", "[1]"), "[[[1],1],[[1],1]]");
}

#[test]
fn env_input_debug_stderr_halt_now_and_localtime_are_not_there() {
    for text in [
        "$ENV",
        "input",
        "inputs",
        "debug",
        "stderr",
        "halt",
        "halt_error",
        "now",
        "localtime",
        "import",
        "include",
    ] {
        assert!(jq(text, "1").contains("is not available in templates"), "{text}");
    }
    assert!(jq("env", "1").contains("is not in reach here"));
    assert_eq!(result("${$now | fromdate}", "1"), "1769860800");
}

#[test]
fn all_dates_are_in_utc() {
    assert_eq!(jq("strftime(\"%H:%M %Z %z\"), todate", "0"), r#"["00:00 UTC +0000","1970-01-01T00:00:00Z"]"#);
    assert_eq!(jq("fromdate", "\"1970-01-01T02:00:00+02:00\""), "[0]");
    assert_eq!(jq("strptime(\"%Y-%m-%dT%H:%M:%S%z\") | mktime", "\"1970-01-01T02:00:00+0200\""), "[0]");
}

#[test]
fn regular_expressions_have_no_look_around_and_no_back_references() {
    for pattern in ["(?=a)", "(?<!a)b", "(a)\\\\1"] {
        assert!(
            jq(&format!("test(\"{pattern}\")"), "\"a\"").contains("not a regular expression"),
            "{pattern}"
        );
    }
    assert_eq!(
        jq("test(\"A b\"; \"ix\"), test(\"a.b\"; \"s\"), test(\"^b\"; \"m\"), test(\"a.b\")", "\"xa\\nb\""),
        "[false,true,true,false]"
    );
    assert_eq!(jq("[match(\"b*\"; \"gn\").offset]", "\"abb\""), "[[1]]");
    assert!(jq("test(\"a\"; \"q\")", "\"a\"").contains("`q` is not a flag"));
    assert!(jq("\"q\" as $f | test(\"a\"; $f)", "\"a\"").contains("`q` is not a flag"));
}

#[test]
fn names_are_checked_at_start() {
    assert_eq!(result("${$y}", "{}"), "refused: `$y` is not known here");
    // The input's members, and where they are checked: `diagnostics::says_what_is_wrong_and_where`
    // and `diagnostics::knows_what_it_does_not_know`.
}

#[test]
fn a_name_that_as_binds_hides_one_from_outside() {
    assert_eq!(result("${(5 as $x | $x) + $x.y}", "{}"), "6");
}

#[test]
fn the_end_is_found_by_reading_jq() {
    assert_eq!(result("${ {a: \"}\", \"b\": \"\\(\"}\")\"} # }\n }", "{}"), r#"{"a":"}","b":"}"}"#);
}

#[test]
fn a_text_that_comes_out_is_never_read_as_a_template_again() {
    assert_eq!(result("${.a} ${\"${.b}\"}", r#"{"a":"${.b}","b":1}"#), r#""${.b} ${.b}""#);
}

#[test]
fn keys_of_mappings_are_literal() {
    let mut d = Diagnostics::default();
    assert!(Tree::read(&map(&[("${.k}", "1")]), &names(), &mut d).is_none());
    assert_eq!(d.iter().next().unwrap().message, "A key cannot be a template");
    assert_eq!(tree(&map(&[("$${.k}", "1")]), "{}"), r#"{"${.k}":"1"}"#);
}

// How many, and what is absent

#[test]
fn more_than_one_output_is_an_error() {
    assert!(result("${1, 2}", "{}").contains("it has more than one output; put it into `[…]` or `first(…)`"));
    assert!(result("a ${.[]}", "[1,2]").contains("it has more than one output"));
}

#[test]
fn no_output_or_a_plain_path_to_what_is_not_there_is_absent() {
    for text in [
        "${empty}",
        "${.a}",
        "${.a.b}",
        "${$x.z}",
        "${$x.z.z}",
        "${.items[0]}",
        "${.[\"a b\"]}",
        "${.a?}",
        "${$result}",
    ] {
        assert_eq!(result(text, r#"{"items":[]}"#), "absent", "{text}");
    }
}

#[test]
fn absent_is_not_null() {
    assert_eq!(result("${.a}", r#"{"a":null}"#), "null");
    assert_eq!(tree(&map(&[("a", "${.a}"), ("b", "${.b}")]), r#"{"a":null}"#), r#"{"a":null}"#);
}

#[test]
fn in_more_than_a_plain_path_what_is_not_there_is_null() {
    assert_eq!(result("${.a | .}", "{}"), "null");
    assert_eq!(result("${[.a]}", "{}"), "[null]");
}

#[test]
fn in_a_structure_absent_drops_its_key_or_element() {
    let body = map(&[("x", "${.x}"), ("y", "${if .x then .y else empty end}"), ("z", "z")]);
    assert_eq!(tree(&body, r#"{"y":1}"#), r#"{"z":"z"}"#);
    let list = Node { kind: NodeKind::Seq(vec![node("${.x}"), node("${.y}"), body]), span: Span::default() };
    assert_eq!(tree(&list, r#"{"y":1}"#), r#"[1,{"z":"z"}]"#);
    assert_eq!(tree(&node("${.x}"), "{}"), "absent");
}

#[test]
fn in_an_object_inside_a_template_empty_has_no_output_at_all() {
    assert_eq!(result("${ {a: empty, b: 1} }", "{}"), "absent");
}

#[test]
fn the_alternative_operator_replaces_false_too() {
    assert_eq!(result("${.a // 1}", r#"{"a":false}"#), "1");
}

// Types

#[test]
fn nothing_but_one_template_keeps_the_type() {
    for value in ["null", "true", "1.50", "\"a\"", "[1]", r#"{"a":1}"#] {
        assert_eq!(result("${.}", value), value);
        assert_eq!(result("${. | .}", value), value);
    }
    assert_eq!(result("${.} ", "1"), r#""1 ""#);
}

#[test]
fn in_a_longer_text_scalars_are_put_in() {
    assert_eq!(result("<${.s} ${.n} ${.b}>", r#"{"s":"a\"b","n":1.50,"b":false}"#), r#""<a\"b 1.50 false>""#);
}

#[test]
fn null_absent_arrays_and_objects_in_a_text_are_an_error() {
    for (input, what) in [
        ("{}", "nothing cannot stand in a text; give a default"),
        (r#"{"x":null}"#, "null cannot stand in a text; give a default"),
        (r#"{"x":[]}"#, "an array cannot stand in a text; use `tojson`"),
        (r#"{"x":{}}"#, "an object cannot stand in a text; use `tojson`"),
    ] {
        assert!(result("a ${.x}", input).contains(what), "{input}");
        assert!(result("${.x}${.x | .}", input).contains(what.split(' ').next().unwrap()), "{input}");
    }
    assert_eq!(result("a ${.x // \"\"}", "{}"), r#""a ""#);
}

#[test]
fn numbers_keep_their_digits_as_long_as_arithmetic_does_not_touch_them() {
    let digits = "12345678901234567890.1234567890";
    for text in [
        "${.}",
        "${. | .}",
        "${[.][0]}",
        "${{a: .}.a}",
        "${tojson | fromjson}",
        "${[.] | sort | first}",
        "${. as $n | $n}",
    ] {
        assert_eq!(result(text, digits), digits, "{text}");
    }
    assert_eq!(result("<${.}>", digits), format!("\"<{digits}>\""));
    assert_eq!(result("${. + 0}", digits), "1.2345678901234567e19");
}

#[test]
fn integer_arithmetic_is_exact() {
    assert_eq!(
        jq(". + 1, . - 1, . * -1, . / 1", "9007199254740993"),
        "[9007199254740994,9007199254740992,-9007199254740993,9007199254740993]"
    );
    assert_eq!(jq("0.1 + 0.2, 7 / 2, 1e3 * 2", "null"), "[0.30000000000000004,3.5,2000]");
}

#[test]
fn nan_and_the_infinities_are_refused_where_they_become_json() {
    let why = "it gives NaN or an infinity, which JSON cannot say; choose what stands for it: `if isnan or isinfinite then null else . end`";
    for expression in [
        "nan",
        "infinite",
        "-infinite",
        "1e308 * 10",
        "{a: [nan]}",
        "\"1e309\" | tonumber | . * 2",
        "0 | log",
    ] {
        assert_eq!(jq(expression, "null"), why, "{expression}");
    }
    for text in ["[nan] | tojson", "nan | tostring", "\"\\(infinite)\"", "[1, nan] | join(\",\")"] {
        assert_eq!(jq(text, "null"), why, "{text}");
    }
    for format in ["@text", "@json", "@csv", "@tsv", "@html", "@uri", "@sh", "@base64"] {
        assert_eq!(jq(&format!("[1, infinite] | {format}"), "null"), why, "{format}");
    }
    assert!(result("a ${nan}", "1").contains(why));
    // On the way they do no harm.
    assert_eq!(
        jq("[nan, 1, infinite] | map(if isnan or isinfinite then null else . end), length, max < 1", "null"),
        "[[null,1,null],3,false]"
    );
    assert_eq!(jq("([nan] | tojson)? // \"none\"", "null"), r#"["none"]"#);
}

#[test]
fn objects_keep_the_order_of_their_keys() {
    assert_eq!(result("${.z = 0 | .c = 3 | del(.b)}", r#"{"z":1,"b":2,"a":3}"#), r#"{"z":0,"a":3,"c":3}"#);
    assert_eq!(tree(&map(&[("z", "1"), ("a", "${.}")]), "2"), r#"{"z":"1","a":2}"#);
}

// Limits

#[test]
fn the_limits_are_those_of_the_page() {
    let with_commas = |number: u64| {
        let digits = number.to_string();
        let first = digits.len() % 3;
        let mut text = digits[..first].to_owned();
        for group in digits.as_bytes()[first..].chunks(3) {
            let comma = if text.is_empty() { "" } else { "," };
            let _ = write!(text, "{comma}{}", String::from_utf8_lossy(group));
        }
        text
    };
    for (what, limit) in [
        ("steps of an evaluation", budget::MAX_WORK),
        ("bytes created on the way", budget::MAX_CREATED_BYTES),
        ("bytes of the result, as JSON", budget::MAX_OUTPUT_BYTES),
        ("levels of a value that is built or taken apart", budget::MAX_VALUE_DEPTH as u64),
        ("generators nested in each other while running", budget::MAX_STACK as u64),
        ("bytes of an expression", budget::MAX_EXPRESSION_BYTES as u64),
        ("brackets nested in an expression", budget::MAX_NESTING as u64),
        ("operators and keywords in an expression", budget::MAX_OPERATORS as u64),
        ("bytes of a compiled regular expression", budget::MAX_REGEX_BYTES as u64),
    ] {
        assert!(PAGE.contains(&format!("| {what} | {} |", with_commas(limit))), "{what}");
    }
}

#[test]
fn limits_are_not_caught() {
    for text in [
        "try last(range(1e12)) catch 1",
        "last(range(1e12))?",
        "last(range(1e12)) // 1",
        "isvalid(last(range(1e12)))",
    ] {
        assert!(super::within(text, "null", 1000).contains("it takes more than 1000 steps"), "{text}");
    }
}

#[test]
fn a_plain_path_is_followed_without_an_evaluation() {
    let large = Value::from("x".repeat(20_000_000));
    let deep = (0..100).fold(Value::Null, |inner, _| vec![inner].into());
    for value in [large, deep] {
        let template = Template::read(&node("${.v}"), &names(), &mut Diagnostics::default()).unwrap();
        let rendered = template.render_within(&Scope::new(Value::from([("v", value.clone())])), 0);
        assert!(rendered.unwrap().unwrap() == value);
        let template = Template::read(&node("${.v | .}"), &names(), &mut Diagnostics::default()).unwrap();
        assert!(template.render(&Scope::new(Value::from([("v", value)]))).is_err());
    }
}

// Errors

#[test]
fn an_error_is_invalid_if_nothing_but_the_input_is_read() {
    assert!(result("${.a + 1}", r#"{"a":"b"}"#).starts_with("invalid: evaluate `${.a + 1}`: "));
    assert!(
        result("${.a.b}", r#"{"a":"b"}"#)
            .starts_with("invalid: evaluate `${.a.b}`: a string has no member `b`")
    );
    assert!(result("${$x + 1}", "{}").starts_with("internal: "));
    assert!(result("${env.UNSET}", "{}").starts_with("internal: "));
}

#[test]
fn error_gives_its_text_to_the_caller() {
    assert_eq!(result("${error(\"too \\(.)\")}", "5"), "invalid: evaluate `${error(\"too \\(.)\")}`: too 5");
}

#[test]
fn other_errors_name_types_never_values() {
    let secret = "hunter2";
    let input = Map::from_iter([("s".into(), secret.into()), ("n".into(), 5_i64.into())]);
    let input = Value::from(input).to_json();
    for text in [
        "${.s + .n}",
        "${.s - 1}",
        "${.s | .[0]}",
        "${.s.x}",
        "${.s[]}",
        "${.s | tonumber}",
        "${.s | fromjson}",
        "${.s | fromdate}",
        "${.s | @base64d}",
        "${.n | .[.s]}",
        "${{(.n): 1}}",
        "${.s | has(.s)}",
        "${.s | implode}",
        "${.s | strptime(.s)}",
        "${.n | test(.s)}",
        "${.s | test(\"(\" + .)}",
        "${.s | error({a: .})}",
        "${.s |= .x}",
        "${.s.x = 1}",
        "${[.s] | join([])}",
        "${.s | flatten}",
        "${.s | keys}",
        "${.s | -.}",
        "${.s | ascii}",
        "${[.s] | @csv | .x}",
        "${.n | ltrimstr(.s) | .x}",
    ] {
        let found = result(text, &input);
        assert!(found.starts_with("invalid: ") && !found.contains(secret), "{text}: {found}");
    }
}
