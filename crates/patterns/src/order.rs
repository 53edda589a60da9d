//! What may come before a question: nothing that changes something.
//!
//! The answer to a question may come with a call that begins anew, with the answers at hand. What only reads is
//! then read once more; a change would be made twice. Where every run has a journal (`task: required`), it goes on from there
//! instead, and nothing of this is needed.

use renkei_core::{Diagnostic, Diagnostics, Effect, Pattern, Span};

const WHY: &str =
    "the answer may come with a later call, which begins anew, and the change would be made twice";

/// One of several actions in an action.
pub(crate) struct Part<'a> {
    pub(crate) name: &'a str,
    pub(crate) at: Span,
    pub(crate) action: &'a dyn Pattern,
    /// Those that it waits for, by their places.
    pub(crate) needs: &'a [usize],
}

/// Refuses parts that may change something before another one has its answers.
pub(crate) fn check(parts: &[Part<'_>], d: &mut Diagnostics) -> bool {
    let mut good = true;
    for (asking, asker) in parts.iter().enumerate().filter(|(_, part)| part.action.asks()) {
        for (at, part) in parts.iter().enumerate() {
            if at == asking || part.action.effect() == Effect::Read || waits(parts, at, asking) {
                continue;
            }
            let message = format!(
                "`{}` may change something before the question of `{}` is answered",
                part.name, asker.name
            );
            let hint = match waits(parts, asking, at) {
                true => format!(
                    "{WHY}: ask before the first change; calls that only read may stand before a question"
                ),
                false => format!("{WHY}: let it wait, with `needs: [{}]`", asker.name),
            };
            d.push(Diagnostic::error(part.at, message).related(asker.at, "this one asks").hint(hint));
            good = false;
        }
    }
    good
}

/// Whether the part at `from` waits for the one at `on`, by whatever way. There is no cycle.
fn waits(parts: &[Part<'_>], from: usize, on: usize) -> bool {
    let mut seen = vec![false; parts.len()];
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        for needed in parts[at].needs {
            if *needed == on {
                return true;
            }
            if !std::mem::replace(&mut seen[*needed], true) {
                next.push(*needed);
            }
        }
    }
    false
}

/// Refuses an action for each element that asks and changes: one element's change would come before another's answer.
pub(crate) fn check_each(action: &dyn Pattern, at: Span, d: &mut Diagnostics) -> bool {
    if !action.asks() || action.effect() == Effect::Read {
        return true;
    }
    let message = "an action for each element that asks may not change something as well";
    let hint = format!("{WHY}: ask for all elements first, or for the whole list in one question");
    d.push(Diagnostic::error(at, message).hint(hint));
    false
}
