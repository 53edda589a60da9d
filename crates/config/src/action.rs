//! `actions:` – actions with a name, for `run`; read when the first one asks for them.

use std::{cell::RefCell, sync::Arc, time::Duration};

use indexmap::{IndexMap, IndexSet};
use renkei_core::{
    ActionContext, Diagnostic, Diagnostics, Entry, FromNode, Map, Node, NodeKind, PatternKind, Span, Tree,
    Value,
    connector::SystemPlan,
    diagnostic::suggest,
    pattern::{ActionPlan, Actions, Holder, MAX_NESTING},
    queue::Queue,
    template::{Names, is_word, word_like},
};
use renkei_derive::FromNode;

use crate::tool::{Input, absent_or, check_timeout, input_schema, names, with_results};

/// An action with a name: `run: NAME` runs it, from any number of places.
#[derive(Clone, Debug, FromNode)]
#[expect(dead_code, reason = "schemas and templates are read from the tree; their fields are the manual")]
pub(crate) struct ActionConfig {
    /// What it does, for whoever reads the config.
    description: Option<String>,

    /// Its input, as a tool's `input`. What `with` gives is checked against it.
    input: Option<Input>,

    /// Its input as a whole JSON Schema 2020-12 of type `object`, instead of `input`.
    input_schema: Option<Node>,

    /// Shapes its result. Its templates see the input as `.`, and what the action gave as `$result` and
    /// `$result_meta`. Without it, the result is what the action gave.
    output: Option<Node>,

    /// How long it may take; without it, only what is around it limits it.
    timeout: Option<Duration>,
}

/// The keys of [`ActionConfig`].
const KEYS: [&str; 5] = ["description", "input", "input_schema", "output", "timeout"];

/// What an action may refer to, wherever it stands in the config.
pub(crate) struct World<'a> {
    pub(crate) systems: &'a IndexMap<Arc<str>, SystemPlan>,
    pub(crate) patterns: &'a [&'a dyn PatternKind],
    entries: &'a [Entry],
    /// Nothing for one that is broken.
    queues: &'a IndexMap<Arc<str>, Option<Arc<Queue>>>,
    /// The queues that something enqueues in.
    fed: RefCell<IndexSet<Arc<str>>>,
    /// Those whose messages a tool receives.
    received: RefCell<IndexSet<Arc<str>>>,
    read: RefCell<IndexMap<Arc<str>, Reading>>,
    /// The actions that are being read, outermost first.
    path: RefCell<Vec<Arc<str>>>,
    /// The names of the caches that calls keep replies in.
    caches: RefCell<IndexSet<Arc<str>>>,
    /// What calls invalidate, and where they say so.
    invalidated: RefCell<Vec<(Arc<str>, Span)>>,
}

#[derive(Clone)]
enum Reading {
    UnderWay,
    Done(Option<Arc<ActionPlan>>),
}

impl<'a> World<'a> {
    /// `entries` is what stands under `actions:`.
    pub(crate) fn new(
        systems: &'a IndexMap<Arc<str>, SystemPlan>,
        patterns: &'a [&'a dyn PatternKind],
        entries: &'a [Entry],
        queues: &'a IndexMap<Arc<str>, Option<Arc<Queue>>>,
    ) -> Self {
        World {
            systems,
            patterns,
            entries,
            queues,
            fed: RefCell::default(),
            received: RefCell::default(),
            read: RefCell::default(),
            path: RefCell::default(),
            caches: RefCell::default(),
            invalidated: RefCell::default(),
        }
    }

    /// The queue of this name, if it is there and sound.
    pub(crate) fn queue_named(&self, name: &str) -> Option<Arc<Queue>> {
        self.queues.get(name).cloned().flatten()
    }

    /// Whether an action enqueues in the queue.
    pub(crate) fn is_fed(&self, name: &str) -> bool {
        self.fed.borrow().contains(name)
    }

    /// Whether a tool receives its messages.
    pub(crate) fn is_received(&self, name: &str) -> bool {
        self.received.borrow().contains(name)
    }

    /// All of them, as they stand there.
    pub(crate) fn actions_as_value(&self) -> Value {
        self.entries.iter().map(|entry| (entry.key.clone(), entry.value.to_value())).collect::<Map>().into()
    }

    /// Whether a key is a pattern's: an action stands under it.
    pub(crate) fn is_pattern(&self, key: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.name() == key)
    }

    /// For reading an action whose templates may refer to `names`.
    pub(crate) fn context<'b>(&'b self, names: Names<'b>, d: &'b mut Diagnostics) -> ActionContext<'b> {
        ActionContext {
            systems: self.systems,
            patterns: self.patterns,
            actions: self,
            names,
            journaled: false,
            diagnostics: d,
        }
    }

    /// Reads the actions that nothing runs, so that they are checked, too, and warns of them.
    pub(crate) fn read_rest(&self, d: &mut Diagnostics) {
        for entry in self.entries {
            if self.read.borrow().contains_key(&entry.key) {
                continue;
            }
            self.read_entry(entry, d);
            d.push(
                Diagnostic::warning(entry.key_span, format!("nothing runs the action `{}`", entry.key))
                    .hint(format!("remove it, or run it: `run: {}`", entry.key)),
            );
        }
    }

    /// Refuses to invalidate what nobody keeps; to be called when everything is read.
    pub(crate) fn check_invalidated(&self, d: &mut Diagnostics) {
        let mut known = self.caches.take();
        known.extend(self.systems.values().filter_map(|plan| plan.layers.own_cache_name()));
        known.extend(self.systems.keys().cloned());
        for (name, span) in self.invalidated.take() {
            if known.contains(&name) {
                continue;
            }
            let diagnostic = Diagnostic::error(span, format!("there is no cache `{name}`"));
            d.push(match suggest(&name, known.iter().map(AsRef::as_ref)) {
                Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
                None => diagnostic.hint(
                    "name one beside a call, `cache: { ttl: 5m, name: … }`, or write the name of a system for all of its replies",
                ),
            });
        }
    }

    fn read_entry(&self, entry: &Entry, d: &mut Diagnostics) -> Option<Arc<ActionPlan>> {
        self.read.borrow_mut().insert(entry.key.clone(), Reading::UnderWay);
        self.path.borrow_mut().push(entry.key.clone());
        let plan = read(entry, self, d).map(Arc::new);
        self.path.borrow_mut().pop();
        self.read.borrow_mut().insert(entry.key.clone(), Reading::Done(plan.clone()));
        plan
    }

    fn unknown(&self, name: &str, at: Span) -> Diagnostic {
        let known = || self.entries.iter().map(|entry| &*entry.key);
        let diagnostic = Diagnostic::error(at, format!("there is no action `{name}`"));
        match suggest(name, known()) {
            Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
            None if self.entries.is_empty() => diagnostic.hint("declare it under `actions`"),
            None => {
                let names: Vec<String> = known().map(|name| format!("`{name}`")).collect();
                diagnostic.hint(format!("declare it under `actions`; there are {}", names.join(", ")))
            }
        }
    }

    fn cycle(&self, name: &str, at: Span) -> Diagnostic {
        let path = self.path.borrow();
        let start = path.iter().position(|known| **known == *name).unwrap_or_default();
        let round: Vec<String> =
            path[start..].iter().map(|name| format!("`{name}`")).chain([format!("`{name}`")]).collect();
        Diagnostic::error(at, format!("the action `{name}` would run itself: {}", round.join(" → ")))
            .hint("an action cannot repeat itself; use `for_each` for one run an element")
    }
}

