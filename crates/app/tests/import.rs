//! `renkei import db`: what it writes for tables with difficult names passes the check and does what it says, on each
//! kind of database.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use proptest::{prelude::*, test_runner::TestRunner};
use renkei_config::{Kinds, Plan};
use renkei_core::{
    CallContext, ConnectContext, Principal, Value,
    introspect::Introspect,
    tool::{Content, Tools as _},
};
use renkei_patterns::engine::{self, Engine};
use renkei_testkit::{mariadb::MariaDb, postgres::Server};
use tempfile::TempDir;
use tokio::time::Instant;

/// A database with tools for all of its tables.
struct Imported {
    _folder: TempDir,
    text: String,
    engine: Arc<Engine>,
}

fn load(paths: &[PathBuf]) -> Plan {
    let kinds = Kinds {
        connectors: renkei_connectors::CONNECTORS,
        patterns: renkei_patterns::PATTERNS,
        layers: renkei_layers::LAYERS,
    };
    let read = renkei_config::load(paths, &kinds, &renkei_config::Options::default());
    read.unwrap_or_else(|report| panic!("{}", report.render(renkei_config::Style::PLAIN))).plan
}

fn context() -> CallContext {
    CallContext::new(Instant::now() + Duration::from_secs(60), Arc::new(Principal::anonymous()))
}

async fn schema(plan: &Plan) -> Arc<dyn Introspect> {
    let cx = ConnectContext::new(&plan.base_dir);
    plan.systems["shop"].system.connect(&cx).await.unwrap().schema.unwrap()
}

/// Imports all tables of the system `shop`, in the schemas that are visible.
async fn import(folder: TempDir, system: &str) -> Imported {
    let config = folder.path().join("renkei.yaml");
    std::fs::write(&config, format!("systems:\n  shop:\n    {system}\n")).unwrap();
    let schema = schema(&load(std::slice::from_ref(&config))).await;
    let mut tables = Vec::new();
    for table in schema.tables(&context()).await.unwrap() {
        if table.is_visible {
            tables.push(schema.describe(&context(), &table).await.unwrap());
        }
    }
    let existing = BTreeSet::new();
    let options = renkei_import::Options {
        system: "shop",
        prefix: "",
        changes: true,
        existing: &existing,
        command: "renkei import db shop",
    };
    let text = renkei_import::write(&tables, &schema.grammar(), &options).text;
    let file = folder.path().join("tools.yaml");
    std::fs::write(&file, &text).unwrap();
    let plan = load(&[config, file]);
    let options = engine::Options { base_dir: plan.base_dir.clone(), ..engine::Options::default() };
    let engine = Engine::new(plan.systems, plan.tools, options).unwrap();
    engine.start();
    Imported { _folder: folder, text, engine: Arc::new(engine) }
}

impl Imported {
    /// What a tool gives: its result, or the kind of its error and the text.
    async fn call(&self, tool: &str, arguments: &str) -> Result<Value, String> {
        let arguments = Value::from_json(arguments.as_bytes()).unwrap();
        let result = self.engine.call(context(), tool, arguments, None).await.unwrap();
        match result.error {
            Some(error) => Err(format!("{}: {error}", error.kind().as_str())),
            None => match (&result.structured, &result.content[..]) {
                (Some(value), _) => Ok(value.clone()),
                (None, [Content::Text(text)]) => Ok(Value::from_json(text.as_bytes()).unwrap()),
                other => panic!("{other:?}"),
            },
        }
    }

    async fn json(&self, tool: &str, arguments: &str) -> String {
        self.call(tool, arguments)
            .await
            .unwrap_or_else(|error| panic!("{tool} {arguments}: {error}"))
            .to_json()
    }

    /// One member of all elements that a list tool gives.
    async fn listed(&self, tool: &str, arguments: &str, list: &str, member: &str) -> Vec<String> {
        let value =
            self.call(tool, arguments).await.unwrap_or_else(|error| panic!("{tool} {arguments}: {error}"));
        let rows = value.get(list).and_then(Value::as_array).unwrap_or_else(|| panic!("{}", value.to_json()));
        rows.iter().map(|row| row.get(member).map_or_else(String::new, Value::to_json)).collect()
    }

