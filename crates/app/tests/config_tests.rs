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
  ledger: { postgres: { url: 'postgres://nobody@db.invalid/ledger' } }
  legacy: { mysql: { url: 'mysql://nobody@db.invalid/legacy' } }
  docs: { files: { root: docs } }
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
  entries:
    description: What was booked.
    input: { account: string, limit: { type: integer, default: 2 } }
    call: { ledger: { sql: 'select id, amount, tags from entries where account = ${.account}', max_rows: 2 } }
  book:
    description: Books an entry, and says so in the log.
    input: { amount: string }
    call:
      ledger:
        transaction:
          - { sql: 'insert into entries (amount) values (${.amount}) returning id', one: true }
          - insert into log (what) values ('booked')
    output: { id: '${$result[0].id}', changed: '${$result_meta.affected}' }
  add_customer:
    description: Adds a customer to the old system, or replaces it.
    input: { name: string }
    call: { legacy: { sql: 'replace into customers (name) values (${.name})', one: true } }
    output: { id: '${$result.last_insert_id}', changed: '${$result_meta.affected}' }
  read_note:
    description: A note.
    input: { name: string, limit: { type: integer, optional: true } }
    call: { docs: { read: 'notes/${.name}', limit: '${.limit}' } }
  note_as_json:
    description: A note that is JSON.
    input: { name: string }
    call: { docs: { read: 'notes/${.name}', as: json } }
  list_notes:
    description: Notes.
    call: { docs: { list: notes, glob: '*.md', limit: 2 } }
  write_note:
    description: Writes a note.
    input: { name: string, text: string }
    call: { docs: { write: 'notes/${.name}', content: '${.text}' } }
  delete_note:
    description: Deletes a note.
    input: { name: string }
    call: { docs: 'delete notes/${.name}' }
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
fn databases_answer_with_rows_and_with_what_they_changed() {
    passes(
        r"
  rows of PostgreSQL are cut:
    tool: entries
    arguments: { account: a }
    mocks:
      ledger:
        - request: { params: [a] }
          rows:
            - { id: 1, amount: '12.50', tags: [x] }
            - { id: 2, amount: '1.00', tags: [] }
            - { id: 3, amount: '1.00', tags: null }
    expect:
      result: [{ id: 1, amount: '12.50', tags: [x] }, { id: 2, amount: '1.00', tags: [] }]
      says: ['cut at 2 rows (`max_rows`)']
  rows of PostgreSQL are cut by their size:
    tool: entries
    arguments: { account: a }
    mocks: { ledger: [{ rows: [{ id: 1 }], more: true }] }
    expect: { result: [{ id: 1 }], says: ['cut after 1 rows at 1MB (`max_bytes`)'] }
  a transaction has the results of its statements:
    tool: book
    arguments: { amount: '1.00' }
    mocks:
      ledger:
        - request: { transaction: [{ params: ['1.00'] }, {}] }
          statements: [{ rows: [{ id: 7 }] }, { affected: 1 }]
    expect: { result: { id: 7, changed: 2 } }
  one statement of it finds no row:
    tool: book
    arguments: { amount: '1.00' }
    mocks: { ledger: [{ statements: [{ rows: [] }, { affected: 1 }] }] }
    expect: { error: { kind: not_found, message: 'change `ledger`: no row matches', applied: 'no' } }
  MySQL gives the id, and counts a replaced row twice:
    tool: add_customer
    arguments: { name: Ada }
    mocks: { legacy: [{ affected: 2, last_insert_id: 12 }] }
    expect: { result: { id: 12, changed: 2 } }
  several rows are not one:
    tool: add_customer
    arguments: { name: Ada }
    mocks: { legacy: [{ affected: 3 }] }
    expect: { error: conflict }
",
    );
    let said = fails(
        r"
  no rows to give:
    tool: add_customer
    arguments: { name: Ada }
    mocks: { legacy: [{ rows: [] }] }
    expect: { result: 1 }
  rows to give:
    tool: entries
    arguments: { account: a }
    mocks: { ledger: [{ affected: 1 }] }
    expect: { result: 1 }
  nothing to change:
    tool: entries
    arguments: { account: a }
    mocks: { ledger: [{ rows: [], affected: 1 }] }
    expect: { result: 1 }
  a transaction:
    tool: book
    arguments: { amount: '1' }
    mocks: { ledger: [{ rows: [] }] }
    expect: { result: 1 }
  not as many:
    tool: book
    arguments: { amount: '1' }
    mocks: { ledger: [{ statements: [] }] }
    expect: { result: 1 }
",
    );
    for expected in [
        "the statement gives no rows; say how many it changed as `affected`",
        "the statement gives rows; say them as `rows`",
        "a statement that only reads changes no rows; remove `affected`",
        "it is a transaction; say the results of its 2 as `statements`",
        "it has 2 statements, and there are 0 results",
        "0 passed, 5 failed",
    ] {
        assert!(said.contains(expected), "{expected}\n---\n{said}");
    }
}

