//! Tools of other servers that systems offer: as plans of tools beside the config's own, and their results, which are passed
//! on as they came.

use std::{collections::HashSet, sync::Arc};

use futures_util::future::{join_all, select_all};
use indexmap::IndexMap;
use renkei_core::{
    Diagnostics, Error, Kind, Map, Node, NodeKind, Principal, Result, Span, Value,
    connector::{CallNode, Offer, OfferedTool, SystemPlan},
    task::{STATUS_TOOL, Support},
    tool::{Content, ToolPlan, ToolResult},
};
use tokio::sync::watch;

use super::{
    kept::{Kept, Whole},
    systems::State,
    tools::Options,
};
use crate::call::CallAction;

/// What systems offer, and when that changes.
#[derive(Debug)]
pub struct Offers {
    pub(super) systems: Vec<Offering>,
}

#[derive(Debug)]
pub(super) struct Offering {
    pub(super) name: Arc<str>,
    pub(super) offer: watch::Receiver<Option<Arc<Offer>>>,
    pub(super) state: watch::Receiver<State>,
}

impl Offers {
    /// The systems that offer something, now or later.
    pub fn systems(&self) -> impl Iterator<Item = &Arc<str>> {
        self.systems.iter().map(|system| &system.name)
    }

    /// What is offered now, in the order of the config. From here on, it is a change what comes later.
    pub fn now(&mut self) -> Vec<(Arc<str>, Arc<Offer>)> {
        let now = |system: &mut Offering| {
            let offer = system.offer.borrow_and_update().clone();
            offer.map(|offer| (system.name.clone(), offer))
        };
        self.systems.iter_mut().filter_map(now).collect()
    }

    /// Waits until something else is offered.
    pub async fn changed(&mut self) {
        let changes: Vec<_> = self
            .systems
            .iter_mut()
            .map(|system| {
                Box::pin(async move {
                    // A system that is gone offers nothing else.
                    if system.offer.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                })
            })
            .collect();
        match changes.is_empty() {
            true => std::future::pending::<()>().await,
            false => drop(select_all(changes).await),
        }
    }

    /// Waits until it is known of each system what it offers, or why that cannot be known yet.
    pub async fn settled(&self) {
        let settled = self.systems.iter().map(async |system| {
            let (mut offer, mut state) = (system.offer.clone(), system.state.clone());
            tokio::select! {
                _ = offer.wait_for(Option::is_some) => {}
                _ = state.wait_for(|state| matches!(state, State::Down { .. } | State::Stopped)) => {}
            }
        });
        join_all(settled).await;
    }
}

/// The tools that `offers` are, beside the config's `own`, and what is left out because of its name, a sentence each. An own
/// tool comes before a system's, an earlier system before a later one.
pub fn plans(
    systems: &IndexMap<Arc<str>, SystemPlan>,
    own: &[ToolPlan],
    offers: &[(Arc<str>, Arc<Offer>)],
) -> (Vec<ToolPlan>, Vec<String>) {
    let (mut plans, mut left_out) = (Vec::new(), Vec::new());
    let mut taken: HashSet<Arc<str>> = own.iter().map(|tool| tool.name.clone()).collect();
    taken.insert(STATUS_TOOL.into());
    for (name, offer) in offers {
        let Some(system) = systems.get(name) else { continue };
        for tool in &offer.tools {
            if !taken.insert(tool.name.clone()) {
                left_out.push(format!(
                    "the tool `{}` of system `{name}` is left out, since another one is called `{}`; `rename` or `prefix` in \
                     its `expose` mends it",
                    tool.op.label, tool.name
                ));
                continue;
            }
            match plan(system, tool) {
                Some(plan) => plans.push(plan),
                None => {
                    left_out.push(format!("the tool `{}` of system `{name}` cannot be called", tool.op.label))
                }
            }
        }
    }
    (plans, left_out)
}

fn plan(system: &SystemPlan, tool: &OfferedTool) -> Option<ToolPlan> {
    let node = Node { kind: NodeKind::Null, span: Span::default() };
    let call = CallNode { op: &node, prepared: &tool.op, settings: &[] };
    let settings = system.layers.read_call(&call, &mut Diagnostics::default())?;
    let action = CallAction::passing_on(tool.op.clone(), settings, !system.system.is_local());
    Some(ToolPlan {
        name: tool.name.clone(),
        title: tool.title.clone(),
        description: tool.description.clone(),
        input_schema: tool.input_schema.clone(),
        output_schema: tool.output_schema.clone(),
        annotations: tool.annotations.clone(),
        icons: tool.icons.clone(),
        action: Arc::new(action),
        is_passed_on: true,
        output: None,
        content: None,
        timeout: None,
        idempotency: None,
        task: Support::Never,
        asks_first: false,
        definition: format!("{}/{}/{:?}", system.name, tool.op.label, tool.op.effect).into(),
    })
}

/// A whole result of another server as ours. One that is too large is kept, and told where.
pub(super) fn publish(
    value: &Value,
    plan: &ToolPlan,
    options: &Options,
    kept: &Kept,
    caller: &Arc<Principal>,
) -> Result<ToolResult> {
    let parts = value.get("content").and_then(Value::as_array).unwrap_or_default();
    let structured = value.get("structuredContent").filter(|value| !value.is_null()).map(object);
    let is_error = value.get("isError").and_then(Value::as_bool) == Some(true);
    let error = is_error.then(|| {
        let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
        let said = texts.collect::<Vec<_>>().join("\n");
        let text = if said.is_empty() { "it does not say why".to_owned() } else { said };
        Error::new(Kind::Rejected, format!("`{}` failed: {text}", plan.name))
    });
    let text = |part: &&Value| part.get("type").and_then(Value::as_str) == Some("text");
    let texts: usize = parts.iter().filter(text).map(|part| part.to_json().len()).sum();
    let others: usize = parts.iter().filter(|part| !text(part)).map(|part| part.to_json().len()).sum();
    let structure = structured.as_ref().map_or(0, |value| value.to_json().len());
    let (limit, media) = (options.result_bytes, options.content_bytes);
    // Media travel in base64.
    if texts <= limit && structure <= limit && others / 4 * 3 <= media {
        let content = parts.iter().cloned().map(Content::Part).collect();
        return Ok(ToolResult { content, structured, error });
    }
    let length = texts + structure + others;
    let what = format!(
        "the result has {length} bytes; texts and structure have at most {limit} (`server.limits.result_bytes`), other parts \
         {media} (`server.limits.content_bytes`)"
    );
    match kept.keep(caller, &plan.name, Whole::of_value(value)) {
        // A promised structure cannot be left out.
        Some(place) if plan.output_schema.is_none() || is_error => Ok(ToolResult {
            content: vec![Content::Text(format!("{what}. {}", place.notice)), place.link],
            structured: None,
            error,
        }),
        _ => Err(Error::invalid(format!("{what}; ask for less"))),
    }
}

/// Clients of the legacy era take objects only.
fn object(value: &Value) -> Value {
    match value {
        Value::Object(_) => value.clone(),
        other => Map::from_iter([("result".into(), other.clone())]).into(),
    }
}
