//! One statement, checked once: its text with gaps, and which template belongs into each.

mod render;
mod text;
mod verb;

use std::{collections::BTreeSet, sync::Arc};

use renkei_core::{
    Diagnostic, Diagnostics, Node, Span, Template, Tree,
    connector::add_slot,
    template::{Names, Piece, split},
};

use super::{
    choose::Choice,
    dialect::{Dialect, Lists},
    explain,
    lex::{Token, Unit, What, lex},
    origin::Origin,
    place::{Place, judge},
    visible::Seen,
};

pub(super) use self::text::plain_text;
pub use self::{
    render::{MAX_LIST, Rendered},
    verb::Verb,
};
use self::{
    text::{for_each_piece, label, rewrites},
    verb::verb,
};

/// The slots of one operation: a template that is written twice is one.
#[derive(Debug, Default)]
pub struct Slots {
    pub trees: Vec<Tree>,
    sources: Vec<(Arc<str>, usize)>,
}

impl Slots {
    fn find(&self, source: &str) -> Option<usize> {
        self.sources.iter().find(|(known, _)| &**known == source).map(|(_, slot)| *slot)
    }

    fn add(&mut self, source: &Arc<str>, tree: Tree) -> usize {
        let slot = add_slot(&mut self.trees, tree);
        self.sources.push((source.clone(), slot));
        slot
    }
}

/// A statement, checked and taken apart.
#[derive(Clone, Debug)]
pub struct Statement {
    segments: Vec<Segment>,
    /// The slots of the scalar parameters, in the order of their numbers.
    scalars: Vec<Scalar>,
    choices: Vec<Choice>,
    dialect: &'static Dialect,
    pub verb: Verb,
    words: BTreeSet<String>,
    /// With `{}` in place of templates, cut to a line. Holds no values.
    pub label: String,
}

#[derive(Clone, Debug)]
enum Segment {
    Text(String),
    /// Index into the scalars.
    Scalar(usize),
    List {
        source: Arc<str>,
        slot: usize,
        origin: Origin,
        negated: bool,
    },
    /// Index into the choices.
    Choice(usize),
}

#[derive(Clone, Debug)]
struct Scalar {
    source: Arc<str>,
    slot: usize,
    origin: Origin,
    /// The list of `= any(…)`, as one parameter.
    list: bool,
}

/// A template of the statement's text.
pub(super) struct Hole {
    pub(super) source: Arc<str>,
    pub(super) span: Span,
    origin: Origin,
    what: Fill,
}

enum Fill {
    Slot(usize),
    Choice(usize),
    /// Its template does not compile; only the rest is checked.
    Broken,
}

impl Statement {
    /// Checks a statement. Nothing, with diagnostics, if something is wrong with it.
    pub fn read(
        node: &Node,
        dialect: &'static Dialect,
        choices: &[Choice],
        names: &Names<'_>,
        slots: &mut Slots,
        d: &mut Diagnostics,
    ) -> Option<Statement> {
        let pieces = split(node, d)?;
        let (units, offsets, holes) = take_apart(node, pieces, choices, names, slots, d);
        let span = |from: usize, to: usize| {
            let at =
                |unit: usize| offsets.get(unit).copied().unwrap_or_else(|| node.as_str().map_or(0, str::len));
            node.text_span(at(from), at(to))
        };
        let mut tokens = match lex(&units, dialect) {
            Ok(tokens) => tokens,
            Err(faults) => {
                for fault in faults {
                    d.push(explain::text(&fault, &holes, span, dialect));
                }
                return None;
            }
        };
        if let Some(end) = tokens.iter().position(|token| token.is_symbol(';')) {
            if let Some(more) = tokens[end..].iter().find(|token| !token.is_symbol(';')) {
                d.push(
                    Diagnostic::error(
                        span(more.from, more.to),
                        "here begins a second statement; a text holds one",
                    )
                    .hint("write `transaction: [ '…', '…' ]` to run several together"),
                );
                return None;
            }
            tokens.truncate(end);
        }
        if tokens.is_empty() {
            d.push(Diagnostic::error(node.span, "there is no statement here"));
            return None;
        }
        let choice = |hole: usize| matches!(holes[hole].what, Fill::Choice(_));
        let order: Vec<usize> = tokens
            .iter()
            .filter_map(|token| match token.what {
                What::Hole(hole) => Some(hole),
                _ => None,
            })
            .collect();
        let mut places = vec![Place::Value; holes.len()];
        let mut sound = !holes.iter().any(|hole| matches!(hole.what, Fill::Broken));
        for (hole, place) in order.into_iter().zip(judge(&tokens, dialect, &choice)) {
            match place {
                Ok(place) => places[hole] = place,
                Err(fault) if choice(hole) && explain::choice_may_stand(&fault) => {}
                Err(fault) => {
                    sound = false;
                    d.push(explain::place(&fault, &holes[hole], choice(hole)));
                }
            }
        }
        let verb = verb(&tokens);
        let seen = Seen { tokens: &tokens, units: &units, dialect, span };
        for problem in seen.problems(&verb) {
            sound = false;
            d.push(problem);
        }
        if !sound {
            return None;
        }
        let label = label(&units, &tokens);
        Some(assemble(&units, &tokens, &holes, &places, choices, dialect, verb, label))
    }

