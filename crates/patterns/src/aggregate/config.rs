//! Reads `aggregate: { NAME: BRANCH }`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{
    ActionContext, ActionNode, Definitions, Diagnostic, Diagnostics, Effect, Entry, Error, FromNode, Node,
    NodeKind, Outcome, Pattern, PatternKind, Result, RunContext, Schema, Tree, Value,
    diagnostic::suggest,
    pattern::{Holder, with_action},
    read::{Spanned, wrong},
    template::{Names, RESERVED, is_word, word_like},
};
use renkei_derive::FromNode;

use super::{branch::Branch, graph, run::Aggregate};
use crate::{
    condition::{Condition, When},
    fan_out::FanOut,
    order,
};

const MAX_BRANCHES: usize = 64;
/// What the meta of a branch is bound to ends so.
pub(super) const META: &str = "_meta";

/// One branch: exactly one action, and what may stand beside it. Its templates may refer to the results of other
/// branches, as `$NAME` and `$NAME_meta`: then it waits for them.
#[derive(Debug, FromNode)]
#[expect(dead_code, reason = "templates are read from the tree; their fields are the manual")]
struct BranchConfig {
    /// Branches that must be done before this one, where no template refers to them.
    #[config(default)]
    needs: Vec<Spanned<Arc<str>>>,
    /// Whether the whole may do without it. If it fails, its value is null, and the result says so under `errors`.
    #[config(default)]
    optional: bool,
    /// How long it may take. Only the whole limits it without this.
    timeout: Option<Duration>,
    /// Its value if it fails; a branch that has one is optional. The result says under `errors` that it failed.
    fallback: Option<Node>,
    /// Whether it runs at all: a template that gives true or false. If it does not, it is absent from the result.
    when: Option<When>,
    /// Runs it for each element of a list: its value is the list of results, in order.
    for_each: Option<ForEach>,
}

const KEYS: [&str; 6] = ["needs", "optional", "timeout", "fallback", "when", "for_each"];

/// Stands for what [`FanOut`] reads.
#[derive(Debug)]
struct ForEach;

impl FromNode for ForEach {
    fn from_node(_: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(ForEach)
    }

    fn schema(defs: &mut Definitions) -> Schema {
        FanOut::schema(defs)
    }
}

pub(crate) struct Kind;

