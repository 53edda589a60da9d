//! Lists that come in pages, from the config to the wire: every way to the next page gives the same items, in one call and
//! in several, and systems that misbehave end it with a word.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "whatever fails here fails the test")]

use std::{collections::BTreeMap, process::Command, sync::Arc, time::Duration};

use proptest::prelude::*;
use renkei_config::{Kinds, Options};
use renkei_core::{
    CallContext, Principal, Value,
    tool::{Content, ToolResult, Tools as _},
};
use renkei_patterns::engine::{self, Engine};
use renkei_testkit::fault::{Answer, FaultServer, Received};
use tokio::time::Instant;

/// What `n` and `s` – the length of the list and of a page – and the place of the page are in a request.
fn asked(request: &Received) -> BTreeMap<String, usize> {
    let pairs = url::form_urlencoded::parse(request.query().unwrap_or_default().as_bytes());
    pairs.filter_map(|(key, value)| Some((key.into_owned(), value.parse().ok()?))).collect()
}

/// The items from `from` on, and where the next ones begin.
fn part(asked: &BTreeMap<String, usize>, from: usize) -> (Vec<usize>, Option<usize>) {
    let (length, size) = (asked["n"], asked["s"]);
    let to = (from + size).min(length);
    ((from.min(length)..to).collect(), (to < length).then_some(to))
}

fn json(value: &serde_json::Value) -> Answer {
    Answer::json(&value.to_string())
}

/// Serves the same list in every way.
async fn lists() -> FaultServer {
    let server = FaultServer::start().await;
    server.on_each("/api/number", |request| {
        let asked = asked(request);
        json(&serde_json::json!(part(&asked, (asked["page"] - 1) * asked["s"]).0))
    });
    server.on_each("/api/offset", |request| {
        let asked = asked(request);
        json(&serde_json::json!({ "rows": part(&asked, asked["skip"]).0, "total": asked["n"] }))
    });
    server.on_each("/api/cursor", |request| {
        let asked = asked(request);
        let (items, next) = part(&asked, asked.get("after").copied().unwrap_or(0));
        json(&serde_json::json!({ "data": { "items": items }, "meta": { "next": next.map(|at| at.to_string()) } }))
    });
    server.on_each("/api/search", |request| {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let (items, next) = part(&asked(request), body["at"]["after"].as_u64().unwrap_or(0) as usize);
        json(&serde_json::json!({ "hits": items, "at": next }))
    });
    server.on_each("/api/header", |request| {
        let from = request.header("x-after").map_or(0, |text| text.parse().unwrap());
        let (items, next) = part(&asked(request), from);
        let answer = json(&serde_json::json!(items));
        match next {
            Some(next) => answer.with("X-Next", &next.to_string()),
            None => answer,
        }
    });
    server.on_each("/api/link", |request| {
        let asked = asked(request);
        let (items, next) = part(&asked, asked.get("from").copied().unwrap_or(0));
        let answer = json(&serde_json::json!(items));
        let (n, s) = (asked["n"], asked["s"]);
        match next {
            Some(next) => answer.with("Link", &format!("<link?from={next}&n={n}&s={s}>; rel=\"next\"")),
            None => answer.with("Link", "</api/link>; rel=first"),
        }
    });
    server.on_each("/api/url", |request| {
        let asked = asked(request);
        let (items, next) = part(&asked, asked.get("from").copied().unwrap_or(0));
        let (n, s) = (asked["n"], asked["s"]);
        let next = next.map(|next| format!("/api/url?from={next}&n={n}&s={s}"));
        json(&serde_json::json!({ "items": items, "next": next }))
    });
    server
}

