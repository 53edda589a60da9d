//! What is stored of runs: JSON, with the version of its form. What a version has written is read by all later ones.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use renkei_core::{
    Applied, Error, Kind, Payload, Principal, Reply, Result, Retry, Value,
    ask::Abilities,
    call::{Again, RunStart},
    clock::Timestamp,
    principal::How,
    store::{NewEvent, Record},
    tool::{Content, ResourceBody, ToolResult},
};

/// The form of everything here.
pub(super) const VERSION: u16 = 1;

/// The kinds of event in the stream of a run.
pub(super) const STARTED: &str = "run_started";
/// A process took it up: the first time, and after every one that was cut off.
pub(super) const CLAIMED: &str = "run_claimed";
pub(super) const INTENDED: &str = "step_intended";
pub(super) const ENDED_STEP: &str = "step_ended";
/// The run went on without waiting for it.
pub(super) const CUT_OFF: &str = "step_cut_off";
/// A change of the store, committed with this.
pub(super) const COMMITTED: &str = "step_committed";
/// The run waits for answers.
pub(super) const ASKED: &str = "run_asked";
/// Some of them, or all.
pub(super) const ANSWERED: &str = "run_answered";
pub(super) const ENDED: &str = "run_ended";

/// What a run was asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Started {
    pub(super) tool: Arc<str>,
    pub(super) input: Value,
    pub(super) principal: Principal,
    /// Of the tool's config: see [`ToolPlan::definition`](renkei_core::tool::ToolPlan::definition).
    pub(super) definition: String,
    /// `$now`.
    pub(super) now: Arc<str>,
    /// It ends then at the latest.
    pub(super) deadline: Timestamp,
    /// The task that is its face.
    pub(super) task: Option<String>,
    /// What whoever began it can be asked.
    pub(super) abilities: Abilities,
    /// Of the request that began it.
    pub(super) trace: String,
}

impl Started {
    pub(super) fn start(&self, run: &str) -> RunStart {
        RunStart { id: run.into(), now: self.now.clone() }
    }

    pub(super) fn to_value(&self) -> Value {
        let Principal { name, how, claims } = &self.principal;
        let principal =
            object([("name", name.clone().into()), ("how", how.as_str().into()), ("claims", claims.clone())]);
        object([
            ("tool", self.tool.clone().into()),
            ("input", self.input.clone()),
            ("principal", principal),
            ("definition", self.definition.as_str().into()),
            ("now", self.now.clone().into()),
            ("deadline", self.deadline.0.into()),
            ("task", self.task.clone().into()),
            ("abilities", of_abilities(self.abilities)),
            ("trace", self.trace.as_str().into()),
        ])
    }

    pub(super) fn of_value(value: &Value) -> Result<Self> {
        let principal = member(value, "principal")?;
        let how = match text(principal, "how")? {
            "none" => How::None,
            "api_key" => How::ApiKey,
            "jwt" => How::Jwt,
            other => return Err(corrupt(&format!("`how` is `{other}`"))),
        };
        Ok(Started {
            tool: text(value, "tool")?.into(),
            input: member(value, "input")?.clone(),
            principal: Principal {
                name: text(principal, "name")?.into(),
                how,
                claims: member(principal, "claims")?.clone(),
            },
            definition: text(value, "definition")?.to_owned(),
            now: text(value, "now")?.into(),
            deadline: Timestamp(number(value, "deadline")?),
            task: value.get("task").and_then(Value::as_str).map(str::to_owned),
            abilities: to_abilities(value.get("abilities")),
            trace: text(value, "trace")?.to_owned(),
        })
    }
}

fn of_abilities(abilities: Abilities) -> Value {
    let Abilities { form, url, sample, sample_tools, roots } = abilities;
    object([
        ("form", form.into()),
        ("url", url.into()),
        ("sample", sample.into()),
        ("sample_tools", sample_tools.into()),
        ("roots", roots.into()),
    ])
}

fn to_abilities(value: Option<&Value>) -> Abilities {
    let has = |key: &str| value.and_then(|value| value.get(key)?.as_bool()).unwrap_or_default();
    Abilities {
        form: has("form"),
        url: has("url"),
        sample: has("sample"),
        sample_tools: has("sample_tools"),
        roots: has("roots"),
    }
}

/// A record of this version.
pub(super) fn record(value: &Value) -> Record {
    Record::new(VERSION, value.to_json())
}

