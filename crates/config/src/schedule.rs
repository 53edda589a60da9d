//! `schedules:` – what is enqueued, and when.

use std::sync::LazyLock;

use jiff::tz::TimeZone;
use renkei_core::{
    Diagnostic, Diagnostics, Entry, FromNode, Node, NodeKind, PatternKind, Value,
    clock::Timestamp,
    diagnostic::suggest,
    pattern::{ActionContext, Holder},
    schedule::{Missed, SchedulePlan, Timetable},
    template::{is_word, word_like},
};
use renkei_derive::FromNode;

use crate::{action::World, tool::names};

/// A schedule: a message for a queue at each tick of a clock. Each tick is enqueued once, however many processes there are;
/// who works on queues looks at the clock, too.
#[derive(Clone, Debug, FromNode)]
#[expect(dead_code, reason = "the timetable is read from the tree; its fields are the manual")]
#[config(check = check_schedule)]
pub(crate) struct ScheduleConfig {
    /// What it is for, for people.
    description: Option<String>,

    /// When: minute, hour, day of the month, month, day of the week, such as `0 3 * * *` for 3 in the morning; seconds may
    /// stand before them. Or `@yearly`, `@monthly`, `@weekly`, `@daily`, `@hourly`. Where both days say something, one of
    /// them is enough. A changed one begins anew: its first tick is the next one.
    cron: String,

    /// In which time zone, such as `Europe/Berlin`. On days when its clocks change, a time that does not exist ticks at the
    /// end of the gap, and one that exists twice ticks the first time; every so many minutes or hours is meant as elapsed
    /// time.
    #[config(default = "UTC")]
    timezone: String,

    /// What becomes of ticks that are found more than a minute late, because no process was there.
    #[config(default = "once")]
    missed: MissedWord,

    /// With `missed: all`: so many at most, the last ones; 1 to 1000.
    #[config(default = 100)]
    max_missed: usize,
}

/// What becomes of ticks that were missed.
#[derive(Clone, Copy, Debug, FromNode)]
enum MissedWord {
    /// Nothing.
    Skip,
    /// The last one of them is enqueued, unless another one is due at this moment anyway.
    Once,
    /// Each is enqueued, the oldest first.
    All,
}

/// The keys of [`ScheduleConfig`].
const KEYS: [&str; 5] = ["description", "cron", "timezone", "missed", "max_missed"];
/// Ticks that are made up for at most.
const MAX_MISSED: usize = 1000;

/// What the templates of a schedule's message see.
static INPUT: LazyLock<Value> = LazyLock::new(|| {
    let text = |description: &str| Value::from([("type", "string"), ("description", description)]);
    Value::from([
        ("type", Value::from("object")),
        (
            "properties",
            Value::from([
                ("schedule", text("The schedule's name.")),
                ("tick", text("When it was due, in RFC 3339 with the offset of its time zone.")),
            ]),
        ),
        ("required", vec![Value::from("schedule"), "tick".into()].into()),
        ("additionalProperties", false.into()),
    ])
});

/// The one pattern that a schedule may have.
pub(crate) fn enqueue_only<'p>(patterns: &[&'p dyn PatternKind]) -> Vec<&'p dyn PatternKind> {
    patterns.iter().copied().filter(|pattern| pattern.name() == "enqueue").collect()
}

fn check_schedule(config: &ScheduleConfig, node: &Node, d: &mut Diagnostics) {
    if !(1..=MAX_MISSED).contains(&config.max_missed) {
        let span = node.get("max_missed").map_or(node.span, |node| node.span);
        let message = format!("`max_missed` is {}; it can be 1 to {MAX_MISSED}", config.max_missed);
        d.push(Diagnostic::error(span, message).hint("`missed: skip` makes up for none"));
    }
    if let (Some(max), MissedWord::Skip | MissedWord::Once) = (node.entry("max_missed"), config.missed) {
        d.push(Diagnostic::error(max.key_span, "`max_missed` belongs to `missed: all`").hint("remove it"));
    }
}