impl PatternKind for Kind {
    fn name(&self) -> &'static str {
        "aggregate"
    }

    fn schema(&self, _: &[(&'static str, Schema)], defs: &mut Definitions) -> Schema {
        let branch = BranchConfig::schema(defs);
        let whole = with_action(&branch, defs);
        if let Some(name) = branch.get("$ref").and_then(|r| r.as_str()?.strip_prefix("#/$defs/")) {
            defs.map.insert(name.into(), whole);
        }
        Value::from([
            ("type", Value::from("object")),
            ("description", "Several actions, one answer: branches by name, which run at the same time as far as none waits for another. The result is an object with the value of each, and `errors` if one is missing; templates of `output` and `content` see each as `$NAME`, and what is known about it as `$NAME_meta`.".into()),
            ("minProperties", 1i64.into()),
            ("maxProperties", MAX_BRANCHES.into()),
            ("propertyNames", Value::from([("pattern", "^[a-z_][a-z0-9_]{0,63}$")])),
            ("additionalProperties", branch),
        ])
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let entries = match action.value.as_map() {
            Some(entries) if !entries.is_empty() => entries,
            _ => {
                return wrong(
                    action.value,
                    "branches by name, such as `{ profile: { call: … } }`",
                    cx.diagnostics,
                );
            }
        };
        if entries.len() > MAX_BRANCHES {
            let message = format!("{} branches; an aggregate has at most {MAX_BRANCHES}", entries.len());
            let hint = "use `for_each` for what is alike, or put some into an aggregate of their own";
            cx.diagnostics.push(Diagnostic::error(action.key, message).hint(hint));
            return None;
        }
        let names: Vec<Arc<str>> = entries.iter().map(|entry| entry.key.clone()).collect();
        // What refers to the branches from outside is checked in any case.
        let action = whole(entries, &names, cx).map(|whole| Arc::new(whole) as Arc<dyn Pattern>);
        Some(action.unwrap_or_else(|| Arc::new(Broken(names))))
    }
}

fn whole(entries: &[Entry], names: &[Arc<str>], cx: &mut ActionContext<'_>) -> Option<Aggregate> {
    // All are read before the first problem ends it: every one is to be seen.
    let named = entries.iter().filter(|entry| check_name(entry, cx.diagnostics)).count() == entries.len();
    let (branches, needs): (Vec<_>, Vec<_>) = entries.iter().map(|entry| branch(entry, names, cx)).unzip();
    if let Some(cycle) = graph::cycle(&needs) {
        cx.diagnostics.push(of_cycle(&cycle, entries));
        return None;
    }
    let branches: Vec<Branch> = branches.into_iter().collect::<Option<_>>()?;
    let branches: Vec<Branch> =
        branches.into_iter().zip(needs).map(|(branch, needs)| Branch { needs, ..branch }).collect();
    let asked_first = cx.journaled || check_order(&branches, entries, cx.diagnostics);
    (named && asked_first).then(|| Aggregate::new(branches))
}

fn check_order(branches: &[Branch], entries: &[Entry], d: &mut Diagnostics) -> bool {
    let each = branches.iter().zip(entries).filter(|(branch, _)| branch.for_each.is_some());
    // All are looked at: every problem is to be seen.
    let wrong = each.filter(|(branch, entry)| !order::check_each(&*branch.action, entry.key_span, d)).count();
    let parts: Vec<order::Part<'_>> = branches
        .iter()
        .zip(entries)
        .map(|(branch, entry)| order::Part {
            name: &branch.name,
            at: entry.key_span,
            action: &*branch.action,
            needs: &branch.needs,
        })
        .collect();
    order::check(&parts, d) && wrong == 0
}

/// Stands for an aggregate that has errors, which were reported. It never gets into a plan.
#[derive(Debug)]
struct Broken(Vec<Arc<str>>);

#[async_trait]
impl Pattern for Broken {
    fn effect(&self) -> Effect {
        Effect::Read
    }

    fn open_world(&self) -> bool {
        false
    }

    fn results(&self) -> Vec<Arc<str>> {
        self.0.iter().flat_map(|name| [name.clone(), format!("{name}{META}").into()]).collect()
    }

    async fn run(&self, _: &RunContext, _: Value) -> Result<Outcome> {
        Err(Error::internal("run an aggregate whose config is wrong"))
    }
}

fn check_name(entry: &Entry, d: &mut Diagnostics) -> bool {
    let name = &*entry.key;
    let diagnostic = Diagnostic::error(entry.key_span, format!("`{name}` cannot be the name of a branch"));
    let diagnostic = match name {
        _ if RESERVED.contains(&name) => {
            diagnostic.hint(format!("`{name}` has a meaning of its own; choose another name"))
        }
        _ if name.ends_with(META) => {
            diagnostic.hint(format!("`${name}` is what is known about a branch; leave out `{META}`"))
        }
        _ if !is_word(name) => {
            let better = word_like(name).unwrap_or_else(|| "profile".into());
            diagnostic.hint(format!("a name has 1 to 64 lower-case letters, digits and `_`, and does not begin with a digit: `{better}`"))
        }
        _ => return true,
    };
    d.push(diagnostic);
    false
}

/// The branch, without what it waits for, and that.
fn branch(entry: &Entry, all: &[Arc<str>], cx: &mut ActionContext<'_>) -> (Option<Branch>, Vec<usize>) {
    let label = format!("the branch `{}`", entry.key);
    let NodeKind::Map(members) = &entry.value.kind else {
        let message = format!("{label} is {}, not a mapping", entry.value.what());
        cx.diagnostics
            .push(Diagnostic::error(entry.key_span, message).hint("give it an action: `{ call: … }`"));
        return (None, Vec::new());
    };
    let holder = Holder { kind: "a branch", name: &label, at: entry.key_span, keys: &KEYS };
    let members = holder.known(members, cx.patterns, cx.diagnostics);
    let own = holder.own(&members);
    let names =
        cx.names.noting().with(all.iter().flat_map(|name| [name.to_string(), format!("{name}{META}")]));
    let config = BranchConfig::from_node(&own, cx.diagnostics);
    let read = parts(&holder, &members, &own, &names, cx);
    let mut needs = config.as_ref().map(|config| declared(config, all, cx.diagnostics)).unwrap_or_default();
    for name in names.noted.list() {
        let branch = name.strip_suffix(META).unwrap_or(&name);
        match all.iter().position(|known| **known == *branch) {
            Some(at) if !needs.contains(&at) => needs.push(at),
            Some(_) => {}
            // It belongs to what is around.
            None => cx.names.noted.add(&name),
        }
    }
    let timeout = config.as_ref().and_then(|config| config.timeout);
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        let span = own.get("timeout").map_or(own.span, |node| node.span);
        cx.diagnostics.push(
            Diagnostic::error(span, "with no time at all, the branch would always fail")
                .hint("give it some milliseconds, or leave it out"),
        );
        return (None, needs);
    }
    let branch = config.zip(read).map(|(config, (action, when, fallback, for_each))| Branch {
        name: entry.key.clone(),
        meta_name: format!("{}{META}", entry.key).into(),
        label: label.into(),
        needs: Vec::new(),
        action,
        optional: config.optional,
        timeout,
        fallback,
        when,
        for_each,
    });
    (branch, needs)
}

