//! One statement: its text with gaps, and what goes into them.

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use renkei_core::{
    Diagnostic, Diagnostics, Effect, Error, Node, Result, Span, Template, Tree, Value,
    connector::add_slot,
    template::{Names, Piece, split},
};

use super::{
    choose::Choice,
    dialect::{Dialect, Lists, Parameters},
    explain,
    lex::{Token, Unit, What, lex},
    place::{Place, judge},
    visible::Seen,
};

/// The most elements that a list in a statement may have.
pub const MAX_LIST: usize = 1_000;
/// The most characters of a statement that a label shows.
const MAX_LABEL: usize = 80;

/// What a statement does, by its main keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    Select,
    Values,
    Explain,
    Insert,
    Replace,
    Update,
    Delete,
    /// Any other, in lower case.
    Other(String),
}

impl Verb {
    /// Whether it reads; nothing for statements that are neither reading nor changing rows.
    pub fn effect(&self) -> Option<Effect> {
        match self {
            Verb::Select | Verb::Values | Verb::Explain => Some(Effect::Read),
            Verb::Insert | Verb::Replace | Verb::Update | Verb::Delete => Some(Effect::Write),
            Verb::Other(_) => None,
        }
    }

    fn from_word(word: &str) -> Self {
        match word {
            "select" => Verb::Select,
            "values" => Verb::Values,
            "explain" => Verb::Explain,
            "insert" => Verb::Insert,
            "replace" => Verb::Replace,
            "update" => Verb::Update,
            "delete" => Verb::Delete,
            other => Verb::Other(other.into()),
        }
    }
}

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
        negated: bool,
    },
    /// Index into the choices.
    Choice(usize),
}

#[derive(Clone, Debug)]
struct Scalar {
    source: Arc<str>,
    slot: usize,
    /// The list of `= any(…)`, as one parameter.
    list: bool,
}

/// A statement ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    pub text: String,
    /// In the order of the parameters; absent is null. Scalars, unless the dialect takes structures.
    pub values: Vec<Value>,
}

/// A template of the statement's text.
pub(super) struct Hole {
    pub(super) source: Arc<str>,
    pub(super) span: Span,
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

    /// Puts the values of one call into the gaps.
    pub fn render(&self, params: &[Option<Value>]) -> Result<Rendered> {
        let mut text = String::new();
        let mut values = Vec::new();
        if let Parameters::Numbered(_) = self.dialect.parameters {
            for scalar in &self.scalars {
                values.push(scalar.value(params, self.dialect)?);
            }
        }
        for segment in &self.segments {
            match segment {
                Segment::Text(part) => text.push_str(part),
                Segment::Scalar(index) => match self.dialect.parameters {
                    Parameters::Numbered(mark) => push(&mut text, mark, index + 1),
                    Parameters::InOrder(mark) => {
                        text.push_str(mark);
                        values.push(self.scalars[*index].value(params, self.dialect)?);
                    }
                },
                Segment::List { source, slot, negated } => {
                    let items = list(source, param(params, *slot), self.dialect)?;
                    if items.is_empty() {
                        text.push_str(if *negated { self.dialect.no_rows } else { "null" });
                    }
                    for (at, item) in items.into_iter().enumerate() {
                        if at > 0 {
                            text.push_str(", ");
                        }
                        values.push(item);
                        match self.dialect.parameters {
                            Parameters::Numbered(mark) => push(&mut text, mark, values.len()),
                            Parameters::InOrder(mark) => text.push_str(mark),
                        }
                    }
                }
                // With spaces, so that it never grows together with what stands beside it.
                Segment::Choice(index) => {
                    let _ = write!(text, " {} ", self.choices[*index].pick(params)?);
                }
            }
        }
        Ok(Rendered { text, values })
    }
}

fn push(text: &mut String, mark: &str, number: usize) {
    let _ = write!(text, "{mark}{number}");
}

fn param(params: &[Option<Value>], slot: usize) -> &Value {
    params.get(slot).and_then(Option::as_ref).unwrap_or(&Value::Null)
}

impl Scalar {
    fn value(&self, params: &[Option<Value>], dialect: &Dialect) -> Result<Value> {
        let value = param(params, self.slot);
        match self.list {
            true => list(&self.source, value, dialect).map(Value::from),
            false => scalar(&self.source, value, dialect),
        }
    }
}

fn scalar(source: &str, value: &Value, dialect: &Dialect) -> Result<Value> {
    match value {
        Value::Array(_) | Value::Object(_) if dialect.structures => Ok(value.clone()),
        Value::Array(_) => Err(Error::invalid(format!(
            "bind `${{{source}}}`: it is an array, and SQL takes single values; \
             write `in (${{{source}}})` for a list, or `tojson` for its text"
        ))),
        Value::Object(_) => Err(Error::invalid(format!(
            "bind `${{{source}}}`: it is an object, and SQL takes single values; \
             write `${{{source} | tojson}}` for its text"
        ))),
        scalar => Ok(scalar.clone()),
    }
}

