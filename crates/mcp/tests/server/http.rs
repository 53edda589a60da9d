//! Both eras over HTTP.

use http::StatusCode;
use renkei_core::{Principal, Value as CoreValue, principal::How};
use serde_json::json;

use crate::{
    fake::{BURST, Event},
    wire::{Face, LEGACY, MODERN, Post, initialize, modern},
};

#[tokio::test]
async fn discover_says_who_and_what() {
    let face = Face::new();
    let answer = face.modern("server/discover", json!({})).await;
    assert_eq!(answer.status, StatusCode::OK);
    let result = &answer.json().await["result"];
    assert_eq!(result["resultType"], "complete");
    let versions: Vec<_> = result["supportedVersions"].as_array().unwrap().iter().collect();
    assert!(versions.contains(&&json!(MODERN)) && versions.contains(&&json!(LEGACY)), "{versions:?}");
    assert_eq!(result["capabilities"], json!({"logging": {}, "tools": {"listChanged": true}}));
    assert_eq!(result["instructions"], "Call echo first.");
    assert_eq!(result["ttlMs"], 60_000);
    assert_eq!(result["cacheScope"], "public");
    let info = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(info, &json!({"name": "fake", "title": "A fake", "version": "1.2.3"}));
}

#[tokio::test]
async fn initialize_says_who_and_what() {
    let face = Face::new();
    let mut answer = face.send(Post::new(initialize(LEGACY)).build()).await;
    let result = &answer.message().await["result"];
    assert_eq!(result["protocolVersion"], LEGACY);
    assert_eq!(result["capabilities"], json!({"logging": {}, "tools": {"listChanged": true}}));
    assert_eq!(result["serverInfo"], json!({"name": "fake", "title": "A fake", "version": "1.2.3"}));
    assert_eq!(result["instructions"], "Call echo first.");
}

#[tokio::test]
async fn initialize_settles_on_a_version_that_has_it() {
    for (asked, given) in
        [("2025-06-18", "2025-06-18"), ("2024-11-05", "2024-11-05"), ("1999-01-01", LEGACY), (MODERN, LEGACY)]
    {
        let face = Face::new();
        let mut answer = face.send(Post::new(initialize(asked)).build()).await;
        assert_eq!(answer.message().await["result"]["protocolVersion"], given, "{asked}");
    }
}

#[tokio::test]
async fn the_list_is_the_same_in_both_eras_and_in_order() {
    let face = Face::new();
    let session = face.initialize().await;
    let modern = face.modern("tools/list", json!({})).await.json().await["result"].clone();
    let legacy = face.legacy(&session, "tools/list", json!({})).await.message().await["result"].clone();
    assert_eq!(modern["tools"], legacy["tools"]);
    assert_eq!(legacy.as_object().unwrap().keys().collect::<Vec<_>>(), ["tools"]);
    assert_eq!(modern["ttlMs"], 60_000);
    assert_eq!(modern["resultType"], "complete");
    let names: Vec<_> = modern["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names[..3], [&json!("echo"), &json!("media"), &json!("refuse")]);
    assert_eq!(
        modern["tools"][0],
        json!({
            "name": "echo",
            "title": "Echo",
            "description": "Does echo.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "region": {"type": "string", "x-mcp-header": "Region"},
                    "count": {"type": "integer", "x-mcp-header": "Count"},
                    "account": {"type": "integer", "x-mcp-header": "Account"}
                }
            },
            "outputSchema": {"type": "object"},
            "annotations": {
                "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false
            },
            "icons": [{"src": "data:image/png;base64,AA==", "mimeType": "image/png", "sizes": ["48x48"]}]
        })
    );
}

#[tokio::test]
async fn a_cursor_that_was_never_given_is_refused() {
    let face = Face::new();
    let answer = face.modern("tools/list", json!({"cursor": "x"})).await;
    assert_eq!(answer.json().await["error"]["code"], -32602);
}

