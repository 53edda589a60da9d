//! Results: checked, wrapped, cut, and in parts.

use bytes::Bytes;
use renkei_core::{
    Applied, Effect, Kind, Value,
    resource::Resources,
    tool::{Annotations, Content, ResourceBody, ToolResult, Tools},
};

use crate::{
    engine::{Keep, Options},
    fake::{Bench, Tool, context, value},
};

async fn run(tool: Tool, arguments: &str) -> ToolResult {
    Bench::new(tool).engine.call(context(), "t", value(arguments), None).await.unwrap()
}

fn texts(result: &ToolResult) -> Vec<&str> {
    let mut texts = Vec::new();
    for part in &result.content {
        let Content::Text(text) = part else { panic!("{part:?}") };
        texts.push(text.as_str());
    }
    texts
}

#[tokio::test(start_paused = true)]
async fn an_object_is_published_as_it_is() {
    let result = run(Tool::default(), r#"{ "b": 1, "a": 1.10 }"#).await;
    assert_eq!(texts(&result), [r#"{"b":1,"a":1.10}"#]);
    assert_eq!(result.structured.unwrap().to_json(), r#"{"b":1,"a":1.10}"#);
}

#[tokio::test(start_paused = true)]
async fn anything_else_is_wrapped() {
    for (given, text, structured) in [
        (r#"{ "v": [1] }"#, "[1]", r#"{"result":[1]}"#),
        (r#"{ "v": 7 }"#, "7", r#"{"result":7}"#),
        (r#"{ "v": null }"#, "null", r#"{"result":null}"#),
        (r#"{ "v": "two\nlines" }"#, "two\nlines", r#"{"result":"two\nlines"}"#),
    ] {
        let result = run(Tool { output: Some(r#""${.v}""#), ..Tool::default() }, given).await;
        assert_eq!(texts(&result), [text]);
        assert_eq!(result.structured.unwrap().to_json(), structured);
    }
}

#[tokio::test(start_paused = true)]
async fn output_sees_the_result_and_its_meta() {
    let tool = Tool {
        output: Some(
            r#"{ "was": "${.a}", "got": "${$result.b}", "status": "${$result_meta.status}", "none": "${$result.c}" }"#,
        ),
        ..Tool::default()
    };
    let result = run(tool, r#"{ "a": 1, "b": 2 }"#).await;
    assert_eq!(result.structured.unwrap(), value(r#"{ "was": 1, "got": 2, "status": 200 }"#));
}

#[tokio::test(start_paused = true)]
async fn an_array_schema_is_wrapped_with_its_definitions() {
    let bench = Bench::new(Tool {
        call: r#"{ "crm": { "do": "many", "value": 2 } }"#,
        output_schema: Some(
            r##"{ "type": "array", "items": { "$ref": "#/$defs/row" }, "$defs": { "row": { "type": "object", "properties": { "next": { "$ref": "#/$defs/row" }, "all": { "$ref": "#" } } } } }"##,
        ),
        ..Tool::default()
    });
    let schema = bench.engine.find("t").unwrap().output_schema.clone().unwrap();
    assert_eq!(schema.get("type").unwrap().as_str(), Some("object"));
    let row = schema.get("$defs").unwrap().get("row").unwrap().get("properties").unwrap();
    assert_eq!(row.get("next").unwrap().to_json(), r##"{"$ref":"#/$defs/row"}"##);
    assert_eq!(row.get("all").unwrap().to_json(), r##"{"$ref":"#/properties/result"}"##);
    let result = bench.engine.call(context(), "t", Value::Null, None).await.unwrap();
    let structured = result.structured.unwrap();
    assert_eq!(structured, value(r#"{ "result": [{ "id": 0 }, { "id": 1 }] }"#));
    let published = super::super::schema::compile(&schema).unwrap();
    assert!(published.is_valid(&(&structured).into()));
}

#[tokio::test(start_paused = true)]
async fn a_broken_promise_is_the_configs_fault_and_says_that_it_happened() {
    let schema = r#"{ "type": "object", "properties": { "rows": { "items": { "properties": { "n": { "type": "integer" } } } } } }"#;
    let wrong = r#"{ "rows": [{ "n": 1 }, { "n": "two" }] }"#;
    let result = run(Tool { output_schema: Some(schema), ..Tool::default() }, wrong).await;
    let error = result.error.as_ref().unwrap();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Internal, Applied::No));
    assert!(error.public().contains("at `rows[1].n`: expected integer, got the string \"two\""), "{error}");
    assert_eq!(result.structured, None);

    let write = Tool {
        call: r#"{ "crm": { "effect": "write", "value": "${.}" } }"#,
        output_schema: Some(schema),
        ..Tool::default()
    };
    let result = run(write, wrong).await;
    assert_eq!(result.error.as_ref().unwrap().was_applied(), Applied::Yes);
    assert!(texts(&result)[0].contains("was carried out"), "{:?}", texts(&result));
}

const READ: &str = r#"{ "crm": { "value": "${.}" } }"#;
const WRITE: &str = r#"{ "crm": { "effect": "write", "value": "${.}" } }"#;

/// A template that fails after the call is the config's fault: no other argument mends it, and what was
/// written stays written.
#[tokio::test(start_paused = true)]
async fn an_output_that_fails_says_that_the_call_was_carried_out() {
    let parts = r#"{ "text": "${.n | tonumber}" }"#;
    let image = r#"{ "image": "no base64!", "mime_type": "image/png" }"#;
    for (output, content) in
        [(Some(r#"{ "n": "${.n | tonumber}" }"#), None), (None, Some(vec![parts])), (None, Some(vec![image]))]
    {
        for (call, effect) in [(READ, Effect::Read), (WRITE, Effect::Write)] {
            let content = content.clone();
            let result = run(Tool { call, output, content, ..Tool::default() }, r#"{ "n": "x" }"#).await;
            let error = result.error.as_ref().unwrap();
            assert_eq!(error.kind(), Kind::Internal, "{error}");
            let text = &texts(&result)[0];
            assert!(
                text.contains("does not work out") && text.contains("the config must be mended"),
                "{text}"
            );
            assert!(!text.contains("not carried out") && !text.contains("Change the arguments"), "{text}");
            let carried_out = text.contains("`t` was carried out, but its result cannot be given");
            let done = text.contains("What it does is done: do not repeat it.");
            assert_eq!((carried_out, done), (effect == Effect::Write, effect == Effect::Write), "{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_too_large_after_a_write_is_not_an_invitation_to_repeat() {
    let options = Options { content_bytes: 5, ..Options::default() };
    let content = Some(vec![r#"{ "text": "a long text" }"#]);
    let bench =
        Bench::with(Tool { call: WRITE, content, ..Tool::default() }, options, std::time::Duration::ZERO, 0);
    let result = bench.engine.call(context(), "t", Value::Null, None).await.unwrap();
    assert_eq!(
        texts(&result),
        [
            "`t` was carried out, but its result cannot be given: the parts of the result have 11 bytes, and at \
          most 5 bytes can be given; ask for less.\nWhat it does is done: do not repeat it.\nLook at the \
          outcome with a call that asks for less."
        ]
    );
}

async fn limited(
    call: &'static str,
    output: Option<&'static str>,
    schema: Option<&'static str>,
    limit: usize,
) -> ToolResult {
    let keep = Keep { total_bytes: 0, ..Keep::default() };
    let options = Options { result_bytes: limit, content_bytes: limit, keep, ..Options::default() };
    let tool = Tool { call, output, output_schema: schema, ..Tool::default() };
    let bench = Bench::with(tool, options, std::time::Duration::ZERO, 0);
    bench.engine.call(context(), "t", Value::Null, None).await.unwrap()
}

const MANY: &str = r#"{ "crm": { "do": "many", "value": 100 } }"#;

#[tokio::test(start_paused = true)]
async fn a_long_array_is_cut_at_whole_elements() {
    let schema = r#"{ "type": "array", "items": { "type": "object" } }"#;
    for schema in [None, Some(schema)] {
        let result = limited(MANY, None, schema, 50).await;
        assert_eq!(
            texts(&result),
            [
                r#"[{"id":0},{"id":1},{"id":2},{"id":3},{"id":4}]"#,
                "more rows exist",
                "truncated: 5 of 100 elements are shown, because a result may have 50 bytes; 95 more are left out. Ask for less at a time to see them.",
            ]
        );
        let structured = result.structured.unwrap();
        assert_eq!(structured.get("truncated").unwrap().to_json(), r#"{"shown":5,"of":100}"#);
        if let Some(schema) = schema {
            let published =
                super::super::schema::compile(&super::super::schema::wrap(&value(schema))).unwrap();
            assert!(published.is_valid(&(&structured).into()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_array_of_an_object_is_cut() {
    let output = r#"{ "total": 100, "rows": "${$result}", "tags": ["a"] }"#;
    let result = limited(MANY, Some(output), None, 80).await;
    let structured = result.structured.as_ref().unwrap();
    assert!(structured.to_json().len() <= 80);
    assert_eq!(structured.get("total").unwrap().as_i64(), Some(100));
    assert_eq!(structured.get("rows").unwrap().as_array().unwrap().len(), 4);
    assert!(
        texts(&result)[2].starts_with("truncated: 4 of 100 elements of `rows` are shown"),
        "{:?}",
        texts(&result)
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_text_is_cut_between_letters() {
    let result = limited(r#"{ "crm": { "value": "日本語日本語" } }"#, None, None, 10).await;
    assert_eq!(texts(&result)[0], "日本語");
    assert!(texts(&result)[1].starts_with("truncated: 9 of 18 bytes"), "{:?}", texts(&result));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_cut_is_refused() {
    for call in [
        r#"{ "crm": { "value": { "a": "0123456789", "b": "0123456789" } } }"#,
        r#"{ "crm": { "value": ["0123456789012345678901234567890"] } }"#,
    ] {
        let result = limited(call, None, None, 20).await;
        assert_eq!(result.error.as_ref().unwrap().kind(), Kind::Invalid);
        assert!(
            texts(&result)[0].contains("at most 20 bytes can be given; ask for less"),
            "{:?}",
            texts(&result)
        );
    }
}

/// The result, and all of what its link leads to.
async fn kept(call: &'static str, limit: usize) -> (ToolResult, Vec<ResourceBody>) {
    let options = Options { result_bytes: limit, content_bytes: limit, ..Options::default() };
    let bench = Bench::with(Tool::of(call), options, std::time::Duration::ZERO, 0);
    let result = bench.engine.call(context(), "t", Value::Null, None).await.unwrap();
    let link = result.content.iter().find_map(|part| match part {
        Content::Link { uri, .. } => Some(uri.clone()),
        _ => None,
    });
    let (mut next, mut parts) = (link, Vec::new());
    while let Some(uri) = next {
        let found = bench.engine.read(context(), &uri).await.unwrap();
        next = found.meta.unwrap().get("renkei/next").and_then(Value::as_str).map(str::to_owned);
        parts.push(found.body);
    }
    (result, parts)
}

fn joined(parts: &[ResourceBody]) -> String {
    let text = |part: &ResourceBody| match part {
        ResourceBody::Text(text) => text.clone(),
        ResourceBody::Blob(bytes) => panic!("{bytes:?}"),
    };
    parts.iter().map(text).collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_is_kept_whole_and_read_in_parts() {
    let (result, parts) = kept(MANY, 50).await;
    let ids = (0..100).map(|id| format!(r#"{{"id":{id}}}"#)).collect::<Vec<_>>().join(",");
    assert_eq!(joined(&parts), format!("[{ids}]"));
    assert_eq!(parts.len(), joined(&parts).len().div_ceil(50));
    assert_eq!(result.structured.unwrap().get("truncated").unwrap().to_json(), r#"{"shown":5,"of":100}"#);
    let notice = result.content.iter().rev().find_map(|part| match part {
        Content::Text(text) => Some(text),
        _ => None,
    });
    let notice = notice.unwrap();
    assert!(notice.starts_with("The whole result (991 bytes) is the resource `renkei://result/"), "{notice}");
    assert!(notice.ends_with("?offset=50` goes on from there."), "{notice}");

    // What cannot be cut is kept, too.
    let call = r#"{ "crm": { "value": { "a": "0123456789", "b": "0123456789" } } }"#;
    let (result, parts) = kept(call, 20).await;
    assert!(result.error.is_none() && result.structured.is_none());
    assert_eq!(joined(&parts), r#"{"a":"0123456789","b":"0123456789"}"#);
    // And bytes; here four, of which three may be given.
    let (result, parts) = kept(r#"{ "crm": { "do": "blob", "value": "image/png" } }"#, 3).await;
    assert!(result.error.is_none());
    assert_eq!(parts.len(), 2);
    // What fits is not kept.
    let (result, parts) = kept(r#"{ "crm": { "value": [1] } }"#, 20).await;
    assert_eq!((result.content.len(), parts.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_too_many_and_not_kept_are_refused() {
    let result = limited(r#"{ "crm": { "do": "blob", "value": "image/png" } }"#, None, None, 3).await;
    assert!(
        texts(&result)[0].contains("have 4 bytes, and at most 3 bytes can be given"),
        "{:?}",
        texts(&result)
    );
}

#[tokio::test(start_paused = true)]
async fn a_blob_becomes_a_part_by_its_type() {
    let data = Bytes::from_static(b"\x89PNG");
    let result = run(Tool::of(r#"{ "crm": { "do": "blob", "value": "image/png" } }"#), "{}").await;
    assert_eq!(result.content, [Content::Image { data: data.clone(), mime_type: "image/png".into() }]);
    assert_eq!(result.structured, None);
    let result = run(Tool::of(r#"{ "crm": { "do": "blob", "value": "audio/wav" } }"#), "{}").await;
    assert_eq!(result.content, [Content::Audio { data: data.clone(), mime_type: "audio/wav".into() }]);
    let result = run(Tool::of(r#"{ "crm": { "do": "blob", "value": "application/pdf" } }"#), "{}").await;
    let [Content::Resource { mime_type, body, .. }] = &result.content[..] else { panic!("{result:?}") };
    assert_eq!((mime_type.as_deref(), body), (Some("application/pdf"), &ResourceBody::Blob(data)));
}

#[tokio::test(start_paused = true)]
async fn parts_as_the_config_says() {
    let tool = Tool {
        call: r#"{ "crm": { "do": "blob", "value": "image/png" } }"#,
        content: Some(vec![
            r#"{ "text": "a picture of ${.what}" }"#,
            r#"{ "text": "${.missing}" }"#,
            r#"{ "image": "${$result.base64}", "mime_type": "${$result.mime_type}" }"#,
            r#"{ "uri": "shop://a", "text": "${.}", "mime_type": "application/json" }"#,
            r#"{ "uri": "shop://b", "blob": "iVBORw==" }"#,
            r#"{ "uri": "shop://c", "name": "c" }"#,
        ]),
        ..Tool::default()
    };
    let result = run(tool, r#"{ "what": "tea" }"#).await;
    let data = Bytes::from_static(b"\x89PNG");
    let resource = |uri: &str, mime_type: Option<&str>, body| Content::Resource {
        uri: uri.into(),
        mime_type: mime_type.map(Into::into),
        body,
    };
    assert_eq!(
        result.content,
        [
            Content::Text("a picture of tea".into()),
            Content::Image { data: data.clone(), mime_type: "image/png".into() },
            resource("shop://a", Some("application/json"), ResourceBody::Text(r#"{"what":"tea"}"#.into())),
            resource("shop://b", None, ResourceBody::Blob(data)),
            Content::Link { uri: "shop://c".into(), name: "c".into(), description: None, mime_type: None },
        ]
    );
    assert_eq!(result.structured, None);
}

#[tokio::test(start_paused = true)]
async fn parts_and_a_promise_give_both() {
    let tool = Tool {
        output: Some(r#"{ "n": "${.n}" }"#),
        output_schema: Some(r#"{ "type": "object", "required": ["n"] }"#),
        content: Some(vec![r#"{ "text": "n is ${.n}" }"#]),
        ..Tool::default()
    };
    let result = run(tool, r#"{ "n": 7 }"#).await;
    assert_eq!(texts(&result), ["n is 7"]);
    assert_eq!(result.structured.unwrap(), value(r#"{ "n": 7 }"#));
}

#[tokio::test(start_paused = true)]
async fn parts_that_do_not_work_out_name_their_place() {
    for (part, problem) in [
        (
            r#"{ "image": "no base64!", "mime_type": "image/png" }"#,
            "`data` of `content[0]` does not work out: it is not base64",
        ),
        (
            r#"{ "image": "iVBORw==", "mime_type": "${.none}" }"#,
            "`mime_type` of `content[0]` does not work out: there is no value",
        ),
        (
            r#"{ "image": 7, "mime_type": "image/png" }"#,
            "`data` of `content[0]` does not work out: expected a text, got number",
        ),
    ] {
        let result = run(Tool { content: Some(vec![part]), ..Tool::default() }, "{}").await;
        let error = result.error.unwrap();
        assert_eq!(error.kind(), Kind::Internal);
        assert!(error.public().starts_with(problem), "{error}");
    }
}

#[test]
fn hints_follow_from_the_effect_and_can_be_corrected() {
    let hints = |call, annotations: Annotations| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let bench = Bench::new(Tool { call, annotations, ..Tool::default() });
        let info = bench.engine.find("t").unwrap();
        (info.read_only, info.destructive, info.idempotent, info.open_world)
    };
    let read = r#"{ "crm": { "effect": "read", "value": 1 } }"#;
    let idempotent = r#"{ "crm": { "effect": "idempotent", "value": 1 } }"#;
    let write = r#"{ "crm": { "effect": "write", "value": 1 } }"#;
    assert_eq!(hints(read, Annotations::default()), (true, false, true, true));
    assert_eq!(hints(idempotent, Annotations::default()), (false, true, true, true));
    assert_eq!(hints(write, Annotations::default()), (false, true, false, true));
    let corrected =
        Annotations { destructive: Some(false), open_world: Some(false), ..Annotations::default() };
    assert_eq!(hints(write, corrected), (false, false, false, false));
    let corrected = Annotations { read_only: Some(true), ..Annotations::default() };
    assert_eq!(hints(write, corrected), (true, false, true, true));
}
