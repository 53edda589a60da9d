//! `renkei test --record` on real systems of every kind: what is written, what is never written, and that it plays
//! offline.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use renkei_testkit::{
    fault::{Answer, FaultServer},
    mariadb::MariaDb,
    postgres::Server,
};
use tempfile::TempDir;

const TOKEN: &str = "tok-s3cret-4711";
/// Too short to be told from other text, in a value of the environment.
const PIN: &str = "47ab";
/// Written into the config.
const KEY: &str = "literal-key-9911";

const CONFIG: &str = r#"
systems:
  crm: { http: { base_url: '${env.CRM_URL}', private: true, auth: { bearer: '${env.CRM_TOKEN}' }, headers: { x-till: '${env.CRM_PIN}' } } }
  bank: { http: { base_url: 'https://bank.example.com', auth: { api_key: { header: x-key, value: literal-key-9911 } } } }
  catalogue: { sqlite: { path: catalogue.db } }
  ledger: { postgres: { url: '${env.LEDGER_URL}' } }
  legacy: { mysql: { url: '${env.LEGACY_URL}' } }
  docs: { files: { root: docs } }
tools:
  get_customer:
    description: A customer.
    input: { id: integer }
    call: { crm: 'GET /customers/${.id}' }
    output: { name: '${$result.name}', seen: '${$result_meta.headers["x-seen"] // "never"}' }
  create_order:
    description: Creates an order.
    input: { sku: string }
    call: { crm: { post: /orders, body: { sku: '${.sku}', key: '${$key}' } } }
  product:
    description: A product.
    input: { sku: string }
    call: { catalogue: { sql: 'select sku, price from products where sku = ${.sku}', one: true } }
  entries:
    description: Entries of an account.
    call: { ledger: 'select id, amount, at, tags from entries order by id' }
  book:
    description: Books an entry.
    input: { amount: string }
    call: { ledger: { sql: 'insert into entries (amount) values (${.amount}) returning id', one: true } }
  old_customers:
    description: Customers of the old system.
    call: { legacy: { sql: 'select id, credit, since from customers order by id', max_rows: 1 } }
  add_customer:
    description: Adds a customer to the old system.
    input: { credit: string }
    call: { legacy: { sql: 'insert into customers (credit) values (${.credit})', one: true } }
  balance:
    description: The balance.
    call: { bank: GET /balance }
  read_note:
    description: A note.
    input: { name: string }
    call: { docs: 'read ${.name}' }
  list_notes:
    description: The names of all notes.
    call: { docs: list . }
    output: '${$result | map(.path)}'
  write_note:
    description: Writes a note.
    input: { name: string, text: string }
    call: { docs: { write: '${.name}', content: '${.text}' } }
    output: '${$result.size}'
  overview:
    description: From two systems.
    input: { id: integer }
    aggregate:
      customer: { call: { crm: 'GET /customers/${.id}' } }
      product: { call: { catalogue: { sql: 'select price from products where sku = ${$customer.sku}', one: true } } }
    output: { name: '${$customer.name}', price: '${$product.price}' }
"#;

const TESTS: &str = "# What the shop does.
tests:
  # Ada is our first customer.
  reads a customer:
    tool: get_customer   # the only one
    arguments: { id: 7 }
  reads no customer:
    tool: get_customer
    arguments: { id: 8 }

    # Somebody wrote this.
    expect:
      error: not_found
  reads a product:
    tool: product
    arguments: { sku: a }
  reads no product:
    tool: product
    arguments: { sku: z }
  reads entries:
    tool: entries
  reads old customers:
    tool: old_customers
  reads a note:
    tool: read_note
    arguments: { name: a.md }
  reads a secret note:
    tool: read_note
    arguments: { name: secret.txt }
  reads what proves who asks:
    tool: read_note
    arguments: { name: keys.txt }
  reads bytes:
    tool: read_note
    arguments: { name: a.png }
  reads secret bytes:
    tool: read_note
    arguments: { name: secret.png }
  reads no note:
    tool: read_note
    arguments: { name: none.md }
  reads names:
    tool: list_notes
  reads two systems, of which one is mocked:
    tool: overview
    arguments: { id: 7 }
    mocks:
      crm: [{ body: { name: Bob, sku: a } }]
      catalogue: record
  creates an order:
    tool: create_order
    arguments: { sku: a }
  books:
    tool: book
    arguments: { amount: '1.00' }
  adds a customer:
    tool: add_customer
    arguments: { credit: '1.50' }
  writes a note:
    tool: write_note
    arguments: { name: b.md, text: Hello }
";

struct House {
    crm: FaultServer,
    ledger: Server,
    database: String,
    legacy: MariaDb,
    folder: TempDir,
}