    /// Whether the keyword or plain name (in lower case) stands anywhere in the statement, or in a choice for it.
    pub fn has_word(&self, word: &str) -> bool {
        self.words.contains(word) || self.choices.iter().any(|choice| choice.has_word(word))
    }

    /// The template behind a numbered parameter, from 1, for messages. Lists that are expanded have no number.
    pub fn template_of(&self, parameter: usize) -> Option<&str> {
        Some(&self.scalars.get(parameter.checked_sub(1)?)?.source)
    }
}

/// The text as units, the offset of each in the node's text, and its templates, compiled.
fn take_apart(
    node: &Node,
    pieces: Vec<Piece>,
    choices: &[Choice],
    names: &Names<'_>,
    slots: &mut Slots,
    d: &mut Diagnostics,
) -> (Vec<Unit>, Vec<usize>, Vec<Hole>) {
    let (mut units, mut offsets, mut holes) = (Vec::new(), Vec::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Literal { text, at } => {
                for (offset, char) in text.char_indices() {
                    units.push(Unit::Char(char));
                    offsets.push(at + offset);
                }
            }
            Piece::Expr { source, at } => {
                let start = at.saturating_sub("${".len());
                let span = node.text_span(start, at + source.len() + "}".len());
                let what = fill(node, &source, at, span, choices, names, slots, d);
                units.push(Unit::Hole(holes.len()));
                offsets.push(start);
                let origin = match &what {
                    Fill::Slot(slot) => Origin::of(&slots.trees[*slot]),
                    Fill::Choice(_) | Fill::Broken => Origin::default(),
                };
                holes.push(Hole { source: source.trim().into(), span, origin, what });
            }
        }
    }
    (units, offsets, holes)
}

#[expect(clippy::too_many_arguments, reason = "one place, and all of it is needed")]
fn fill(
    node: &Node,
    source: &str,
    at: usize,
    span: Span,
    choices: &[Choice],
    names: &Names<'_>,
    slots: &mut Slots,
    d: &mut Diagnostics,
) -> Fill {
    let trimmed = source.trim();
    if let Some(name) = trimmed.strip_prefix("choose.") {
        return match choices.iter().position(|choice| &*choice.name == name) {
            Some(index) => Fill::Choice(index),
            None => {
                d.push(explain::unknown_choice(name, span, choices));
                Fill::Broken
            }
        };
    }
    if let Some(slot) = slots.find(trimmed) {
        return Fill::Slot(slot);
    }
    match Template::expression(node, source, at, names, d) {
        Some(template) => Fill::Slot(slots.add(&trimmed.into(), template.into())),
        None => Fill::Broken,
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of a statement come together here")]
fn assemble(
    units: &[Unit],
    tokens: &[Token],
    holes: &[Hole],
    places: &[Place],
    choices: &[Choice],
    dialect: &'static Dialect,
    verb: Verb,
    label: String,
) -> Statement {
    let mut segments = Vec::new();
    let mut scalars: Vec<Scalar> = Vec::new();
    let mut text = String::new();
    let mut scalar = |source: Arc<str>, slot: usize, origin: Origin, list: bool| {
        let known = scalars.iter().position(|scalar| scalar.slot == slot && scalar.list == list);
        Segment::Scalar(known.unwrap_or_else(|| {
            scalars.push(Scalar { source, slot, origin, list });
            scalars.len() - 1
        }))
    };
    for_each_piece(units, tokens, &rewrites(tokens, places, dialect), |piece| {
        let hole = match piece {
            Ok(part) => return text.push_str(&part),
            Err(hole) => hole,
        };
        if !text.is_empty() {
            segments.push(Segment::Text(std::mem::take(&mut text)));
        }
        let (source, origin) = (holes[hole].source.clone(), holes[hole].origin);
        match (&holes[hole].what, places[hole]) {
            (Fill::Choice(index), _) => segments.push(Segment::Choice(*index)),
            (Fill::Slot(slot), Place::List { negated }) => segments.push(match dialect.lists {
                Lists::Expanded => Segment::List { source, slot: *slot, origin, negated },
                Lists::Array => scalar(source, *slot, origin, true),
            }),
            (Fill::Slot(slot), Place::Value) => segments.push(scalar(source, *slot, origin, false)),
            // A statement with a broken template is not assembled.
            (Fill::Broken, _) => {}
        }
    });
    if !text.is_empty() {
        segments.push(Segment::Text(text));
    }
    let words = tokens.iter().filter_map(|token| Some(token.word()?.to_owned())).collect();
    Statement { segments, scalars, choices: choices.to_vec(), dialect, verb, words, label }
}