/// Each tool with its operation, without the limits of `pages`.
const WAYS: [(&str, &str); 9] = [
    ("number", "get: '/number?n=${.n}&s=${.s}', pages: { number: page, LIMITS }"),
    ("number_sized", "get: '/number?n=${.n}', pages: { number: page, size: { s: SIZE }, LIMITS }"),
    ("offset", "get: '/offset?n=${.n}&s=${.s}', pages: { offset: skip, items: '${$result.rows}', LIMITS }"),
    (
        "offset_of",
        "get: '/offset?n=${.n}&s=${.s}', pages: { offset: skip, items: '${$result.rows}', total: '${$result.total}', LIMITS }",
    ),
    (
        "cursor",
        "get: '/cursor?n=${.n}&s=${.s}', pages: { cursor: after, next: '${$result.meta.next}', items: '${$result.data.items}', LIMITS }",
    ),
    (
        "search",
        "post: '/search?n=${.n}&s=${.s}', effect: read, body: { q: a }, pages: { cursor: { body: at.after }, next: '${$result.at}', items: '${$result.hits}', LIMITS }",
    ),
    (
        "header",
        "get: '/header?n=${.n}&s=${.s}', pages: { cursor: { header: X-After }, next: '${$result_meta.headers[\"x-next\"]}', LIMITS }",
    ),
    ("link", "get: '/link?n=${.n}&s=${.s}', pages: { link: next, LIMITS }"),
    (
        "url",
        "get: '/url?n=${.n}&s=${.s}', pages: { next_url: '${$result.next}', items: '${$result.items}', LIMITS }",
    ),
];

fn every_way(size: usize, limits: &str) -> String {
    let mut tools = String::new();
    for (name, op) in WAYS {
        let op = op.replace("LIMITS", limits).replace("SIZE", &size.to_string());
        tools += &format!(
            "  {name}:\n    description: A list.\n    input: {{ n: integer, s: integer }}\n    call: {{ s: {{ {op} }} }}\n"
        );
    }
    tools
}

fn config(url: &str, tools: &str) -> String {
    format!(
        "systems:\n  s:\n    http: {{ base_url: '{url}/api', private: true }}\n    retry: {{ attempts: 2, backoff: {{ first: 1ms, max: 1ms }} }}\ntools:\n{tools}"
    )
}

fn engine(config: &str) -> Engine {
    engine_with(config, engine::Options::default())
}

fn engine_with(config: &str, options: engine::Options) -> Engine {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("renkei.yaml");
    std::fs::write(&path, config).unwrap();
    let kinds = Kinds {
        connectors: renkei_connectors::CONNECTORS,
        patterns: renkei_patterns::PATTERNS,
        layers: renkei_layers::LAYERS,
    };
    let plan = renkei_config::load(&[path], &kinds, &Options::default()).unwrap_or_else(|report| {
        panic!("{}", report.render(renkei_config::Style::detect()));
    });
    let engine = Engine::new(plan.plan.systems, plan.plan.tools, options).unwrap();
    engine.start();
    engine
}

async fn call(engine: &Engine, tool: &str, arguments: serde_json::Value) -> ToolResult {
    let deadline = Instant::now() + Duration::from_secs(60);
    let cx = CallContext::new(deadline, Arc::new(Principal::anonymous()));
    engine.call(cx, tool, Value::from(&arguments), None).await.unwrap()
}

fn items(result: &ToolResult) -> Vec<i64> {
    let structured = result.structured.as_ref().unwrap_or_else(|| panic!("{result:?}"));
    let items = structured.get("result").and_then(Value::as_array);
    items.unwrap_or_else(|| panic!("{structured}")).iter().map(|item| item.as_i64().unwrap()).collect()
}

fn next(result: &ToolResult) -> Option<String> {
    result.structured.as_ref()?.get("next_cursor")?.as_str().map(str::to_owned)
}

