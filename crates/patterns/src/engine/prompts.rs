//! The prompts of a config.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{
    CallContext, Effect, Error, Kind, Result, Value, audit,
    complete::{Completion, Partial},
    prompt::{ArgumentInfo, Message, PromptInfo, PromptPlan, Prompts},
};

use super::{Engine, Problem, arguments, content, input::Input, job::Job};

pub(super) struct Prompt {
    plan: PromptPlan,
    input: Input,
}

impl Prompt {
    pub(super) fn new(plan: PromptPlan, problems: &mut Vec<Problem>) -> Option<Self> {
        match Input::new(&plan.input_schema) {
            Ok(input) => Some(Prompt { plan, input }),
            Err(what) => {
                problems.push(Problem { holder: format!("prompt `{}`", plan.name), key: "input", what });
                None
            }
        }
    }

    pub(super) fn info(&self) -> PromptInfo {
        let PromptPlan { name, title, description, icons, input_schema, .. } = &self.plan;
        let required = input_schema.get("required").and_then(Value::as_array).unwrap_or_default();
        let properties = input_schema.get("properties").and_then(Value::as_object);
        let text = |schema: &Value, key| schema.get(key).and_then(Value::as_str).map(str::to_owned);
        let argument = |(name, schema): (&Arc<str>, &Value)| ArgumentInfo {
            name: name.clone(),
            title: text(schema, "title"),
            description: text(schema, "description"),
            required: required.iter().any(|other| other.as_str() == Some(name)),
        };
        PromptInfo {
            name: name.clone(),
            title: title.clone(),
            description: description.clone(),
            icons: icons.clone(),
            arguments: properties.into_iter().flatten().map(argument).collect(),
        }
    }
}

pub(super) fn unknown(name: &str) -> Error {
    let shown: String = name.chars().take(100).collect();
    Error::new(Kind::NotFound, format!("there is no prompt `{shown}`"))
}

impl Engine {
    fn prompt(&self, name: &str) -> Result<&Prompt> {
        self.prompts.get(name).ok_or_else(|| unknown(name))
    }

    async fn messages(
        &self,
        prompt: &Prompt,
        job: &Job<'_>,
        cx: CallContext,
        given: Value,
    ) -> Result<Vec<Message>> {
        let _place = self.place()?;
        let plan = &prompt.plan;
        let members = given.as_object().into_iter().flatten();
        // Arguments of prompts are texts; whoever sends another type is not turned away for it.
        let texts: Vec<(&str, String)> = members
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (&**name, value.as_str().map_or_else(|| value.to_json(), str::to_owned)))
            .collect();
        let texts = texts.iter().map(|(name, text)| (*name, text.as_str()));
        let input = prompt.input.check(&plan.name, arguments::typed(&plan.input_schema, texts))?;
        let given = input.clone();
        self.in_rounds(job, cx, &given, |cx| self.fill_in(plan, job, cx, input)).await
    }

    async fn fill_in(
        &self,
        plan: &PromptPlan,
        job: &Job<'_>,
        cx: CallContext,
        input: Value,
    ) -> Result<Vec<Message>> {
        let cx = self.context(job, cx, None);
        let scope = match &plan.action {
            Some(action) => {
                let outcome = self.act(job, &cx, &**action, input.clone()).await?;
                cx.with_vars(outcome.vars()).scope("messages", input)
            }
            None => cx.scope("messages", input),
        };
        let messages = content::messages(&plan.messages, &scope, self.options.content_bytes)?;
        Ok(messages.into_iter().map(|(role, content)| Message { role, content }).collect())
    }
}

#[async_trait]
impl Prompts for Engine {
    fn list(&self) -> &[PromptInfo] {
        &self.prompt_list
    }

    async fn get(&self, cx: CallContext, name: &str, arguments: Value) -> Result<Vec<Message>> {
        let prompt =
            self.prompt(name).inspect_err(|error| audit::refused("prompt", name, false, &cx, error))?;
        let timeout = prompt.plan.timeout.unwrap_or(self.options.tool_timeout);
        let (measures, shown) = (&audit::Measures::new("prompt", name), self.options.audited);
        let job = Job { measures, name, effect: Effect::Read, timeout, shown };
        let run = self.messages(prompt, &job, cx.clone(), arguments.clone());
        job.guarded(&cx, &arguments, run).await
    }

    async fn complete(&self, cx: CallContext, name: &str, partial: Partial) -> Result<Completion> {
        let prompt = self.prompt(name)?;
        let argument = partial.name.as_str();
        if prompt.plan.input_schema.get("properties").and_then(|all| all.get(argument)).is_none() {
            let shown: String = argument.chars().take(100).collect();
            return Err(Error::new(Kind::NotFound, format!("the prompt `{name}` has no argument `{shown}`")));
        }
        let plan = prompt.plan.complete.get(argument);
        self.complete_by(plan, ("prompt", name), cx, partial).await
    }

    fn timeout(&self) -> Duration {
        let own = self.prompts.values().filter_map(|prompt| prompt.plan.timeout);
        own.chain([self.options.tool_timeout]).max().unwrap_or_default()
    }

    fn asks(&self) -> bool {
        self.prompts.values().any(|prompt| prompt.plan.action.as_ref().is_some_and(|action| action.asks()))
    }
}
