//! Questions as they are stored, so that any process can show them. Whether an answer fits is for the run to say, which
//! makes the question anew.

use std::sync::Arc;

use renkei_core::{
    Number, Result, Value,
    ask::{Check, Form, ModelPreferences, Part, Question, Sample, SampleTool},
    resource::Role,
};

use super::record::{corrupt, member, number, object, of_content, text, to_content};

/// The run checks.
#[derive(Debug)]
struct Unchecked;

impl Check for Unchecked {
    fn check(&self, content: Value) -> Result<Value, String> {
        Ok(content)
    }
}

pub(super) fn of_question(question: &Question) -> Value {
    match question {
        Question::Form(form) => object([
            ("kind", "form".into()),
            ("message", form.message.clone().into()),
            ("schema", form.schema.clone()),
            ("again", form.again.clone().into()),
        ]),
        Question::Url { message, url, .. } => {
            object([("kind", "url".into()), ("message", message.clone().into()), ("url", url.clone().into())])
        }
        Question::Sample(sample) => of_sample(sample),
        Question::Roots => object([("kind", "roots".into())]),
    }
}

pub(super) fn to_question(value: &Value) -> Result<Question> {
    Ok(match text(value, "kind")? {
        "form" => Question::Form(Form {
            message: text(value, "message")?.into(),
            schema: member(value, "schema")?.clone(),
            check: Arc::new(Unchecked),
            again: optional(value, "again"),
            timeout: None,
        }),
        "url" => Question::Url {
            message: text(value, "message")?.into(),
            url: text(value, "url")?.into(),
            timeout: None,
        },
        "sample" => Question::Sample(to_sample(value)?),
        "roots" => Question::Roots,
        other => return Err(corrupt(&format!("`{other}` is no kind of question"))),
    })
}

fn optional(value: &Value, key: &str) -> Option<Arc<str>> {
    value.get(key).and_then(Value::as_str).map(Arc::from)
}

fn texts(texts: &[Arc<str>]) -> Value {
    texts.iter().map(|text| Value::from(text.clone())).collect::<Vec<_>>().into()
}

fn list<'v>(value: &'v Value, key: &str) -> Result<&'v [Value]> {
    member(value, key)?.as_array().ok_or_else(|| corrupt(&format!("`{key}` is no list")))
}

fn to_texts(value: &Value, key: &str) -> Result<Vec<Arc<str>>> {
    Ok(list(value, key)?.iter().filter_map(Value::as_str).map(Arc::from).collect())
}

fn of_number(number: &Option<Number>) -> Value {
    number.clone().map(Value::Number).into()
}

fn to_number(value: &Value, key: &str) -> Option<Number> {
    match value.get(key) {
        Some(Value::Number(number)) => Some(number.clone()),
        _ => None,
    }
}

fn of_sample(sample: &Sample) -> Value {
    let messages = sample.messages.iter().map(|(role, part)| {
        let role = match role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let part = match part {
            Part::Content(content) => ("content", of_content(content)),
            Part::Raw(value) => ("raw", value.clone()),
        };
        object([("role", role.into()), part])
    });
    let tools = sample.tools.iter().map(|tool| {
        object([
            ("name", tool.name.clone().into()),
            ("description", tool.description.clone().into()),
            ("schema", tool.input_schema.clone()),
        ])
    });
    let ModelPreferences { hints, cost, speed, intelligence } = &sample.model;
    object([
        ("kind", "sample".into()),
        ("messages", messages.collect::<Vec<_>>().into()),
        ("system", sample.system.clone().into()),
        ("max_tokens", sample.max_tokens.into()),
        ("temperature", of_number(&sample.temperature)),
        ("stop", texts(&sample.stop)),
        ("hints", texts(hints)),
        ("cost", of_number(cost)),
        ("speed", of_number(speed)),
        ("intelligence", of_number(intelligence)),
        ("tools", tools.collect::<Vec<_>>().into()),
        ("tool_choice", sample.tool_choice.clone().into()),
    ])
}

fn to_sample(value: &Value) -> Result<Sample> {
    let messages = list(value, "messages")?.iter().map(|message| {
        let role = if text(message, "role")? == "user" { Role::User } else { Role::Assistant };
        let part = match message.get("content") {
            Some(content) => Part::Content(to_content(content)?),
            None => Part::Raw(member(message, "raw")?.clone()),
        };
        Ok((role, part))
    });
    let tools = list(value, "tools")?.iter().map(|tool| {
        Ok(SampleTool {
            name: text(tool, "name")?.into(),
            description: optional(tool, "description"),
            input_schema: member(tool, "schema")?.clone(),
        })
    });
    Ok(Sample {
        messages: messages.collect::<Result<_>>()?,
        system: optional(value, "system"),
        max_tokens: number(value, "max_tokens")?.unsigned_abs(),
        temperature: to_number(value, "temperature"),
        stop: to_texts(value, "stop")?,
        model: ModelPreferences {
            hints: to_texts(value, "hints")?,
            cost: to_number(value, "cost"),
            speed: to_number(value, "speed"),
            intelligence: to_number(value, "intelligence"),
        },
        tools: tools.collect::<Result<_>>()?,
        tool_choice: optional(value, "tool_choice"),
        timeout: None,
    })
}

#[cfg(test)]
mod tests {
    use renkei_core::tool::Content;

    use super::*;

    #[test]
    fn a_question_comes_back_as_it_was() {
        let number = |text: &str| match Value::from_json(text.as_bytes()).unwrap() {
            Value::Number(number) => Some(number),
            other => panic!("{other:?}"),
        };
        let sample = Sample {
            messages: vec![
                (Role::User, Part::Content(Content::Text("Well?".into()))),
                (Role::Assistant, Part::Raw(Value::from([("type", "tool_use")]))),
            ],
            system: Some("brief".into()),
            max_tokens: 7,
            temperature: number("0.10"),
            stop: vec!["end".into()],
            model: ModelPreferences { hints: vec!["a".into()], cost: number("1"), ..Default::default() },
            tools: vec![SampleTool {
                name: "t".into(),
                description: None,
                input_schema: Value::from([("type", "object")]),
            }],
            tool_choice: Some("auto".into()),
            timeout: None,
        };
        let form = Form {
            message: "Sure?".into(),
            schema: Value::from([("type", "object")]),
            check: Arc::new(Unchecked),
            again: Some("no".into()),
            timeout: None,
        };
        let url = Question::Url { message: "Go".into(), url: "https://a.example".into(), timeout: None };
        for question in [Question::Form(form), url, Question::Sample(sample), Question::Roots] {
            let back = to_question(&of_question(&question)).unwrap();
            assert_eq!(format!("{back:?}"), format!("{question:?}"));
        }
        assert!(to_question(&Value::from([("kind", "riddle")])).is_err());
    }
}
