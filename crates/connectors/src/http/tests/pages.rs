//! Pages: what the config may say, what is asked for, and what a reply says of its page.

use renkei_core::{Cursor, Effect, Kind, Page, PreparedOp, Request, System as _, Value};
use renkei_testkit::fault::{Answer, FaultServer};

use super::{HttpSystem, call, call_on, connect, context, prepare, refused_op, request, system_at, value};

const OFFSET: &str = r#"{"get": "/a", "pages": {"offset": "skip"}}"#;

fn problem(pages: &str) -> Vec<String> {
    refused_op(&format!(r#"{{"get": "/a", "pages": {pages}}}"#))
}

#[test]
fn says_what_is_wrong() {
    for (pages, expected) in [
        (
            r#""next""#,
            "expected `link`, or a mapping such as `{ number: page, items: '${$result.data}' }`, found the text `next`",
        ),
        (
            "{}",
            "`pages` does not say how one page leads to the next | add one of `number: page`, `offset: skip`, `cursor: after` with `next`, `link: next`, `next_url: '${…}'`",
        ),
        (
            r#"{"number": "p", "link": "next"}"#,
            "pages follow each other in one way, not by `number` and `link` | keep the one that the system documents",
        ),
        (r#"{"number": "p", "sise": 3}"#, "unknown key `sise` | did you mean `size`?"),
        (
            r#"{"cursor": "c"}"#,
            "`cursor` without `next`: where the cursor of the next page stands is not said | add `next: '${$result.next_cursor}'`",
        ),
        (
            r#"{"number": "p", "next": "${$result.n}"}"#,
            "`next` belongs to `cursor`, and the pages go by `number` | remove it; `next_url` is for a whole URL",
        ),
        (
            r#"{"link": "next", "first": 0}"#,
            "`first` belongs to `number`, `offset` and `cursor`, and the pages go by `link` | remove it; the system itself says where a page stands",
        ),
        (
            r#"{"link": "next", "size": {"n": 3}}"#,
            "`size` belongs to `number` and `offset`, and the pages go by `link` | remove it; write it into `query`: `query: { per_page: 100 }`",
        ),
        (
            r#"{"number": "p", "first": "*"}"#,
            "the first page is asked for by a whole number, and `first` is `\"*\"` | write 0 or 1, as the system documents",
        ),
        (
            r#"{"cursor": "c", "next": "${$result.n}", "first": "${1}"}"#,
            "`first` of a cursor is a text or a number, and no template | write what the system documents, such as `*`",
        ),
        (
            r#"{"number": "p", "any_path": true}"#,
            "`any_path` belongs to `link` and `next_url`, and the pages go by `number` | remove it; only a URL can leave the path",
        ),
        (r#"{"link": "next page"}"#, "this is not a relation of a link | usually it is `next`"),
        (
            r#"{"link": "next", "items": ".data"}"#,
            "`items` is the same for every reply | ask the reply: `items: '${$result.data}'`",
        ),
        (
            r#"{"link": "next", "items": ["a"]}"#,
            "expected a template on the reply, such as `${$result.data}`, found a list",
        ),
        (
            r#"{"number": ""}"#,
            "a query parameter has a name | write the one that the system documents, such as `page`",
        ),
        (
            r#"{"number": {"header": "Content-Length"}}"#,
            "the header `Content-Length` cannot be set | it frames the message, so Renkei sets it where it is needed",
        ),
        (
            r#"{"number": {"body": "p"}}"#,
            "the page goes into the body, and the operation has no JSON body | add `body: {}`, or name a query parameter",
        ),
        (
            r#"{"number": "p", "size": 0}"#,
            "a page of no items would never end | write the size of a page, such as 100",
        ),
        (
            r#"{"number": "p", "size": {"a": 1, "b": 2}}"#,
            "expected a number, or one parameter with a number: `{ per_page: 100 }`, found a mapping",
        ),
        (r#"{"number": "p", "max_pages": 0}"#, "`max_pages` is 0 | write a number from 1 to 1000"),
        (
            r#"{"number": "p", "max_items": 100001}"#,
            "`max_items` is 100001 | write a number from 1 to 100000",
        ),
        (
            r#"{"number": "p", "whole": true, "cursor_argument": true}"#,
            "`cursor_argument: true` beside `whole: true`: a list that is given whole does not go on | remove one of them",
        ),
    ] {
        assert_eq!(problem(pages), [expected], "{pages}");
    }
    // Neither the arguments nor the caller are in reach: a page belongs to the system.
    assert_eq!(problem(r#"{"link": "next", "items": "${.a}"}"#).len(), 1);
    assert_eq!(problem(r#"{"link": "next", "items": "${$caller}"}"#).len(), 1);
}

#[test]
fn contradicts_no_other_part_of_the_operation() {
    for (op, expected) in [
        (
            r#"{"post": "/a", "pages": "link"}"#,
            "`pages` beside POST: only what reads can be asked for page by page | if it only searches, add `effect: read` to the operation",
        ),
        (r#"{"head": "/a", "pages": "link"}"#, "a reply to HEAD has no items | write `get`"),
        (
            r#"{"get": "/a", "as": "bytes", "pages": "link"}"#,
            "`pages` beside `as: bytes`: bytes have no items | remove one of them",
        ),
        (
            r#"{"get": "/a?x=1&p=2", "pages": {"number": "p"}}"#,
            "the operation sets the query parameter `p`, and `pages` sets it, too | remove `p` from the path or `query` of the operation",
        ),
        (
            r#"{"get": "/a", "query": {"per page": 3}, "pages": {"number": "p", "size": {"per page": 2}}}"#,
            "the operation sets the query parameter `per page`, and `pages` sets it, too | remove `per page` from the path or `query` of the operation",
        ),
        (
            r#"{"get": "/a", "headers": {"X-Page": "1"}, "pages": {"number": {"header": "x-page"}}}"#,
            "the header `x-page` is set already, and `pages` would set it, too | keep one of them",
        ),
    ] {
        assert_eq!(refused_op(op), [expected], "{op}");
    }
}

#[test]
fn limits_and_defaults() {
    let paging = |op: &str| prepare(&system_at("http://127.0.0.1:1", ""), op).pages.unwrap();
    let by_default = paging(r#"{"get": "/a", "pages": "link"}"#);
    assert_eq!((by_default.max_pages, by_default.max_items, by_default.max_bytes), (10, 1000, 10_000_000));
    assert!(by_default.cursor_argument && !by_default.whole);
    let set = paging(
        r#"{"get": "/a", "max_body": "1KB", "pages": {"link": "next", "max_pages": 3, "max_items": 7, "whole": true}}"#,
    );
    assert_eq!((set.max_pages, set.max_items, set.max_bytes), (3, 7, 1000));
    assert!(set.whole && !set.cursor_argument);
    let op =
        prepare(&system_at("http://127.0.0.1:1", ""), r#"{"post": "/a", "effect": "read", "pages": "link"}"#);
    assert_eq!(op.effect, Effect::Read);
    assert_eq!(prepare(&system_at("http://127.0.0.1:1", ""), "GET /a").pages, None);
}

fn at(op: PreparedOp, page: Option<&str>) -> Request {
    Request { page: page.map(|page| Cursor(value(page))), ..request(op, value(r#"{"q": "x y"}"#)).unwrap() }
}

/// The request as data, or why it cannot be sent.
fn shown(op: &str, page: Option<&str>) -> String {
    let system = system_at("http://127.0.0.1:1/api/", "");
    match system.show(&at(prepare(&system, op), page)) {
        Ok(request) => request.to_json(),
        Err(error) => format!("{}: {error}", error.kind()),
    }
}

#[test]
fn asks_for_a_page() {
    let number = r#"{"get": "/a?q=${.q}", "pages": {"number": "p age", "size": {"n": 50}}}"#;
    let body = r#"{"post": "/a", "effect": "read", "body": {"q": "${.q}", "at": {"x": 1}}, "pages": {"cursor": {"body": "at.next"}, "next": "${$result.n}"}}"#;
    let header = r#"{"get": "/a", "pages": {"cursor": {"header": "X-After"}, "next": "${$result.n}"}}"#;
    let link = r#"{"get": "/a?q=1", "pages": "link"}"#;
    for (op, page, expected) in [
        (number, None, r#"{"method":"GET","path":"/a","query":{"q":"x y","p age":"1","n":"50"}}"#),
        (
            number,
            Some("[7, 300]"),
            r#"{"method":"GET","path":"/a","query":{"q":"x y","p age":"7","n":"50"}}"#,
        ),
        (
            r#"{"get": "/a", "pages": {"cursor": "c", "next": "${$result.n}", "first": "*"}}"#,
            None,
            r#"{"method":"GET","path":"/a","query":{"c":"*"}}"#,
        ),
        (OFFSET, None, r#"{"method":"GET","path":"/a","query":{"skip":"0"}}"#),
        (OFFSET, Some("40"), r#"{"method":"GET","path":"/a","query":{"skip":"40"}}"#),
        (body, None, r#"{"method":"POST","path":"/a","body":{"q":"x y","at":{"x":1}}}"#),
        (
            body,
            Some(r#"[1.10, "a"]"#),
            r#"{"method":"POST","path":"/a","body":{"q":"x y","at":{"x":1,"next":[1.10,"a"]}}}"#,
        ),
        (header, Some(r#""a/b""#), r#"{"method":"GET","path":"/a","headers":{"x-after":"a/b"}}"#),
        (link, None, r#"{"method":"GET","path":"/a","query":{"q":"1"}}"#),
        (link, Some(r#""/api/b?page=2""#), r#"{"method":"GET","path":"/b","query":{"page":"2"}}"#),
    ] {
        assert_eq!(shown(op, page), expected, "{op} {page:?}");
    }
}

/// A cursor that is none of this operation: of another kind, or made up.
#[test]
fn a_foreign_cursor_is_sent_nowhere() {
    let link = r#"{"get": "/a", "pages": "link"}"#;
    for (op, page) in [
        (OFFSET, r#""x""#),
        (OFFSET, "-1"),
        (OFFSET, "[1,2]"),
        (r#"{"get": "/a", "pages": {"number": "p"}}"#, "3"),
        (r#"{"get": "/a", "pages": {"cursor": "c", "next": "${$result.n}"}}"#, r#"{"a": 1}"#),
        (link, "3"),
        (link, r#""b""#),
        (link, r#""/b""#),
        (link, r#""/apis""#),
        (link, r#""/api/../b""#),
        (link, r#""/api/%2e%2e/b""#),
        (link, r#""@evil.test/api/b""#),
        (link, r#"":9/api/b""#),
        (link, r#""//evil.test/api/b""#),
        (link, r#""https://evil.test/api/b""#),
    ] {
        let shown = shown(op, Some(page));
        assert!(shown.starts_with("invalid: this cursor belongs to no page"), "{op} {page}: {shown}");
    }
    assert!(shown("GET /a", Some("1")).starts_with("internal: "));
}

async fn page_of(system: &HttpSystem, op: &str, page: Option<&str>) -> renkei_core::Result<Page> {
    let reply = connect(system).call(&context(), &at(prepare(system, op), page)).await?;
    reply.page.expect("the operation has pages")
}

async fn first(op: &str, answer: Answer) -> renkei_core::Result<Page> {
    let server = FaultServer::start().await;
    server.on("/api/a", [answer]);
    page_of(&system_at(&format!("{}/api", server.url()), ""), op, None).await
}

fn next(page: renkei_core::Result<Page>) -> Option<String> {
    page.unwrap().next.map(|Cursor(next)| next.to_json())
}

#[tokio::test]
async fn a_reply_says_which_page_follows() {
    let cursor = r#"{"get": "/a", "pages": {"cursor": "c", "items": "${$result.d}", "next": "${$result.n}", "more": "${$result.more}"}}"#;
    let plain = r#"{"get": "/a", "pages": {"cursor": "c", "items": "${$result.d}", "next": "${$result.n}"}}"#;
    let total =
        r#"{"get": "/a", "pages": {"offset": "o", "items": "${$result.d}", "total": "${$result.t}"}}"#;
    let sized = r#"{"get": "/a", "pages": {"number": "p", "first": 0, "size": 2, "items": "${$result.d}"}}"#;
    for (op, body, expected) in [
        (plain, r#"{"d": [1], "n": "b"}"#, Some(r#""b""#)),
        (plain, r#"{"d": [], "n": 7}"#, Some("7")),
        (plain, r#"{"d": [1], "n": ""}"#, None),
        (plain, r#"{"d": [1], "n": null}"#, None),
        (plain, r#"{"d": [1], "n": false}"#, None),
        (plain, r#"{"d": [1]}"#, None),
        (cursor, r#"{"d": [1], "n": "b", "more": true}"#, Some(r#""b""#)),
        (cursor, r#"{"d": [1], "n": "b", "more": false}"#, None),
        (cursor, r#"{"d": [1], "n": "b"}"#, None),
        (total, r#"{"d": [1, 2], "t": 3}"#, Some("2")),
        (total, r#"{"d": [1, 2], "t": "2"}"#, None),
        (total, r#"{"d": [1, 2], "t": null}"#, Some("2")),
        (total, r#"{"d": [], "t": 9}"#, None),
        (sized, r#"{"d": [1, 2]}"#, Some("[1,2]")),
        (sized, r#"{"d": [1]}"#, None),
    ] {
        assert_eq!(next(first(op, Answer::json(body)).await).as_deref(), expected, "{op} {body}");
    }
    let header = r#"{"get": "/a", "pages": {"cursor": "c", "next": "${$result_meta.headers[\"x-next\"]}"}}"#;
    assert_eq!(next(first(header, Answer::json("[1]").with("X-Next", "b")).await).as_deref(), Some(r#""b""#));
}

#[tokio::test]
async fn what_is_no_page_is_told() {
    let data = r#"{"get": "/a", "pages": {"link": "next", "items": "${$result.data}"}}"#;
    let bare = r#"{"get": "/a", "pages": "link"}"#;
    for (op, answer, expected) in [
        (
            data,
            Answer::json("{}"),
            "`items` of `pages` finds nothing in it; if that stands for an empty list, write `${ … // [] }`",
        ),
        (data, Answer::json(r#"{"data": {"a": 1}}"#), "`items` of `pages` gives an object instead of a list"),
        (data, Answer::json(r#"{"data": "x"}"#), "`items` of `pages` gives a string instead of a list"),
        (data, Answer::json("[]"), "`items` of `pages` does not work out"),
        (
            bare,
            Answer::json(r#"{"rows": [1], "n": 2}"#),
            "its body is an object and no list; say where the items stand: `items: '${$result.rows}'`",
        ),
        (bare, Answer::json(r#"{"a": [1], "b": []}"#), "`items: '${$result.data}'`"),
        (bare, Answer::status(204), "its body is nothing and no list"),
        (bare, Answer::body(200, "image/png", "x"), "it is bytes, which have no items"),
        (
            r#"{"get": "/a", "pages": {"offset": "o", "total": "${$result_meta.url}"}}"#,
            Answer::json("[1]"),
            "`total` of `pages` gives a string and no whole number",
        ),
        (
            r#"{"get": "/a", "pages": {"cursor": "c", "next": "${[1]}${$result}"}}"#,
            Answer::json("[1]"),
            "`next` of `pages` does not work out",
        ),
        (
            r#"{"get": "/a", "pages": {"cursor": "c", "next": "${$result}"}}"#,
            Answer::json("[1]"),
            "`next` of `pages` gives an array, which fits a member of the body only",
        ),
        (
            r#"{"get": "/a", "pages": {"next_url": "${$result[0]}"}}"#,
            Answer::json("[1]"),
            "`next_url` of `pages` gives a number and no URL",
        ),
    ] {
        let error = first(op, answer).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal, "{op}");
        assert!(error.public().contains("the reply to `GET /a` is no page: "), "{error}");
        assert!(error.public().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_url_leads_to_a_page_below_the_base_only() {
    let url = r#"{"get": "/a", "pages": {"next_url": "${$result.n}", "items": "${$result.d}"}}"#;
    let server = FaultServer::start().await;
    let origin = server.url();
    let port = server.address().port();
    let follow = |target: String, more: &'static str| {
        let (server, origin) = (&server, &origin);
        async move {
            let body = Value::from([("d", Value::from(Vec::new())), ("n", target.into())]).to_json();
            server.on("/api/a", [Answer::json(&body)]);
            let op = url.replace(r#""next_url""#, &format!(r#"{more}"next_url""#));
            page_of(&system_at(&format!("{origin}/api"), ""), &op, None).await
        }
    };
    for (target, expected) in [
        ("?page=2", "/api/a?page=2"),
        ("b", "/api/b"),
        ("/api", "/api"),
        ("/api/b/../c?x=a%20b#top", "/api/c?x=a%20b"),
        (&*format!("{origin}/api/b"), "/api/b"),
    ] {
        let found = next(follow(target.to_owned(), "").await).unwrap();
        assert_eq!(found, Value::from(expected).to_json(), "{target}");
    }
    for (target, why) in [
        ("https://evil.test/api/b", "another origin"),
        ("//evil.test/api/b", "another origin"),
        ("\\\\evil.test\\api", "another origin"),
        ("http://127.0.0.1:1/api/b", "another origin"),
        (&*format!("https://127.0.0.1:{port}/api/b"), "another origin"),
        (&*format!("http://localhost:{port}/api/b"), "another origin"),
        (&*format!("http://a:b@127.0.0.1:{port}/api/b"), "a user name or a password"),
        ("javascript:alert(1)", "another origin"),
        ("http://[", "no URL"),
        ("/b", "leaves `/api`"),
        ("/apis/b", "leaves `/api`"),
        ("../../b", "leaves `/api`"),
        ("%2e%2e/b", "leaves `/api`"),
    ] {
        let error = follow(target.to_owned(), "").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal, "{target}");
        assert!(error.public().contains(why), "{target}: {error}");
    }
    assert_eq!(next(follow("/b".into(), r#""any_path": true, "#).await).as_deref(), Some(r#""/b""#));
    assert!(follow("//evil.test/b".into(), r#""any_path": true, "#).await.is_err());
}

/// The system's key goes with every page, and into no cursor.
#[tokio::test]
async fn credentials_go_with_each_page_and_never_into_a_cursor() {
    let server = FaultServer::start().await;
    server.on_each("/a", |request| match request.query() {
        Some(query) if query.contains("page=2") => Answer::json("[2]"),
        _ => Answer::json("[1]").with("Link", "</a?page=2&key=hunter2%2Fx&z>; rel=next"),
    });
    let more = r#""auth": {"api_key": {"query": "key", "value": "hunter2/x"}}, "headers": {"X-Own": "1"}"#;
    let system = system_at(&server.url(), more);
    let op = r#"{"get": "/a", "headers": {"X-Op": "2"}, "pages": "link"}"#;
    let page = page_of(&system, op, None).await.unwrap();
    let cursor = page.next.unwrap().0.to_json();
    assert_eq!(cursor, r#""/a?page=2&z""#);
    let page = page_of(&system, op, Some(&cursor)).await.unwrap();
    assert_eq!((page.items, page.next, page.bytes), (vec![2i64.into()], None, 3));
    let last = server.received().pop().unwrap();
    assert_eq!(last.target, "/a?page=2&z&key=hunter2%2Fx");
    assert_eq!((last.header("x-own"), last.header("x-op")), (Some("1"), Some("2")));
}

/// What the system says of its own secrets is masked in the items, and still leads on.
#[tokio::test]
async fn a_secret_in_the_way_to_the_next_page_is_not_shown() {
    let server = FaultServer::start().await;
    server.on("/a", [Answer::json(r#"{"d": ["hunter2/x"], "n": "hunter2/x"}"#)]);
    let system = system_at(&server.url(), r#""auth": {"bearer": "hunter2/x"}"#);
    let op = r#"{"get": "/a", "pages": {"cursor": "c", "items": "${$result.d}", "next": "${$result.n}"}}"#;
    let page = page_of(&system, op, None).await.unwrap();
    assert_eq!(page.items, [Value::from("***")]);
    assert_eq!(page.next, Some(Cursor("hunter2/x".into())));
}

/// A page behind a redirect to another origin leads nowhere from there.
#[tokio::test]
async fn a_redirect_does_not_change_where_pages_may_stand() {
    let (home, away) = (FaultServer::start().await, FaultServer::start().await);
    home.on("/a", [Answer::redirect(302, &format!("{}/a", away.url()))]);
    away.on("/a", [Answer::json("[1]").with("Link", "</a?page=2>; rel=next")]);
    let system = system_at(&home.url(), r#""redirects": 1"#);
    let error = page_of(&system, r#"{"get": "/a", "pages": "link"}"#, None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    assert_eq!((home.received().len(), away.received().len()), (1, 1));
    // What asks for a page is for the system alone, too.
    let op = r#"{"get": "/a", "pages": {"cursor": {"header": "X-After"}, "next": "${$result_meta.headers[\"x-next\"]}"}}"#;
    page_of(&system, op, Some(r#""abc""#)).await.unwrap();
    assert_eq!(home.received().pop().unwrap().header("x-after"), Some("abc"));
    assert_eq!(away.received().pop().unwrap().header("x-after"), None);
}

#[tokio::test]
async fn a_contradiction_is_a_notice() {
    let server = FaultServer::start().await;
    server.on("/a", [Answer::json("[]")]);
    let op = r#"{"get": "/a", "pages": {"number": "p", "more": "${true and ($result | length == 0)}"}}"#;
    let reply = call(&server, op, "{}").await.unwrap();
    assert_eq!(
        reply.notices,
        ["system `shop` says that the list goes on, but not where: what follows is not here"]
    );
    // The value stays the reply itself, for `reject_when`.
    let reply = call_on(&system_at(&server.url(), ""), op, Value::object()).await.unwrap();
    assert!(reply.page.unwrap().unwrap().items.is_empty());
}
