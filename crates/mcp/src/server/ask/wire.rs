//! Questions, answers and abilities in the protocol's words.
#![expect(deprecated, reason = "clients that have sampling and roots may be asked")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use renkei_core::{
    Map, Number, Value,
    ask::{Abilities, Ability, Answer, Form, ModelPreferences, Part, Question, Sample},
    resource::Role,
    tool::Content,
};
use rmcp::model::{
    ClientCapabilities, CreateMessageRequest, ElicitRequest, InputRequest, ListRootsRequest, ServerRequest,
};
use serde_json::json;

/// Roots that are taken of one client.
const MAX_ROOTS: usize = 1000;

pub(super) fn abilities(capabilities: Option<&ClientCapabilities>) -> Abilities {
    let Some(all) = capabilities else { return Abilities::default() };
    let (form, url) = match &all.elicitation {
        None => (false, false),
        // Who says neither means forms: that was all there was.
        Some(said) => (said.form.is_some() || said.url.is_none(), said.url.is_some()),
    };
    Abilities {
        form,
        url,
        sample: all.sampling.is_some(),
        sample_tools: all.sampling.as_ref().is_some_and(|said| said.tools.is_some()),
        roots: all.roots.is_some(),
    }
}

/// `ClientCapabilities` with what is missing.
pub(super) fn required_capabilities(ability: Ability) -> serde_json::Value {
    match ability {
        Ability::Form => json!({ "elicitation": { "form": {} } }),
        Ability::Url => json!({ "elicitation": { "url": {} } }),
        Ability::Sample => json!({ "sampling": {} }),
        Ability::SampleTools => json!({ "sampling": { "tools": {} } }),
        Ability::Roots => json!({ "roots": {} }),
    }
}

/// As a part of a result.
pub(super) fn input(question: &Question) -> Result<InputRequest, serde_json::Error> {
    Ok(match question {
        Question::Form(_) | Question::Url { .. } => InputRequest::Elicitation(elicitation(question, None)?),
        Question::Sample(sample) => InputRequest::CreateMessage(sampling(sample)?),
        Question::Roots => InputRequest::ListRoots(roots()?),
    })
}

/// As a request of its own; `id` tells pages apart.
pub(super) fn request(question: &Question, id: &str) -> Result<ServerRequest, serde_json::Error> {
    Ok(match question {
        Question::Form(_) | Question::Url { .. } => {
            ServerRequest::ElicitRequest(elicitation(question, Some(id))?)
        }
        Question::Sample(sample) => ServerRequest::CreateMessageRequest(sampling(sample)?),
        Question::Roots => ServerRequest::ListRootsRequest(roots()?),
    })
}

fn elicitation(question: &Question, id: Option<&str>) -> Result<ElicitRequest, serde_json::Error> {
    let params = match question {
        Question::Url { message, url, .. } => {
            json!({ "mode": "url", "message": &**message, "url": &**url, "elicitationId": id.unwrap_or_default() })
        }
        Question::Form(form) => form_params(form),
        _ => json!({}),
    };
    serde_json::from_value(json!({ "method": "elicitation/create", "params": params }))
}

fn form_params(form: &Form) -> serde_json::Value {
    let schema = serde_json::Value::from(&form.schema);
    json!({ "mode": "form", "message": form.text(), "requestedSchema": schema })
}

fn roots() -> Result<ListRootsRequest, serde_json::Error> {
    serde_json::from_value(json!({ "method": "roots/list" }))
}

fn sampling(sample: &Sample) -> Result<CreateMessageRequest, serde_json::Error> {
    let messages = sample.messages.iter().map(|(role, part)| {
        let role = match role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        json!({ "role": role, "content": part_json(part) })
    });
    let mut params = json!({
        "messages": messages.collect::<Vec<_>>(),
        "maxTokens": sample.max_tokens,
    });
    if let Some(system) = &sample.system {
        params["systemPrompt"] = (&**system).into();
    }
    if let Some(temperature) = &sample.temperature {
        params["temperature"] = number(temperature);
    }
    if !sample.stop.is_empty() {
        params["stopSequences"] = sample.stop.iter().map(|text| text.to_string()).collect();
    }
    if let Some(model) = preferences(&sample.model) {
        params["modelPreferences"] = model;
    }
    if !sample.tools.is_empty() {
        let tools = sample.tools.iter().map(|tool| {
            let schema = serde_json::Value::from(&tool.input_schema);
            let mut out = json!({ "name": &*tool.name, "inputSchema": schema });
            if let Some(description) = &tool.description {
                out["description"] = (&**description).into();
            }
            out
        });
        params["tools"] = tools.collect();
    }
    if let Some(choice) = &sample.tool_choice {
        params["toolChoice"] = json!({ "mode": &**choice });
    }
    serde_json::from_value(json!({ "method": "sampling/createMessage", "params": params }))
}

fn number(number: &Number) -> serde_json::Value {
    serde_json::Value::from(&Value::Number(number.clone()))
}

fn preferences(model: &ModelPreferences) -> Option<serde_json::Value> {
    let mut out = serde_json::Map::new();
    if !model.hints.is_empty() {
        let hints = model.hints.iter().map(|name| json!({ "name": &**name }));
        out.insert("hints".into(), hints.collect());
    }
    let priorities = [
        ("costPriority", &model.cost),
        ("speedPriority", &model.speed),
        ("intelligencePriority", &model.intelligence),
    ];
    for (key, priority) in priorities {
        if let Some(priority) = priority {
            out.insert(key.into(), number(priority));
        }
    }
    (!out.is_empty()).then(|| out.into())
}

