//! What stands under `call: { SYSTEM: … }` of every SQL system: a statement, or several in one transaction.
//!
//! A database brings its dialect and its [`Rules`]; all the rest is the same for each.

use std::sync::Arc;

use indexmap::IndexMap;
use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Effect, Error, FromNode, Map, Node, NodeKind, PreparedOp, Request,
    Schema, Value, read::Bytes, template::Names,
};
use renkei_derive::FromNode;

use super::{Choice, Choose, Dialect, Rendered, Slots, Statement, Verb};

/// The most statements of one transaction.
const MAX_STATEMENTS: usize = 100;

/// A statement with settings, or a transaction.
#[derive(Debug, FromNode)]
#[config(check = check)]
pub struct Operation {
    /// One statement. Its templates become bound parameters.
    sql: Option<Text>,
    /// Statements that are applied all or none, each a text or `{ sql, one, max_rows }`. The result is
    /// the list of their results.
    transaction: Option<Vec<Entry>>,
    /// Gives the row as an object instead of a list of rows; without a row it is `not_found`. For a statement
    /// without rows: exactly one row must be changed, else nothing is.
    #[config(default)]
    one: bool,
    /// The most rows that it gives, instead of the system's `max_rows`.
    max_rows: Option<usize>,
    /// What a repeat would do, where the statement's keyword does not tell: an `update` that sets fixed values is
    /// `idempotent`.
    effect: Option<EffectWord>,
    /// Texts of the config that a value picks, for places where no value can stand: `${choose.order}`.
    #[config(default)]
    choose: IndexMap<Arc<str>, Choose>,
}

/// One statement of a transaction.
#[derive(Debug, FromNode)]
struct Part {
    /// The statement. Its templates become bound parameters.
    sql: Text,
    /// See the operation's `one`.
    #[config(default)]
    one: bool,
    /// See the operation's `max_rows`.
    max_rows: Option<usize>,
}

/// The text of a statement: taken apart where it is known what its templates may refer to.
#[derive(Debug)]
struct Text(Node);

impl FromNode for Text {
    fn from_node(node: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(Text(node.clone()))
    }

    fn schema(defs: &mut Definitions) -> Schema {
        String::schema(defs)
    }
}

/// A statement of a transaction: its text, or a [`Part`].
#[derive(Debug)]
struct Entry(Node);

impl FromNode for Entry {
    fn from_node(node: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(Entry(node.clone()))
    }

    fn schema(defs: &mut Definitions) -> Schema {
        let forms = vec![Text::schema(defs), Part::schema(defs)];
        Value::from([("oneOf", Value::from(forms))])
    }
}

/// What a repeat of an operation would do.
#[derive(Clone, Copy, Debug, FromNode)]
enum EffectWord {
    /// It changes nothing.
    Read,
    /// A repeat changes nothing more.
    Idempotent,
    /// A repeat may do it twice.
    Write,
}

impl From<EffectWord> for Effect {
    fn from(word: EffectWord) -> Self {
        match word {
            EffectWord::Read => Effect::Read,
            EffectWord::Idempotent => Effect::Idempotent,
            EffectWord::Write => Effect::Write,
        }
    }
}

/// What one system says of the statements that may run on it.
#[derive(Debug)]
pub struct Rules<'a> {
    pub dialect: &'static Dialect,
    /// The system's name in the config.
    pub system: &'a Arc<str>,
    /// Whether statements that change something are refused.
    pub read_only: bool,
    /// The most rows of a statement that does not say so itself.
    pub max_rows: usize,
    /// The most bytes of a result.
    pub max_bytes: Bytes,
    /// What a statement may do, by its main keyword; or why it may not run at all.
    pub effect: fn(&Verb) -> Result<Effect, Refusal>,
}

/// Why a statement may not run, and what to do instead.
#[derive(Debug)]
pub struct Refusal {
    pub message: String,
    pub hint: &'static str,
}

