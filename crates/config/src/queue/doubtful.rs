//! What is allowed, and probably not meant.

use std::sync::Arc;

use renkei_core::{
    Diagnostic, Diagnostics, Effect, Entry, Span,
    pattern::{queues_fed_by, repeat_of},
    queue::QueuePlan,
};

use crate::action::World;

pub(super) fn warn(plans: &[(&Entry, QueuePlan)], world: &World<'_>, d: &mut Diagnostics) {
    warn_of_idle(plans, world, d);
    warn_of_repeats(plans, d);
    warn_of_loops(plans, d);
}

/// A queue that nobody puts into, or nobody takes from.
fn warn_of_idle(plans: &[(&Entry, QueuePlan)], world: &World<'_>, d: &mut Diagnostics) {
    for (entry, plan) in plans {
        let name = &plan.about.name;
        if plan.worker.is_none() && !world.is_received(name) {
            let message = format!("nobody takes the messages of the queue `{name}`");
            d.push(Diagnostic::warning(entry.key_span, message).hint(format!(
                "give it a `worker`, or a tool that receives them: `receive: {{ queue: {name} }}`"
            )));
        } else if !world.is_fed(name) {
            let message = format!("nothing enqueues in the queue `{name}`");
            d.push(
                Diagnostic::warning(entry.key_span, message)
                    .hint(format!("a tool does it: `enqueue: {{ {name}: … }}`; or remove the queue")),
            );
        }
    }
}

/// A message may be handled twice: when a process dies between the work and the commit of it.
fn warn_of_repeats(plans: &[(&Entry, QueuePlan)], d: &mut Diagnostics) {
    for (entry, plan) in plans {
        let Some(worker) = &plan.worker else { continue };
        if plan.about.attempts > 1 && repeat_of(&**worker) == Effect::Write {
            let span = entry.value.entry("worker").map_or(entry.key_span, |worker| worker.key_span);
            let message = format!("a second attempt of the worker of `{}` may do its work twice", entry.key);
            d.push(Diagnostic::warning(span, message).hint(
                "send `$key` with what it changes (it is the same in every attempt), or write `effect: idempotent` where a repeat does no harm",
            ));
        }
    }
}

/// A message that makes messages of its own kind may never end.
fn warn_of_loops(plans: &[(&Entry, QueuePlan)], d: &mut Diagnostics) {
    let fed = |name: &str| -> Vec<Arc<str>> {
        let plan = plans.iter().find(|(_, plan)| *plan.about.name == *name);
        plan.and_then(|(_, plan)| plan.worker.as_deref()).map(queues_fed_by).unwrap_or_default()
    };
    for (entry, plan) in plans {
        let start = &plan.about.name;
        if let Some(round) = way_back(start, &fed) {
            let round: Vec<String> = round.iter().map(|name| format!("`{name}`")).collect();
            let message = format!("messages of `{start}` come back to it: {}", round.join(" → "));
            let span: Span = entry.value.entry("worker").map_or(entry.key_span, |worker| worker.key_span);
            d.push(
                Diagnostic::warning(span, message)
                    .hint("see that it ends, with a `switch` around the `enqueue`, and that it waits, with `message: { delay: … }`"),
            );
        }
    }
}

/// A shortest way from a queue to itself.
fn way_back(start: &Arc<str>, fed: &dyn Fn(&str) -> Vec<Arc<str>>) -> Option<Vec<Arc<str>>> {
    let mut ways = vec![vec![start.clone()]];
    let mut seen = Vec::new();
    while let Some(way) = (!ways.is_empty()).then(|| ways.remove(0)) {
        for next in way.last().map(|name| fed(name)).unwrap_or_default() {
            let longer: Vec<_> = way.iter().cloned().chain([next.clone()]).collect();
            if next == *start {
                return Some(longer);
            }
            if !seen.contains(&next) {
                seen.push(next);
                ways.push(longer);
            }
        }
    }
    None
}
