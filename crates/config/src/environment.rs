//! `${env.X}` and `${file["path"]}` in `server` and `systems`, rendered once at start.
//!
//! What comes out is marked as literal: a password with a `${` in it is no template. In `headers` and
//! `auth` of a system, a `${…}` that uses `$caller`, `$key` or `$run` stays for each call; a text may hold
//! both kinds.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use renkei_core::{
    Diagnostic, Diagnostics, Entry, Map, Node, NodeKind, Scope, Secret, Span, Template, Value,
    node::Text,
    template::{Names, Piece, escape, split},
};

/// A file that `${file[…]}` names may be this long.
pub const MAX_VALUE_FILE_BYTES: usize = 64 * 1024;

/// The parts of a system whose templates may use …
const PER_CALL_PARTS: [&str; 2] = ["headers", "auth"];
/// … these names, and are rendered for each call then.
const PER_CALL: [&str; 3] = ["caller", "key", "run"];

/// Gives the value of an environment variable.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process. A value that is not UTF-8 counts as not set.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn of_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Renders the templates of one part of the config.
pub(crate) struct Environment<'a> {
    pub(crate) variables: Variables<'a>,
    pub(crate) base_dir: PathBuf,
    /// A value that is not there makes an unknown value instead of an error.
    pub(crate) optional: bool,
    files: BTreeMap<Arc<str>, Result<Arc<str>, String>>,
    /// What came from the environment, and where it stands now: diagnostics must not repeat it.
    values: Vec<(Span, Secret)>,
}

/// How the templates of a part may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Server,
    System,
    /// `headers` and `auth` of a system.
    PerCall,
}

/// What became of one `${…}`.
enum Rendered {
    /// It uses per-call names and stays as it is.
    PerCall(Arc<str>),
    Value(Value),
    /// Not known here (`check --no-env`).
    Unknown,
}

impl<'a> Environment<'a> {
    pub(crate) fn new(variables: Variables<'a>, base_dir: &Path, optional: bool) -> Self {
        Environment {
            variables,
            base_dir: base_dir.to_owned(),
            optional,
            files: BTreeMap::new(),
            values: Vec::new(),
        }
    }