/// What a record says.
pub(super) fn read(record: &Record) -> Result<Value> {
    if record.version > VERSION {
        let version = record.version;
        return Err(Error::internal(format!(
            "read what is stored of a run: its form has version {version}, and this Renkei knows {VERSION}; update it"
        )));
    }
    Value::from_json(&record.bytes).map_err(|error| corrupt(&error.to_string()))
}

pub(super) fn event(id: String, kind: &str, value: &Value) -> NewEvent {
    NewEvent { id, kind: kind.to_owned(), data: record(value), meta: Bytes::new() }
}

/// The result of a step, with everything that the run sees of it.
pub(super) fn of_result(result: &Result<Reply>) -> Value {
    match result {
        // How the layers ask again is over when the step is.
        Ok(Reply { value, meta, notices, page, again: _ }) => {
            let value = match value {
                Payload::Json(value) => ("json", value.clone()),
                Payload::Blob { bytes, mime_type } => {
                    let text = STANDARD.encode(bytes);
                    ("blob", object([("mime_type", Value::from(mime_type.clone())), ("base64", text.into())]))
                }
            };
            let page = page.as_ref().map(|page| match page {
                Ok(page) => object([
                    ("items", page.items.clone().into()),
                    ("next", page.next.as_ref().map(|cursor| cursor.0.clone()).into()),
                    ("total", page.total.and_then(|total| i64::try_from(total).ok()).map(Value::from).into()),
                    ("bytes", Value::from(i64::try_from(page.bytes).unwrap_or(i64::MAX))),
                ]),
                Err(error) => object([("error", of_error(error))]),
            });
            let notices: Vec<Value> = notices.iter().map(|notice| notice.as_str().into()).collect();
            object([value, ("meta", meta.clone()), ("notices", notices.into()), ("page", page.into())])
        }
        Err(error) => object([("error", of_error(error))]),
    }
}

pub(super) fn to_result(value: &Value) -> Result<Result<Reply>> {
    if let Some(error) = value.get("error") {
        return Ok(Err(to_error(error)?));
    }
    let payload = match (value.get("json"), value.get("blob")) {
        (Some(value), _) => Payload::Json(value.clone()),
        (None, Some(blob)) => Payload::Blob {
            bytes: decode(text(blob, "base64")?)?,
            mime_type: text(blob, "mime_type")?.into(),
        },
        (None, None) => return Err(corrupt("a step has neither a value nor an error")),
    };
    let page = match value.get("page").filter(|page| !page.is_null()) {
        None => None,
        Some(page) => Some(match page.get("error") {
            Some(error) => Err(to_error(error)?),
            None => Ok(renkei_core::Page {
                items: member(page, "items")?.as_array().unwrap_or_default().to_vec(),
                next: page.get("next").filter(|next| !next.is_null()).cloned().map(renkei_core::Cursor),
                total: page.get("total").and_then(Value::as_i64).map(i64::unsigned_abs),
                bytes: number(page, "bytes")?.unsigned_abs(),
            }),
        }),
    };
    let notices = value.get("notices").and_then(Value::as_array).unwrap_or_default();
    Ok(Ok(Reply {
        value: payload,
        meta: value.get("meta").cloned().unwrap_or_else(Value::object),
        notices: notices.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        page,
        again: Again::Whole,
    }))
}

pub(super) fn of_error(error: &Error) -> Value {
    let retry = match error.retry_advice() {
        Retry::Never => "never".into(),
        Retry::Safe => "safe".into(),
        Retry::Exhausted => "exhausted".into(),
        Retry::After(wait) => Value::from(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)),
    };
    let places: Vec<Value> = error.places().iter().map(|place| place.as_str().into()).collect();
    object([
        ("kind", error.kind().as_str().into()),
        ("message", error.public().into()),
        ("applied", error.was_applied().as_str().into()),
        ("retry", retry),
        ("detail", error.detail_text().map(Value::from).into()),
        ("status", error.status_code().map(|code| Value::from(i64::from(code))).into()),
        ("protocol", error.protocol_code().map(|code| Value::from(i64::from(code))).into()),
        ("places", places.into()),
    ])
}

