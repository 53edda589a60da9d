//! `renkei test` as its users see it: what passes, what fails and how that reads, and what is no test at all.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::process::{Command, Output};

const CONFIG: &str = r#"
systems:
  crm:
    http: { base_url: '${env.CRM_URL}', auth: { bearer: '${env.CRM_TOKEN}' }, headers: { X-Own: 's3cret' } }
    timeout: { attempt: 2s, total: 1h }
    retry: { attempts: 5, backoff: { first: 10s, max: 10m } }
  orders: { sqlite: { path: orders.db } }
tools:
  get_customer:
    description: One customer, by id.
    timeout: 30m
    input: { id: integer }
    call: { crm: 'GET /customers/${.id}' }
    output: { name: '${$result.name}', by: '${$caller.name + ":" + ($caller.claims.role // "none")}', at: '${$now}' }
  create_order:
    description: Creates an order.
    timeout: 30m
    input: { sku: string }
    call: { crm: { post: /orders, body: { sku: '${.sku}', key: '${$run}' } } }
  list_orders:
    description: The orders.
    call: { orders: { sql: 'select id, total from orders order by id', max_rows: 2 } }
  fix_order:
    description: Corrects an order.
    input: { id: integer }
    call: { orders: { sql: 'update orders set total = 0 where id = ${.id}', one: true } }
  chart:
    description: A picture.
    call: { crm: GET /chart }
    content: [{ text: '${"of " + $result_meta.headers["x-for"]}' }, { image: { data: '${$result.base64}', mime_type: image/png } }]
"#;

