//! `choose:` – parts of a statement that the config wrote, picked by a value.
//!
//! A value can never become a name, a direction or a clause. Where one is to decide about these, the config
//! lists the possible texts, and the value only picks one of them.

use std::{collections::BTreeSet, sync::Arc};

use indexmap::IndexMap;
use renkei_core::{
    Diagnostic, Diagnostics, Error, Node, Result, Tree, Value, connector::add_slot, read::Spanned,
    template::Names,
};
use renkei_derive::FromNode;

use super::{
    dialect::Dialect,
    lex::{lex, units},
    origin::Origin,
    statement::plain_text,
};

/// A choice between texts, for places where no value can stand. `${choose.NAME}` puts it into the statement.
#[derive(Clone, Debug, FromNode)]
pub struct Choose {
    /// A template for the word that picks the option.
    by: Node,
    /// The options: each word, and the SQL text that it stands for. No templates in them.
    options: IndexMap<Arc<str>, Spanned<String>>,
    /// The word to take when `by` gives nothing or null. Without it, that is an error.
    default: Option<Spanned<Arc<str>>>,
}

/// A choice, checked.
#[derive(Clone, Debug)]
pub struct Choice {
    pub name: Arc<str>,
    /// Where `by` is among the operation's slots.
    slot: usize,
    origin: Origin,
    options: IndexMap<Arc<str>, String>,
    /// The keywords and plain names in all options, in lower case.
    words: BTreeSet<String>,
    default: Option<Arc<str>>,
}

impl Choice {
    /// Checks the choice `name` and adds its template to the slots.
    pub fn read(
        name: &Arc<str>,
        choose: Choose,
        dialect: &Dialect,
        names: &Names<'_>,
        slots: &mut Vec<Tree>,
        d: &mut Diagnostics,
    ) -> Option<Choice> {
        let mut complete = true;
        let mut error = |d: &mut Diagnostics, diagnostic: Diagnostic| {
            d.push(diagnostic);
            complete = false;
        };
        if choose.options.is_empty() {
            let diagnostic = Diagnostic::error(choose.by.span, format!("the choice `{name}` has no options"));
            error(d, diagnostic.hint("list them: `options: { price: 'price desc', name: name }`"));
        }
        let (mut options, mut words) = (IndexMap::new(), BTreeSet::new());
        for (word, text) in &choose.options {
            match check_option(text, dialect) {
                Ok((text, own)) => {
                    options.insert(word.clone(), text);
                    words.extend(own);
                }
                Err(problem) => {
                    let message = format!("the option `{word}` of `{name}` {problem}");
                    error(d, Diagnostic::error(text.span, message));
                }
            }
        }
        if let Some(default) = &choose.default
            && !choose.options.contains_key(&default.value)
        {
            let message = format!("the default `{}` is not one of the options of `{name}`", default.value);
            let hint = format!("write one of {}", list(choose.options.keys()));
            error(d, Diagnostic::error(default.span, message).hint(hint));
        }
        let tree = Tree::read(&choose.by, names, d)?;
        complete.then(|| Choice {
            name: name.clone(),
            origin: Origin::of(&tree),
            slot: add_slot(slots, tree),
            options,
            words,
            default: choose.default.map(|default| default.value),
        })
    }

    pub(super) fn has_word(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    /// The text that the value picks.
    pub fn pick(&self, params: &[Option<Value>]) -> Result<&str> {
        let word: Arc<str> = match (params.get(self.slot).and_then(Option::as_ref), &self.default) {
            (None | Some(Value::Null), Some(default)) => default.clone(),
            (Some(Value::String(word)), _) => word.clone(),
            (Some(value @ (Value::Bool(_) | Value::Number(_))), _) => value.to_json().into(),
            (None | Some(Value::Null), None) => return Err(self.wrong("nothing")),
            (Some(value), _) => return Err(self.wrong(value.type_name())),
        };
        self.options.get(&word).map(String::as_str).ok_or_else(|| {
            let shown: String = word.chars().take(40).collect();
            self.wrong(&format!("`{shown}`"))
        })
    }

    fn wrong(&self, found: &str) -> Error {
        let options = list(self.options.keys());
        let text = format!("choose `{}`: found {found}; the choices are {options}", self.name);
        self.origin.error(&text)
    }
}

/// An option must be a part of a statement by itself: whatever stands around it, it ends where it ends.
/// Gives it without comments, since one could reach into what follows, and its words.
fn check_option(text: &str, dialect: &Dialect) -> Result<(String, Vec<String>), &'static str> {
    if text.contains("${") {
        return Err("holds a template; only fixed texts can be chosen");
    }
    let units = units(text);
    let tokens = lex(&units, dialect).map_err(|_| "is not closed, or holds a placeholder")?;
    if tokens.is_empty() {
        return Err("is empty");
    }
    let mut depth = 0usize;
    for token in &tokens {
        if token.is_symbol(';') {
            return Err("holds a `;`; a statement is one");
        } else if token.is_symbol('(') {
            depth += 1;
        } else if token.is_symbol(')') {
            depth = depth.checked_sub(1).ok_or("closes a parenthesis that it did not open")?;
        }
    }
    if depth > 0 {
        return Err("opens a parenthesis that it does not close");
    }
    let words = tokens.iter().filter_map(|token| Some(token.word()?.to_owned())).collect();
    Ok((plain_text(&units, &tokens), words))
}

fn list<'a>(words: impl Iterator<Item = &'a Arc<str>>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