fn told(result: &ToolResult) -> String {
    let texts = result.content.iter().filter_map(|part| match part {
        Content::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// However long the list and its pages are: by every way, in one call, it is the whole list.
    #[test]
    fn every_way_gives_the_whole_list(length in 0usize..60, size in 1usize..20) {
        runtime().block_on(async {
            let server = lists().await;
            let engine = engine(&config(&server.url(), &every_way(size, "max_pages: 100")));
            let whole: Vec<i64> = (0..length as i64).collect();
            for (tool, _) in WAYS {
                let result = call(&engine, tool, serde_json::json!({ "n": length, "s": size })).await;
                assert_eq!(items(&result), whole, "{tool}");
                assert_eq!(next(&result), None, "{tool}");
            }
            engine.shutdown().await;
        });
    }

    /// Wherever the limits cut: calls that go on with the cursor give each item once, in order, and come to an end.
    #[test]
    fn calls_that_go_on_give_each_item_once(
        length in 0usize..40, size in 1usize..10, max_items in 1usize..25, max_pages in 1usize..5, result_bytes in 20usize..80
    ) {
        runtime().block_on(async {
            let server = lists().await;
            let limits = format!("max_items: {max_items}, max_pages: {max_pages}");
            let options = engine::Options { result_bytes, ..engine::Options::default() };
            let engine = engine_with(&config(&server.url(), &every_way(size, &limits)), options);
            let whole: Vec<i64> = (0..length as i64).collect();
            for (tool, _) in WAYS {
                let (mut all, mut calls) = (Vec::new(), 0);
                let mut arguments = serde_json::json!({ "n": length, "s": size });
                loop {
                    let result = call(&engine, tool, arguments.clone()).await;
                    let part = items(&result);
                    assert!(part.len() <= max_items);
                    all.extend(part);
                    calls += 1;
                    assert!(calls <= length + 2, "{tool} does not end");
                    let Some(cursor) = next(&result) else { break };
                    assert!(told(&result).contains(&cursor), "{tool}");
                    arguments["cursor"] = cursor.into();
                }
                assert_eq!(all, whole, "{tool}");
            }
            engine.shutdown().await;
        });
    }
}

const LINK: &str = "  t:\n    description: A list.\n    call: { s: { get: /a, pages: link } }\n";

/// A page that fails in the middle: repeated by itself, then what is there is given.
#[tokio::test]
async fn page_three_fails() {
    let server = FaultServer::start().await;
    server.on_each("/api/a", |request| match request.query() {
        None => Answer::json("[1]").with("Link", "<?p=2>; rel=next"),
        Some("p=2") => Answer::json("[2]").with("Link", "<?p=3>; rel=next"),
        _ => Answer::status(503),
    });
    let engine = engine(&config(&server.url(), LINK));
    let result = call(&engine, "t", serde_json::json!({})).await;
    assert_eq!(items(&result), [1, 2]);
    assert!(told(&result).contains("The list is not whole: 2 items are here, but page 3 could not be read (unavailable): after 2 attempts: system `s` answered 503"));
    let targets: Vec<String> = server.received().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/api/a", "/api/a?p=2", "/api/a?p=3", "/api/a?p=3"]);
    // Mended, it goes on from there.
    server.on("/api/a", [Answer::json("[3]")]);
    let rest = call(&engine, "t", serde_json::json!({ "cursor": next(&result) })).await;
    assert_eq!((items(&rest), next(&rest)), (vec![3], None));
    assert_eq!(server.received().pop().unwrap().target, "/api/a?p=3");
    engine.shutdown().await;
}

#[tokio::test]
async fn endless_lists_end() {
    let server = FaultServer::start().await;
    server.on_each("/api/a", |request| {
        let page = request.query().map_or(1, |query| query.trim_start_matches("p=").parse().unwrap_or(1));
        Answer::json(&format!("[{page}]")).with("Link", &format!("<?p={}>; rel=next", page + 1))
    });
    server.on("/api/b", [Answer::json("[7]").with("Link", "</api/b>; rel=next")]);
    server.on(
        "/api/big",
        [Answer::json(&format!("[\"{}\"]", "x".repeat(600))).with("Link", "<?p=2>; rel=next")],
    );
    let tools = format!(
        "{LINK}  deaf: {{ description: A., call: {{ s: {{ get: /b, pages: link }} }} }}\n  big: {{ description: A., call: {{ s: {{ get: /big, max_body: 1KB, pages: link }} }} }}\n"
    );
    let engine = engine(&config(&server.url(), &tools));
    let result = call(&engine, "t", serde_json::json!({})).await;
    assert_eq!(items(&result), (1..=10).collect::<Vec<_>>());
    assert!(told(&result).contains("10 items are here, the most for one call (`max_pages`)"));
    let deaf = call(&engine, "deaf", serde_json::json!({})).await;
    let error = deaf.error.unwrap();
    assert!(error.to_string().contains("page 2 of `GET /b`: it has the items of the page before"), "{error}");
    // The limit on bytes holds for all pages together.
    let big = call(&engine, "big", serde_json::json!({})).await;
    assert!(told(&big).contains("1 item is here, the most for one call (`max_body`)"), "{}", told(&big));
    engine.shutdown().await;
}

/// A cursor is data: whatever comes back as one, only this system is asked, and only what it pointed to.
#[tokio::test]
async fn a_cursor_leads_nowhere_else() {
    let server = FaultServer::start().await;
    server.on_each("/api/a", |_| Answer::json("[1]").with("Link", "<?p=2>; rel=next"));
    let tools = format!(
        "{}  u: {{ description: A., call: {{ s: {{ get: /a, pages: {{ link: next, max_pages: 1 }} }} }} }}\n",
        LINK.replace("pages: link", "pages: { link: next, max_pages: 1 }")
    );
    let engine = engine(&config(&server.url(), &tools));
    let cursor = next(&call(&engine, "t", serde_json::json!({})).await).unwrap();
    let came = server.received().len();
    for cursor in [
        "https://evil.test/",
        "/api/secret",
        "L2FwaS9zZWNyZXQ",
        "../../etc",
        "",
        &cursor[1..],
        &format!("{cursor}AAAA"),
        &format!("{}{cursor}", &cursor[..4]),
    ] {
        let result = call(&engine, "t", serde_json::json!({ "cursor": cursor })).await;
        assert_eq!(result.error.unwrap().kind(), renkei_core::Kind::Invalid, "{cursor}");
    }
    let other = call(&engine, "u", serde_json::json!({ "cursor": cursor })).await;
    assert!(other.error.unwrap().to_string().contains("none that `u` gave"));
    assert_eq!(server.received().len(), came);
    engine.shutdown().await;
}

/// `renkei call` twice, as a person does it: with a key in the config, the cursor holds in another process.
#[tokio::test]
async fn by_hand_with_the_built_binary() {
    let server = lists().await;
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "server: {{ cursor_key: a-key-of-sixteen-letters-or-more }}\n{}",
        config(&server.url(), &every_way(4, "max_pages: 2"))
    );
    std::fs::write(folder.path().join("renkei.yaml"), text).unwrap();
    let run = |words: Vec<String>| {
        let folder = folder.path().to_owned();
        async move {
            let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_renkei"));
            let output =
                command.args(["call", "--json"]).args(words).current_dir(folder).output().await.unwrap();
            serde_json::from_slice::<serde_json::Value>(&output.stdout)
                .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
        }
    };
    let words =
        |more: &[&str]| ["link", "n=10", "s=4"].iter().chain(more).map(|word| (*word).to_owned()).collect();
    let first = run(words(&[])).await;
    assert_eq!(first["structured"]["result"], serde_json::json!([0, 1, 2, 3, 4, 5, 6, 7]), "{first}");
    let cursor = format!("cursor={}", first["structured"]["next_cursor"].as_str().unwrap());
    let second = run(words(&[&cursor])).await;
    assert_eq!(second["structured"], serde_json::json!({ "result": [8, 9] }), "{second}");
    let other = run(vec!["link".into(), "n=11".into(), "s=4".into(), cursor]).await;
    assert_eq!(other["error"]["kind"], "invalid", "{other}");
}

/// What `renkei check` says of a config.
fn check(tools: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("renkei.yaml"), config("https://s.example.com", tools)).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_renkei")).arg("check").current_dir(folder.path()).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn an_own_argument_of_that_name_is_refused() {
    let tool = |input: &str, pages: &str| {
        format!(
            "  t:\n    description: A list.\n    {input}\n    call: {{ s: {{ get: '/a?b=${{.cursor}}', pages: {pages} }} }}\n"
        )
    };
    for input in ["input: { cursor: string }", "input_schema: { type: object, properties: { cursor: {} } }"] {
        let said = check(&tool(input, "link"));
        assert!(said.contains("The argument `cursor` is there twice"), "{said}");
        assert!(said.contains("`cursor_argument: false`"), "{said}");
        let said = check(&tool(input, "{ link: next, cursor_argument: false }"));
        assert!(said.starts_with("ok: "), "{said}");
    }
}
