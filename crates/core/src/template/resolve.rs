//! Turns jaq's syntax tree into ours: names are resolved, and everything outside the allow-list is
//! refused with the place where it stands and a hint.

mod unknown;

use jaq_core::{
    load::{
        lex::StrPart,
        parse::{self, BinaryOp, Term},
    },
    ops::Math,
    path::{Opt, Part, Path},
};

use super::{
    Names,
    check::{Input, Problem},
    eval::{functions, regex::Patterns},
    expr::{Expr, Fold, Format, Op, Pattern, Step, TextPart},
    parse::{Place, References, add},
};
use crate::{Diagnostic, Diagnostics, Value};

/// Nothing, with diagnostics, if something is wrong; all problems are found in one go.
pub(super) fn resolve<'s>(
    place: Place<'s>,
    term: &Term<&'s str>,
    names: &Names<'_>,
    refs: &mut References,
    d: &mut Diagnostics,
) -> Option<(Expr, Patterns)> {
    let mut resolver =
        Resolver { place, names, refs, d, bound: Vec::new(), patterns: Patterns::default(), failed: false };
    let expr = resolver.expr(term, names.input.map(Input::new));
    (!resolver.failed).then_some((expr, resolver.patterns))
}

struct Resolver<'s, 'a> {
    place: Place<'s>,
    names: &'a Names<'a>,
    refs: &'a mut References,
    d: &'a mut Diagnostics,
    /// Variables (`$x`) and labels (`label $x`), outermost first.
    bound: Vec<Bound<'s>>,
    patterns: Patterns,
    failed: bool,
}