    /// The files that values came from, or should have come from.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.files.keys().map(|path| self.base_dir.join(&**path))
    }

    /// Masks in `d` what came from the environment, where it stands: a diagnostic quotes what it found.
    pub(crate) fn redact(&self, d: &mut Diagnostics) {
        self.values.iter().for_each(|(span, secret)| d.redact(*span, secret));
    }

    /// What came from the environment, the longest first.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let mut secrets: Vec<Secret> = self.values.iter().map(|(_, secret)| secret.clone()).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        secrets.dedup();
        secrets
    }

    /// The tree with all its templates rendered. What is wrong is reported and unknown afterwards,
    /// so that it is reported once.
    pub(crate) fn render(&mut self, node: &Node, part: Part, d: &mut Diagnostics) -> Node {
        let kind = match &node.kind {
            NodeKind::String(text) if text.value.contains("${") => {
                self.text(node, part, d).unwrap_or(NodeKind::Unknown)
            }
            NodeKind::Seq(items) => {
                NodeKind::Seq(items.iter().map(|item| self.render(item, part, d)).collect())
            }
            NodeKind::Map(entries) => NodeKind::Map(
                entries
                    .iter()
                    .map(|entry| Entry { value: self.render(&entry.value, part, d), ..entry.clone() })
                    .collect(),
            ),
            _ => return node.clone(),
        };
        Node { kind, span: node.span }
    }

    /// The same for one of `systems`.
    pub(crate) fn render_system(&mut self, node: &Node, d: &mut Diagnostics) -> Node {
        let NodeKind::Map(kinds) = &node.kind else { return self.render(node, Part::System, d) };
        let mut out = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let value = match &kind.value.kind {
                NodeKind::Map(members) => {
                    let members = members.iter().map(|member| {
                        let per_call = PER_CALL_PARTS.contains(&&*member.key);
                        let part = if per_call { Part::PerCall } else { Part::System };
                        Entry { value: self.render(&member.value, part, d), ..member.clone() }
                    });
                    Node { kind: NodeKind::Map(members.collect()), span: kind.value.span }
                }
                _ => self.render(&kind.value, Part::System, d),
            };
            out.push(Entry { value, ..kind.clone() });
        }
        Node { kind: NodeKind::Map(out), span: node.span }
    }

    fn text(&mut self, node: &Node, part: Part, d: &mut Diagnostics) -> Option<NodeKind> {
        let pieces = split(node, d)?;
        let mut rendered = Vec::with_capacity(pieces.len());
        let mut complete = true;
        for piece in &pieces {
            match piece {
                Piece::Literal { text, .. } => rendered.push(Some(Rendered::Value(text.as_str().into()))),
                Piece::Expr { source, at } => {
                    let value = self.expression(node, source, *at, part, d);
                    complete &= value.is_some();
                    rendered.push(value);
                }
            }
        }
        let rendered: Vec<Rendered> = rendered.into_iter().flatten().collect();
        if !complete || rendered.iter().any(|piece| matches!(piece, Rendered::Unknown)) {
            return Some(NodeKind::Unknown);
        }
        let per_call = rendered.iter().filter(|piece| matches!(piece, Rendered::PerCall(_))).count();
        let expressions = pieces.iter().filter(|piece| matches!(piece, Piece::Expr { .. })).count();
        if per_call == expressions && per_call > 0 {
            // Nothing changes: the text keeps its places.
            return Some(node.kind.clone());
        }
        if let ([Piece::Expr { .. }], [Rendered::Value(value)]) = (&pieces[..], &rendered[..]) {
            return Some(kind_of(value, node));
        }
        let mut out = String::new();
        for (piece, source) in rendered.iter().zip(&pieces) {
            match piece {
                Rendered::PerCall(expression) => out += &format!("${{{expression}}}"),
                Rendered::Value(value) => {
                    let text = match value {
                        Value::String(text) => text.to_string(),
                        Value::Number(_) | Value::Bool(_) => value.to_json(),
                        other => {
                            let span = span_of(node, source);
                            let message =
                                format!("this template gives {}, which cannot stand in a text", what(other));
                            d.push(
                                Diagnostic::error(span, message).hint("give a default: `${env.X // \"\"}`"),
                            );
                            return None;
                        }
                    };
                    out += &if per_call > 0 { escape(&text) } else { text };
                }
                Rendered::Unknown => {}
            }
        }
        Some(NodeKind::String(Text { literal: per_call == 0, ..Text::new(out) }))
    }

    fn expression(
        &mut self,
        node: &Node,
        source: &Arc<str>,
        at: usize,
        part: Part,
        d: &mut Diagnostics,
    ) -> Option<Rendered> {
        let vars = PER_CALL.iter().map(|name| (*name).into()).collect();
        let names = Names { vars, environment: true, ..Names::default() };
        let template = Template::expression(node, source, at, &names, d)?;
        let uses = |name: &str| template.vars().iter().any(|var| &**var == name);
        let environment = uses("env") || uses("file");
        let span = node.text_span(at.saturating_sub(2), at + source.len() + 1);
        if let Some(name) = PER_CALL.iter().find(|name| uses(name)) {
            if part != Part::PerCall {
                d.push(
                    Diagnostic::error(
                        span,
                        format!("`${name}` is known per call, and this is read once, at start"),
                    )
                    .hint("only `headers` and `auth` of a system, and the calls of tools, may use it"),
                );
                return None;
            }
            if environment {
                let message = format!("one template uses both the environment and `${name}`");
                d.push(
                    Diagnostic::error(span, message)
                        .label("known at start, and known per call")
                        .hint(format!("write two templates side by side: '${{env.X}} ${{${name}}}'")),
                );
                return None;
            }
            return Some(Rendered::PerCall(source.clone()));
        }
        let (scope, missing, secrets) = self.scope(&template);
        let error = match template.render(&scope) {
            Ok(value) => {
                self.values.extend(secrets.into_iter().map(|secret| (node.span, secret)));
                return Some(Rendered::Value(value.unwrap_or_default()));
            }
            Err(error) => error,
        };
        if self.optional && !missing.is_empty() {
            return Some(Rendered::Unknown);
        }
        // The error names what is missing; here it is known why, and how to mend it.
        let named = |missing: &&Missing| error.public().contains(&format!("`{}`", missing.name));
        match missing.iter().find(named) {
            Some(missing) => d.push(Diagnostic::error(span, missing.what.clone()).hint(missing.hint.clone())),
            None => {
                // The template's message may repeat a value.
                let public =
                    secrets.iter().fold(error.public().to_owned(), |text, secret| secret.redact(&text));
                d.push(Diagnostic::error(span, format!("failed to {public}")));
            }
        }
        None
    }

    /// The values that a template refers to, those that are not there, and all of them as secrets.
    fn scope(&mut self, template: &Template) -> (Scope, Vec<Missing>, Vec<Secret>) {
        let mut missing = Vec::new();
        let mut secrets = Vec::new();
        let (mut env, mut file) = (Map::new(), Map::new());
        for name in template.environment() {
            match (self.variables)(name) {
                Some(value) => {
                    secrets.push(Secret::new(value.as_str()));
                    env.insert(name.clone(), value.into());
                }
                None => missing.push(Missing {
                    name: name.clone(),
                    what: format!("the environment variable `{name}` is not set"),
                    hint: format!("set it: `export {name}=…`; or give a default: '${{env.{name} // \"…\"}}'"),
                }),
            }
        }
        for path in template.files() {
            match self.file(path) {
                Ok(text) => {
                    secrets.push(Secret::new(text.clone()));
                    file.insert(path.clone(), text.into());
                }
                Err(why) => missing.push(Missing {
                    name: path.clone(),
                    what: format!("the file `{path}` {why}"),
                    hint: format!(
                        "a relative path starts at the config's folder, `{}`; give a default: '${{file[\"{path}\"] // \"…\"}}'",
                        self.base_dir.display()
                    ),
                }),
            }
        }
        let mut scope = Scope::new(Value::Null);
        scope.set("env", Value::from(env));
        scope.set("file", Value::from(file));
        (scope, missing, secrets)
    }

    /// The text of a file without the line break that ends it. Read once.
    fn file(&mut self, path: &Arc<str>) -> Result<Arc<str>, String> {
        if let Some(known) = self.files.get(path) {
            return known.clone();
        }
        let text = read_file(&self.base_dir.join(&**path)).map(Arc::from);
        self.files.insert(path.clone(), text.clone());
        text
    }
}