pub(super) fn to_error(value: &Value) -> Result<Error> {
    let kind = text(value, "kind")?;
    let kind = Kind::parse(kind).ok_or_else(|| corrupt(&format!("`{kind}` is no kind of error")))?;
    let applied = text(value, "applied")?;
    let applied =
        Applied::ALL.into_iter().find(|known| known.as_str() == applied).unwrap_or(Applied::Unknown);
    let retry = match value.get("retry") {
        Some(Value::Number(wait)) => {
            Retry::After(Duration::from_millis(wait.as_i64().unwrap_or(0).unsigned_abs()))
        }
        Some(word) if word.as_str() == Some("safe") => Retry::Safe,
        Some(word) if word.as_str() == Some("exhausted") => Retry::Exhausted,
        _ => Retry::Never,
    };
    let mut error = Error::new(kind, text(value, "message")?).applied(applied).retry(retry);
    if let Some(detail) = value.get("detail").and_then(Value::as_str) {
        error = error.detail(detail);
    }
    let code = |key: &str| value.get(key).and_then(Value::as_i64);
    if let Some(status) = code("status").and_then(|status| u16::try_from(status).ok()) {
        error = error.status(status);
    }
    if let Some(code) = code("protocol").and_then(|code| i32::try_from(code).ok()) {
        error = error.protocol(code);
    }
    let places = value.get("places").and_then(Value::as_array).unwrap_or_default();
    Ok(places.iter().filter_map(Value::as_str).fold(error, |error, place| error.context(place)))
}

/// The result of a whole run, as its caller gets it.
pub(super) fn of_tool_result(result: &ToolResult) -> Value {
    let content: Vec<Value> = result.content.iter().map(of_content).collect();
    object([
        ("content", Value::from(content)),
        ("structured", result.structured.clone().into()),
        ("error", result.error.as_ref().map(of_error).into()),
    ])
}

pub(super) fn to_tool_result(value: &Value) -> Result<ToolResult> {
    let content = member(value, "content")?.as_array().unwrap_or_default();
    let there = |key: &str| value.get(key).filter(|value| !value.is_null());
    Ok(ToolResult {
        content: content.iter().map(to_content).collect::<Result<_>>()?,
        structured: there("structured").cloned(),
        error: there("error").map(to_error).transpose()?,
    })
}

pub(super) fn of_content(content: &Content) -> Value {
    let media = |kind: &'static str, data: &Bytes, mime_type: &str| {
        object([
            ("kind", Value::from(kind)),
            ("base64", STANDARD.encode(data).into()),
            ("mime_type", mime_type.into()),
        ])
    };
    match content {
        Content::Text(text) => object([("kind", "text".into()), ("text", text.as_str().into())]),
        Content::Image { data, mime_type } => media("image", data, mime_type),
        Content::Audio { data, mime_type } => media("audio", data, mime_type),
        Content::Resource { uri, mime_type, body } => {
            let body = match body {
                ResourceBody::Text(text) => ("text", text.as_str().into()),
                ResourceBody::Blob(data) => ("base64", STANDARD.encode(data).into()),
            };
            let mime_type = mime_type.clone().into();
            object([
                ("kind", "resource".into()),
                ("uri", uri.as_str().into()),
                ("mime_type", mime_type),
                body,
            ])
        }
        Content::Link { uri, name, description, mime_type } => object([
            ("kind", "link".into()),
            ("uri", uri.as_str().into()),
            ("name", name.as_str().into()),
            ("description", description.clone().into()),
            ("mime_type", mime_type.clone().into()),
        ]),
        Content::Part(part) => object([("kind", "part".into()), ("part", part.clone())]),
    }
}

pub(super) fn to_content(value: &Value) -> Result<Content> {
    let optional = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let owned = |key: &str| text(value, key).map(str::to_owned);
    let data = || decode(text(value, "base64")?);
    Ok(match text(value, "kind")? {
        "text" => Content::Text(owned("text")?),
        "image" => Content::Image { data: data()?, mime_type: owned("mime_type")? },
        "audio" => Content::Audio { data: data()?, mime_type: owned("mime_type")? },
        "resource" => Content::Resource {
            uri: owned("uri")?,
            mime_type: optional("mime_type"),
            body: match optional("text") {
                Some(text) => ResourceBody::Text(text),
                None => ResourceBody::Blob(data()?),
            },
        },
        "link" => Content::Link {
            uri: owned("uri")?,
            name: owned("name")?,
            description: optional("description"),
            mime_type: optional("mime_type"),
        },
        "part" => match value.get("part") {
            Some(part) => Content::Part(part.clone()),
            None => return Err(corrupt("a `part` of a result has no content")),
        },
        other => return Err(corrupt(&format!("`{other}` is no kind of content"))),
    })
}