fn list(source: &str, value: &Value, dialect: &Dialect) -> Result<Vec<Value>> {
    match value {
        Value::Array(items) if items.len() > MAX_LIST => Err(Error::invalid(format!(
            "bind `${{{source}}}`: it has {} elements, and a list in SQL takes at most {MAX_LIST}; pass fewer",
            items.len()
        ))),
        Value::Array(items) => items.iter().map(|item| scalar(source, item, dialect)).collect(),
        Value::Null => Ok(Vec::new()),
        single => Ok(vec![scalar(source, single, dialect)?]),
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
                holes.push(Hole { source: source.trim().into(), span, what });
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

/// The main keyword: of a `with`, what follows the last of its parenthesised parts.
fn verb(tokens: &[Token]) -> Verb {
    let first = tokens.first().and_then(Token::word).unwrap_or("");
    if first != "with" {
        return Verb::from_word(first);
    }
    let mut depth = 0usize;
    let mut main = None;
    let mut changes = None;
    for pair in tokens.windows(2) {
        let [token, next] = pair else { continue };
        if token.is_symbol('(') {
            depth += 1;
            // PostgreSQL: `with gone as (delete … returning *) select …` changes rows.
            if let Some(word @ ("insert" | "update" | "delete" | "merge")) = next.word() {
                changes = changes.or(Some(Verb::from_word(word)));
            }
        } else if token.is_symbol(')') {
            depth = depth.saturating_sub(1);
            if depth == 0 && main.is_none() {
                main = next.word().filter(|word| *word != "as").map(Verb::from_word);
            }
        }
    }
    match (main, changes) {
        (Some(Verb::Select | Verb::Values), Some(change)) => change,
        (Some(main), _) => main,
        (None, _) => Verb::Other(first.into()),
    }
}

fn label(units: &[Unit], tokens: &[Token]) -> String {
    let mut label = String::new();
    for_each_piece(units, tokens, &[], |piece| match piece {
        Ok(text) => label.push_str(&text),
        Err(_) => label.push_str("{}"),
    });
    match label.char_indices().nth(MAX_LABEL) {
        Some((at, _)) => format!("{}…", &label[..at]),
        None => label,
    }
}

/// A text without templates, without its comments.
pub(super) fn plain_text(units: &[Unit], tokens: &[Token]) -> String {
    let mut text = String::new();
    for_each_piece(units, tokens, &[], |piece| text.push_str(&piece.unwrap_or_default()));
    text
}

/// A token, by its index, and what is written in its place.
type Rewrite = (usize, &'static str);

/// `in (…)` as `= any(…)` for dialects whose lists are one parameter.
fn rewrites(tokens: &[Token], places: &[Place], dialect: &Dialect) -> Vec<Rewrite> {
    let mut rewrites = Vec::new();
    if dialect.lists == Lists::Expanded {
        return rewrites;
    }
    for (at, token) in tokens.iter().enumerate() {
        let What::Hole(hole) = token.what else { continue };
        // Judged so because `in` and `(` stand before it, and `not` before these.
        match places[hole] {
            Place::List { negated: false } => rewrites.push((at - 2, "= any")),
            Place::List { negated: true } => rewrites.extend([(at - 3, "<>"), (at - 2, "all")]),
            Place::Value => {}
        }
    }
    rewrites
}

/// The text of the tokens, without comments and with single spaces, and its templates.
fn for_each_piece(
    units: &[Unit],
    tokens: &[Token],
    rewrites: &[Rewrite],
    mut each: impl FnMut(Result<String, usize>),
) {
    let mut last = None;
    for (at, token) in tokens.iter().enumerate() {
        if last.is_some_and(|last| last < token.from) {
            each(Ok(" ".into()));
        }
        last = Some(token.to);
        if let Some((_, text)) = rewrites.iter().find(|(index, _)| *index == at) {
            each(Ok((*text).into()));
            continue;
        }
        match token.what {
            What::Hole(hole) => each(Err(hole)),
            _ => each(Ok(units[token.from..token.to]
                .iter()
                .filter_map(|unit| match unit {
                    Unit::Char(char) => Some(*char),
                    Unit::Hole(_) => None,
                })
                .collect())),
        }
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
    let mut scalar = |source: Arc<str>, slot: usize, list: bool| {
        let known = scalars.iter().position(|scalar| scalar.slot == slot && scalar.list == list);
        Segment::Scalar(known.unwrap_or_else(|| {
            scalars.push(Scalar { source, slot, list });
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
        let source = holes[hole].source.clone();
        match (&holes[hole].what, places[hole]) {
            (Fill::Choice(index), _) => segments.push(Segment::Choice(*index)),
            (Fill::Slot(slot), Place::List { negated }) => segments.push(match dialect.lists {
                Lists::Expanded => Segment::List { source, slot: *slot, negated },
                Lists::Array => scalar(source, *slot, true),
            }),
            (Fill::Slot(slot), Place::Value) => segments.push(scalar(source, *slot, false)),
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
