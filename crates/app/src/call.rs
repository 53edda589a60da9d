//! `renkei call`: one tool call through the engine, without a client.

use std::{io::Write as _, process::ExitCode, sync::Arc, time::Duration};

use renkei_core::{
    CallContext, Map, Principal, Value,
    read::Bytes,
    tool::{Content, ResourceBody, ToolInfo, ToolResult, Tools},
};
use renkei_patterns::engine::Group;

use crate::{
    cli::CallArgs,
    exit, load,
    logging::{Aside, Log},
    store, terminal,
};

/// A value given as `key=@file` may be this long.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

pub(crate) async fn run(args: CallArgs) -> ExitCode {
    if let Err(error) = Log::new(&args.log.log, false).and_then(|log| log.start(Aside::default())) {
        return exit::usage(&error);
    }
    let mut loaded = match load::load_or_report(&args.config) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    // Nobody reads on when this process is gone.
    loaded.plan.server.limits.kept_results = Bytes(0);
    let (mut compiled, store) = match store::compile(loaded).await {
        Ok(compiled) => compiled,
        Err(code) => return code,
    };
    compiled.engine.await_connections();
    compiled.engine.start();
    if compiled.engine.find(&args.tool).is_none() {
        // A system may offer it.
        compiled.settle(compiled.server.limits.tool_timeout).await;
    }
    let (engine, limit) = (&compiled.engine, compiled.server.limits.ask);
    let code = match args.group.as_deref().map(|name| compiled.group(name)) {
        None => call(&args, &**engine, limit).await,
        Some(Ok(group)) => call(&args, &Group::new(engine.clone(), group), limit).await,
        Some(Err(unknown)) => exit::usage(&unknown),
    };
    engine.shutdown().await;
    if let Some(store) = store {
        store.close().await;
    }
    code
}

async fn call(args: &CallArgs, tools: &dyn Tools, limit: Duration) -> ExitCode {
    let Some(tool) = tools.find(&args.tool) else {
        let names = tools.list().iter().map(|tool| &*tool.name);
        let hint = match renkei_core::diagnostic::suggest(&args.tool, names) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "`renkei check` lists them".to_owned(),
        };
        return exit::usage(&format!("there is no tool `{}`: {hint}", args.tool));
    };
    let arguments = match arguments(tool, &args.arguments) {
        Ok(arguments) => arguments,
        Err(error) => return exit::usage(&error),
    };
    let deadline = tokio::time::Instant::now() + tools.timeout(&args.tool);
    let mut cx = CallContext::new(deadline, Arc::new(Principal::anonymous()));
    cx.asking = terminal::asking(limit);
    let cancel = cx.cancel.clone();
    let called = tools.call(cx, &args.tool, arguments, None);
    let result = tokio::select! {
        result = called => result,
        _ = tokio::signal::ctrl_c() => {
            cancel.cancel();
            return exit::fail("interrupted");
        }
    };
    match result {
        Ok(result) => {
            let text = if args.json { as_json(&result).to_json_pretty() } else { as_text(&result) };
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::from(if result.error.is_some() { exit::FAILED } else { 0 })
        }
        Err(unknown) => exit::usage(&unknown.to_string()),
    }
}

/// Reads `key=value`, `key:=json` and `key=@file` as the tool's schema wants them.
fn arguments(tool: &ToolInfo, words: &[String]) -> Result<Value, String> {
    let mut map = Map::new();
    for word in words {
        let Some((key, text)) = word.split_once('=') else {
            return Err(format!("`{word}` is not an argument: write `key=value`"));
        };
        let (key, forced) = match key.strip_suffix(':') {
            Some(key) => (key, true),
            None => (key, false),
        };
        let text = match text.strip_prefix('@') {
            Some(path) if !forced => read_file(path)?,
            _ => text.to_owned(),
        };
        let property = tool.input_schema.get("properties").and_then(|all| all.get(key));
        let value = if forced {
            Value::from_json(text.as_bytes()).map_err(|e| format!("`{key}` is not JSON: {e}"))?
        } else if property.is_some_and(takes_text) {
            text.into()
        } else {
            Value::from_json(text.as_bytes()).unwrap_or_else(|_| text.into())
        };
        if map.insert(key.into(), value).is_some() {
            return Err(format!("`{key}` is given twice"));
        }
    }
    Ok(map.into())
}

fn takes_text(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => &**one == "string",
        Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some("string")),
        _ => false,
    }
}

fn read_file(path: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("failed to read `{path}`: {error}");
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("`{path}` has {size} bytes; the limit is {MAX_FILE_BYTES}"));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// For people: the parts one below the other, JSON indented.
fn as_text(result: &ToolResult) -> String {
    let parts: Vec<String> = result.content.iter().map(part_as_text).collect();
    parts.join("\n")
}

fn part_as_text(part: &Content) -> String {
    match part {
        Content::Text(text) => match Value::from_json(text.as_bytes()) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => value.to_json_pretty(),
            _ => text.clone(),
        },
        Content::Image { data, mime_type } => format!("[image, {mime_type}, {} bytes]", data.len()),
        Content::Audio { data, mime_type } => format!("[audio, {mime_type}, {} bytes]", data.len()),
        Content::Resource { uri, body: ResourceBody::Text(text), .. } => format!("[{uri}]\n{text}"),
        Content::Resource { uri, body: ResourceBody::Blob(bytes), .. } => {
            format!("[{uri}, {} bytes]", bytes.len())
        }
        Content::Link { uri, name, .. } => format!("[{name}]({uri})"),
        Content::Part(part) => match (part.get("type").and_then(Value::as_str), part.get("text")) {
            (Some("text"), Some(Value::String(text))) => part_as_text(&Content::Text(text.to_string())),
            _ => part.to_json_pretty(),
        },
    }
}

/// `{ "ok", "structured"?, "content": […], "error"?: { "kind", "message", "applied", "status"? } }`.
fn as_json(result: &ToolResult) -> Value {
    let mut map = Map::new();
    map.insert("ok".into(), result.error.is_none().into());
    if let Some(value) = &result.structured {
        map.insert("structured".into(), value.clone());
    }
    map.insert(
        "content".into(),
        result.content.iter().map(renkei_mcp::content_json).collect::<Vec<_>>().into(),
    );
    if let Some(error) = &result.error {
        let mut object = Map::new();
        object.insert("kind".into(), error.kind().as_str().into());
        object.insert("message".into(), error.to_string().into());
        object.insert("applied".into(), error.was_applied().as_str().into());
        if let Some(status) = error.status_code() {
            object.insert("status".into(), i64::from(status).into());
        }
        map.insert("error".into(), object.into());
    }
    map.into()
}
