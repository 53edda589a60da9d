//! Reads `ask`, `then` and `declined`.

use std::{sync::Arc, time::Duration};

use renkei_core::{
    ActionContext, ActionNode, Definitions, Diagnostic, Diagnostics, Entry, FromNode, Node, NodeKind,
    Pattern, PatternKind, Schema, Tree, Value,
    pattern::{ACTION_DEFINITION, Holder},
    read::wrong,
    template::Names,
};
use renkei_derive::FromNode;

use super::{
    form::{Fields, FormPlan},
    run::{AskAction, What},
    sample::{SamplePlan, Sampled},
};

const THEN: &str = "then";
const DECLINED: &str = "declined";

/// One question: a text alone is a yes or no; otherwise at most one of `form`, `url`, `sample` and `roots`.
#[derive(Debug, FromNode)]
#[config(check = AskConfig::check)]
#[expect(dead_code, reason = "templates are read from the tree; their fields are the manual")]
struct AskConfig {
    /// What the user reads: a text, which may have templates. Needed unless `sample` or `roots` is asked for.
    message: Option<Node>,
    /// What the user fills in, by field. Without fields it is a yes or no. The answer is an object.
    form: Option<Fields>,
    /// A page on which the user does something that passes neither through the client nor through the model, such as
    /// paying or signing in: an `https` or `http` URL, which may be a template. A yes says that the user went
    /// there, not that it is done.
    url: Option<Node>,
    /// What the model behind the client is to answer: a text, or the whole.
    sample: Option<Sampled>,
    /// `true` asks the client for the folders it works in. The answer is a list of `{ uri, name }`.
    #[config(default)]
    roots: bool,
    /// The answer where the client cannot be asked this: a template or a value. Without it, that is an error, which
    /// says what the client would have to be able to.
    otherwise: Option<Node>,
    /// How long the answer may take, if less than `server.limits.ask`.
    timeout: Option<Duration>,
}

impl AskConfig {
    fn check(&self, node: &Node, d: &mut Diagnostics) {
        let kinds = [
            ("form", self.form.is_some()),
            ("url", self.url.is_some()),
            ("sample", self.sample.is_some()),
            ("roots", self.roots),
        ];
        let given: Vec<&str> = kinds.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect();
        let at = |key: &str| node.entry(key).map_or(node.span, |entry| entry.key_span);
        if let [first, second, ..] = given[..] {
            d.push(
                Diagnostic::error(at(second), format!("`{first}` and `{second}` are two questions"))
                    .related(at(first), "the first one")
                    .hint("ask one here and the other under `then`, or each in a branch of an `aggregate`"),
            );
        }
        let for_user = given.iter().all(|key| ["form", "url"].contains(key));
        match (&self.message, for_user) {
            (None, true) => d.push(
                Diagnostic::error(node.span, "the user would not know what is asked")
                    .hint("add `message: …`, which says what for and what follows"),
            ),
            (Some(_), false) => d.push(
                Diagnostic::error(
                    at("message"),
                    format!("nobody would read the message: `{}` has none", given[0]),
                )
                .hint("remove it; what the model reads stands under `sample`"),
            ),
            _ => {}
        }
        if self.timeout.is_some_and(|timeout| timeout.is_zero()) {
            d.push(
                Diagnostic::error(at("timeout"), "with no time at all, nobody could answer")
                    .hint("give it a few minutes, or leave it out for `server.limits.ask`"),
            );
        }
    }
}

pub(crate) struct Kind;