/// A value that a template refers to and that is not there.
struct Missing {
    name: Arc<str>,
    what: String,
    hint: String,
}

fn span_of(node: &Node, piece: &Piece) -> renkei_core::Span {
    match piece {
        Piece::Literal { .. } => node.span,
        Piece::Expr { source, at } => node.text_span(at.saturating_sub(2), at + source.len() + 1),
    }
}

/// The error fits after the file's name.
fn read_file(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("cannot be read: {error}"),
    })?;
    // A pipe could be waited for without end.
    if !metadata.is_file() {
        return Err("is not a regular file".into());
    }
    let mut bytes = Vec::new();
    let limit = MAX_VALUE_FILE_BYTES as u64 + 1;
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() > MAX_VALUE_FILE_BYTES {
        return Err(format!("has more than {MAX_VALUE_FILE_BYTES} bytes"));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn what(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
        _ => "nothing",
    }
}

fn kind_of(value: &Value, node: &Node) -> NodeKind {
    match value {
        Value::Null => NodeKind::Null,
        Value::Bool(flag) => NodeKind::Bool(*flag),
        Value::Number(number) => NodeKind::Number(number.clone()),
        Value::String(text) => NodeKind::String(Text { literal: true, ..Text::new(text.clone()) }),
        Value::Array(items) => {
            let items = items.iter().map(|item| Node { kind: kind_of(item, node), span: node.span });
            NodeKind::Seq(items.collect())
        }
        Value::Object(map) => NodeKind::Map(
            map.iter()
                .map(|(key, value)| Entry {
                    key: key.clone(),
                    key_span: node.span,
                    value: Node { kind: kind_of(value, node), span: node.span },
                })
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests;