/// Reads one schedule. Nothing, with diagnostics, if something is wrong.
pub(crate) fn read(entry: &Entry, world: &World<'_>, d: &mut Diagnostics) -> Option<SchedulePlan> {
    check_name(entry, d);
    let name = format!("the schedule `{}`", entry.key);
    let NodeKind::Map(members) = &entry.value.kind else {
        let message = format!("{name} is {}, not a mapping", entry.value.what());
        d.push(Diagnostic::error(entry.key_span, message).hint("give it a `cron` and an `enqueue`"));
        return None;
    };
    let patterns = enqueue_only(world.patterns);
    let (others, members): (Vec<Entry>, Vec<Entry>) = members
        .iter()
        .cloned()
        .partition(|member| &*member.key != "enqueue" && world.is_pattern(&member.key));
    for other in &others {
        let message =
            format!("{name} cannot `{}`: it enqueues, and the queue's worker does the rest", other.key);
        d.push(
            Diagnostic::error(other.key_span, message).hint(
                "`enqueue: { QUEUE: { tick: '${.tick}' } }`, and put this into the `worker` of the queue",
            ),
        );
    }
    let holder = Holder { kind: "a schedule", name: &name, at: entry.key_span, keys: &KEYS };
    let members = holder.known(&members, &patterns, d);
    let generic = holder.own(&members);
    let config = ScheduleConfig::from_node(&generic, d);
    let timetable = timetable(&generic, &name, d);
    let action = (others.is_empty()).then(|| {
        let mut cx = world.context(names(Some(&INPUT)), d);
        let mut cx = ActionContext { patterns: &patterns, ..cx.nested(names(Some(&INPUT))) };
        holder.action(&members, &mut cx)
    });
    let (config, action) = (config?, action??);
    Some(SchedulePlan {
        name: entry.key.clone(),
        description: config.description,
        timetable: timetable?,
        missed: match config.missed {
            MissedWord::Skip => Missed::Skip,
            MissedWord::Once => Missed::Once,
            MissedWord::All => Missed::All(config.max_missed),
        },
        queue: action.feeds()?.clone(),
        action,
    })
}

/// Reads `cron` and `timezone`, and warns of a timetable without ticks.
fn timetable(generic: &Node, name: &str, d: &mut Diagnostics) -> Option<Timetable> {
    let zone = zone(generic, d);
    let node = generic.get("cron")?;
    let text = node.as_str()?;
    let (zone_name, zone) = zone.clone().unwrap_or_else(|| ("UTC".to_owned(), TimeZone::UTC));
    match Timetable::parse(text, &zone_name, zone) {
        Ok(timetable) => {
            if timetable.next(Timestamp(0)).is_none() {
                d.push(
                    Diagnostic::warning(node.span, format!("{name} never ticks: no date fits `{text}`"))
                        .hint("mend the day or the month"),
                );
            }
            Some(timetable)
        }
        Err(error) => {
            let span = node.text_span(error.from, error.to);
            d.push(Diagnostic::error(span, error.message).hint(error.hint));
            None
        }
    }
}

/// Nothing, with a diagnostic, for a zone that is not known.
fn zone(generic: &Node, d: &mut Diagnostics) -> Option<(String, TimeZone)> {
    let Some(node) = generic.get("timezone") else { return Some(("UTC".to_owned(), TimeZone::UTC)) };
    let name = node.as_str()?;
    match TimeZone::get(name) {
        Ok(zone) => Some((zone.iana_name().unwrap_or(name).to_owned(), zone)),
        Err(_) => {
            let known: Vec<String> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
            let diagnostic = Diagnostic::error(node.span, format!("there is no time zone `{name}`"));
            d.push(match suggest(name, known.iter().map(String::as_str)) {
                Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
                None => diagnostic.hint("name one of the IANA's, such as `Europe/Berlin`"),
            });
            None
        }
    }
}

fn check_name(entry: &Entry, d: &mut Diagnostics) {
    if !is_word(&entry.key) {
        let better = word_like(&entry.key).unwrap_or_else(|| "nightly".into());
        d.push(
            Diagnostic::error(entry.key_span, format!("`{}` cannot be the name of a schedule", entry.key)).hint(format!(
                "a name has 1 to 64 lower-case letters, digits and `_`, and does not begin with a digit: `{better}`"
            )),
        );
    }
}