impl House {
    async fn new(tests: &str) -> House {
        let crm = FaultServer::start().await;
        crm.on("/customers/7", [Answer::json(r#"{"id":7,"name":"Ada"}"#).with("x-seen", "today")]);
        let gone = Answer::body(404, "application/json", r#"{"error":"no such customer"}"#);
        crm.on("/customers/8", [gone]);
        let made = Answer::body(201, "application/json", r#"{"id":"o-1"}"#);
        crm.on("/orders", [made]);
        let ledger = Server::shared();
        let database = ledger.new_database();
        ledger.run(
            &database,
            "create table entries (id int generated always as identity primary key, amount numeric, at timestamptz, tags text[]);
             insert into entries (amount, at, tags) values (12.50, '2026-01-31 12:30:00Z', '{a,b}'), ('NaN', null, null)",
        );
        let legacy = MariaDb::start();
        legacy.admin(
            "create table customers (id int primary key auto_increment, credit decimal(9,2), since date);
             insert into customers (credit, since) values (10.5, '2020-02-29'), (1, null)",
        );
        let folder = tempfile::tempdir().unwrap();
        let catalogue = rusqlite::Connection::open(folder.path().join("catalogue.db")).unwrap();
        catalogue
            .execute_batch(
                "create table products (sku text, price integer); insert into products values ('a', 990)",
            )
            .unwrap();
        let docs = folder.path().join("docs");
        std::fs::create_dir(&docs).unwrap();
        for (name, bytes) in [
            ("a.md", &b"# Notes\n\none: two\n"[..]),
            ("a.png", b"\x89PNG\r\n\x1a\n"),
            ("secret.png", &[b"\x89PNG\r\n\x1a\n", TOKEN.as_bytes()].concat()),
            ("keys.txt", format!("key {KEY}, pin {PIN}, {PIN}c").as_bytes()),
            ("secret.txt", format!("the token is {TOKEN}, keep it").as_bytes()),
        ] {
            std::fs::write(docs.join(name), bytes).unwrap();
        }
        std::fs::write(folder.path().join("shop.yaml"), CONFIG).unwrap();
        std::fs::write(folder.path().join("shop.test.yaml"), tests).unwrap();
        House { crm, ledger, database, legacy, folder }
    }

    fn record(&self, words: &[&str]) -> Output {
        self.record_from(&self.crm.url(), words)
    }

    fn record_from(&self, crm: &str, words: &[&str]) -> Output {
        renkei(self.folder.path())
            .arg("--record")
            .args(words)
            .env("CRM_URL", crm)
            .env("CRM_TOKEN", TOKEN)
            .env("CRM_PIN", PIN)
            .env("LEDGER_URL", self.ledger.url(&self.database))
            .env("LEGACY_URL", self.legacy.url())
            .output()
            .unwrap()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("shop.test.yaml")
    }

    fn file(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.ledger.drop_database(&self.database);
        }
    }
}

fn renkei(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_renkei"));
    command.args(["test", "shop.yaml"]).current_dir(folder).env_remove("RENKEI_LOG");
    command
}

/// Everything that was said, and the exit code.
fn said(output: &Output) -> (Option<i32>, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_live_systems_answer_plays_offline() {
    let house = House::new(TESTS).await;

    // Nothing is written to look at it, and no request goes out that changes something.
    let (code, text) = said(&house.record(&["--dry-run"]));
    assert_eq!((code, house.file().as_str()), (Some(1), TESTS), "{text}");
    assert!(text.contains("14 recorded, 4 refused, 0 left as they are; nothing was written"), "{text}");
    assert!(text.contains("`insert into entries") && text.contains("`--allow-writes`"), "{text}");
    assert!(house.crm.received().iter().all(|request| request.method == "GET"));
    assert_eq!(house.legacy.admin("select count(*) from customers").trim(), "2");
    assert!(!house.folder.path().join("docs/b.md").exists());

    std::fs::set_permissions(house.path(), std::fs::Permissions::from_mode(0o640)).unwrap();
    let (code, text) = said(&house.record(&["--allow-writes"]));
    assert_eq!(code, Some(0), "{text}");
    // Who may read the file stays.
    assert_eq!(std::fs::metadata(house.path()).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(text.contains("a secret of the config is shown as `***` in the mocks of `docs`"), "{text}");
    assert!(text.contains("18 recorded, 0 refused, 0 left as they are"), "{text}");
    let file = house.file();
    assert!(!file.contains(TOKEN) && !text.contains(TOKEN) && !file.contains("127.0.0.1"), "{file}");
    // In each system's own words; comments and order stay.
    for expected in [
        "# What the shop does.\ntests:\n  # Ada is our first customer.\n  reads a customer:\n    tool: get_customer   # the only one\n    arguments: { id: 7 }\n    mocks:\n      crm: # recorded\n        - request: GET /customers/7\n          headers: { content-type: application/json, x-seen: today }\n          body: { id: 7, name: Ada }\n    expect: # recorded\n      result: { name: Ada, seen: today }\n",
        "        - request: GET /customers/8\n          status: 404\n          body: { error: no such customer }\n\n    # Somebody wrote this.\n    expect:\n      error: not_found\n",
        "        - request: { sql: 'select sku, price from products where sku = ?1', params: [a] }\n          rows: [{ sku: a, price: 990 }]\n",
        "          rows: []\n    expect: # recorded\n      error: { kind: not_found, message: 'read from `catalogue`: no row matches' }\n",
        "          rows:\n            - { id: 1, amount: '12.50', at: 2026-01-31T12:30:00Z, tags: [a, b] }\n            - { id: 2, amount: NaN, at: null, tags: null }\n",
        "          rows: [{ id: 1, credit: '10.50', since: 2020-02-29 }]\n          more: true\n",
        "        - request: read a.md\n          text: |\n            # Notes\n\n            one: two\n",
        "      docs: # recorded; a secret is shown as ***\n        - request: read secret.txt\n          text: the token is ***, keep it\n",
        "        - request: read keys.txt\n          text: key ***, pin ***, 47abc\n",
        "          base64: iVBORw0KGgo=\n",
        // A secret is not hidden by base64.
        "          base64: iVBORw0KGgoqKioqKioqKioqKioqKio=\n",
        "        - request: read none.md\n          missing: true\n",
        "      crm: [{ body: { name: Bob, sku: a } }]\n      catalogue: # recorded\n",
        "        - request: { post: /orders, body: { sku: a, key: test/call } }\n          status: 201\n          body: { id: o-1 }\n",
        "          affected: 1\n          last_insert_id: 3\n",
        "        - request: { write: b.md, content: Hello }\n",
    ] {
        assert!(file.contains(expected), "{expected}\n---\n{file}");
    }

    // Recorded already; and once more it comes to the same.
    let (code, text) = said(&house.record(&[]));
    assert_eq!(
        (code, text.trim()),
        (Some(0), "0 recorded, 0 refused, 18 left as they are; nothing has changed")
    );
    std::fs::remove_file(house.folder.path().join("docs/b.md")).unwrap();
    house.ledger.run(&house.database, "delete from entries where id = 3");
    house.legacy.admin("delete from customers where id = 3");
    let (code, text) = said(&house.record(&["--again", "--filter", "reads"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("14 recorded, 0 refused, 0 left as they are; nothing has changed"), "{text}");
    assert_eq!(house.file(), file);

    // Offline, without the environment.
    let folder = house.folder.path().to_owned();
    let (code, text) = said(&renkei(&folder).output().unwrap());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("18 passed, 0 failed"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_said() {
    let house = House::new(
        "tests:
  in one line: { tool: product, arguments: { sku: a } }
  not there:
    tool: get_customer
    arguments: { id: 9 }
  too large:
    tool: get_customer
    arguments: { id: 7 }
  another result:
    tool: product
    arguments: { sku: a }
    expect:
      contains: { price: 1 }
  needs no system:
    tool: product
    expect:
      error: invalid
  not recorded:
    tool: product
    arguments: { sku: a }
    mocks: { catalogue: record }
    expect:
      contains: { price: 990 }
",
    )
    .await;
    let before = house.file();
    house.crm.on("/customers/9", [Answer::Close]);
    house.crm.on("/customers/7", [Answer::json(&format!("{{\"name\":\"{}\"}}", "x".repeat(5000)))]);
    let (code, text) = said(&house.record(&["--max-bytes", "4096", "--dry-run"]));
    assert_eq!(code, Some(1), "{text}");
    for expected in [
        "in one line  (shop.test.yaml:2)\n    the test is written in one line or refers to another place",
        "`crm` gave no answer that is worth a test",
        "larger than what a test may hold (`--max-bytes`)",
        "the systems do not give what the test expects\n    the result does not contain it\n      price\n        expected  1\n        actual    990",
        "1 recorded, 4 refused, 1 left as they are",
    ] {
        assert!(text.contains(expected), "{expected}\n---\n{text}");
    }
    assert_eq!(house.file(), before);

    // Without a recording they do not run.
    let (code, text) =
        said(&renkei(house.folder.path()).args(["--filter", "not recorded"]).output().unwrap());
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("does not say what it expects") && text.contains("renkei test --record"), "{text}");
}

/// Somebody saves the file while its tests run.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_meanwhile_is_not_written_over() {
    let house =
        House::new("tests:\n  reads a customer:\n    tool: get_customer\n    arguments: { id: 7 }\n").await;
    let changed = "tests: {}\n";
    let crm = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, path) = (format!("http://{}", crm.local_addr().unwrap()), house.path());
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = crm.accept().unwrap();
        let mut lines = BufReader::new(&stream).lines();
        while !lines.next().unwrap().unwrap().is_empty() {}
        std::fs::write(path, changed).unwrap();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15";
        stream.write_all(format!("{head}\r\n\r\n{{\"name\": \"Ada\"}}").as_bytes()).unwrap();
    });
    let (code, text) = said(&house.record_from(&url, &[]));
    answering.join().unwrap();
    assert_eq!(code, Some(4), "{text}");
    assert!(text.contains("it was changed while its tests were recorded; record again"), "{text}");
    assert_eq!(house.file(), changed);
    assert_eq!(std::fs::read_dir(house.folder.path()).unwrap().count(), 4);
}
