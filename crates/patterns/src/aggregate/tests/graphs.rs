//! Random graphs of branches, on a clock of their own, beside a model of what should happen.

use std::{collections::BTreeMap, fmt::Write as _, sync::atomic::Ordering, time::Duration};

use proptest::prelude::*;
use renkei_core::{Applied, Kind, Value, tool::Tools};
use tokio::time::Instant;

use super::tool;
use crate::fake::{Bench, Tool, context, value};

/// The clock of tokio ticks in milliseconds; what is longer than a tick by far can be compared.
const UNIT_MS: u32 = 100;

#[derive(Clone, Debug)]
struct Plan {
    /// Of lower number, so that there is no cycle.
    needs: Vec<usize>,
    /// By `needs:`, where a template could do it.
    declared: bool,
    units: u32,
    fails: bool,
    optional: bool,
    writes: bool,
    /// In units.
    timeout: Option<u32>,
}

fn plan() -> impl Strategy<Value = Plan> {
    (
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        any::<bool>(),
        0u32..6,
        prop::bool::weighted(0.12),
        any::<bool>(),
        any::<bool>(),
        prop::option::weighted(0.15, 1u32..6),
    )
        .prop_map(|(needs, declared, units, fails, optional, writes, timeout)| Plan {
            needs: needs.iter().map(|index| index.index(usize::MAX)).collect(),
            declared,
            units,
            fails,
            optional,
            writes,
            timeout,
        })
}

/// Some branches, the order in which the config has them, and the time for the whole, in units.
fn graph() -> impl Strategy<Value = (Vec<Plan>, Vec<usize>, u32)> {
    let plans = prop::collection::vec(plan(), 1..14).prop_map(|mut plans| {
        for (at, plan) in plans.iter_mut().enumerate() {
            let lower = plan.needs.iter().filter_map(|need| need.checked_rem(at)).collect::<Vec<_>>();
            plan.needs = lower;
            plan.needs.sort_unstable();
            plan.needs.dedup();
        }
        plans
    });
    plans.prop_flat_map(|plans| {
        let order: Vec<usize> = (0..plans.len()).collect();
        (Just(plans), Just(order).prop_shuffle(), prop_oneof![3 => Just(1000u32), 1 => 1u32..12])
    })
}