    /// All rows of a list tool, page by page.
    async fn walk(&self, tool: &str, list: &str, order: Option<&str>, limit: usize) -> Vec<String> {
        let order = order.map_or_else(String::new, |order| format!(r#", "order": "{order}""#));
        let (mut rows, mut offset) = (Vec::new(), 0);
        loop {
            let page = format!(r#"{{ "limit": {limit}, "offset": {offset}{order} }}"#);
            let value = self.call(tool, &page).await.unwrap_or_else(|error| panic!("{tool} {page}: {error}"));
            rows.extend(value.get(list).and_then(Value::as_array).unwrap().iter().map(Value::to_json));
            match value.get("next_offset").and_then(Value::as_i64) {
                Some(next) => {
                    assert!(next > offset, "{tool} goes on");
                    offset = next;
                }
                None => return rows,
            }
        }
    }

    /// The words of the argument `order`.
    fn orders(&self, tool: &str) -> Vec<String> {
        let schema = &self.engine.find(tool).unwrap().input_schema;
        let order =
            schema.get("properties").and_then(|all| all.get("order")).and_then(|order| order.get("enum"));
        order
            .and_then(Value::as_array)
            .unwrap_or_default()
            .iter()
            .map(|word| word.as_str().unwrap().into())
            .collect()
    }
}

/// What each of the three databases has to do, with the same tables.
async fn does_what_it_says(shop: &Imported) {
    let customer = |name: &'static str| shop.listed("find_customers", name, "result", "id");
    for (email, name, status) in [
        ("ada@example.com", "Ada Lovelace", "good"),
        ("bob@example.com", "Bob", "new"),
        ("eve@example.com", "EVELYN 100%", "it's, bad"),
    ] {
        let arguments = format!(
            r#"{{ "email": "{email}", "full_name": "{name}", "status": "{status}", "order_2": 7, "groesse": 1.50, "extra": {{ "a": [1] }} }}"#
        );
        shop.json("create_customer", &arguments).await;
    }
    // Without a value the database's own default holds.
    shop.json("create_customer", r#"{ "email": "new@example.com" }"#).await;
    let refused = shop.call("create_customer", r#"{ "email": "new@example.com" }"#).await.unwrap_err();
    assert!(refused.starts_with("conflict"), "{refused}");
    // What a check allows is an enumeration.
    let size = |size: &str| format!(r#"{{ "id": 4, "size": "{size}" }}"#);
    shop.json("update_customer", &size("M")).await;
    assert!(shop.json("get_customer", r#"{ "id": 4 }"#).await.contains(r#""size":"M""#));
    let refused = shop.call("update_customer", &size("XL")).await.unwrap_err();
    assert!(refused.starts_with("invalid"), "{refused}");

    assert_eq!(customer(r#"{ "email": "ada@example.com" }"#).await, ["1"]);
    assert_eq!(customer(r#"{ "full_name": "Bob" }"#).await, ["2"]);
    assert_eq!(customer(r#"{ "email": "ada@example.com", "full_name": "Bob" }"#).await, [""; 0]);
    let nothing = shop.call("find_customers", "{}").await.unwrap_err();
    assert!(nothing.starts_with("invalid"), "{nothing}");

    let one = shop.call("get_customer", r#"{ "id": 4 }"#).await.unwrap();
    assert_eq!(one.get("status").and_then(Value::as_str), Some("new"));
    assert_eq!(one.get("Full Name"), Some(&Value::Null));
    assert_eq!(one.get("is_vip").and_then(Value::as_bool), Some(false));
    assert!(one.get("created_at").and_then(Value::as_str).is_some_and(|time| time.len() >= 19));
    assert!(one.get("photo").is_none(), "{}", one.to_json());
    let missing = shop.call("get_customer", r#"{ "id": 5 }"#).await.unwrap_err();
    assert!(missing.starts_with("not_found"), "{missing}");

    let list = |arguments: &'static str| shop.listed("list_customers", arguments, "customers", "id");
    assert_eq!(list("{}").await, ["1", "2", "3", "4"]);
    assert_eq!(list(r#"{ "order": "id_desc" }"#).await, ["4", "3", "2", "1"]);
    assert_eq!(list(r#"{ "full_name_contains": "LOVE" }"#).await, ["1"]);
    // `%` is no wildcard.
    assert_eq!(list(r#"{ "full_name_contains": "%" }"#).await, ["3"]);
    assert_eq!(list(r#"{ "order_2_min": 7, "order_2_max": 7 }"#).await, ["1", "2", "3"]);
    assert_eq!(list(r#"{ "groesse_min": 1.5 }"#).await, ["1", "2", "3"]);
    assert_eq!(list(r#"{ "groesse_min": 1.51 }"#).await, [""; 0]);
    assert_eq!(list(r#"{ "limit": 1, "offset": 2 }"#).await, ["3"]);

    // What is left out stays, and null empties.
    shop.json("update_customer", r#"{ "id": 1, "full_name": null, "is_vip": true }"#).await;
    let one = shop.call("get_customer", r#"{ "id": 1 }"#).await.unwrap();
    assert_eq!(one.get("Full Name"), Some(&Value::Null));
    assert_eq!(one.get("is_vip").and_then(Value::as_bool), Some(true));
    assert_eq!(one.get("order").and_then(Value::as_i64), Some(7));
    assert_eq!(one.get("email").and_then(Value::as_str), Some("ada@example.com"));
    assert_eq!(shop.listed("list_vips", "{}", "vips", "id").await, ["1"]);

    for line in [1, 2, 3] {
        let arguments =
            format!(r#"{{ "order_id": 1, "line": {line}, "sku": "x", "it_s_a_name_here": "`'\"" }}"#);
        shop.json("create_order_item", &arguments).await;
    }
    let item = shop.call("get_order_item", r#"{ "order_id": 1, "line": 2 }"#).await.unwrap();
    assert_eq!(item.get("it's a \"name\" `here`").and_then(Value::as_str), Some("`'\""));
    shop.json("delete_order_item", r#"{ "order_id": 1, "line": 2 }"#).await;
    let lines = shop.listed("list_order_items", r#"{ "order_id": 1 }"#, "order_items", "line").await;
    assert_eq!(lines, ["1", "3"]);
    let lines = shop.listed("list_order_items", r#"{ "order": "key_desc" }"#, "order_items", "line").await;
    assert_eq!(lines, ["3", "1"]);

    shop.json("create_select", r#"{ "code": "a", "from": "b", "if": "d" }"#).await;
    shop.json("update_select", r#"{ "code": "a", "from": "c", "and": "e" }"#).await;
    assert_eq!(
        shop.json("get_select", r#"{ "code": "a" }"#).await,
        r#"{"code":"a","from":"c","if":"d","and":"e"}"#
    );

    for message in ["a", "A", "a ", "ä", ""] {
        shop.json("create_log", &format!(r#"{{ "message": "{message}" }}"#)).await;
    }
    shop.json("create_log", "{}").await;
    // Each list, in each of its orders, in pages of every length: each row once.
    for (tool, many, rows) in
        [("list_customers", "customers", 4), ("list_order_items", "order_items", 2), ("list_logs", "logs", 6)]
    {
        let orders = shop.orders(tool);
        for order in orders.iter().map(|order| Some(order.as_str())).chain([None]) {
            let all = shop.walk(tool, many, order, 100).await;
            assert_eq!(all.len(), rows, "{tool} {order:?}");
            for limit in 1..=rows {
                assert_eq!(shop.walk(tool, many, order, limit).await, all, "{tool} {order:?} by {limit}");
            }
        }
    }
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let file = rusqlite::Connection::open(folder.path().join("shop.db")).unwrap();
    file.execute_batch(include_str!("import/sqlite.sql")).unwrap();
    let shop = import(folder, "sqlite: { path: shop.db }").await;
    insta::assert_snapshot!("sqlite", shop.text);
    does_what_it_says(&shop).await;
    shop.engine.shutdown().await;
}

#[tokio::test]
async fn postgres() {
    let server = Server::shared();
    let database = server.new_database();
    server.run(&database, include_str!("import/postgres.sql"));
    let config = format!("postgres: {{ url: '{}' }}", server.url(&database));
    let shop = import(tempfile::tempdir().unwrap(), &config).await;
    insta::assert_snapshot!("postgres", shop.text);
    does_what_it_says(&shop).await;
    // A moment has a zone; one without would be cut.
    let local = |value: &str| format!(r#"{{ "id": 1, "local": {value} }}"#);
    shop.json("update_customer", &local(r#""2026-01-31T10:00:00""#)).await;
    let refused = shop.call("update_customer", &local(r#""2026-01-31T10:00:00Z""#)).await.unwrap_err();
    assert!(refused.starts_with("invalid"), "{refused}");
    let found = shop
        .listed(
            "list_customers",
            r#"{ "local_from": "2026-01-31T10:00:00", "created_at_from": "2020-01-01T00:00:00Z" }"#,
            "customers",
            "id",
        )
        .await;
    assert_eq!(found, ["1"]);
    let changed = shop
        .json("update_customer", r#"{ "id": 2, "tags": ["a"], "span": { "lower": 1, "upper": 3 } }"#)
        .await;
    assert!(changed.contains(r#""tags":["a"],"span":{"lower":1,"upper":3,"bounds":"[)"}"#), "{changed}");
    shop.engine.shutdown().await;
    server.drop_database(&database);
}

#[tokio::test]
async fn mariadb() {
    let server = MariaDb::start();
    server.admin(&format!("use shop;\n{}", include_str!("import/mariadb.sql")));
    let shop = import(tempfile::tempdir().unwrap(), &format!("mysql: {{ url: '{}' }}", server.url())).await;
    insta::assert_snapshot!("mariadb", shop.text);
    does_what_it_says(&shop).await;
    let at = r#"{ "created_at_from": "2020-01-01T00:00:00+02:00", "created_at_to": "2020-01-02T00:00:00Z" }"#;
    assert_eq!(shop.listed("list_customers", at, "customers", "id").await, [""; 0]);
    shop.engine.shutdown().await;
}

/// A column of a random table, and whether it has an index.
#[derive(Clone, Debug)]
struct Shape {
    columns: Vec<(&'static str, bool)>,
    /// How many of the columns are the primary key; none for a table without one.
    key: usize,
    without_row_id: bool,
    rows: Vec<Vec<i64>>,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let kinds = prop::sample::select(vec!["integer", "text", "text collate nocase", "real", "date"]);
    let columns = prop::collection::vec((kinds, any::<bool>()), 1..5);
    (columns, 0..3_usize, any::<bool>()).prop_flat_map(|(columns, key, without_row_id)| {
        let key = key.min(columns.len());
        // Few values, so that many rows have the same.
        let row = prop::collection::vec(0..4_i64, columns.len());
        prop::collection::vec(row, 0..14).prop_map(move |rows| Shape {
            columns: columns.clone(),
            key,
            without_row_id: without_row_id && key > 0,
            rows,
        })
    })
}

impl Shape {
    fn sql(&self) -> String {
        let columns = self.columns.iter().enumerate().map(|(at, (kind, _))| format!("c{at} {kind}"));
        let mut parts: Vec<String> = columns.collect();
        if self.key > 0 {
            let names: Vec<String> = (0..self.key).map(|at| format!("c{at}")).collect();
            parts.push(format!("primary key ({})", names.join(", ")));
        }
        let end = if self.without_row_id { " without rowid" } else { "" };
        let mut sql = format!("create table items ({}){end};\n", parts.join(", "));
        for (at, (_, indexed)) in self.columns.iter().enumerate() {
            if *indexed {
                sql += &format!("create index i{at} on items (c{at});\n");
            }
        }
        for row in &self.rows {
            let values = row.iter().zip(&self.columns).map(|(value, (kind, _))| match (*value, *kind) {
                (0, _) => "null".to_owned(),
                (value, "integer") => value.to_string(),
                (value, "real") => format!("{value}.5"),
                // `a` and `A` are the same to one of the collations.
                (value, _) => format!("'{}'", ["a", "A", "b"][value as usize - 1]),
            });
            // What breaks a key is left out.
            sql +=
                &format!("insert or ignore into items values ({});\n", values.collect::<Vec<_>>().join(", "));
        }
        sql + "create view seen as select * from items;"
    }
}

/// For tables of any shape and any rows, the pages of a list give each row once, in the order of the whole.
#[test]
fn pages_give_each_row_once() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() });
    let holds = runner.run(&(shapes(), 1..5_usize), |(shape, limit)| {
        let folder = tempfile::tempdir().unwrap();
        let file = rusqlite::Connection::open(folder.path().join("shop.db")).unwrap();
        file.execute_batch(&shape.sql()).unwrap();
        let count: i64 = file.query_row("select count(*) from items", [], |row| row.get(0)).unwrap();
        let count = usize::try_from(count).unwrap();
        runtime.block_on(async {
            let shop = import(folder, "sqlite: { path: shop.db, connections: 1 }").await;
            for (tool, many) in [("list_items", "items"), ("list_seens", "seens")] {
                let orders = shop.orders(tool);
                for order in orders.iter().map(|order| Some(order.as_str())).chain([None]) {
                    let all = shop.walk(tool, many, order, 100).await;
                    prop_assert_eq!(all.len(), count, "{} {:?}", tool, order);
                    prop_assert_eq!(shop.walk(tool, many, order, limit).await, all, "{} {:?}", tool, order);
                }
            }
            shop.engine.shutdown().await;
            Ok(())
        })
    });
    if let Err(error) = holds {
        panic!("{error}");
    }
}

fn renkei(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_renkei"))
        .args(words)
        .current_dir(folder)
        .env_remove("RENKEI_LOG")
        .output()
        .unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_command() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let file = rusqlite::Connection::open(folder.join("shop.db")).unwrap();
    file.execute_batch(include_str!("import/sqlite.sql")).unwrap();
    file.execute_batch("insert into \"select\" (code, \"from\") values ('a', 'b')").unwrap();
    let config = "systems:\n  shop:\n    sqlite: { path: shop.db, read_only: true }\n  web: { http: { base_url: 'https://example.com' } }\n";
    std::fs::write(folder.join("renkei.yaml"), config).unwrap();

    let (code, out, _) = said(&renkei(folder, &["import", "db", "shop"]));
    assert_eq!(code, Some(0));
    assert!(
        out.starts_with("Order Items\ncustomers\nlog\nselect\nvips\n\nChoose with `--table NAME`"),
        "{out}"
    );

    for (words, why) in [
        (&["shp"][..], "there is no system `shp`: did you mean `shop`?"),
        (&["web", "--table", "*"], "`web` is a system of kind `http`, which has no tables: name a database"),
        (&["shop", "--table", "custmers"], "no table fits `custmers`: did you mean `customers`?"),
        (
            &["shop", "--table", "*", "--write"],
            "`shop` is `read_only: true`, so no tool can change it: leave `--write` out",
        ),
        (&["shop", "--schema", "x"], "no schema fits `x`: the database has no schemas with tables"),
        (
            &["shop", "--table", "*", "--prefix", "a b"],
            "the prefix of tools has letters, digits, `_`, `-` and `.`",
        ),
        (
            &["shop", "--table", "*", "--out", "renkei.yaml"],
            "`renkei.yaml` is there already: choose another file, or remove it",
        ),
    ] {
        let (code, out, err) = said(&renkei(folder, &[&["import", "db"], words].concat()));
        assert_eq!((code, out.as_str(), err.trim_end()), (Some(2), "", format!("renkei: {why}").as_str()));
    }

    let words = ["import", "db", "shop", "-t", "se*", "-t", "vips", "-o", "tools.yaml"];
    let (code, out, err) = said(&renkei(folder, &words));
    assert_eq!(
        (code, out.as_str(), err.trim_end()),
        (Some(0), "", "renkei: 3 tools in `tools.yaml`; read them, and run `renkei check`")
    );
    let (code, out, _) = said(&renkei(folder, &["check"]));
    assert!(code == Some(0) && out.starts_with("ok: 2 systems, 3 tools"), "{out}");
    let (code, out, err) = said(&renkei(folder, &["call", "get_select", "code=a", "--json"]));
    assert!(code == Some(0) && out.contains("\"from\": \"b\""), "{out}{err}");

    // What is there already is not written again.
    let (code, out, err) = said(&renkei(folder, &["import", "db", "shop", "-t", "select"]));
    assert!(
        code == Some(0)
            && !out.contains("get_select:")
            && out.contains("`get_select` is in the config already."),
        "{out}"
    );
    assert_eq!(
        err.trim_end(),
        "renkei: left out, since the config has them: `get_select`, `list_selects`; `--prefix` gives other names"
    );
    let (code, out, err) =
        said(&renkei(folder, &["import", "db", "shop", "-t", "select", "--prefix", "shop_"]));
    assert!(code == Some(0) && out.contains("  shop_get_select:") && err.is_empty(), "{out}{err}");
}
