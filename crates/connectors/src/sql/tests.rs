//! Where templates may stand, and that what stands there never becomes SQL.

mod choices;
mod lexing;
mod lists;
mod origins;
mod properties;
mod refusals;
mod values;
mod verbs;

use renkei_core::{Diagnostics, Node, NodeKind, Scope, Span, Tree, Value, node::Text, template::Names};

use super::{Choice, Choose, Dialect, Rendered, Slots, Statement};

fn text(value: &str) -> Node {
    let end = value.len() as u32;
    let text = Text { verbatim: Some(0), ..Text::new(value) };
    Node { kind: NodeKind::String(text), span: Span { file: 0, start: 0, end } }
}

/// A statement and the templates of its slots.
#[derive(Debug)]
struct Prepared {
    statement: Statement,
    slots: Vec<Tree>,
}

/// What is wrong, where, and the hint.
#[derive(Debug)]
struct Wrong {
    message: String,
    at: (usize, usize),
    hint: String,
}

fn read_with(
    sql: &str,
    dialect: &'static Dialect,
    choose: &[(&str, Choose)],
) -> Result<Prepared, Vec<Wrong>> {
    let mut d = Diagnostics::default();
    let mut slots = Slots::default();
    let names = Names { vars: vec!["caller".into(), "other".into()], ..Names::default() };
    let choices: Option<Vec<Choice>> = choose
        .iter()
        .map(|(name, choose)| {
            Choice::read(&(*name).into(), choose.clone(), dialect, &names, &mut slots.trees, &mut d)
        })
        .collect();
    let statement = choices
        .and_then(|choices| Statement::read(&text(sql), dialect, &choices, &names, &mut slots, &mut d));
    match statement {
        Some(statement) => {
            assert!(!d.has_errors(), "{sql}: {d:?}");
            Ok(Prepared { statement, slots: slots.trees })
        }
        None => {
            assert!(d.has_errors(), "refused without a word: {sql}");
            Err(d
                .iter()
                .map(|d| Wrong {
                    message: d.message.clone(),
                    at: (d.span.start as usize, d.span.end as usize),
                    hint: d.hint.clone().unwrap_or_default(),
                })
                .collect())
        }
    }
}

fn read(sql: &str, dialect: &'static Dialect) -> Result<Prepared, Vec<Wrong>> {
    read_with(sql, dialect, &[])
}

impl Prepared {
    fn render(&self, input: &str) -> renkei_core::Result<Rendered> {
        let scope = Scope::new(Value::from_json(input.as_bytes()).unwrap());
        let params: Vec<Option<Value>> = self.slots.iter().map(|tree| tree.render(&scope).unwrap()).collect();
        self.statement.render(&params)
    }
}

fn rendered(sql: &str, dialect: &'static Dialect, input: &str) -> (String, String) {
    let Rendered { text, values, .. } = read(sql, dialect).unwrap().render(input).unwrap();
    (text, Value::from(values).to_json())
}