/// A prepared operation, as `call` runs it.
#[derive(Debug)]
pub struct Plan {
    pub statements: Vec<Step>,
    /// Whether it was written as a transaction, and gives a list of results.
    pub transaction: bool,
    /// Whether any statement may change the database, by its keyword.
    pub writes: bool,
    /// The system's `max_bytes`.
    pub max_bytes: Bytes,
}

impl Plan {
    /// The plan of a request to `system`.
    ///
    /// # Errors
    /// When the operation was prepared for another system.
    pub fn of<'r>(request: &'r Request, system: &Arc<str>) -> Result<&'r Plan, Error> {
        request.op.plan::<Plan>().filter(|_| request.op.system == *system).ok_or_else(|| {
            let other = &request.op.system;
            Error::internal(format!("use `{system}`: the operation was prepared for the system `{other}`"))
        })
    }

    /// The statements with the values of one call.
    ///
    /// # Errors
    /// A value that cannot be bound.
    pub fn render(&self, params: &[Option<Value>]) -> Result<Vec<Rendered>, Error> {
        self.statements.iter().map(|step| step.statement.render(params)).collect()
    }

    /// What there is to tell of a transaction when so many of its statements are done.
    pub fn progress(&self, done: usize) -> String {
        format!("statement {done} of {} is done", self.statements.len())
    }
}

/// One statement of an operation.
#[derive(Debug)]
pub struct Step {
    pub statement: Statement,
    /// Exactly one row; see the operation's `one`.
    pub one: bool,
    pub max_rows: usize,
    /// Whether it may change the database, by its keyword.
    pub writes: bool,
}

/// Of an operation, as text or as mapping.
pub fn schema(defs: &mut Definitions) -> Schema {
    let text = Value::from([
        ("type", Value::from("string")),
        ("description", "One SQL statement. Its templates become bound parameters.".into()),
    ]);
    let mut map = Map::new();
    map.insert("oneOf".into(), vec![text, Operation::schema(defs)].into());
    map.into()
}

fn check(operation: &Operation, node: &Node, d: &mut Diagnostics) {
    match (&operation.sql, &operation.transaction) {
        (None, None) => d.push(
            Diagnostic::error(node.span, "an operation has a statement")
                .hint("add `sql: '…'`, or `transaction: [ … ]`"),
        ),
        (Some(_), Some(_)) => {
            let span = node.entry("transaction").map_or(node.span, |entry| entry.key_span);
            d.push(
                Diagnostic::error(span, "an operation has either `sql` or `transaction`")
                    .hint("move the statement of `sql` into the list"),
            );
        }
        (None, Some(_)) => {
            for key in ["one", "max_rows"] {
                if let Some(entry) = node.entry(key) {
                    d.push(
                        Diagnostic::error(
                            entry.key_span,
                            format!("`{key}` belongs to a statement, not to a transaction"),
                        )
                        .hint(format!("write it beside the statement: `{{ sql: '…', {key}: … }}`")),
                    );
                }
            }
        }
        (Some(_), None) => {}
    }
    if operation.max_rows == Some(0) {
        let span = node.get("max_rows").map_or(node.span, |value| value.span);
        d.push(Diagnostic::error(span, "`max_rows` cannot be 0").hint("leave it out for the system's"));
    }
}

