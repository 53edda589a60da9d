//! What is said of templates that are wrong, and where exactly.

use super::{json, node};
use crate::{
    Diagnostics,
    template::{Names, Template, Tree},
};

const INPUT: &str = r#"{
  "type": "object",
  "properties": {
    "id": {"type": "integer"},
    "first-name": {"type": "string"},
    "address": {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": false},
    "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {}}, "additionalProperties": false}},
    "extra": {"type": "object"}
  },
  "additionalProperties": false
}"#;

/// `message @ what is underlined; hint`, for each problem.
fn problems(text: &str, environment: bool) -> String {
    let input = json(INPUT);
    let vars = ["profile", "profile_meta", "caller", "key", "now", "run"].map(Into::into).to_vec();
    let names = Names { input: Some(&input), vars, environment, ..Names::default() };
    let mut d = Diagnostics::default();
    let found = Template::read(&node(text), &names, &mut d);
    assert_eq!(found.is_none(), d.has_errors(), "{text}");
    let line = |d: &crate::Diagnostic| {
        let at = &text[d.span.start as usize..d.span.end as usize];
        format!("{} @ {at}; {}", d.message, d.hint.as_deref().unwrap_or_default())
    };
    d.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn says_what_is_wrong_and_where() {
    let quoting = "close it with `}`; in YAML put the whole text into '…' or after `>-`, because a plain text ends at `: ` and ` #`";
    let table = [
        ("${.id", format!("This template is not closed @ ${{.id; {quoting}")),
        ("a ${\"}", format!("This template has a string without its closing `\"` @ ${{\"}}; {quoting}")),
        ("${.id)}", "`)` closes nothing here @ ); a `}` is due first".into()),
        ("${'a'}", "`'` is not part of a jq expression @ '; strings stand in `\"…\"`".into()),
        ("${.id && 1}", "`&` is not part of a jq expression @ &; write `and`".into()),
        ("${}", "This template is empty @ ; put a jq expression between the braces: `${.name}`; a literal `${` is written `$${`".into()),
        ("${.id +}", "Expected a value, found the end @ +; a value is missing at the end".into()),
        ("${if .id then 1}", "Expected else or end, found the end @ 1; write `if … then … else … end`".into()),
        ("${\"\\q\"}", "This is not an escape that strings know @ q; known are `\\n \\t \\r \\b \\f \\\" \\\\ \\/ \\u00e9` and `\\(…)`".into()),
        ("${$}", "A name is missing here @ ; write `$name` or `@base64`".into()),
        // Names.
        ("${$profil.x}", "`$profil` is not known here @ $profil; did you mean `$profile`?".into()),
        ("${$nothing}", "`$nothing` is not known here @ $nothing; in reach are `$profile`, `$profile_meta`, `$caller`, `$key`, `$now`, `$run`".into()),
        ("${1 as $n | $x}", "`$x` is not known here @ $x; did you mean `$n`?".into()),
        ("${lenght}", "`lenght` is not a function @ lenght; did you mean `length`?".into()),
        ("${profile.x}", "`profile` is not a function @ profile; the value is `$profile`".into()),
        ("${id}", "`id` is not a function @ id; the argument is `.id`".into()),
        ("${map}", "`map` does not take 0 arguments @ map; write `map(…)`".into()),
        ("${@bas64}", "`@bas64` is not a format @ @bas64; known are `@text`, `@json`, `@csv`, `@tsv`, `@html`, `@uri`, `@urid`, `@sh`, `@base64`, `@base64d`".into()),
        ("${.id | test(\"(\")}", "This is not a regular expression: unclosed group @ test; see the language reference".into()),
        // The subtraction that nobody meant.
        ("${$profile-id}", "`$profile-id` is not a name @ $profile-id; names have no `-`: `$profile-id` is `$profile` minus `id`; rename it to `profile_id`".into()),
        ("${.first-name}", "`.first-name` is a subtraction @ first-name; `.first-name` is `.first` minus `name`; write `.[\"first-name\"]`".into()),
        // The input.
        ("${.idd}", "`.idd` is not in the input @ idd; did you mean `.id`?".into()),
        ("${.firstname}", "`.firstname` is not in the input @ firstname; did you mean `.[\"first-name\"]`?".into()),
        ("a ${.id} b ${.zzzzz}", "`.zzzzz` is not in the input @ zzzzz; there are `.id`, `.[\"first-name\"]`, `.address`, `.lines`, `.extra`; others are declared under `input:`".into()),
        ("${.address.town}", "`.town` is not in the input @ town; there are `.city`; others are declared under `input:`".into()),
        ("${.id.x}", "`.x` is a member of an integer, which has none @ x; leave it out".into()),
        ("${.lines.sku}", "`.sku` is a member of an array, which has none @ sku; name an element, `[0].sku`, or take all: `map(.sku)`".into()),
        ("${.lines[0].skuu}", "`.skuu` is not in the input @ skuu; did you mean `.sku`?".into()),
        ("${ {idd} }", "`.idd` is not in the input @ idd; did you mean `.id`?".into()),
        // The reserved names.
        ("${$caller.nam}", "`.nam` is not in `$caller` @ nam; did you mean `.name`?".into()),
        ("a ${$caller[\"roles\"][0]}", "`.roles` is not in `$caller` @ roles; there are `.name`, `.auth`, `.claims`".into()),
        ("${$caller.name.first}", "`.first` is a member of a string, which has none @ first; leave it out".into()),
        ("${($caller.clams.sub // .idd)}", "`.clams` is not in `$caller` @ clams; did you mean `.claims`?\n`.idd` is not in the input @ idd; did you mean `.id`?".into()),
        ("${$key.x}", "`.x` is a member of a string, which has none @ x; write `$key`".into()),
        ("${$now.year + $run.id}", "`.year` is a member of a string, which has none @ year; write `$now`\n`.id` is a member of a string, which has none @ id; write `$run`".into()),
        // All at once.
        ("${.idd + $profil}", "`.idd` is not in the input @ idd; did you mean `.id`?\n`$profil` is not known here @ $profil; did you mean `$profile`?".into()),
        // The environment.
        ("${env.X}", "`env` is not in reach here @ env; name it in `server` or `systems`; tools see only their input and results".into()),
    ];
    for (text, expected) in &table {
        assert_eq!(&problems(text, false), expected, "{text}");
    }
    let hint = "`env` wants the name of a variable @ env; write `env.NAME`";
    for text in ["${env}", "${env | keys}", "${env[]}", "${env[$key]}", "${env[\"A\\(1)\"]}"] {
        assert_eq!(problems(text, true), hint, "{text}");
    }
    assert_eq!(problems("${file}", true), "`file` wants a path @ file; write `file[\"/run/secrets/x\"]`");
}

/// What might be right is not refused.
#[test]
fn knows_what_it_does_not_know() {
    for text in [
        "${.id | .anything}",
        "${map(.anything)?}",
        "${$profile.anything}",
        "${. as $x | .anything}",
        "${.extra.anything}",
        "${.anything = 1}",
        "${.[$key]}",
        "${.lines[] | .anything}",
        "${.lines | .[0].anything}",
        "${.id-1}",
        "${.id - length}",
        "${$profile-length}",
        "${.[\"first-name\"]}",
        "${reduce .lines[] as $line (0; .anything)}",
        "${try .id catch .anything}",
        "${[$profile] | .[0] as $key | $key}",
        "${$caller.name} ${$caller.auth}",
        "${$caller.claims.realm_access.roles[0]}",
        "${$caller[$key]}",
        "${$caller | .anything}",
        "${$profile as $caller | $caller.anything}",
        "${reduce $profile[] as $key (0; $key.anything)}",
    ] {
        assert_eq!(problems(text, false), "", "{text}");
    }
}

#[test]
fn free_names_are_the_dependencies() {
    let names =
        Names { vars: ["profile", "orders"].map(Into::into).to_vec(), environment: true, ..Names::default() };
    let read = |text: &str| Template::read(&node(text), &names, &mut Diagnostics::default()).unwrap();
    let vars = |text: &str| read(text).vars().iter().map(|name| name.to_string()).collect::<Vec<_>>();
    assert_eq!(vars("${$profile.id} ${$orders} ${$profile}"), ["profile", "orders"]);
    // A name bound inside hides the one outside, in its body only.
    assert_eq!(vars("${1 as $profile | $profile}"), [] as [&str; 0]);
    assert_eq!(vars("${(1 as $profile | $profile) + $profile}"), ["profile"]);
    assert_eq!(vars("${reduce $orders[] as $orders (0; $orders)}"), ["orders"]);
    assert_eq!(vars("${env.A // env.B} ${file[\"/f\"]}"), ["env", "file"]);
    let template = read("${env.A // env.B} ${file[\"/f\"]} ${env.A}");
    assert_eq!(template.environment().iter().map(|name| &**name).collect::<Vec<_>>(), ["A", "B"]);
    assert_eq!(template.files().iter().map(|name| &**name).collect::<Vec<_>>(), ["/f"]);
    assert_eq!(Tree::from(template).environment().len(), 2);
}
