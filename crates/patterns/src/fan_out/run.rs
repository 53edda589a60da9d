//! Runs an action for each element.

use std::{collections::HashSet, sync::Arc};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use renkei_core::{Applied, Error, Outcome, Pattern, Payload, Result, RunContext, Value, run::Effects};

use super::FanOut;
use crate::{
    condition::blame,
    parts::{Held, Notices, Parts, with_others},
};

/// The longest text that tells an element from others.
const MAX_KEY_BYTES: usize = 200;

impl FanOut {
    /// The results in the order of the list; their metas as the meta. The first failure ends all.
    pub(crate) async fn run(&self, cx: &RunContext, input: &Value, action: &dyn Pattern) -> Result<Outcome> {
        let list = self.elements(cx, input)?;
        let contexts = self.contexts(cx, input, &list)?;
        let parts = Parts::new(cx, list.len(), "elements");
        let mut watched: Vec<Arc<Effects>> = Vec::new();
        let mut gathered = Gathered::new(list.len());
        let mut waiting = contexts.into_iter().enumerate();
        let mut under_way = FuturesUnordered::new();
        let mut suspended = None;
        loop {
            while under_way.len() < self.concurrency
                && let Some((at, element)) = waiting.next()
            {
                let (element, effects) = element.watched();
                watched.push(effects);
                let element = match &parts {
                    Some(parts) => parts.context(&element, at, &at.to_string()),
                    None => element,
                };
                under_way.push(async move { (at, one(action, element, input.clone()).await) });
            }
            let Some((at, ended)) = under_way.next().await else { break };
            if let Err(error) = ended.and_then(|outcome| gathered.take(at, outcome)) {
                // The others go on, so that all their questions are put at once.
                if error.is_suspended() {
                    suspended = Some(error);
                    continue;
                }
                drop(under_way);
                return Err(fail(at, error, &watched, &gathered));
            }
            if let Some(parts) = &parts {
                parts.done(at);
            }
        }
        match suspended {
            Some(error) => Err(error),
            None => Ok(gathered.outcome()),
        }
    }

    fn elements(&self, cx: &RunContext, input: &Value) -> Result<Arc<Vec<Value>>> {
        let fail = |message: String| Err(Error::new(blame(&self.list), message));
        let list = match self.list.render(&cx.scope("in", input.clone()))? {
            Some(Value::Array(list)) => list,
            other => {
                let what = other.as_ref().map_or("nothing", Value::type_name);
                return fail(format!(
                    "go through a list: the template gave {what}; `${{… // []}}` makes it an empty list"
                ));
            }
        };
        if list.len() > self.max {
            return fail(format!(
                "go through a list of {} elements, more than its `max` of {}; ask for less",
                list.len(),
                self.max
            ));
        }
        Ok(list)
    }

    /// The context of each element, in which its steps have keys of their own. Nothing runs before all are known.
    fn contexts(&self, cx: &RunContext, input: &Value, list: &[Value]) -> Result<Vec<RunContext>> {
        let mut seen = HashSet::new();
        let contexts = list.iter().enumerate().map(|(at, item)| {
            let element = cx.with_vars([("item".into(), item.clone()), ("index".into(), at.into())]);
            let Some(template) = &self.key else { return Ok(element.child(&at.to_string())) };
            let fail = |what: String| Error::new(blame(template), format!("tell elements apart: {what}"));
            let key = match template.render(&element.scope("key", input.clone()))? {
                Some(Value::String(text)) if !text.is_empty() => escape(&text),
                Some(number @ Value::Number(_)) => number.to_json(),
                _ => return Err(fail(format!("the `key` of element {at} is no number and no text"))),
            };
            if key.len() > MAX_KEY_BYTES {
                return Err(fail(format!("the `key` of element {at} has more than {MAX_KEY_BYTES} bytes")));
            }
            if !seen.insert(key.clone()) {
                return Err(fail(format!("element {at} has the same `key` as one before it")));
            }
            Ok(element.child(&key))
        });
        contexts.collect()
    }
}

async fn one(action: &dyn Pattern, cx: RunContext, input: Value) -> Result<Outcome> {
    let _part = cx.begin_part()?;
    action.run(&cx, input).await
}

/// In a path of names a `/` parts the names.
fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}

fn fail(at: usize, error: Error, watched: &[Arc<Effects>], gathered: &Gathered) -> Error {
    let (mut done, mut doubtful) = (0, 0);
    for (other, effects) in watched.iter().enumerate().filter(|(other, _)| *other != at) {
        match (effects.applied(), gathered.values.get(other)) {
            (Applied::No, _) => {}
            (Applied::Yes, Some(Some(_))) => done += 1,
            _ => doubtful += 1,
        }
    }
    let count = |count: usize| match count {
        0 => String::new(),
        1 => "1 other element".to_owned(),
        _ => format!("{count} other elements"),
    };
    with_others(error.context(format!("element {at}")), &count(done), &count(doubtful))
}

struct Gathered {
    values: Vec<Option<(Value, Value)>>,
    held: Held,
    notices: Notices,
}

impl Gathered {
    fn new(count: usize) -> Self {
        Gathered { values: vec![None; count], held: Held::default(), notices: Notices::default() }
    }

    fn take(&mut self, at: usize, outcome: Outcome) -> Result<()> {
        let value = outcome.value.into_value();
        self.held.add(&value)?;
        self.held.add(&outcome.meta)?;
        for notice in outcome.notices {
            self.notices.add(format!("element {at}: {notice}"));
        }
        if let Some(place) = self.values.get_mut(at) {
            *place = Some((value, outcome.meta));
        }
        Ok(())
    }

    fn outcome(self) -> Outcome {
        let (values, metas): (Vec<Value>, Vec<Value>) = self.values.into_iter().flatten().unzip();
        Outcome {
            value: Payload::Json(values.into()),
            meta: metas.into(),
            notices: self.notices.into_list(),
            results: Vec::new(),
            next: None,
        }
    }
}