#[tokio::test]
async fn a_call_gives_content_and_structure() {
    let face = Face::new();
    let session = face.initialize().await;
    let params = json!({"name": "echo", "arguments": {"z": 1, "a": [true, null, 1.5]}});
    let modern = face.modern("tools/call", params.clone()).await;
    assert_eq!(modern.headers["content-type"], "application/json");
    let modern = modern.json().await["result"].clone();
    assert_eq!(modern["resultType"], "complete");
    let legacy = face.legacy(&session, "tools/call", params).await.messages().await;
    for result in [&modern, &legacy[0]["result"]] {
        assert_eq!(result["content"], json!([{"type": "text", "text": r#"{"z":1,"a":[true,null,1.5]}"#}]));
        assert_eq!(result["structuredContent"], json!({"z": 1, "a": [true, null, 1.5]}));
        assert_eq!(result["isError"], false);
    }
    assert_eq!(legacy.len(), 1);
}

#[tokio::test]
async fn no_arguments_are_an_empty_object() {
    let face = Face::new();
    let answer = face.modern("tools/call", json!({"name": "echo"})).await;
    assert_eq!(answer.json().await["result"]["structuredContent"], json!({}));
}

#[tokio::test]
async fn every_kind_of_content() {
    let face = Face::new();
    let answer = face.modern("tools/call", json!({"name": "media"})).await;
    assert_eq!(
        answer.json().await["result"]["content"],
        json!([
            {"type": "image", "data": "AP8=", "mimeType": "image/png"},
            {"type": "audio", "data": "AP8=", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "test://text", "mimeType": "text/csv", "text": "a,b"}},
            {"type": "resource", "resource": {"uri": "test://blob", "blob": "AP8="}},
            {"type": "resource_link", "uri": "test://link", "name": "a link", "description": "where it leads"}
        ])
    );
}

#[tokio::test]
async fn a_failure_of_the_protocol_is_an_error_in_both_eras() {
    let face = Face::new();
    let session = face.initialize().await;
    let params = json!({"name": "refuse_by_protocol"});
    let modern = face.modern("tools/call", params.clone()).await.json().await;
    let legacy = face.legacy(&session, "tools/call", params).await.messages().await;
    assert_eq!(legacy.len(), 1);
    for answer in [&modern, &legacy[0]] {
        assert_eq!(answer["error"]["code"], 4001, "{answer}");
        assert_eq!(answer["error"]["message"], "branch `a`: the job was refused");
        assert_eq!(answer["error"]["data"]["kind"], "rejected");
        assert_eq!(answer["error"]["data"]["trace"].as_str().map(str::len), Some(32));
        assert!(answer["result"].is_null());
    }
}

#[tokio::test]
async fn a_session_gets_the_lines_that_it_asked_for() {
    let face = Face::new();
    let (session, other) = (face.initialize().await, face.initialize().await);
    let listen =
        async |session: &str| face.send(Post::new(json!(null)).session(session).method("GET", "")).await;
    let ask = async |session: &str, level: &str| {
        let mut answer = face.legacy(session, "logging/setLevel", json!({"level": level})).await;
        assert_eq!(answer.message().await["result"], json!({}));
    };
    let call = async |session: &str| {
        let answers = face.legacy(session, "tools/call", json!({"name": "log"})).await.messages().await;
        assert_eq!(answers.last().unwrap()["result"]["isError"], false);
    };
    let mut stream = listen(&session).await;
    // Nothing comes before it asks.
    call(&session).await;
    ask(&session, "info").await;
    call(&session).await;
    assert_eq!(stream.message().await["params"], json!({"level": "info", "data": "begun"}));
    let ended = json!({"level": "error", "data": {"message": "ended", "fields": {"id": 7}}});
    assert_eq!(stream.message().await["params"], ended);
    ask(&session, "warning").await;
    call(&session).await;
    assert_eq!(stream.message().await["params"], ended);
    // Another session is another matter.
    let mut stream = listen(&other).await;
    call(&other).await;
    ask(&other, "debug").await;
    call(&other).await;
    assert_eq!(stream.message().await["params"], json!({"level": "debug", "data": "ready"}));
}

#[tokio::test]
async fn a_modern_request_asks_for_itself() {
    let face = Face::new();
    let asking = json!({"name": "log", "_meta": {"io.modelcontextprotocol/logLevel": "debug"}});
    let answers = face.modern("tools/call", asking).await.messages().await;
    let methods: Vec<_> = answers.iter().filter_map(|answer| answer["method"].as_str()).collect();
    assert_eq!(methods, ["notifications/message"; 3]);
    let silent = face.modern("tools/call", json!({"name": "log"})).await.json().await;
    assert_eq!(silent["result"]["isError"], false);
}

#[tokio::test]
async fn a_failure_is_a_result_that_says_so() {
    let face = Face::new();
    let result = face.modern("tools/call", json!({"name": "refuse"})).await.json().await["result"].clone();
    assert_eq!(result["isError"], true);
    assert_eq!(result["content"][0]["text"], "the card was declined; use another one");
    assert!(result["structuredContent"].is_null());
}

#[tokio::test]
async fn a_panic_is_an_error_and_the_server_lives() {
    let face = Face::new();
    let session = face.initialize().await;
    for tool in ["panic", "panic_at_once"] {
        let modern = face.modern("tools/call", json!({"name": tool})).await.json().await;
        let legacy = face.legacy(&session, "tools/call", json!({"name": tool})).await.message().await;
        for message in [modern, legacy] {
            let result = &message["result"];
            assert_eq!(result["isError"], true, "{message}");
            let text = result["content"][0]["text"].as_str().unwrap();
            assert!(text.contains(&format!("`{tool}` stopped on a fault of the server")), "{text}");
            assert!(!text.contains("fault of the tool"), "the cause is for the log: {text}");
        }
    }
    let answer = face.legacy(&session, "tools/call", json!({"name": "echo"})).await.message().await;
    assert_eq!(answer["result"]["isError"], false);
}

#[tokio::test]
async fn an_unknown_tool_is_a_protocol_error() {
    let face = Face::new();
    let session = face.initialize().await;
    let modern = face.modern("tools/call", json!({"name": "nope"})).await.json().await;
    let legacy = face.legacy(&session, "tools/call", json!({"name": "nope"})).await.message().await;
    for message in [modern, legacy] {
        assert_eq!(message["error"]["code"], -32602);
        assert_eq!(message["error"]["message"], "unknown tool `nope`; `tools/list` names those there are");
    }
}

#[tokio::test]
async fn arguments_that_are_no_object_are_invalid() {
    let face = Face::new();
    let session = face.initialize().await;
    let params = json!({"name": "echo", "arguments": [1]});
    let modern = face.modern("tools/call", params.clone()).await.json().await;
    let legacy = face.legacy(&session, "tools/call", params).await.message().await;
    for message in [modern, legacy] {
        assert_eq!(message["error"]["code"], -32602, "{message}");
    }
}

#[tokio::test]
async fn progress_comes_before_the_result_in_the_same_response() {
    let face = Face::new();
    let session = face.initialize().await;
    for token in [json!("a token"), json!(9)] {
        let params = json!({"name": "progress", "_meta": {"progressToken": token}});
        let modern = face.modern("tools/call", params.clone()).await;
        assert!(modern.is_stream());
        let legacy = face.legacy(&session, "tools/call", params).await;
        for messages in [modern.messages().await, legacy.messages().await] {
            let (result, progress) = messages.split_last().unwrap();
            assert_eq!(result["result"]["content"][0]["text"], "done");
            let seen: Vec<_> = progress.iter().map(|message| &message["params"]).collect();
            let expected = |done: f64| json!({"progressToken": token, "progress": done, "total": 3.0, "message": format!("step {done}")});
            assert_eq!(seen, [&expected(1.0), &expected(2.0), &expected(3.0)]);
        }
    }
}

#[tokio::test]
async fn a_result_does_not_overtake_progress() {
    let face = Face::new();
    let session = face.initialize().await;
    let params = json!({"name": "burst", "_meta": {"progressToken": 1}});
    for _ in 0..20 {
        let modern = face.modern("tools/call", params.clone()).await.messages().await;
        let legacy = face.legacy(&session, "tools/call", params.clone()).await.messages().await;
        for messages in [modern, legacy] {
            let (result, progress) = messages.split_last().unwrap();
            assert_eq!(result["result"]["content"][0]["text"], "done");
            let seen: Vec<_> =
                progress.iter().map(|message| message["params"]["progress"].as_f64().unwrap()).collect();
            assert_eq!(seen, (1..=BURST).map(f64::from).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn without_a_token_there_is_no_progress() {
    let face = Face::new();
    let answer = face.modern("tools/call", json!({"name": "progress"})).await;
    assert_eq!(answer.messages().await.len(), 1);
}

#[tokio::test]
async fn a_closed_response_ends_a_modern_call() {
    let mut face = Face::new();
    // Before the headers of the response.
    let router = face.router.clone();
    let request = modern("tools/call", json!({"name": "wait"})).build();
    let call = tokio::spawn(async move { tower::ServiceExt::oneshot(router, request).await });
    assert_eq!(face.event().await, Event::Started);
    call.abort();
    assert_eq!(face.event().await, Event::Cancelled);
    assert_eq!(face.event().await, Event::Dropped);
    // In the middle of its stream.
    let params = json!({"name": "report_and_wait", "_meta": {"progressToken": 1}});
    let mut answer = face.modern("tools/call", params).await;
    assert_eq!(answer.message().await["method"], "notifications/progress");
    assert_eq!(face.event().await, Event::Started);
    drop(answer);
    assert_eq!(face.event().await, Event::Cancelled);
    assert_eq!(face.event().await, Event::Dropped);
}

#[tokio::test]
async fn a_notification_ends_a_legacy_call() {
    let mut face = Face::new();
    let session = face.initialize().await;
    let answer = face.legacy(&session, "tools/call", json!({"name": "wait"})).await;
    assert_eq!(face.event().await, Event::Started);
    let note = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}});
    let accepted = face.send(Post::new(note).session(&session).build()).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
    assert_eq!(face.event().await, Event::Cancelled);
    assert_eq!(face.event().await, Event::Dropped);
    // No answer comes; the stream ends.
    assert_eq!(answer.messages().await, Vec::<serde_json::Value>::new());
    // The session goes on.
    let answer = face.legacy(&session, "tools/call", json!({"name": "echo"})).await.message().await;
    assert_eq!(answer["result"]["isError"], false);
}

#[tokio::test(start_paused = true)]
async fn a_closed_response_leaves_a_legacy_call_alone_until_its_session_ends() {
    let mut face = Face::new();
    let session = face.initialize().await;
    let answer = face.legacy(&session, "tools/call", json!({"name": "wait"})).await;
    assert_eq!(face.event().await, Event::Started);
    drop(answer);
    // The specification of that era: a disconnect is not a cancellation.
    let still = face.legacy(&session, "tools/call", json!({"name": "echo"})).await.message().await;
    assert_eq!(still["result"]["isError"], false);
    assert!(face.events.try_recv().is_err());
    let gone = face.send(Post::new(json!(null)).session(&session).method("DELETE", "")).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(face.event().await, Event::Cancelled);
    assert_eq!(face.event().await, Event::Dropped);
}

#[tokio::test]
async fn methods_that_are_not_offered_are_not_found() {
    let face = Face::new();
    let session = face.initialize().await;
    let methods = [
        ("prompts/list", json!({})),
        ("prompts/get", json!({"name": "x"})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({"uri": "x://y"})),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": "b"}}),
        ),
        ("tasks/get", json!({"taskId": "x"})),
        ("nonsense", json!({})),
        ("initialize", json!({})),
    ];
    for (method, params) in methods {
        let legacy = face.legacy(&session, method, params.clone()).await.message().await;
        assert_eq!(legacy["error"]["code"], -32601, "{method}: {legacy}");
        let mut post = modern(method, params);
        if method == "resources/read" {
            post = post.header("mcp-name", "x://y");
        }
        if method == "tasks/get" {
            post = post.header("mcp-name", "x");
        }
        let answer = face.send(post.build()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method}");
        assert_eq!(answer.json().await["error"]["code"], -32601, "{method}");
    }
    // Newer clients ask with each request.
    for params in [json!({"level": "info"}), json!({})] {
        let answer = face.modern("logging/setLevel", params).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.json().await["error"]["code"], -32601);
    }
}

#[tokio::test]
async fn ping_is_of_the_legacy_era() {
    let face = Face::new();
    let session = face.initialize().await;
    assert_eq!(face.legacy(&session, "ping", json!({})).await.message().await["result"], json!({}));
    let answer = face.modern("ping", json!({})).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.json().await["error"]["code"], -32601);
}

#[tokio::test]
async fn a_modern_request_carries_its_metadata() {
    let face = Face::new();
    for missing in ["protocolVersion", "clientCapabilities"] {
        let mut post = modern("tools/list", json!({}));
        let meta = post.body["params"]["_meta"].as_object_mut().unwrap();
        meta.remove(&format!("io.modelcontextprotocol/{missing}"));
        let answer = face.send(post.build()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{missing}");
        assert_eq!(answer.json().await["error"]["code"], -32602, "{missing}");
    }
}

#[tokio::test]
async fn headers_must_agree_with_the_body() {
    let face = Face::new();
    let call = || modern("tools/call", json!({"name": "echo", "arguments": {"region": "eu"}}));
    let good = call().header("mcp-param-region", "eu");
    assert_eq!(face.send(good.clone().build()).await.status, StatusCode::OK);
    let wrong = [
        good.clone().header("mcp-method", "tools/list"),
        good.clone().header("mcp-name", "media"),
        good.clone().header("mcp-param-region", "us"),
        good.clone().header("mcp-protocol-version", LEGACY),
        good.clone().without("mcp-method"),
        good.clone().without("mcp-name"),
        good.clone().without("mcp-param-region"),
        good.without("mcp-protocol-version"),
    ];
    for (at, post) in wrong.into_iter().enumerate() {
        let answer = face.send(post.build()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{at}");
        assert_eq!(answer.json().await["error"]["code"], -32020, "{at}");
    }
}

#[tokio::test]
async fn an_unsupported_version_is_named_with_those_that_are() {
    let face = Face::new();
    let mut post = modern("tools/list", json!({})).header("mcp-protocol-version", "2099-01-01");
    post.body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01".into();
    let answer = face.send(post.build()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let error = answer.json().await["error"].clone();
    assert_eq!(error["code"], -32022);
    assert_eq!(error["data"]["requested"], "2099-01-01");
    assert!(error["data"]["supported"].as_array().unwrap().contains(&json!(MODERN)));
}

#[tokio::test]
async fn a_message_is_json_and_so_may_the_answer_be() {
    let face = Face::new();
    let answer = face.send(Post::new(json!({})).header("content-type", "text/plain").build()).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let answer = face.send(Post::new(list).header("accept", "application/json").build()).await;
    assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn get_and_delete_are_of_the_legacy_era() {
    let face = Face::new();
    let session = face.initialize().await;
    for method in ["GET", "DELETE"] {
        let request = Post::new(json!(null)).header("mcp-protocol-version", MODERN).method(method, "");
        assert_eq!(face.send(request).await.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    let stream = face.send(Post::new(json!(null)).session(&session).method("GET", "")).await;
    assert!(stream.is_stream());
    let answer = face.send(Post::new(json!(null)).session(&session).method("DELETE", "")).await;
    assert!(answer.status.is_success());
    let answer = face.legacy(&session, "tools/list", json!({})).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(
        face.send(Post::new(json!(null)).method("PUT", "")).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn the_context_of_a_call_says_who_when_and_where() {
    let face = Face::new();
    let ada = Principal { name: "ada".into(), how: How::ApiKey, claims: CoreValue::object() };
    let before = tokio::time::Instant::now();
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let call = |meta| modern("tools/call", json!({"name": "echo", "_meta": meta}));

    face.send(call(json!({"traceparent": traceparent, "tracestate": "a=b"})).from(ada).build()).await;
    let cx = face.fake.context();
    assert_eq!((&*cx.principal.name, cx.principal.how), ("ada", How::ApiKey));
    assert_eq!(cx.trace.id(), "0af7651916cd43dd8448eb211c80319c");
    assert_ne!(&*cx.trace.parent, traceparent, "a call is a span of its own");
    assert_eq!(cx.trace.state.as_deref(), Some("a=b"));
    let left = cx.deadline - before;
    assert!(left.as_secs() == 20, "{left:?}");

    face.send(call(json!({})).header("traceparent", traceparent).build()).await;
    let cx = face.fake.context();
    assert_eq!((&*cx.principal.name, cx.principal.how), ("anonymous", How::None));
    assert_eq!(cx.trace.id(), "0af7651916cd43dd8448eb211c80319c");
}

#[tokio::test]
async fn answers_to_somebody_stay_private() {
    let face = Face::new();
    let ada = Principal { name: "ada".into(), how: How::Jwt, claims: CoreValue::object() };
    for method in ["tools/list", "server/discover"] {
        let answer = face.send(modern(method, json!({})).from(ada.clone()).build()).await;
        assert_eq!(answer.json().await["result"]["cacheScope"], "private");
        assert_eq!(face.modern(method, json!({})).await.json().await["result"]["cacheScope"], "public");
    }
}