#[derive(PartialEq)]
enum Bound<'s> {
    Var(&'s str),
    Label(&'s str),
}

/// The declared input, where `.` is provably it.
type Dot<'a> = Option<Input<'a>>;

impl<'s, 'a> Resolver<'s, 'a> {
    fn fail(&mut self, diagnostic: Diagnostic) -> Op {
        self.failed = true;
        self.d.push(diagnostic);
        Op::Const(Value::Null)
    }

    fn refuse(&mut self, slice: &str, message: String, hint: impl Into<String>) -> Op {
        let span = self.place.span_of(slice);
        self.fail(Diagnostic::error(span, message).hint(hint))
    }

    fn expr(&mut self, term: &Term<&'s str>, dot: Dot<'a>) -> Expr {
        self.op(term, dot).into()
    }

    fn boxed(&mut self, term: &Term<&'s str>, dot: Dot<'a>) -> Box<Expr> {
        Box::new(self.expr(term, dot))
    }

    fn op(&mut self, term: &Term<&'s str>, dot: Dot<'a>) -> Op {
        match term {
            Term::Id => Op::Input,
            Term::Recurse => Op::Recurse,
            Term::Num(digits) => number(digits),
            Term::Str(format, parts) => self.text(*format, parts, dot),
            Term::Arr(items) => Op::Array(items.as_ref().map(|items| self.boxed(items, dot))),
            Term::Obj(entries) => {
                Op::Object(entries.iter().map(|(key, value)| self.entry(key, value.as_ref(), dot)).collect())
            }
            Term::Neg(term) => match &**term {
                Term::Num(digits) => negated(digits),
                term => Op::Negate(self.boxed(term, dot)),
            },
            Term::BinOp(left, op, right) => self.binary(left, op, right, dot),
            Term::Label(name, body) => {
                self.bound.push(Bound::Label(name));
                let body = self.boxed(body, dot);
                self.bound.pop();
                Op::Label(body)
            }
            Term::Break(name) => match self.bound.iter().rev().position(|b| *b == Bound::Label(name)) {
                Some(distance) => Op::Break(distance),
                None => self.refuse(name, format!("`{name}` is not a label here"), "write `label $name | …`"),
            },
            Term::Fold(word, source, pattern, args) => self.fold(word, source, pattern, args, dot),
            Term::TryCatch(body, catch) => {
                let body = self.boxed(body, dot);
                Op::Try(body, catch.as_ref().map(|catch| self.boxed(catch, None)))
            }
            Term::IfThenElse(branches, otherwise) => {
                let mut both = |(condition, then): &(Term<_>, Term<_>)| {
                    (self.expr(condition, dot), self.expr(then, dot))
                };
                let branches = branches.iter().map(&mut both).collect();
                Op::If(branches, otherwise.as_ref().map(|otherwise| self.boxed(otherwise, dot)))
            }
            Term::Def(definitions, _) => {
                let name = definitions.first().map_or("", |definition| definition.name);
                let hint = "use `as` for values; a longer computation belongs into the system that is called";
                self.refuse(name, "`def` is not available in templates".into(), hint)
            }
            Term::Call(name, args) => self.call(name, args),
            Term::Var(name) => self.variable(name),
            Term::Path(base, path) => self.path(base, path, dot),
        }
    }

    fn text(
        &mut self,
        format: Option<&'s str>,
        parts: &[StrPart<&'s str, Term<&'s str>>],
        dot: Dot<'a>,
    ) -> Op {
        let format = match format {
            None => Format::Text,
            Some(name) => match self.format(name) {
                Some(format) => format,
                None => return Op::Const(Value::Null),
            },
        };
        let mut read = Vec::<TextPart>::new();
        let mut literal = String::new();
        for part in parts {
            match part {
                StrPart::Str(text) => literal.push_str(text),
                StrPart::Char(letter) => literal.push(*letter),
                StrPart::Term(term) => {
                    if !literal.is_empty() {
                        read.push(TextPart::Literal(std::mem::take(&mut literal)));
                    }
                    let value = self.expr(term, dot);
                    read.push(TextPart::Value(value));
                }
            }
        }
        if read.is_empty() {
            return Op::Const(literal.into());
        }
        if !literal.is_empty() {
            read.push(TextPart::Literal(literal));
        }
        Op::Text(format, read)
    }

    fn format(&mut self, name: &'s str) -> Option<Format> {
        let found = Format::ALL.iter().find(|(known, _)| *known == name);
        if found.is_none() {
            let known: Vec<_> = Format::ALL.iter().map(|(name, _)| format!("`{name}`")).collect();
            let hint = format!("known are {}", known.join(", "));
            self.refuse(name, format!("`{name}` is not a format"), hint);
        }
        found.map(|(_, format)| *format)
    }

    fn entry(&mut self, key: &Term<&'s str>, value: Option<&Term<&'s str>>, dot: Dot<'a>) -> (Expr, Expr) {
        let value = match (key, value) {
            (_, Some(value)) => self.expr(value, dot),
            // `{$x}`
            (Term::Var(name), None) => {
                let value = self.variable(name).into();
                return (Op::Const(name.trim_start_matches('$').into()).into(), value);
            }
            // `{a}`
            (key, None) => {
                self.fields(std::iter::once((key, name_of(key))), dot);
                let step = (Step::Index(self.expr(key, dot)), false);
                Op::Path(Box::new(Op::Input.into()), vec![step]).into()
            }
        };
        (self.expr(key, dot), value)
    }

    fn binary(
        &mut self,
        left: &Term<&'s str>,
        op: &BinaryOp<&'s str>,
        right: &Term<&'s str>,
        dot: Dot<'a>,
    ) -> Op {
        if let (BinaryOp::Math(Math::Sub), Some(hint)) = (op, self.hyphen(left, right)) {
            let (slice, message, hint) = hint;
            return self.refuse(slice, message, hint);
        }
        let pair = |this: &mut Self, on_left: Dot<'a>, on_right: Dot<'a>| {
            Box::new([this.expr(left, on_left), this.expr(right, on_right)])
        };
        match op {
            BinaryOp::Pipe(None) => Op::Pipe(pair(self, dot, None)),
            BinaryOp::Pipe(Some(pattern)) => {
                let source = self.expr(left, dot);
                let before = self.bound.len();
                let pattern = self.pattern(pattern);
                let body = self.expr(right, None);
                self.bound.truncate(before);
                Op::Bind(Box::new([source, body]), pattern)
            }
            BinaryOp::Comma => Op::Comma(pair(self, dot, dot)),
            BinaryOp::Alt => Op::Alternative(pair(self, dot, dot)),
            BinaryOp::Or => Op::Or(pair(self, dot, dot)),
            BinaryOp::And => Op::And(pair(self, dot, dot)),
            BinaryOp::Math(op) => Op::Math(*op, pair(self, dot, dot)),
            BinaryOp::Cmp(op) => Op::Compare(*op, pair(self, dot, dot)),
            // What is assigned to may be new.
            BinaryOp::Assign => Op::Assign(pair(self, None, dot)),
            BinaryOp::Update => Op::Update(pair(self, None, None)),
            BinaryOp::UpdateMath(op) => Op::UpdateMath(*op, pair(self, None, dot)),
            BinaryOp::UpdateAlt => Op::UpdateAlternative(pair(self, None, dot)),
        }
    }

    fn fold(
        &mut self,
        word: &'s str,
        source: &Term<&'s str>,
        pattern: &parse::Pattern<&'s str>,
        args: &[Term<&'s str>],
        dot: Dot<'a>,
    ) -> Op {
        let reduce = word == "reduce";
        if !(args.len() == 2 || (args.len() == 3 && !reduce)) {
            let hint = if reduce {
                "write `reduce … as $x (start; step)`"
            } else {
                "write `foreach … as $x (start; step; output)`"
            };
            let message = format!("`{word}` with {} parts between its parentheses", args.len());
            return self.refuse(word, message, hint);
        }
        let source = self.expr(source, dot);
        let init = self.expr(&args[0], dot);
        let before = self.bound.len();
        let pattern = self.pattern(pattern);
        let update = self.expr(&args[1], None);
        let extract = args.get(2).map(|extract| self.expr(extract, None));
        self.bound.truncate(before);
        let fold = Box::new(Fold { source, pattern, init, update, extract });
        if reduce { Op::Reduce(fold) } else { Op::Foreach(fold) }
    }

    /// Binds the variables of a pattern, in the order in which the evaluator does.
    fn pattern(&mut self, pattern: &parse::Pattern<&'s str>) -> Pattern {
        // Keys see what was bound outside, so all are resolved before anything is bound.
        let mut vars = Vec::new();
        let pattern = self.pattern_keys(pattern, &mut vars);
        self.bound.extend(vars.into_iter().map(Bound::Var));
        pattern
    }

    fn pattern_keys(&mut self, pattern: &parse::Pattern<&'s str>, vars: &mut Vec<&'s str>) -> Pattern {
        match pattern {
            parse::Pattern::Var(name) => {
                vars.push(name);
                Pattern::Var
            }
            parse::Pattern::Arr(items) => {
                Pattern::Array(items.iter().map(|item| self.pattern_keys(item, vars)).collect())
            }
            parse::Pattern::Obj(members) => {
                let member = |(key, value): &(Term<_>, parse::Pattern<_>)| {
                    (self.expr(key, None), self.pattern_keys(value, vars))
                };
                Pattern::Object(members.iter().map(member).collect())
            }
        }
    }

    fn call(&mut self, name: &'s str, args: &[Term<&'s str>]) -> Op {
        if name.starts_with('@') {
            let Some(format) = self.format(name) else { return Op::Const(Value::Null) };
            return match functions::format(format) {
                Some(builtin) if args.is_empty() => Op::Call(builtin, Vec::new()),
                _ => {
                    self.refuse(name, format!("`{name}` takes nothing in parentheses"), "write `… | @base64`")
                }
            };
        }
        if matches!(name, "env" | "file") && args.is_empty() {
            return self.bare_environment(name);
        }
        if let Some(hint) = functions::refused(name, args.len()) {
            return self.refuse(name, format!("`{name}` is not available in templates"), hint);
        }
        let Some(builtin) = functions::find(name, args.len()) else {
            return self.unknown_function(name, args.len());
        };
        let args: Vec<Expr> = args.iter().map(|arg| self.expr(arg, None)).collect();
        if let Err(why) = self.patterns.prepare(builtin, &args) {
            return self.refuse(
                name,
                format!("This is not a regular expression: {why}"),
                "see the language reference",
            );
        }
        Op::Call(builtin, args)
    }

    fn bare_environment(&mut self, name: &'s str) -> Op {
        if !self.names.environment {
            let hint = "name it in `server` or `systems`; tools see only their input and results";
            return self.refuse(name, format!("`{name}` is not in reach here"), hint);
        }
        let (message, hint) = match name {
            "env" => ("`env` wants the name of a variable", "write `env.NAME`"),
            _ => ("`file` wants a path", "write `file[\"/run/secrets/x\"]`"),
        };
        self.refuse(name, message.into(), hint)
    }

    fn variable(&mut self, name: &'s str) -> Op {
        if let Some(distance) = self.bound.iter().rev().position(|bound| *bound == Bound::Var(name)) {
            return Op::Local(distance);
        }
        let bare = name.trim_start_matches('$');
        if self.names.vars.iter().any(|known| **known == *bare) {
            add(&mut self.refs.vars, bare);
            self.names.noted.add(bare);
            return Op::Global(bare.into());
        }
        self.unknown_variable(name, bare)
    }

    fn path(&mut self, base: &Term<&'s str>, path: &Path<Term<&'s str>>, dot: Dot<'a>) -> Op {
        let mut parts = &path.0[..];
        let base = match base {
            Term::Call(word @ ("env" | "file"), args) if args.is_empty() && self.names.environment => {
                let Some(((Part::Index(key), _), rest)) = parts.split_first() else {
                    return self.bare_environment(word);
                };
                let Some(name) = name_of(key) else { return self.bare_environment(word) };
                parts = rest;
                add(&mut self.refs.vars, word);
                match *word {
                    "env" => {
                        add(&mut self.refs.environment, name);
                        Op::Environment(name.into())
                    }
                    _ => {
                        add(&mut self.refs.files, name);
                        Op::File(name.into())
                    }
                }
            }
            base => {
                let op = self.op(base, dot);
                let known = match (base, &op) {
                    (Term::Id, _) => dot,
                    // A name that is bound inside is no global one.
                    (Term::Var(name), Op::Global(_)) => Input::reserved(name.trim_start_matches('$')),
                    _ => None,
                };
                let keys = parts.iter().map_while(|(part, _)| match part {
                    Part::Index(key) => Some((key, name_of(key))),
                    Part::Range(..) => None,
                });
                self.fields(keys, known);
                op
            }
        };
        let steps: Vec<_> = parts
            .iter()
            .map(|(part, opt)| {
                let step = match part {
                    Part::Index(key) => Step::Index(self.expr(key, dot)),
                    Part::Range(None, None) => Step::Iterate,
                    Part::Range(from, to) => {
                        let from = from.as_ref().map(|from| self.expr(from, dot));
                        Step::Slice(from, to.as_ref().map(|to| self.expr(to, dot)))
                    }
                };
                (step, matches!(opt, Opt::Optional))
            })
            .collect();
        match steps.is_empty() {
            true => base,
            false => Op::Path(Box::new(base.into()), steps),
        }
    }

    /// Checks the members that a path names against what is known of the value it starts at.
    fn fields<'t>(
        &mut self,
        keys: impl Iterator<Item = (&'t Term<&'s str>, Option<&'s str>)>,
        dot: Option<Input<'_>>,
    ) where
        's: 't,
    {
        let Some(mut input) = dot else { return };
        for (key, name) in keys {
            let Some(name) = name else {
                match (key, input.element()) {
                    (Term::Num(_), Some(element)) => input = element,
                    _ => return,
                }
                continue;
            };
            match input.member(name) {
                Ok(Some(member)) => input = member,
                Ok(None) => return,
                Err(Problem { message, hint }) => {
                    self.refuse(name, message, hint);
                    return;
                }
            }
        }
    }
}

/// The name in `.name`, `.["name"]` and `."name"`, as a slice of the source; nothing if it has escapes.
fn name_of<'s>(key: &Term<&'s str>) -> Option<&'s str> {
    match key {
        Term::Str(None, parts) => match &parts[..] {
            [StrPart::Str(name)] => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// jq also writes `1.` and `.5`; the lexer refuses the first, and what JSON does not know is read as a double.
fn number(digits: &str) -> Op {
    let number = crate::Number::parse(digits).or_else(|| digits.parse().ok().map(crate::Number::computed));
    Op::Const(number.map_or(Value::Null, Value::Number))
}

fn negated(digits: &str) -> Op {
    match crate::Number::parse(&format!("-{digits}")) {
        // jq has no negative zero here, and `007` is no JSON number.
        Some(number) if digits != "0" => Op::Const(Value::Number(number)),
        _ => Op::Negate(Box::new(number(digits).into())),
    }
}
