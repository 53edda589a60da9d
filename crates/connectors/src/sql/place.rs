//! Where a template may stand: only where a value may.
//!
//! Databases accept `order by $1` and sort by nothing; so a position is judged by what stands around it,
//! and what is not known to take a value is refused.

use super::{
    dialect::Dialect,
    inert::inert,
    lex::{Token, What},
};

/// What a template is at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Value,
    /// The whole of the parentheses after `in`.
    List {
        negated: bool,
    },
}

/// Why a template cannot stand where it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It begins the statement.
    Start,
    /// A letter or digit stands right beside it.
    Glued,
    /// A name or keyword is expected after this.
    Name { after: String },
    /// It stands in an item of this list that names no column, so that it does nothing.
    Inert { list: &'static str },
    /// `date ${…}`: a type's literal takes no parameter.
    TypeLiteral { word: String },
    /// Nothing that takes a value stands before it.
    NoValue { after: String },
    /// `in ${…}` without parentheses.
    BareList,
    /// `${…}(` or `${…}.`.
    NameBefore { symbol: char },
    /// The statement defines tables; such statements take no parameters.
    Definition,
}

/// The part of a statement that a token belongs to, as far as templates are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Clause {
    /// Expressions: values may stand here.
    Expression,
    /// A list whose items are names; the word that began it.
    Names(&'static str),
    /// Names until the first parenthesis, which holds column names: `into t (a, b)`.
    Into,
    /// `with a (x) as (…), b as (…)`.
    With,
}

struct Frame {
    clause: Clause,
    /// Whether an item of the clause's list begins here.
    start: bool,
    /// `extract(year from …)`: here `from` and `for` take values.
    from_takes_value: bool,
}

impl Frame {
    fn new(clause: Clause) -> Self {
        Frame { clause, start: true, from_takes_value: false }
    }
}

/// Judges each template of the statement, in the order of the text. `choice` tells the templates that
/// become text of the config.
pub fn judge(
    tokens: &[Token],
    dialect: &Dialect,
    choice: &dyn Fn(usize) -> bool,
) -> Vec<Result<Place, Fault>> {
    let inert = inert(tokens, choice);
    let definition = matches!(tokens.first().and_then(Token::word), Some("create" | "alter" | "drop"));
    let mut judged = Vec::new();
    let mut frames = vec![Frame::new(Clause::Expression)];
    for (at, token) in tokens.iter().enumerate() {
        // The first frame is never taken away.
        let Some(frame) = frames.last_mut() else { break };
        match &token.what {
            What::Hole(_) => {
                let useless = inert.iter().find(|item| item.tokens.contains(&at));
                judged.push(match (definition, useless) {
                    (true, _) => Err(Fault::Definition),
                    (false, Some(item)) => Err(item.fault(at)),
                    (false, None) => hole(tokens, at, frame, dialect),
                });
                frame.start = false;
            }
            What::Symbol('(') => {
                let inner = opened(tokens, at, frame);
                frame.start = false;
                frames.push(inner);
            }
            What::Symbol(')') => {
                if frames.len() > 1 {
                    frames.pop();
                }
            }
            What::Symbol(',') => frame.start = true,
            What::Word(word) => enter(tokens, at, word, frame),
            _ => frame.start = false,
        }
    }
    judged
}

/// Follows a word into the clause that it begins.
fn enter(tokens: &[Token], at: usize, word: &str, frame: &mut Frame) {
    let before = before(tokens, at).and_then(Token::word).unwrap_or("");
    let clause = match word {
        "by" => match before {
            "order" | "group" | "partition" => Some(Clause::Expression),
            _ => Some(Clause::Names("by")),
        },
        "from" if frame.from_takes_value || before == "distinct" => Some(Clause::Expression),
        "from" => Some(Clause::Names("from")),
        "join" => Some(Clause::Names("join")),
        "update" => Some(Clause::Names("update")),
        "table" => Some(Clause::Names("table")),
        "set" => Some(Clause::Names("set")),
        "using" => Some(Clause::Names("using")),
        "into" => Some(Clause::Into),
        "with" => Some(Clause::With),
        "select" | "where" | "having" | "on" | "limit" | "offset" | "values" | "value" | "returning"
        | "union" | "except" | "intersect" | "rows" | "range" | "groups" | "window" | "default" => {
            Some(Clause::Expression)
        }
        _ => None,
    };
    frame.start = clause.is_some() || word == "recursive";
    if let Some(clause) = clause {
        frame.clause = clause;
    }
}

/// What the parenthesis at `at` encloses.
fn opened(tokens: &[Token], at: usize, outer: &Frame) -> Frame {
    let before = before(tokens, at);
    let word = before.and_then(Token::word);
    let inner = match (&outer.clause, word) {
        // `from (a, b)`: parentheses alone change nothing.
        (Clause::Names(list), _) if outer.start => Clause::Names(list),
        (Clause::Into, Some(word)) if word != "into" => Clause::Names("into"),
        (Clause::Into, None) => Clause::Names("into"),
        (Clause::With, word) if word != Some("as") && word != Some("materialized") => Clause::Names("with"),
        (_, Some("using" | "conflict" | "key")) => Clause::Names("("),
        _ => Clause::Expression,
    };
    Frame {
        from_takes_value: matches!(word, Some("extract" | "substring" | "trim" | "overlay" | "position")),
        ..Frame::new(inner)
    }
}

fn before(tokens: &[Token], at: usize) -> Option<&Token> {
    tokens.get(at.checked_sub(1)?)
}

