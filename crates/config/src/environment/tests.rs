use renkei_core::{Diagnostics, Severity};

use super::*;

fn variables(name: &str) -> Option<String> {
    let value = match name {
        "HOST" => "crm.example.com",
        "PASSWORD" => "pa${ss}$${word",
        "PORT" => "8080",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

/// The rendered tree as JSON, `"?"` for what is unknown, and what was said.
fn render(text: &str, part: Part, optional: bool) -> (String, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "s3cret\r\n").unwrap();
    std::fs::write(folder.path().join("long"), "x".repeat(MAX_VALUE_FILE_BYTES + 1)).unwrap();
    std::fs::write(folder.path().join("binary"), b"\xff").unwrap();
    let mut d = Diagnostics::default();
    let node = crate::yaml::read(0, text, &mut d).unwrap();
    let mut environment = Environment::new(&variables, folder.path(), optional);
    let node = match part {
        Part::System => environment.render_system(&node, &mut d),
        part => environment.render(&node, part, &mut d),
    };
    assert!(d.iter().all(|x| x.severity == Severity::Error));
    (show(&node).to_json(), d.iter().map(|x| x.message.clone()).collect())
}

fn show(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Unknown => "?".into(),
        NodeKind::Seq(items) => items.iter().map(show).collect::<Vec<_>>().into(),
        NodeKind::Map(entries) => {
            entries.iter().map(|entry| (entry.key.clone(), show(&entry.value))).collect::<Map>().into()
        }
        _ => node.to_value(),
    }
}

fn server(text: &str) -> (String, Vec<String>) {
    render(text, Part::Server, false)
}

fn good(text: &str) -> String {
    let (json, problems) = server(text);
    assert_eq!(problems, Vec::<String>::new());
    json
}

#[test]
fn values_are_put_in() {
    assert_eq!(good("'https://${env.HOST}/api'"), r#""https://crm.example.com/api""#);
    assert_eq!(
        good("[ '${env.HOST}', '${env[\"HOST\"]}', '$${x}', '${1 + 1}' ]"),
        r#"["crm.example.com","crm.example.com","${x}",2]"#
    );
    assert_eq!(good("'${file[\"token\"]}'"), r#""s3cret""#);
    assert_eq!(good("'${env.NONE // \"fallback\"}'"), r#""fallback""#);
    // Quotation marks of jq stand in the single quotes of YAML as they are; YAML's own is doubled.
    assert_eq!(good("{ a: '${env.NONE // \"it''s # b: }\"}' }"), r#"{"a":"it's # b: }"}"#);
    assert_eq!(good("'${env.NONE // \"a\\\"X\"}'"), r#""a\"X""#);
    assert_eq!(good("'${file[\"none\"] // env.NONE // env.HOST}'"), r#""crm.example.com""#);
    assert_eq!(good("'${env.PORT | tonumber}'"), "8080");
    assert_eq!(good("'${env.EMPTY}'"), r#""""#);
}

#[test]
fn a_value_is_never_a_template() {
    let text = "{ a: '${env.PASSWORD}', b: 'x ${env.PASSWORD}' }";
    assert_eq!(good(text), r#"{"a":"pa${ss}$${word","b":"x pa${ss}$${word"}"#);

    // A system's header is read as a template later: beside a per-call part the value is escaped.
    let text = "http: { headers: { A: 'x ${env.PASSWORD} ${$caller.name} $${lit}', B: '${env.PASSWORD}' } }";
    let mut d = Diagnostics::default();
    let node = crate::yaml::read(0, text, &mut d).unwrap();
    let mut environment = Environment::new(&variables, Path::new("."), false);
    let node = environment.render_system(&node, &mut d);
    let headers = node.get("http").and_then(|http| http.get("headers")).unwrap();
    let names = Names { vars: vec!["caller".into()], ..Names::default() };
    let mut scope = Scope::default();
    scope.set("caller", Value::from([("name", "ann")]));
    let mut text = |key: &str| {
        let template = Template::read(headers.get(key).unwrap(), &names, &mut d).unwrap();
        template.render(&scope).unwrap()
    };
    assert_eq!(text("A"), Some("x pa${ss}$${word ann ${lit}".into()));
    assert_eq!(text("B"), Some("pa${ss}$${word".into()));
    assert!(d.is_empty(), "{d:?}");
}

#[test]
fn what_is_missing_is_named() {
    let cases = [
        ("'${env.NONE}'", "the environment variable `NONE` is not set"),
        ("'Bearer ${env.NONE}'", "the environment variable `NONE` is not set"),
        // In jq, null added to a text is the text: that must not go out.
        ("'${\"Bearer \" + env.NONE}'", "the environment variable `NONE` is not set"),
        ("'${[env.NONE] | tojson}'", "the environment variable `NONE` is not set"),
        ("'${env.NONE // env.NEITHER}'", "the environment variable `NEITHER` is not set"),
        ("'${file[\"none\"]}'", "the file `none` does not exist"),
        ("'${file[\".\"]}'", "the file `.` is not a regular file"),
        ("'${file[\"long\"]}'", "the file `long` has more than 65536 bytes"),
        ("'${file[\"binary\"]}'", "the file `binary` is not UTF-8"),
    ];
    for (text, expected) in cases {
        let (json, problems) = server(text);
        assert_eq!(json, r#""?""#, "{text}");
        assert!(problems.contains(&expected.to_owned()), "{text}: {problems:?}");
    }
}

#[test]
fn an_error_does_not_repeat_a_secret() {
    let (_, problems) = server("'${env.PASSWORD | tonumber}'");
    assert_eq!(problems.len(), 1);
    assert!(!problems[0].contains("pa${ss}"), "{problems:?}");
}

#[test]
fn without_the_environment_values_are_unknown() {
    let text =
        "{ a: '${env.NONE}', b: 'x${file[\"none\"]}', c: '${env.NONE // 1}', d: '${env.HOST}', e: [1] }";
    let (json, problems) = render(text, Part::Server, true);
    assert_eq!(json, r#"{"a":"?","b":"?","c":1,"d":"crm.example.com","e":[1]}"#);
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn per_call_names_stay_in_headers_and_auth() {
    let text = "http: { base_url: x, auth: { bearer: '${$caller.claims.token}' }, headers: { K: '${$key}', R: ['${$run}'] } }";
    let (json, problems) = render(text, Part::System, false);
    assert_eq!(problems, Vec::<String>::new());
    assert!(json.contains("${$caller.claims.token}") && json.contains("${$key}"), "{json}");
    for (text, expected) in [
        ("http: { base_url: '${$run}' }", "`$run` is known per call, and this is read once, at start"),
        (
            "http: { headers: { A: '${env.HOST + $run}' } }",
            "one template uses both the environment and `$run`",
        ),
    ] {
        let (json, problems) = render(text, Part::System, false);
        assert_eq!(problems, [expected]);
        assert!(json.contains('?'), "{json}");
    }
    assert_eq!(
        server("'${$caller.name}'").1,
        ["`$caller` is known per call, and this is read once, at start"]
    );
}