fn action(plans: &[Plan], order: &[usize]) -> String {
    let mut branches = Vec::new();
    for at in order {
        let plan = &plans[*at];
        let ms = plan.units * UNIT_MS;
        let mut given = format!(r#""id": "b{at}", "ms": {ms}"#);
        let mut around = String::new();
        if plan.fails {
            given += r#", "fail": "conflict""#;
        }
        let needs = plan.needs.iter();
        if plan.declared {
            let names: Vec<String> = needs.map(|need| format!(r#""b{need}""#)).collect();
            let _ = write!(around, r#", "needs": [{}]"#, names.join(","));
        } else {
            let seen: Vec<String> = needs.map(|need| format!(r#""${{$b{need}.id}}""#)).collect();
            let _ = write!(given, r#", "sees": [{}]"#, seen.join(","));
        }
        if let Some(timeout) = plan.timeout {
            let _ = write!(around, r#", "timeout": "{}ms""#, timeout * UNIT_MS);
        }
        let (optional, effect) = (plan.optional, if plan.writes { "write" } else { "read" });
        branches.push(format!(
            r#""b{at}": {{ "call": {{ "crm": {{ "do": "wait", "effect": "{effect}", "value": {{ {given} }} }} }}, "optional": {optional}{around} }}"#
        ));
    }
    format!(r#"{{ "aggregate": {{ {} }} }}"#, branches.join(","))
}

/// When each begins and ends if nothing ends all, in units, and whether it fails.
struct Model {
    begin: Vec<u32>,
    end: Vec<u32>,
    fails: Vec<bool>,
    timed_out: Vec<bool>,
}

impl Model {
    fn of(plans: &[Plan]) -> Self {
        let mut model = Model { begin: vec![], end: vec![], fails: vec![], timed_out: vec![] };
        for plan in plans {
            let begin = plan.needs.iter().map(|need| model.end[*need]).max().unwrap_or(0);
            // A branch that ends exactly when its time is up may do either; the generator's units make it rare,
            // and the test leaves those graphs out.
            let timed_out = plan.timeout.is_some_and(|timeout| timeout < plan.units);
            let units = if timed_out { plan.timeout.unwrap_or_default() } else { plan.units };
            model.begin.push(begin);
            model.end.push(begin + units);
            model.fails.push(timed_out || plan.fails);
            model.timed_out.push(timed_out);
        }
        model
    }

    /// When the first failure that ends all comes, and which branches may have been it.
    fn fatal(&self, plans: &[Plan]) -> Option<(u32, Vec<usize>)> {
        let fatal: Vec<usize> =
            (0..plans.len()).filter(|at| self.fails[*at] && !plans[*at].optional).collect();
        let first = fatal.iter().map(|at| self.end[*at]).min()?;
        Some((first, fatal.into_iter().filter(|at| self.end[*at] == first).collect()))
    }
}

fn units(since: Instant, then: Instant) -> u32 {
    let ms = u32::try_from((then - since).as_millis()).unwrap();
    assert!(ms % UNIT_MS < 30, "{ms} ms is no multiple of the unit");
    ms / UNIT_MS
}

async fn check(plans: &[Plan], order: &[usize], limit: u32) {
    let timeout = Some(Duration::from_millis(u64::from(limit * UNIT_MS)));
    let bench = Bench::new(Tool { timeout, ..tool(&action(plans, order)) });
    let start = Instant::now();
    let result = bench.engine.call(context(), "t", value("{}"), None).await.unwrap();
    let took = units(start, Instant::now());

    // Whatever happens: nothing is left open, each begins once at most, and after what it needs.
    assert_eq!(bench.ledger.open.load(Ordering::SeqCst), 0);
    let waits = bench.ledger.waits.lock().unwrap();
    let mut seen = BTreeMap::new();
    for (id, begin, end) in &*waits {
        let at: usize = id[1..].parse().unwrap();
        assert!(seen.insert(at, (*begin, *end)).is_none(), "`{id}` ran twice");
    }
    for (at, (begin, _)) in &seen {
        for need in &plans[*at].needs {
            let (_, end) = seen.get(need).unwrap_or_else(|| panic!("b{at} ran without b{need}"));
            assert!(end.is_none_or(|end| end <= *begin), "b{at} ran before b{need} ended");
        }
    }
    assert!(took <= limit, "{took} units, and the limit is {limit}");

    let model = Model::of(plans);
    let longest = model.end.iter().copied().max().unwrap_or_default();
    let fatal = model.fatal(plans);
    let end = fatal.as_ref().map_or(longest, |(first, _)| *first);
    if end >= limit {
        return;
    }
    assert_eq!(took, end, "the longest path, or the way to the first failure");
    for at in 0..plans.len() {
        match seen.get(&at) {
            Some((begin, _)) => assert_eq!(units(start, *begin), model.begin[at], "b{at}"),
            None => assert!(fatal.is_some() && model.begin[at] >= end, "b{at} never ran"),
        }
    }
    match fatal {
        None => check_result(plans, &model, result.structured.as_ref().unwrap()),
        Some((first, guilty)) => {
            let error = result.error.unwrap();
            assert!(guilty.iter().any(|at| error.places().contains(&format!("branch `b{at}`"))), "{error}");
            let kinds =
                guilty.iter().map(|at| if model.timed_out[*at] { Kind::Timeout } else { Kind::Conflict });
            assert!(kinds.into_iter().any(|kind| kind == error.kind()));
            check_applied(plans, &model, first, &guilty, error.was_applied());
        }
    }
}

fn check_result(plans: &[Plan], model: &Model, result: &Value) {
    let errors = result.get("errors").and_then(Value::as_object).cloned().unwrap_or_default();
    assert_eq!(errors.is_empty(), result.get("errors").is_none());
    for at in 0..plans.len() {
        let name = format!("b{at}");
        assert_eq!(errors.contains_key(name.as_str()), model.fails[at], "{name}");
        let value = result.get(&name).unwrap();
        assert_eq!(value.is_null(), model.fails[at], "{name}");
    }
}

/// `no` only if no write went through or may have. What happens in the same unit as the end may come before or after it.
fn check_applied(plans: &[Plan], model: &Model, end: u32, guilty: &[usize], applied: Applied) {
    let (mut sure, mut perhaps) = (false, false);
    for (at, _) in plans.iter().enumerate().filter(|(_, plan)| plan.writes) {
        let refused = model.fails[at] && !model.timed_out[at];
        let begun = model.begin[at] <= end;
        let surely_begun = model.begin[at] < end;
        let ended = model.end[at] < end || guilty == [at];
        perhaps |= begun && !(refused && ended);
        sure |= surely_begun && (!refused || model.end[at] > end);
    }
    match applied {
        Applied::No => assert!(!sure, "it says that nothing was changed"),
        _ => assert!(perhaps, "it says that something was changed"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn graphs_run_as_they_should((plans, order, limit) in graph()) {
        // Which of two things at the same time comes first is open.
        prop_assume!(plans.iter().all(|plan| plan.timeout != Some(plan.units)));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(check(&plans, &order, limit));
    }
}