/// Judges the template at `at`.
fn hole(tokens: &[Token], at: usize, frame: &Frame, dialect: &Dialect) -> Result<Place, Fault> {
    let token = &tokens[at];
    let Some(before) = before(tokens, at) else { return Err(Fault::Start) };
    let next = tokens.get(at + 1);
    let glued = |other: &Token| matches!(other.what, What::Word(_) | What::Number | What::Text | What::Name);
    if before.to == token.from && (glued(before) || matches!(before.what, What::Hole(_)))
        || next.is_some_and(|next| next.from == token.to && glued(next))
    {
        return Err(Fault::Glued);
    }
    if before.is_symbol('.') {
        return Err(Fault::Name { after: ".".into() });
    }
    match next {
        Some(next) if next.is_symbol('(') => return Err(Fault::NameBefore { symbol: '(' }),
        Some(next) if next.is_symbol('.') => return Err(Fault::NameBefore { symbol: '.' }),
        _ => {}
    }
    if frame.start {
        match &frame.clause {
            Clause::Names(list) => return Err(Fault::Name { after: (*list).into() }),
            Clause::Into => return Err(Fault::Name { after: "into".into() }),
            Clause::With => return Err(Fault::Name { after: "with".into() }),
            Clause::Expression => {}
        }
    }
    match &before.what {
        What::Symbol('(') => after_parenthesis(tokens, at),
        What::Symbol(')' | ']') => Err(Fault::NoValue { after: ")".into() }),
        What::Symbol(_) => Ok(Place::Value),
        What::Word(word) => after_word(tokens, at, word, frame, dialect),
        What::Name | What::Text => Err(Fault::NoValue { after: "what is quoted before it".into() }),
        What::Number => Err(Fault::NoValue { after: "the number before it".into() }),
        What::Hole(_) => Err(Fault::NoValue { after: "the template before it".into() }),
    }
}

fn after_parenthesis(tokens: &[Token], at: usize) -> Result<Place, Fault> {
    let word = at.checked_sub(2).and_then(|at| tokens[at].word());
    let closed = tokens.get(at + 1).is_some_and(|next| next.is_symbol(')'));
    match word {
        Some("in") if closed => {
            let negated = at.checked_sub(3).and_then(|at| tokens[at].word()) == Some("not");
            Ok(Place::List { negated })
        }
        Some(word @ ("as" | "materialized" | "exists" | "over")) => {
            Err(Fault::NoValue { after: word.into() })
        }
        _ => Ok(Place::Value),
    }
}

/// Words after which every dialect takes a value.
const VALUE_WORDS: &[&str] = &[
    "select",
    "distinct",
    "all",
    "where",
    "and",
    "or",
    "not",
    "on",
    "having",
    "when",
    "then",
    "else",
    "case",
    "between",
    "like",
    "escape",
    "limit",
    "offset",
    "returning",
    "rows",
    "range",
    "groups",
];

/// Words after which a name stands, wherever they are.
const NAME_WORDS: &[&str] = &[
    "as",
    "by",
    "from",
    "join",
    "into",
    "update",
    "table",
    "set",
    "collate",
    "index",
    "view",
    "trigger",
    "column",
    "database",
    "schema",
    "references",
    "constraint",
    "using",
    "with",
    "recursive",
    "window",
    "over",
    "type",
    "function",
    "procedure",
    "call",
    "rename",
    "add",
    "savepoint",
    "release",
    "pragma",
    "attach",
    "detach",
    "indexed",
    "natural",
    "left",
    "right",
    "inner",
    "outer",
    "cross",
    "full",
    "asc",
    "desc",
    "nulls",
];

/// Words that begin a literal of their type: `date '2026-01-31'`.
const TYPE_WORDS: &[&str] = &[
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "datetime",
    "interval",
    "uuid",
    "json",
    "jsonb",
    "bytea",
    "numeric",
    "decimal",
    "integer",
    "int",
    "bigint",
    "smallint",
    "boolean",
    "bool",
    "text",
    "varchar",
    "char",
    "real",
    "float",
    "double",
    "precision",
    "inet",
    "point",
    "x",
    "b",
    "e",
    "n",
];

fn after_word(
    tokens: &[Token],
    at: usize,
    word: &str,
    frame: &Frame,
    dialect: &Dialect,
) -> Result<Place, Fault> {
    // `a.limit` is a column; what is before it decides nothing then.
    let qualified = at.checked_sub(2).is_some_and(|at| tokens[at].is_symbol('.'));
    let second = at.checked_sub(2).and_then(|at| tokens[at].word());
    if qualified {
        return Err(Fault::NoValue { after: word.into() });
    }
    match word {
        "in" => Err(Fault::BareList),
        "from" if frame.from_takes_value || second == Some("distinct") => Ok(Place::Value),
        "for" if frame.from_takes_value => Ok(Place::Value),
        "to" if second == Some("similar") => Ok(Place::Value),
        "by" if matches!(second, Some("order" | "group" | "partition")) => Ok(Place::Value),
        _ if VALUE_WORDS.contains(&word) || dialect.value_words.contains(&word) => Ok(Place::Value),
        _ if NAME_WORDS.contains(&word) => Err(Fault::Name { after: word.into() }),
        _ if TYPE_WORDS.contains(&word) => Err(Fault::TypeLiteral { word: word.into() }),
        _ => Err(Fault::NoValue { after: word.into() }),
    }
}