/// Checks an operation and takes it apart.
pub fn prepare(rules: &Rules<'_>, node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<PreparedOp> {
    let mut reader = Reader { rules, names, slots: Slots::default(), choices: Vec::new(), complete: true, d };
    let (steps, declared) = match &node.kind {
        NodeKind::String(_) => (vec![reader.step(node, false, None)], None),
        _ => reader.operation(node)?,
    };
    let Reader { slots, complete, .. } = reader;
    let statements = steps.into_iter().collect::<Option<Vec<Step>>>().filter(|_| complete)?;
    let writes = statements.iter().any(|step| step.writes);
    let effect = match declared {
        Some((effect, span)) if writes && effect == Effect::Read => {
            d.push(
                Diagnostic::error(span, "the statement changes the database, so it is no `read`")
                    .hint("write `idempotent` if a repeat changes nothing more"),
            );
            return None;
        }
        Some((effect, _)) => effect,
        None if writes => Effect::Write,
        None => Effect::Read,
    };
    let transaction = node.get("transaction").is_some();
    let label = match &statements[..] {
        [first] => first.statement.label.clone(),
        many => format!("transaction of {} statements", many.len()),
    };
    Some(PreparedOp {
        system: rules.system.clone(),
        label: label.into(),
        effect,
        carries_key: false,
        slots: slots.trees,
        pages: None,
        plan: Box::new(Plan { statements, transaction, writes, max_bytes: rules.max_bytes }),
    })
}

struct Reader<'a, 'd> {
    rules: &'a Rules<'a>,
    names: &'a Names<'a>,
    slots: Slots,
    choices: Vec<Choice>,
    complete: bool,
    d: &'d mut Diagnostics,
}

type Declared = Option<(Effect, renkei_core::Span)>;

impl Reader<'_, '_> {
    fn error(&mut self, diagnostic: Diagnostic) {
        self.d.push(diagnostic);
        self.complete = false;
    }

    fn operation(&mut self, node: &Node) -> Option<(Vec<Option<Step>>, Declared)> {
        let operation = Operation::from_node(node, self.d)?;
        for (name, choose) in operation.choose {
            match Choice::read(&name, choose, self.rules.dialect, self.names, &mut self.slots.trees, self.d) {
                Some(choice) => self.choices.push(choice),
                None => self.complete = false,
            }
        }
        let declared = operation.effect.map(|word| {
            let span = node.get("effect").map_or(node.span, |value| value.span);
            (word.into(), span)
        });
        let steps = match (operation.sql, operation.transaction) {
            (Some(Text(sql)), None) => vec![self.step(&sql, operation.one, operation.max_rows)],
            (None, Some(parts)) => self.transaction(node, &parts),
            // Reported by the check.
            _ => return None,
        };
        Some((steps, declared))
    }

    fn transaction(&mut self, node: &Node, parts: &[Entry]) -> Vec<Option<Step>> {
        let span = node.get("transaction").map_or(node.span, |list| list.span);
        if parts.is_empty() {
            self.error(
                Diagnostic::error(span, "the transaction has no statements").hint("list them: `['…', '…']`"),
            );
        }
        if parts.len() > MAX_STATEMENTS {
            let message =
                format!("the transaction has {} statements; at most {MAX_STATEMENTS} fit", parts.len());
            self.error(Diagnostic::error(span, message).hint("let one statement change several rows"));
        }
        parts
            .iter()
            .map(|Entry(part)| match part.kind {
                NodeKind::String(_) => self.step(part, false, None),
                _ => {
                    let part = Part::from_node(part, self.d)?;
                    self.step(&part.sql.0, part.one, part.max_rows)
                }
            })
            .collect()
    }

    fn step(&mut self, sql: &Node, one: bool, max_rows: Option<usize>) -> Option<Step> {
        let statement =
            Statement::read(sql, self.rules.dialect, &self.choices, self.names, &mut self.slots, self.d)?;
        let writes = match (self.rules.effect)(&statement.verb) {
            Ok(effect) => effect != Effect::Read,
            Err(Refusal { message, hint }) => {
                self.error(Diagnostic::error(sql.span, message).hint(hint));
                return None;
            }
        };
        if writes && self.rules.read_only {
            let message =
                format!("the statement changes `{}`, which is `read_only: true`", self.rules.system);
            self.error(Diagnostic::error(sql.span, message).hint("only `select` and the like can run there"));
        }
        Some(Step { statement, one, max_rows: max_rows.unwrap_or(self.rules.max_rows), writes })
    }
}
