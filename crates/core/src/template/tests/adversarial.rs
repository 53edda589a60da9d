//! Attempts to read secrets, stop the process, run for ever or fill the memory. All are inert: they
//! are refused at start, or end soon in an error that names the template and the limit.
//!
//! They run with a tenth of the steps and half of the stack that the server gives: unoptimised code is
//! slower and needs more.

use std::fmt::Write;

use super::{jq, json, node, within};
use crate::{
    Diagnostics, Value,
    template::{Names, Scope, Template},
};

const STEPS: u64 = 100_000;
const STACK_BYTES: usize = 1024 * 1024;

fn repeat(text: &str, times: usize) -> String {
    text.repeat(times)
}

#[test]
fn attempts_are_inert() {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(attempts).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn attempts() {
    let refused_or_limited = "";
    let steps = "it takes more than 100000 steps";
    let bytes = "it creates more than 67108864 bytes";
    let large = "a value is larger than 16777216 bytes";
    let deep = "a value is nested more than 64 deep";
    let table: Vec<(&str, String, &str)> = vec![
        // Secrets.
        ("environment", "env".into(), "`env` is not in reach here"),
        ("environment by name", "env.PATH".into(), "`env` is not in reach here"),
        ("environment by any name", "env[\"PATH\"]".into(), "`env` is not in reach here"),
        ("all of the environment", "env | keys".into(), "`env` is not in reach here"),
        ("environment, jq's way", "$ENV.PATH".into(), "`$ENV` is not available in templates"),
        ("environment by path", "{} | getpath([\"env\"])".into(), "[null]"),
        ("a file", "file[\"/etc/passwd\"]".into(), "`file` is not in reach here"),
        ("a file by variable", "$file".into(), "`$file` is not known here"),
        ("environment by variable", "$env".into(), "`$env` is not known here"),
        ("another step's result", "$secret".into(), "`$secret` is not known here"),
        ("a module", "import \"a\" as a; 1".into(), "Expected"),
        ("a module without a name", "import".into(), "`import` is not available"),
        ("a library", "include \"a\"; 1".into(), refused_or_limited),
        ("a module's function", "a::b".into(), "`a::b` is not a function"),
        ("module metadata", "modulemeta".into(), "`modulemeta` is not available in templates"),
        ("the search list", "get_search_list".into(), "`get_search_list` is not available in templates"),
        ("more input", "input".into(), "`input` is not available in templates"),
        ("all input", "[inputs]".into(), "`inputs` is not available in templates"),
        ("the input's name", "input_filename".into(), "`input_filename` is not available in templates"),
        ("the source's place", "$__loc__".into(), "`$__loc__` is not available in templates"),
        ("the arguments", "$__prog_args".into(), "`$__prog_args` is not available in templates"),
        ("the log", "debug".into(), "`debug` is not available in templates"),
        ("the log with a message", "debug(\"x\")".into(), "`debug` is not available in templates"),
        ("the error stream", "stderr".into(), "`stderr` is not available in templates"),
        ("the clock", "now".into(), "`now` is not available in templates"),
        ("the time zone", "0 | localtime".into(), "`localtime` is not available in templates"),
        ("the time zone's format", "0 | strflocaltime(\"%Z\")".into(), "`strflocaltime` is not available"),
        ("a value in an error text", "\"secret\" | .[0]".into(), "a string has no elements"),
        // The process.
        ("halt", "halt".into(), "`halt` is not available in templates"),
        ("halt with an error", "\"x\" | halt_error".into(), "`halt_error` is not available in templates"),
        ("halt with a code", "\"x\" | halt_error(1)".into(), "`halt_error` is not available in templates"),
        ("halt, jaq's way", "halt(1)".into(), "`halt` is not available in templates"),
        ("a break to nowhere", "break $x".into(), "`$x` is not a label here"),
        // For ever.
        ("recursion by definition", "def f: f; f".into(), "`def` is not available in templates"),
        ("mutual recursion", "def f: g; def g: f; f".into(), "`def` is not available in templates"),
        ("recursion by filter", "recurse(.)".into(), "`recurse` is not available in templates"),
        ("recursion with a condition", "recurse(.; true)".into(), "`recurse` is not available in templates"),
        ("repetition", "repeat(1)".into(), "`repeat` is not available in templates"),
        ("until never", "until(false; .)".into(), "`until` is not available in templates"),
        ("while ever", "while(true; .)".into(), "`while` is not available in templates"),
        ("a long range", "last(range(1000000000000))".into(), steps),
        ("an endless range", "last(range(0; 1; 0))".into(), steps),
        ("a range to infinity", "last(range(infinite))".into(), steps),
        ("nested ranges", "last(range(100000) | range(100000))".into(), steps),
        ("a caught limit", "try last(range(1000000000000)) catch 1".into(), steps),
        ("a limit with an alternative", "last(range(1000000000000)) // 1".into(), steps),
        ("an optional limit", "last(range(1000000000000))?".into(), steps),
        ("all combinations", "last([range(100)] | combinations(100))".into(), refused_or_limited),
        ("an all that never ends", "all(range(1000000000000); true)".into(), steps),
        ("a limit that is never reached", "limit(2; range(1000000000000) | select(. < 0))".into(), steps),
        ("foreach for ever", "last(foreach range(1000000000000) as $i (0; $i))".into(), steps),
        ("label for ever", "last(label $f | range(1000000000000))".into(), steps),
        ("a power of ranges", format!("last(range(99){})", repeat(" | range(99)", 20)), steps),
        ("commas to the power", format!("last({})", vec!["(1, 2)"; 40].join(" + ")), steps),
        ("alternatives to the power", format!("last({})", vec!["(.,.)"; 40].join(" | ")), steps),
        ("objects to the power", format!("last({{{}}})", (0..40).fold(String::new(), |mut text, i| {
            let _ = write!(text, "k{i}: (1, 2), ");
            text
        })), refused_or_limited),
        ("texts to the power", format!("last(\"{}\")", repeat("\\(1, 2)", 31)), steps),
        // Memory.
        ("a long text", "\"x\" * 1000000000".into(), bytes),
        ("a longer text", "\"x\" * 1e300 | length".into(), bytes),
        ("texts doubled", "reduce range(64) as $i (\"x\"; . + .)".into(), steps),
        ("texts multiplied", "reduce range(64) as $i (\"x\"; . * 10)".into(), bytes),
        ("arrays doubled", "reduce range(64) as $i ([1]; . + .)".into(), steps),
        ("arrays nested and doubled", "reduce range(60) as $i (1; [., .])".into(), steps),
        ("objects nested and doubled", "reduce range(60) as $i (1; {a: ., b: .})".into(), steps),
        ("nested and doubled, then compared", "reduce range(20) as $i (1; [., .]) | [., .] | .[0] == .[1]".into(), steps),
        ("nested and doubled, then written", "reduce range(18) as $i (\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"; [., .]) | tojson | length".into(), large),
        ("nested and doubled, as a result", "reduce range(18) as $i (\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"; [., .])".into(), steps),
        ("nested and doubled, then flattened", "reduce range(40) as $i (1; [., .]) | flatten | length".into(), steps),
        ("nested and doubled, then walked", "reduce range(40) as $i (1; [., .]) | walk(.) | length".into(), steps),
        ("a deep array", "reduce range(100000) as $i (null; [.])".into(), deep),
        ("a deep object", "reduce range(100000) as $i (null; {a: .})".into(), deep),
        ("a deep update", "reduce range(100000) as $i ([]; .[0] |= [.])".into(), refused_or_limited),
        ("a deep path", "setpath([range(1000) | \"a\"]; 1)".into(), deep),
        ("a deep assignment", "null | getpath([range(1000) | 0]) = 1".into(), deep),
        ("a deep walk", "reduce range(60) as $i (1; [.]) | walk([.])".into(), deep),
        ("deep JSON", "\"[\" * 100000 | fromjson".into(), "the text is not JSON"),
        ("JSON of some depth", "(\"[\" * 70) + (\"]\" * 70) | fromjson".into(), deep),
        ("a far element", ".[1000000000000] = 1".into(), bytes),
        ("the farthest element", ".[9223372036854775807] = 1".into(), bytes),
        ("many far elements", "reduce range(1000) as $i (null; .[1000000 + $i] = 1 | .[0:0] = [1] )".into(), steps),
        ("a wide transpose", "[[range(10000)]] | transpose | length".into(), "[10000]"),
        ("a square transpose", "[[range(20000)], (range(1000) | [.])] | transpose | length".into(), bytes),
        ("a huge substitution", "\"x\" * 1000000 | gsub(\"x\"; \"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\")".into(), refused_or_limited),
        ("a substitution of nothing", "\"x\" * 1000000 | gsub(\"\"; \"y\")".into(), steps),
        ("a quadratic search", "\"A\" * 1000000 | [match(\".*[^A-Z]|[A-Z]\"; \"g\")] | length".into(), steps),
        ("a heavy expression", "\"a\" * 1000 | test(\"(a{0,500}){0,500}b\")".into(), "is not a regular expression"),
        ("a heavy computed expression", "(\"(a{0,500}){0,500}\") as $p | \"a\" | test($p + \"b\")".into(), "it is too large"),
        ("many computed expressions", "last(range(100000) | . as $i | \"a\" | test(\"[a-z]{10}\\($i)\"))".into(), steps),
        ("a look-behind", "test(\"(?<=a)b\")".into(), "This is not a regular expression"),
        ("a long split", "\"x\" * 10000000 | split(\"\") | length".into(), steps),
        ("a long explode", "\"x\" * 10000000 | explode | length".into(), bytes),
        ("a long join", "[range(8000) | \"xxxxxxxxxx\"] | join(\"x\" * 10000) | length".into(), steps),
        ("a long date", "0 | strftime(\"%255Y\" * 1000000) | length".into(), bytes),
        ("a padded date", "0 | strftime(\"%99999999999Y\")".into(), "`strftime` does not know this format"),
        ("many combinations kept", "[combinations(8)] | length".into(), refused_or_limited),
        ("a long combination", "[1] | combinations(1000000000000)".into(), bytes),
        ("all paths of all paths", "[range(1000)] | [paths] | [paths] | [paths] | [paths] | [paths] | length".into(), refused_or_limited),
        ("an index over everything", "[range(30000)] | indices([range(15000)]) | length".into(), refused_or_limited),
        ("everything without everything", "[range(10000)] as $a | [range(10000; 20000)] as $b | $a - $b | length".into(), steps),
        ("everything contains everything", "[range(10000)] as $a | [range(10000; 20000)] as $b | $b | contains($a)".into(), refused_or_limited),
        ("deleting everything", "[range(100000)] | del(.[range(0; 100000; 2)]) | length".into(), refused_or_limited),
        // Deep expressions.
        ("brackets", format!("{}1{}", repeat("[", 10_000), repeat("]", 10_000)), "nests brackets more than 32 deep"),
        ("parentheses", format!("{}1{}", repeat("(", 100), repeat(")", 100)), "nests brackets more than 32 deep"),
        ("objects", format!("{}1{}", repeat("{a:", 100), repeat("}", 100)), "nests brackets more than 32 deep"),
        ("texts in texts", format!("{}1{}", repeat("\"\\(", 100), repeat(")\"", 100)), "nests brackets more than 32 deep"),
        ("minuses", format!("{}1", repeat("-", 5_000)), "operators, more than 160"),
        ("spaced minuses", format!("{}1", repeat("- ", 500)), "operators, more than 160"),
        ("pipes", format!(".{}", repeat("|.", 5_000)), "operators, more than 160"),
        ("tries", format!("{}1", repeat("try ", 3_000)), "operators, more than 160"),
        ("labels", format!("{}1", repeat("label $x | ", 1_000)), "operators, more than 160"),
        ("reduces", format!("{}1", repeat("reduce ", 1_000)), "operators, more than 160"),
        ("conditions", format!("{}1", repeat("if ", 1_000)), "operators, more than 160"),
        ("bindings", format!("{}1", repeat("1 as $x | ", 1_000)), "operators, more than 160"),
        ("sums", format!("1{}", repeat("+1", 5_000)), "operators, more than 160"),
        ("a long expression", format!("\"{}\"", repeat("x", 20_000)), "bytes, more than 16384"),
        ("a deep pattern", format!(". as {}$x{} | 1", repeat("[", 100), repeat("]", 100)), "nests brackets more than 32 deep"),
        // As much as is allowed, on the stack of a worker.
        ("all the generators", format!("[{}] | length", vec!["(.,.)"; 13].join("|")), "[8192]"),
        (
            "recursion in much recursion",
            format!("[limit(1; {})] | length", vec![".."; 150].join("|")),
            "it nests generators more than 200 deep",
        ),
        (
            "updates and recursion",
            format!("[{}] | length", vec!["(.[]? |= (.,.) | ..)"; 50].join("|")),
            refused_or_limited,
        ),
        (
            "walks and generators",
            format!("[{}] | length", vec!["walk(.,.)"; 70].join("|")),
            refused_or_limited,
        ),
        ("recursion in recursion", format!("[limit(1; {})] | length", vec![".."; 70].join("|")), refused_or_limited),
        ("recursion in deep values", format!("reduce range(60) as $i (1; [.]) | [{}] | length", vec!["..?"; 60].join("|")), refused_or_limited),
        ("walks in walks", format!("reduce range(30) as $i (1; [.]) | {}.{}", repeat("walk(", 25), repeat(")", 25)), refused_or_limited),
        ("updates in updates", format!("{}.{} | 1", repeat("(.. |= ", 28), repeat(")", 28)), refused_or_limited),
        ("conditions in conditions", format!("{}1{}", repeat("if (1,2) then ", 75), repeat(" end", 75)), refused_or_limited),
    ];
    let mut failures = String::new();
    for (name, expression, expected) in &table {
        let found = within(expression, "[1,2,3,4,5,6,7,8]", STEPS);
        if !found.contains(expected) {
            let _ = writeln!(
                failures,
                "{name}: {}\n  expected {expected}",
                found.chars().take(200).collect::<String>()
            );
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(table.len() >= 40);
}

/// Limits are errors of the template, with its source, and say who can mend it.
#[test]
fn a_limit_names_the_template() {
    let names = Names { vars: vec!["x".into()], ..Names::default() };
    let error = |text: &str| {
        let template = Template::read(&node(text), &names, &mut Diagnostics::default()).unwrap();
        template.render_within(&Scope::new(json("5")), 1000).unwrap_err()
    };
    let of_input = error("${last(range(. * 1e12))}");
    assert_eq!(
        of_input.public(),
        "evaluate `${last(range(. * 1e12))}`: it takes more than 1000 steps; let the system do the work, or take less data"
    );
    assert_eq!(of_input.kind(), crate::Kind::Invalid);
    assert_eq!(error("${$x | last(range(1e12))}").kind(), crate::Kind::Internal);
}

/// What comes in may be nested deeper than what an expression takes apart.
#[test]
fn deep_input_is_refused_where_it_is_taken_apart() {
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    assert_eq!(jq("length", &deep), "[1]");
    for expression in [".", "tojson", "..", "walk(.)", "flatten", "[paths]", "{a: .}", "tostring", "@json"] {
        assert!(
            jq(expression, &deep).contains("nested more than 64 deep"),
            "{expression}: {}",
            jq(expression, &deep)
        );
    }
}

/// A value that was rendered into a text is never read as a template.
#[test]
fn values_are_not_templates() {
    let template = Template::read(&node("a ${.x}"), &Names::default(), &mut Diagnostics::default()).unwrap();
    let scope = Scope::new(Value::from([("x", "${env.SECRET} $${y} ${1 + 1}")]));
    assert_eq!(template.render(&scope).unwrap(), Some("a ${env.SECRET} $${y} ${1 + 1}".into()));
}

/// What costs more the larger its operand is, is counted by its size: a few rounds of one step each would
/// else take as long as many.
#[test]
fn what_grows_with_its_operand_is_counted() {
    const ROUNDS: usize = 50;
    let names = Names { vars: ["text", "list", "map"].map(Into::into).to_vec(), ..Names::default() };
    let mut scope = Scope::new(Value::Null);
    scope.set("text", "x".repeat(1_000_000));
    scope.set(
        "list",
        (0..20_000_i64).map(|n| Value::from(format!("k{}", n * 7_919 % 20_000))).collect::<Vec<_>>(),
    );
    let members = (0..20_000_i64).map(|n| (format!("k{}", n * 7_919 % 20_000).into(), n.into()));
    scope.set("map", members.collect::<crate::Map>());
    for expression in [
        "$list | any",
        "$map | all(true)",
        "$list | first(combinations?)",
        "$list | join(\"\")",
        "$list | map(empty)",
        "$list | sort",
        "$list | unique",
        "$list | min",
        "$list | index(\"none\")",
        "$list - [\"none\"]",
        "$list == ($list | reverse | reverse)",
        "$list | tojson",
        "$list | flatten",
        "$map | keys",
        "$map == ($map | with_entries(.))",
        "$map[$text]",
        "$map | has($text)",
        "$map | contains({($text): 1})",
        "$text | startswith($text)",
        "$text | endswith($text)",
        "$text | ltrimstr($text)",
        "$text[1:2]",
        "$text | length",
        "$text | ascii_downcase",
        "$text | indices(\"y\")",
        "$text | contains(\"y\")",
        "$text | test(\"y\")",
        "$text | @html",
        "\"x\" | test($text)",
    ] {
        let text = format!("${{[range({ROUNDS}) | ({expression} | 1)] | length}}");
        let mut d = Diagnostics::default();
        let template = Template::read(&node(&text), &names, &mut d).unwrap_or_else(|| panic!("{d:?}"));
        let found = template.render_within(&scope, 30_000);
        let refused = found.as_ref().is_err_and(|error| {
            let why = error.public();
            why.contains("it takes more than 30000 steps") || why.contains("it creates more than")
        });
        assert!(refused, "{expression}: {found:?}");
    }
}

/// Each evaluation is short, but a config may ask for many.
#[test]
fn the_time_of_a_call_ends_evaluations() {
    let template =
        Template::read(&node("${.a + 1}"), &Names::default(), &mut Diagnostics::default()).unwrap();
    let mut scope = Scope::new(json(r#"{"a": 1}"#));
    scope.until = Some(tokio::time::Instant::now() + std::time::Duration::from_secs(60));
    assert_eq!(template.render(&scope).unwrap(), Some(2_i64.into()));
    scope.until = Some(tokio::time::Instant::now());
    let error = template.render(&scope).unwrap_err();
    assert_eq!(error.kind(), crate::Kind::Timeout);
    assert_eq!(error.public(), "evaluate `${.a + 1}`: the time of the call is over");
}
