//! What may be chosen in a field.

use std::sync::Arc;

use renkei_core::{
    Diagnostic, Diagnostics, Error, Map, Node, NodeKind, Result, Scope, Span, Tree, Value, template::Names,
};
use renkei_derive::FromNode;

/// Clients show them all.
const MAX_OPTIONS: usize = 500;

/// A text with its title.
#[derive(Clone, Debug, FromNode)]
pub(super) struct Choice {
    /// The text that the answer holds.
    r#const: Arc<str>,
    /// What people read.
    title: Arc<str>,
}

/// What several may be chosen of: exactly one of `enum` and `anyOf`.
#[derive(Debug, FromNode)]
pub(super) struct ItemsConfig {
    /// `string`; may be left out.
    #[expect(dead_code, reason = "there is one type only; the field is its manual")]
    r#type: Option<Arc<str>>,
    /// Texts.
    r#enum: Option<Vec<Arc<str>>>,
    /// Texts with titles.
    #[config(rename = "anyOf")]
    any_of: Option<Vec<Choice>>,
}

/// The ways to say it; at most one is given.
pub(super) struct Sources<'n> {
    pub(super) options: Option<&'n Node>,
    pub(super) plain: Option<&'n [Arc<str>]>,
    pub(super) names: Option<&'n [Arc<str>]>,
    pub(super) one_of: Option<&'n [Choice]>,
    pub(super) items: Option<&'n ItemsConfig>,
    pub(super) at: Span,
}

/// A text, and what people read instead.
type Listed = (Arc<str>, Option<Arc<str>>);

#[derive(Debug)]
pub(super) enum Options {
    Fixed {
        list: Vec<Listed>,
        /// Titles go into `enumNames`.
        older: bool,
    },
    Template(Tree),
}

/// Something is wrong, and was reported.
pub(super) struct Wrong;

impl Options {
    pub(super) fn read(
        sources: &Sources<'_>,
        names: &Names<'_>,
        d: &mut Diagnostics,
    ) -> Result<Option<Self>, Wrong> {
        let mut refuse = |message: &str, hint: &str| {
            d.push(Diagnostic::error(sources.at, message).hint(hint));
            Wrong
        };
        let (list, older): (Vec<Listed>, bool) = match sources {
            Sources { plain: Some(texts), names: Some(titles), .. } => {
                if texts.len() != titles.len() {
                    return Err(refuse(
                        "`enum` and `enumNames` differ in length",
                        "give each text its title",
                    ));
                }
                let titles = titles.iter().map(|title| Some(title.clone()));
                (texts.iter().cloned().zip(titles).collect(), true)
            }
            Sources { plain: Some(texts), .. } => (plain(texts), false),
            Sources { one_of: Some(choices), .. } => (titled(choices), false),
            Sources { items: Some(ItemsConfig { r#enum: Some(texts), any_of: None, .. }), .. } => {
                (plain(texts), false)
            }
            Sources { items: Some(ItemsConfig { r#enum: None, any_of: Some(choices), .. }), .. } => {
                (titled(choices), false)
            }
            Sources { items: Some(_), .. } => {
                return Err(refuse(
                    "`items` has exactly one of `enum` and `anyOf`",
                    "`options` with `multiple: true` is the short form",
                ));
            }
            Sources { options: Some(node), .. } => {
                let tree = match node.kind {
                    NodeKind::Seq(_) | NodeKind::Map(_) | NodeKind::String(_) => Tree::read(node, names, d),
                    _ => renkei_core::read::wrong(node, "a list of texts, or texts with their titles", d),
                };
                return tree.map(|tree| Some(Options::Template(tree))).ok_or(Wrong);
            }
            _ => return Ok(None),
        };
        Ok(Some(Options::Fixed { list, older }))
    }

    pub(super) fn is_fixed(&self) -> bool {
        match self {
            Options::Fixed { .. } => true,
            Options::Template(tree) => tree.literal().is_some(),
        }
    }

    /// Adds the keywords that say what may be chosen.
    pub(super) fn put_into(
        &self,
        schema: &mut Map,
        multiple: bool,
        field: &str,
        scope: &Scope,
    ) -> Result<()> {
        let (list, older) = match self {
            Options::Fixed { list, older } => (list.clone(), *older),
            Options::Template(tree) => (listed(tree.render(scope)?.as_ref(), field)?, false),
        };
        check(&list, field)?;
        let texts = || list.iter().map(|(text, _)| Value::from(text.clone())).collect::<Vec<_>>();
        let title = |(text, title): &Listed| title.clone().unwrap_or_else(|| text.clone());
        let is_titled = list.iter().any(|(_, title)| title.is_some());
        let choices = || {
            let choice = |one: &Listed| Value::from([("const", one.0.clone()), ("title", title(one))]);
            list.iter().map(choice).collect::<Vec<_>>()
        };
        match (multiple, is_titled) {
            (false, _) if older => {
                schema.insert("enum".into(), texts().into());
                let titles = list.iter().map(|one| Value::from(title(one))).collect::<Vec<_>>();
                schema.insert("enumNames".into(), titles.into());
            }
            (false, false) => {
                schema.insert("enum".into(), texts().into());
            }
            (false, true) => {
                schema.insert("oneOf".into(), choices().into());
            }
            (true, false) => {
                let items = [("type", Value::from("string")), ("enum", texts().into())];
                schema.insert("items".into(), Value::from(items));
            }
            (true, true) => {
                schema.insert("items".into(), Value::from([("anyOf", choices())]));
            }
        }
        Ok(())
    }
}

fn plain(texts: &[Arc<str>]) -> Vec<Listed> {
    texts.iter().map(|text| (text.clone(), None)).collect()
}

fn titled(all: &[Choice]) -> Vec<Listed> {
    all.iter().map(|one| (one.r#const.clone(), Some(one.title.clone()))).collect()
}

/// A list of texts, `{ text: title }`, or a list of `{ const, title }`.
fn listed(value: Option<&Value>, field: &str) -> Result<Vec<Listed>> {
    let wrong = || {
        Error::internal(format!(
            "ask: the options of the field `{field}` are no list of texts, no texts with titles, and no list of `{{ const, title }}`"
        ))
    };
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    };
    let one = |value: &Value| match value {
        Value::Object(map) => Some((text(map.get("const")?)?, Some(text(map.get("title")?)?))),
        other => Some((text(other)?, None)),
    };
    match value {
        Some(Value::Array(items)) => items.iter().map(one).collect::<Option<_>>().ok_or_else(wrong),
        Some(Value::Object(map)) => {
            let one = |(key, title): (&Arc<str>, &Value)| Some((key.clone(), Some(text(title)?)));
            map.iter().map(one).collect::<Option<_>>().ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

fn check(list: &[Listed], field: &str) -> Result<()> {
    let wrong = |what: String| Err(Error::internal(format!("ask: the field `{field}` {what}")));
    if list.is_empty() {
        return wrong("has no options to choose from".to_owned());
    }
    if list.len() > MAX_OPTIONS {
        return wrong(format!("has {} options, more than {MAX_OPTIONS}", list.len()));
    }
    let mut seen = std::collections::HashSet::new();
    match list.iter().find(|(text, _)| !seen.insert(text)) {
        Some((text, _)) => wrong(format!("has the option `{text}` twice")),
        None => Ok(()),
    }
}