fn part_json(part: &Part) -> serde_json::Value {
    match part {
        Part::Raw(value) => value.into(),
        Part::Content(Content::Text(text)) => json!({ "type": "text", "text": text }),
        Part::Content(Content::Image { data, mime_type }) => {
            json!({ "type": "image", "data": STANDARD.encode(data), "mimeType": mime_type })
        }
        Part::Content(Content::Audio { data, mime_type }) => {
            json!({ "type": "audio", "data": STANDARD.encode(data), "mimeType": mime_type })
        }
        // No message to a model has them.
        Part::Content(Content::Resource { uri, .. } | Content::Link { uri, .. }) => {
            json!({ "type": "text", "text": uri })
        }
        Part::Content(Content::Part(part)) => part.into(),
    }
}

/// Reads a client's result, whichever question it answers: their shapes have nothing in common.
///
/// # Errors
/// What is wrong with it.
pub(super) fn answer(result: &Value) -> Result<Answer, String> {
    let members =
        result.as_object().ok_or_else(|| format!("it is of type `{}`, not an object", result.type_name()))?;
    if let Some(action) = members.get("action") {
        return match action.as_str() {
            Some("accept") => match members.get("content") {
                None | Some(Value::Null) => Ok(Answer::Accepted(Value::object())),
                Some(content @ Value::Object(_)) => Ok(Answer::Accepted(content.clone())),
                Some(other) => {
                    Err(format!("its `content` is of type `{}`, not an object", other.type_name()))
                }
            },
            Some("decline") => Ok(Answer::Declined),
            Some("cancel") => Ok(Answer::Cancelled),
            _ => Err("its `action` is not `accept`, `decline` or `cancel`".to_owned()),
        };
    }
    if let Some(roots) = members.get("roots") {
        let roots = roots.as_array().ok_or("its `roots` are no list")?;
        if roots.len() > MAX_ROOTS {
            return Err(format!("it has {} roots, more than `{MAX_ROOTS}`", roots.len()));
        }
        let root = |root: &Value| {
            let uri = root.get("uri").filter(|uri| uri.as_str().is_some())?.clone();
            let name = root.get("name").filter(|name| name.as_str().is_some()).cloned();
            let members = [("uri".into(), Some(uri)), ("name".into(), name)];
            Some(members.into_iter().filter_map(|(key, value)| Some((key, value?))).collect::<Map>().into())
        };
        let roots: Option<Vec<Value>> = roots.iter().map(root).collect();
        return roots
            .map(|roots| Answer::Roots(roots.into()))
            .ok_or_else(|| "a root has no `uri`".to_owned());
    }
    match (members.get("role").and_then(Value::as_str), members.get("content")) {
        (Some("assistant" | "user"), Some(Value::Object(_) | Value::Array(_))) => {
            let mut message = members.clone();
            message.shift_remove("_meta");
            Ok(Answer::Message(message.into()))
        }
        _ => {
            Err("it is neither the answer of a user, nor a message of a model, nor a list of roots"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Answer, String> {
        answer(&Value::from_json(json.as_bytes()).unwrap())
    }

    #[test]
    fn answers_are_told_apart_by_their_shape() {
        for (json, kept) in [
            (r#"{"action":"accept","content":{"a":1.10}}"#, r#"{"accept":{"a":1.10}}"#),
            (r#"{"action":"accept","_meta":{}}"#, r#"{"accept":{}}"#),
            (r#"{"action":"decline"}"#, r#"{"decline":true}"#),
            (r#"{"action":"cancel","content":null}"#, r#"{"cancel":true}"#),
            (
                r#"{"roots":[{"uri":"file:///a","name":"A","x":1},{"uri":"file:///b"}]}"#,
                r#"{"roots":[{"uri":"file:///a","name":"A"},{"uri":"file:///b"}]}"#,
            ),
            (
                r#"{"role":"assistant","content":{"type":"text","text":"x"},"model":"m","_meta":{}}"#,
                r#"{"message":{"role":"assistant","content":{"type":"text","text":"x"},"model":"m"}}"#,
            ),
        ] {
            let read = read(json).unwrap();
            assert_eq!(read.to_value().to_json(), kept);
            assert_eq!(Answer::from_value(&read.to_value()), Some(read));
        }
        for json in [
            "12345",
            "null",
            "{}",
            r#"{"action":"yes"}"#,
            r#"{"action":"accept","content":[1]}"#,
            r#"{"roots":{}}"#,
            r#"{"roots":[{"name":"x"}]}"#,
            r#"{"role":"system","content":{}}"#,
            r#"{"role":"user","content":"x"}"#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn who_says_nothing_of_forms_may_have_them() {
        let of = |json: serde_json::Value| abilities(serde_json::from_value(json).ok().as_ref());
        assert_eq!(of(json!({})), Abilities::default());
        assert!(of(json!({ "elicitation": {} })).form);
        assert!(!of(json!({ "elicitation": {} })).url);
        assert!(!of(json!({ "elicitation": { "url": {} } })).form);
        let all =
            json!({ "elicitation": { "form": {}, "url": {} }, "sampling": { "tools": {} }, "roots": {} });
        assert_eq!(of(all), Abilities::ALL);
        for ability in [Ability::Form, Ability::Url, Ability::Sample, Ability::SampleTools, Ability::Roots] {
            assert!(of(required_capabilities(ability)).has(ability));
        }
    }
}