fn decode(text: &str) -> Result<Bytes> {
    STANDARD.decode(text).map(Bytes::from).map_err(|error| corrupt(&error.to_string()))
}

/// The types of its members follow from here.
pub(super) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::from(members)
}

pub(super) fn member<'v>(value: &'v Value, key: &str) -> Result<&'v Value> {
    value.get(key).ok_or_else(|| corrupt(&format!("`{key}` is missing")))
}

pub(super) fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str> {
    member(value, key)?.as_str().ok_or_else(|| corrupt(&format!("`{key}` is no text")))
}

pub(super) fn number(value: &Value, key: &str) -> Result<i64> {
    member(value, key)?.as_i64().ok_or_else(|| corrupt(&format!("`{key}` is no number")))
}

pub(super) fn corrupt(why: &str) -> Error {
    Error::internal("read what is stored of a run: it is damaged; `renkei store check` says more").detail(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same<T: std::fmt::Debug>(one: &T, other: &T) {
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }

    #[test]
    fn what_a_step_gave_comes_back_as_it_was() {
        let page = renkei_core::Page {
            items: vec![1i64.into()],
            next: Some(renkei_core::Cursor("x".into())),
            total: Some(7),
            bytes: 12,
        };
        let meta = Value::from_json(br#"{"status":200,"a":1.10}"#).unwrap();
        let json =
            Reply { meta, notices: vec!["cut".into()], page: Some(Ok(page)), ..Reply::json(Value::Null) };
        let payload = Payload::Blob { bytes: Bytes::from_static(b"\x89PNG"), mime_type: "image/png".into() };
        let blob = Reply { value: payload, ..Reply::json(Value::Null) };
        let error = Error::new(Kind::Timeout, "hear of it")
            .applied(Applied::Unknown)
            .retry(Retry::After(Duration::from_millis(1500)))
            .detail("os error")
            .status(504)
            .protocol(-32000)
            .context("call `crm`")
            .context("branch `a`");
        for result in [Ok(json), Ok(blob), Err(error), Ok(Reply::json(Value::object()))] {
            same(&to_result(&of_result(&result)).unwrap(), &result);
        }
    }

    #[test]
    fn a_result_comes_back_as_it_was() {
        let content = vec![
            Content::Text("a".into()),
            Content::Image { data: Bytes::from_static(b"1"), mime_type: "image/png".into() },
            Content::Audio { data: Bytes::from_static(b"2"), mime_type: "audio/wav".into() },
            Content::Resource { uri: "a:b".into(), mime_type: None, body: ResourceBody::Text("t".into()) },
            Content::Resource {
                uri: "a:c".into(),
                mime_type: Some("x/y".into()),
                body: ResourceBody::Blob(Bytes::from_static(b"3")),
            },
            Content::Link { uri: "a:d".into(), name: "n".into(), description: None, mime_type: None },
        ];
        let result = ToolResult { content, structured: Some(Value::from([("a", 1i64)])), error: None };
        same(&to_tool_result(&of_tool_result(&result)).unwrap(), &result);
        let failed = ToolResult { content: vec![], structured: None, error: Some(Error::invalid("do it")) };
        same(&to_tool_result(&of_tool_result(&failed)).unwrap(), &failed);
    }

    /// As version 1 wrote it: what is read here stays readable.
    #[test]
    fn the_first_version_is_read() {
        let text = r#"{"tool":"t","input":{"a":1},"principal":{"name":"ann","how":"jwt","claims":{"iss":"x"}},"definition":"00ff","now":"2026-12-01T00:00:00Z","deadline":1796083200123,"task":"0123","abilities":{"form":false,"url":false,"sample":false,"sample_tools":false,"roots":false},"trace":"abc"}"#;
        let started = Started::of_value(&read(&Record::new(1, text)).unwrap()).unwrap();
        assert_eq!(
            (&*started.tool, started.deadline, started.principal.how),
            ("t", Timestamp(1_796_083_200_123), How::Jwt)
        );
        assert_eq!(started.to_value().to_json(), text);
        assert!(read(&Record::new(2, text)).unwrap_err().to_string().contains("version 2"));
        assert!(read(&Record::new(1, "{")).is_err());
        let ended = r#"{"json":{"id":7},"meta":{"status":201},"notices":[],"page":null}"#;
        let reply = to_result(&Value::from_json(ended.as_bytes()).unwrap()).unwrap().unwrap();
        assert_eq!(reply.value.into_value().to_json(), r#"{"id":7}"#);
    }
}