type Parts = (Arc<dyn Pattern>, Option<Condition>, Option<Tree>, Option<FanOut>);

/// Everything in a branch that has templates.
fn parts(
    holder: &Holder<'_>,
    members: &[Entry],
    own: &Node,
    names: &Names<'_>,
    cx: &mut ActionContext<'_>,
) -> Option<Parts> {
    let when = own.get("when").map(|node| Condition::read(node, names, cx.diagnostics));
    let fallback = own.get("fallback").map(|node| Tree::read(node, names, cx.diagnostics));
    let for_each = own.get("for_each").map(|node| FanOut::read(node, names, cx.diagnostics));
    let inner = if for_each.is_some() { FanOut::inner(names) } else { names.clone() };
    let action = holder.action(members, &mut cx.nested(inner));
    Some((action?, present(when)?, present(fallback)?, present(for_each)?))
}

/// `None` where something is there and wrong.
#[expect(clippy::option_option, reason = "absent and wrong are two things")]
fn present<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        Some(None) => None,
        Some(some) => Some(some),
        None => Some(None),
    }
}

/// The branches that `needs` names.
fn declared(config: &BranchConfig, all: &[Arc<str>], d: &mut Diagnostics) -> Vec<usize> {
    let mut needs = Vec::new();
    for name in &config.needs {
        match all.iter().position(|known| *known == name.value) {
            Some(at) if !needs.contains(&at) => needs.push(at),
            Some(_) => {}
            None => {
                let diagnostic = Diagnostic::error(name.span, format!("there is no branch `{}`", name.value));
                d.push(match suggest(&name.value, all.iter().map(|name| &**name)) {
                    Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
                    None => diagnostic.hint(format!("there are {}", listed(all))),
                });
            }
        }
    }
    needs
}

fn of_cycle(cycle: &[usize], entries: &[Entry]) -> Diagnostic {
    let name = |at: &usize| entries[*at].key.clone();
    let path: Vec<String> = cycle.iter().chain(cycle.first()).map(|at| format!("`{}`", name(at))).collect();
    let first = &entries[cycle[0]];
    let message = match cycle.len() {
        1 => format!("the branch `{}` waits for itself", first.key),
        _ => format!("the branch `{}` waits for itself: {}", first.key, path.join(" → ")),
    };
    let mut diagnostic = Diagnostic::error(first.key_span, message)
        .hint("take away one of the references, or make one branch of them");
    for pair in cycle.windows(2) {
        let text = format!("`{}` waits for this", name(&pair[0]));
        diagnostic = diagnostic.related(entries[pair[1]].key_span, text);
    }
    diagnostic
}

fn listed(names: &[Arc<str>]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