#[test]
fn files_answer_with_what_they_hold() {
    passes(
        r"
  a part of a text:
    tool: read_note
    arguments: { name: a.md, limit: 5 }
    mocks: { docs: [{ request: read notes/a.md, text: Hello world }] }
    expect: { result: Hello, says: ['has 11 bytes, these are the bytes 0 to 5'] }
  bytes:
    tool: read_note
    arguments: { name: a.png }
    mocks: { docs: [{ request: { read: notes/a.png }, base64: iVBORw0KGgo= }] }
    expect: { content: [{ image: { data: iVBORw0KGgo=, mime_type: image/png } }] }
  JSON:
    tool: note_as_json
    arguments: { name: a.json }
    mocks: { docs: [{ request: { read: notes/a.json, as: json }, json: { a: 1.10 } }] }
    expect: { result: { a: 1.10 } }
  JSON that is none:
    tool: note_as_json
    arguments: { name: a.json }
    mocks: { docs: [{ text: '{' }] }
    expect: { error: { kind: internal, message: it is not valid JSON } }
  a list is chosen from:
    tool: list_notes
    mocks:
      docs:
        - request: { list: notes/, glob: '*.md' }
          entries: [notes/c.md, notes/b.md, { path: notes/a.md, size: 3, modified: 2026-01-31T12:30:00Z }, notes/x.txt, notes/sub/, notes/sub/d.md]
    expect:
      result: [{ path: notes/a.md, type: file, size: 3, modified: 2026-01-31T12:30:00Z }, { path: notes/b.md, type: file }]
      says: ['only the first 2 entries are given (`limit` is 2)']
  what is written is known:
    tool: write_note
    arguments: { name: a.md, text: Hello }
    mocks: { docs: [{ request: { write: notes/a.md, content: Hello }, stat: { etag: x } }] }
    expect: { result: { path: notes/a.md, type: file, size: 5, etag: x, content_type: text/markdown } }
  it is deleted:
    tool: delete_note
    arguments: { name: a.md }
    mocks: { docs: [{ request: delete notes/a.md, deleted: true }] }
    expect: { result: { deleted: notes/a.md } }
  it is missing:
    tool: read_note
    arguments: { name: a.md }
    mocks: { docs: [{ missing: true }] }
    expect: { error: { kind: not_found, message: there is no such file } }
",
    );
    let said = fails(
        r"
  another word:
    tool: read_note
    arguments: { name: a.md }
    mocks: { docs: [{ entries: [] }] }
    expect: { result: 1 }
  another folder:
    tool: list_notes
    mocks: { docs: [{ entries: [other/a.md] }] }
    expect: { result: 1 }
",
    );
    for expected in [
        "`entries` is no answer to `read`; say what the file holds as `text`, `json` or `base64`",
        "the entry `other/a.md` of the test is not in it; paths count from the top",
    ] {
        assert!(said.contains(expected), "{expected}\n---\n{said}");
    }
}

#[test]
fn words_of_answers_are_checked() {
    let wrong = |mock: &str, tool: &str| {
        let system = match tool {
            "read_note" => "docs",
            "add_customer" => "legacy",
            _ => "ledger",
        };
        let test = format!(
            "  a:\n    tool: {tool}\n    mocks: {{ {system}: [{mock}] }}\n    expect: {{ error: invalid }}\n"
        );
        let output = run(&test, &[]);
        assert_eq!(output.status.code(), Some(3), "{mock}: {}", text(&output.stdout));
        text(&output.stderr)
    };
    for (tool, mock, expected) in [
        ("entries", "{ rows: [{ a: 1 }, { b: 1 }] }", "other columns than the first one"),
        ("entries", "{ rows: [{ a: 1 }, 2] }", "A row is a mapping"),
        ("entries", "{ more: true }", "`more` belongs to `rows`"),
        ("entries", "{ affected: 1, last_insert_id: 2 }", "Unknown key `last_insert_id`"),
        ("entries", "{ statements: [{ last_insert_id: 2 }] }", "PostgreSQL has no `last_insert_id`"),
        ("entries", "{ statements: [{ statements: [] }] }", "A transaction holds no other one"),
        ("entries", "{ statements: [], rows: [] }", "A transaction has no `rows` of its own"),
        ("add_customer", "{ affected: -1 }", "whole number"),
        ("add_customer", "{ row: [] }", "did you mean `rows`?"),
        ("read_note", "{ text: a, missing: true }", "does not answer `text` and `missing` at once"),
        ("read_note", "{ entries: [/a] }", "named by its path from the top"),
        ("read_note", "{ base64: 'ü' }", "not base64"),
        ("read_note", "{ stat: { modified: yesterday } }", "a point in time"),
        ("read_note", "{ deleted: false }", "`deleted` is true or left out"),
        ("read_note", "{ request: write a, text: b }", "a request such as `read notes/a.md`"),
        (
            "read_note",
            "{ request: { read: a, contents: b }, text: b }",
            "A request to `read` has no `contents`",
        ),
        ("read_note", "{ request: { contents: b }, text: b }", "did you mean `content`?"),
    ] {
        let said = wrong(mock, tool);
        assert!(said.contains(expected), "{mock}: {expected}\n---\n{said}");
    }
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