fn run(tests: &str, words: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.yaml"), CONFIG).unwrap();
    std::fs::write(folder.path().join("shop.test.yaml"), format!("tests:\n{tests}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_renkei"));
    let output = command.arg("test").args(words).current_dir(folder.path()).env_remove("RENKEI_LOG").output();
    let output = output.unwrap();
    if let Ok(report) = std::fs::read_to_string(folder.path().join("report.xml")) {
        assert!(words.contains(&"--junit"));
        return Output { stdout: report.into_bytes(), ..output };
    }
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn passes(tests: &str) {
    let output = run(tests, &[]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// What is said of tests that fail.
fn fails(tests: &str) -> String {
    let output = run(tests, &[]);
    assert_eq!(output.status.code(), Some(1), "{}{}", text(&output.stdout), text(&output.stderr));
    let said = text(&output.stdout);
    said.rsplit_once(';').expect("it ends with a counting line").0.to_owned()
}

#[test]
fn layers_run_as_in_production_and_no_wait_takes_time() {
    // Ten minutes of `Retry-After`, answers that time out, and backoff of the config.
    passes(
        r"
  it is patient:
    tool: get_customer
    arguments: { id: 7 }
    caller: { name: ada, claims: { role: clerk } }
    now: 2026-05-04T03:02:01Z
    mocks:
      crm:
        - { request: GET /customers/7, status: 429, headers: { Retry-After: '600' } }
        - { body: { name: late }, delay: 10s, times: 2 }
        - { status: 503, times: 1 }
        - { body: { name: Ada } }
    expect:
      result: { name: Ada, by: 'ada:clerk', at: 2026-05-04T03:02:01Z }
      requests: { crm: [{}, {}, {}, {}, GET /customers/7] }
  a write is not repeated once it may have happened:
    tool: create_order
    arguments: { sku: a }
    mocks: { crm: [{ body: {}, delay: 1m }] }
    expect:
      error: { kind: timeout, applied: unknown }
      requests: { crm: [{ post: /orders, body: { sku: a, key: test } }] }
  a write that never left is:
    tool: create_order
    arguments: { sku: a }
    mocks: { crm: [{ error: { kind: unavailable, sent: false }, times: 4 }, { reply: { id: 1 } }] }
    expect: { contains: { id: 1 } }
",
    );
}

#[test]
fn answers_are_read_as_their_connector_reads_them() {
    passes(
        r"
  rows are cut:
    tool: list_orders
    mocks: { orders: [{ rows: [{ id: 1 }, { id: 2 }, { id: 3 }] }] }
    expect: { result: [{ id: 1 }, { id: 2 }], says: ['cut at 2 rows (`max_rows`)'] }
  exactly one row is changed:
    tool: fix_order
    arguments: { id: 7 }
    mocks: { orders: [{ request: { sql: 'update orders set total=0', params: [7] }, affected: 9, optional: true }, { affected: 0 }] }
    expect: { error: { kind: not_found } }
  content has its parts:
    tool: chart
    mocks: { crm: [{ base64: iVBORw==, headers: { content-type: image/png, x-for: May } }] }
    expect:
      content:
        - { text: of May }
        - { image: { data: iVBORw==, mime_type: image/png } }
",
    );
}

#[test]
fn failures_say_where_and_how_it_differs() {
    let said = fails(
        r"
  a result:
    tool: get_customer
    arguments: { id: 7 }
    mocks: { crm: [{ body: { name: Ada } }] }
    expect: { result: { name: Bob, age: 7, at: 2026-01-01T00:00:00Z } }
",
    );
    assert_eq!(
        said,
        r#"FAILED  a result  (./shop.test.yaml:3)
    the result differs
      name
        expected  "Bob"
        actual    "Ada"
      age
        expected  7
        actual    nothing
      by
        expected  nothing
        actual    "anonymous:none"

0 passed, 1 failed"#
    );
}

#[test]
fn a_request_that_no_mock_fits_names_the_nearest() {
    let said = fails(
        r"
  another path:
    tool: get_customer
    arguments: { id: 7 }
    mocks: { crm: [{ request: { post: /orders }, reply: 1 }, { request: GET /customers/8, reply: 1 }] }
    expect: { contains: {} }
  no mocks:
    tool: get_customer
    arguments: { id: 7 }
    expect: { contains: {} }
  used up:
    tool: create_order
    arguments: { sku: a }
    mocks: { crm: [{ error: { kind: unavailable, sent: false } }] }
    expect: { error: unavailable }
  not used:
    tool: get_customer
    arguments: { id: x }
    mocks: { crm: [{ reply: 1, times: 3 }] }
    expect: { error: invalid, requests: { crm: [GET /] } }
  goes well:
    tool: get_customer
    arguments: { id: 7 }
    mocks: { crm: [{ body: { name: Ada } }] }
    expect: { error: not_found, says: [Bob] }
",
    );
    for expected in [
        "no mock fits a request to `crm`; the nearest is mock 2\n      path\n        expected  \"/customers/8\"\n        actual    \"/customers/7\"\n      the request: {\"method\":\"GET\",\"path\":\"/customers/7\"}",
        "mock 1 of `crm` was not used\n      `optional: true` allows that",
        "a request came to `crm`, which has no mocks",
        "a request to `crm` fits mock 1, which is used up",
        "0 requests came to `crm`, and 1 were expected",
        "the call was to fail, and it went well\n      the result: {\"name\":\"Ada\"",
        "the model does not read `Bob`",
        "0 passed, 5 failed",
    ] {
        assert!(said.contains(expected), "{expected}\n---\n{said}");
    }
    // What the system keeps to itself is nowhere.
    assert!(!said.contains("s3cret") && !said.to_lowercase().contains("authorization"), "{said}");
}

const TWO: &str = r"
  good & well:
    tool: list_orders
    mocks: { orders: [{ rows: [] }] }
    expect: { result: [] }
  bad:
    tool: list_orders
    mocks: { orders: [{ rows: [] }] }
    expect: { result: [<1>] }
";

#[test]
fn programs_are_told_too() {
    let output = run(TWO, &["shop.yaml", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["passed"], &told["failed"], &told["ok"]), (&1.into(), &1.into(), &false.into()));
    assert_eq!((&told["tests"][1]["file"], &told["tests"][1]["line"]), (&"shop.test.yaml".into(), &7.into()));
    assert!(told["tests"][1]["problems"][0].as_str().unwrap().contains("the result differs"));

    let output = run(TWO, &["shop.yaml", "--junit", "report.xml"]);
    assert_eq!(output.status.code(), Some(1));
    let report = text(&output.stdout);
    assert!(report.contains(r#"<testsuite name="renkei" tests="2" failures="1" errors="0""#), "{report}");
    assert!(
        report.contains(r#"<testcase name="good &amp; well" classname="list_orders" file="shop.test.yaml""#)
    );
    assert!(report.contains("expected  &quot;&lt;1&gt;&quot;"), "{report}");

    let output = run(TWO, &["shop.yaml", "--filter", "good"]);
    assert_eq!(
        (output.status.code(), text(&output.stdout).starts_with("1 passed, 0 failed")),
        (Some(0), true)
    );
}

#[test]
fn what_cannot_run_is_said_with_its_code() {
    let output = run(TWO, &["--filter", "none such"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("none of the 2 tests has `none such` in its name"));

    let output = run("  a: { tool: get_custmer, expect: { error: invalid } }", &[]);
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    assert!(said.contains("did you mean `get_customer`?") && said.contains("shop.test.yaml:2:14"), "{said}");

    let output = run("", &["--json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("the config has no tests"), "{}", text(&output.stderr));
}