impl Actions for World<'_> {
    fn feeds(&self, queue: &Arc<str>) {
        self.fed.borrow_mut().insert(queue.clone());
    }

    fn receives(&self, queue: &Arc<str>) {
        self.received.borrow_mut().insert(queue.clone());
    }

    fn queue(&self, name: &str, at: Span, d: &mut Diagnostics) -> Option<Arc<Queue>> {
        if let Some(queue) = self.queues.get(name) {
            return queue.clone();
        }
        let diagnostic = Diagnostic::error(at, format!("there is no queue `{name}`"));
        let known = self.queues.keys().map(AsRef::as_ref);
        d.push(match suggest(name, known) {
            Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
            None => diagnostic.hint(format!("declare it: `queues: {{ {name}: {{ worker: … }} }}`")),
        });
        None
    }

    fn keeps(&self, cache: &Arc<str>) {
        self.caches.borrow_mut().insert(cache.clone());
    }

    fn invalidates(&self, cache: &Arc<str>, at: Span) {
        self.invalidated.borrow_mut().push((cache.clone(), at));
    }

    fn get(&self, name: &str, at: Span, d: &mut Diagnostics) -> Option<Arc<ActionPlan>> {
        let known = self.read.borrow().get(name).cloned();
        match known {
            Some(Reading::Done(plan)) => plan,
            Some(Reading::UnderWay) => {
                d.push(self.cycle(name, at));
                None
            }
            None => match self.entries.iter().find(|entry| *entry.key == *name) {
                Some(_) if self.path.borrow().len() > MAX_NESTING => {
                    let message = format!("actions run each other more than {MAX_NESTING} deep");
                    d.push(Diagnostic::error(at, message).hint("do more of it in one action"));
                    None
                }
                Some(entry) => self.read_entry(entry, d),
                None => {
                    d.push(self.unknown(name, at));
                    None
                }
            },
        }
    }
}

/// Reads one action. Nothing, with diagnostics, if something is wrong.
fn read(entry: &Entry, world: &World<'_>, d: &mut Diagnostics) -> Option<ActionPlan> {
    check_name(entry, d);
    let name = format!("the action `{}`", entry.key);
    let NodeKind::Map(members) = &entry.value.kind else {
        let message = format!("{name} is {}, not a mapping", entry.value.what());
        d.push(Diagnostic::error(entry.key_span, message).hint("give it an `input` and a `call`"));
        return None;
    };
    let holder = Holder { kind: "an action", name: &name, at: entry.key_span, keys: &KEYS };
    let members = holder.known(members, world.patterns, d);
    let generic = holder.own(&members);
    let config = ActionConfig::from_node(&generic, d);
    let input_schema = input_schema(&generic, d);
    let names = names(input_schema.as_ref());
    let action = holder.action(&members, &mut world.context(names.clone(), d));
    let names = with_results(&names, action.as_deref(), true);
    let output = generic.get("output").map(|node| Tree::read(node, &names, d));
    let config = config?;
    check_timeout(config.timeout, &generic, d);
    Some(ActionPlan {
        name: entry.key.clone(),
        action: action?,
        output: absent_or(output)?,
        timeout: config.timeout,
        input_schema: input_schema?,
    })
}

fn check_name(entry: &Entry, d: &mut Diagnostics) {
    if !is_word(&entry.key) {
        let better = word_like(&entry.key).unwrap_or_else(|| "get_order".into());
        d.push(
            Diagnostic::error(entry.key_span, format!("`{}` cannot be the name of an action", entry.key)).hint(format!(
                "a name has 1 to 64 lower-case letters, digits and `_`, and does not begin with a digit: `{better}`"
            )),
        );
    }
}
