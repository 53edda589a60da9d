//! Finds the one action in a mapping that has other keys, too: a tool, a branch, a step.

use std::sync::Arc;

use super::{ActionContext, ActionNode, MAX_NESTING, Pattern, PatternKind};
use crate::{Definitions, Diagnostic, Diagnostics, Entry, Node, NodeKind, Span, diagnostic::suggest};

/// Words of actions of later versions.
pub const LATER: [&str; 9] =
    ["cache", "choose", "parallel", "pipeline", "publish", "race", "saga", "scatter", "transaction"];

/// What holds an action.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// With its article: `a tool`.
    pub kind: &'a str,
    /// With its name: ``the tool `get_customer` ``.
    pub name: &'a str,
    /// Where the name stands.
    pub at: Span,
    /// Its own keys, beside the action's.
    pub keys: &'a [&'a str],
}

impl Holder<'_> {
    /// Those of `members` that are known here. Unknown keys are reported; a misspelt one is read as what was
    /// meant, so that what stands under it is checked, too.
    pub fn known(&self, members: &[Entry], patterns: &[&dyn PatternKind], d: &mut Diagnostics) -> Vec<Entry> {
        let all = self.all_keys(patterns);
        let mut out: Vec<Entry> =
            members.iter().filter(|member| all.contains(&&*member.key)).cloned().collect();
        for member in members.iter().filter(|member| !all.contains(&&*member.key)) {
            let key = &*member.key;
            if LATER.contains(&key) {
                d.push(
                    Diagnostic::error(member.key_span, format!("`{key}` is not available in this version"))
                        .hint("it arrives with a later release; remove it until then"),
                );
                out.push(member.clone());
                continue;
            }
            let diagnostic =
                Diagnostic::error(member.key_span, format!("unknown key `{key}` in {}", self.kind));
            d.push(match suggest(key, all.iter().copied()) {
                Some(close) => {
                    if !out.iter().any(|other| &*other.key == close) {
                        out.push(Entry { key: close.into(), ..member.clone() });
                    }
                    diagnostic.hint(format!("did you mean `{close}`?"))
                }
                None => diagnostic.hint(format!("allowed here: {}", listed(&all))),
            });
        }
        out
    }

    /// Those of `members` that are its own, without the action. They stand where the name stands, so that a
    /// missing key is shown there.
    pub fn own(&self, members: &[Entry]) -> Node {
        let own = members.iter().filter(|member| self.keys.contains(&&*member.key)).cloned().collect();
        Node { kind: NodeKind::Map(own), span: self.at }
    }

    /// Reads the action under the only key of `members` that names a pattern.
    pub fn action(&self, members: &[Entry], cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let (member, pattern) = self.only_action(members, cx)?;
        let own: Vec<&str> = companions(pattern);
        let companions: Vec<Entry> =
            members.iter().filter(|member| own.contains(&&*member.key)).cloned().collect();
        let strays = members.iter().filter(|member| {
            let key = &&*member.key;
            !own.contains(key) && !self.keys.contains(key) && owner(cx.patterns, key).is_some()
        });
        for stray in strays {
            let owner = owner(cx.patterns, &stray.key).unwrap_or_default();
            let message =
                format!("`{}` belongs to `{owner}`, and {} has `{}`", stray.key, self.name, member.key);
            cx.diagnostics.push(Diagnostic::error(stray.key_span, message).hint("remove it"));
        }
        let action = ActionNode { key: member.key_span, value: &member.value, companions: &companions };
        let read = pattern.read(&action, cx)?;
        if read.height() > MAX_NESTING {
            cx.diagnostics.push(
                Diagnostic::error(member.key_span, format!("actions nest more than {MAX_NESTING} deep"))
                    .hint("those that `run` names count, too; do more of it in one"),
            );
            return None;
        }
        Some(read)
    }

    /// The same where there need be no action: nothing if there is none.
    pub fn optional_action(
        &self,
        members: &[Entry],
        cx: &mut ActionContext<'_>,
    ) -> Option<Option<Arc<dyn Pattern>>> {
        let is_action = |member: &Entry| cx.patterns.iter().any(|pattern| *pattern.name() == *member.key);
        if members.iter().any(is_action) {
            return Some(self.action(members, cx));
        }
        for member in members.iter().filter(|member| !self.keys.contains(&&*member.key)) {
            let Some(owner) = owner(cx.patterns, &member.key) else { continue };
            let hint = match suggest(&member.key, self.keys.iter().copied()) {
                Some(close) => format!("did you mean `{close}`?"),
                None => "remove it".to_owned(),
            };
            let message = format!("`{}` belongs to `{owner}`, and {} has no action", member.key, self.name);
            cx.diagnostics.push(Diagnostic::error(member.key_span, message).hint(hint));
        }
        None
    }

    fn only_action<'m, 'p>(
        &self,
        members: &'m [Entry],
        cx: &mut ActionContext<'p>,
    ) -> Option<(&'m Entry, &'p dyn PatternKind)> {
        let mut chosen: Option<(&Entry, &dyn PatternKind)> = None;
        let mut alone = true;
        for member in members {
            let found = cx.patterns.iter().find(|pattern| *pattern.name() == *member.key);
            match (found, chosen) {
                (None, _) => {}
                (Some(pattern), None) => chosen = Some((member, *pattern)),
                (Some(_), Some((first, _))) => {
                    alone = false;
                    let hint = format!("keep one of `{}` and `{}`", first.key, member.key);
                    cx.diagnostics.push(
                        Diagnostic::error(member.key_span, format!("{} has two actions", self.name))
                            .label("the second one")
                            .related(first.key_span, "the first one")
                            .hint(hint),
                    );
                }
            }
        }
        // An action of a later version was reported already.
        if chosen.is_none() && !members.iter().any(|member| LATER.contains(&&*member.key)) {
            let choices: Vec<&str> = cx.patterns.iter().map(|pattern| pattern.name()).collect();
            cx.diagnostics.push(
                Diagnostic::error(self.at, format!("{} does nothing", self.name))
                    .label("no action")
                    .hint(format!("add its action: {}", listed(&choices))),
            );
        }
        chosen.filter(|_| alone)
    }

    fn all_keys<'k>(&'k self, patterns: &[&dyn PatternKind]) -> Vec<&'k str> {
        let mut all: Vec<&str> = self.keys.to_vec();
        for pattern in patterns {
            for key in std::iter::once(pattern.name()).chain(companions(*pattern)) {
                if !all.contains(&key) {
                    all.push(key);
                }
            }
        }
        all
    }
}

fn companions(pattern: &dyn PatternKind) -> Vec<&'static str> {
    pattern.companions(&mut Definitions::default()).into_iter().map(|(key, _)| key).collect()
}

/// The pattern that a companion key belongs to.
fn owner(patterns: &[&dyn PatternKind], key: &str) -> Option<&'static str> {
    patterns.iter().find(|pattern| companions(**pattern).contains(&key)).map(|pattern| pattern.name())
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