impl PatternKind for Kind {
    fn name(&self) -> &'static str {
        "ask"
    }

    fn schema(&self, _: &[(&'static str, Schema)], defs: &mut Definitions) -> Schema {
        let text = Value::from([
            ("type", "string"),
            ("description", "A yes or no: what the user reads. May have templates."),
        ]);
        Value::from([
            ("anyOf", Value::from(vec![text, AskConfig::schema(defs)])),
            ("description", "Asks the user, the model or the client itself; the answer is the result. Nothing that changes something may come before it, unless the tool has `task: required`. A no is an error (`rejected`) unless there is `declined`.".into()),
        ])
    }

    fn companions(&self, _: &mut Definitions) -> Vec<(&'static str, Schema)> {
        let action = |description: &str| {
            Value::from([
                ("$ref", Value::from(format!("#/$defs/{ACTION_DEFINITION}"))),
                ("unevaluatedProperties", false.into()),
                ("description", description.into()),
            ])
        };
        vec![
            (
                THEN,
                action(
                    "What is done with the answer to `ask`, which it sees as `$answer`; its result is the result.",
                ),
            ),
            (
                DECLINED,
                action(
                    "What is done if the user says no to `ask`, or closes it: `$answer_meta.action` is `decline` or `cancel`.",
                ),
            ),
        ]
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let asked = question(action, cx);
        let names = cx.names.with(["answer", "answer_meta"]);
        let mut inner = |key| action.companion(key).map(|entry| nested(entry, &names, cx));
        // All are read before the first problem ends it: every one is to be seen.
        let (then, declined) = (inner(THEN), inner(DECLINED));
        let (what, otherwise, timeout) = asked?;
        if let (Some(entry), What::Sample(_) | What::Roots) = (action.companion(DECLINED), &what) {
            cx.diagnostics.push(
                Diagnostic::error(entry.key_span, "only a user can say no")
                    .hint("remove it; where the client cannot be asked, `otherwise` is the answer"),
            );
            return None;
        }
        Some(Arc::new(AskAction {
            what,
            otherwise,
            timeout,
            then: absent_or(then)?,
            declined: absent_or(declined)?,
        }))
    }
}

/// `None` where something is there and wrong.
#[expect(clippy::option_option, reason = "absent and wrong are two things")]
fn absent_or<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        Some(None) => None,
        Some(some) => Some(some),
        None => Some(None),
    }
}

type Asked = (What, Option<Tree>, Option<Duration>);

fn question(action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Asked> {
    let ActionContext { names, diagnostics: d, .. } = cx;
    match &action.value.kind {
        NodeKind::String(_) => {
            let message = Tree::read(action.value, names, d)?;
            Some((What::Form { message, form: FormPlan::default() }, None, None))
        }
        NodeKind::Map(_) => {
            let config = AskConfig::from_node(action.value, d);
            let mut tree = |key: &str| action.value.get(key).map(|node| text(node, names, d));
            let (message, url) = (tree("message"), tree("url"));
            let otherwise = action.value.get("otherwise").map(|node| Tree::read(node, names, d));
            let form = action.value.get("form").map(|node| FormPlan::read(node, names, d));
            let sample = action.value.get("sample").map(|node| SamplePlan::read(node, names, d));
            let config = config?;
            let (message, url, otherwise) = (absent_or(message)?, absent_or(url)?, absent_or(otherwise)?);
            let (form, sample) = (absent_or(form)?, absent_or(sample)?);
            let what = match (message, url, sample) {
                (Some(message), Some(url), _) => What::Url { message, url },
                (Some(message), None, _) => What::Form { message, form: form.unwrap_or_default() },
                (None, _, Some(sample)) => What::Sample(Box::new(sample)),
                (None, _, None) if config.roots => What::Roots,
                // Reported already.
                (None, ..) => return None,
            };
            Some((what, otherwise, config.timeout))
        }
        _ => wrong(
            action.value,
            "a text that is a yes or no, or a question such as `{ message: …, form: … }`",
            d,
        ),
    }
}

/// A text with templates.
pub(super) fn text(node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<Tree> {
    match node.kind {
        NodeKind::String(_) => Tree::read(node, names, d),
        _ => wrong(node, "a text", d),
    }
}

fn nested(entry: &Entry, names: &Names<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
    let name = format!("the `{}`", entry.key);
    let NodeKind::Map(members) = &entry.value.kind else {
        let message = format!("{name} is {}, not a mapping", entry.value.what());
        cx.diagnostics
            .push(Diagnostic::error(entry.key_span, message).hint("give it an action: `{ call: … }`"));
        return None;
    };
    let holder = Holder { kind: &name, name: &name, at: entry.key_span, keys: &[] };
    let members = holder.known(members, cx.patterns, cx.diagnostics);
    holder.action(&members, &mut cx.nested(names.clone()))
}
