//! What a place of files answers in a config test: what a file holds, what a folder lists, what is known of a
//! file. It is read as if it came from a store.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use jiff::Timestamp;
use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Error, FromNode, Kind, Map, Node, NodeKind, Payload, Reply,
    Request, Result, Schema, Value,
    connector::{Answer, Came},
    read::{Spanned, wrong},
};
use renkei_derive::FromNode;

use super::{
    error::Place,
    operation::ReadAs,
    prepare::Plan,
    reply::{self, Reading},
    store::{Entry, Listing, Part, Stat, Wanted, What},
    task::Task,
};

/// What the place of files answers.
#[derive(Debug, FromNode)]
#[config(check = check)]
struct AnswerConfig {
    /// What the file holds that is read from a place of files, as text. `offset`, `limit` and `as` of the operation
    /// do with it what they do with a real file.
    text: Option<Arc<str>>,
    /// The same, as JSON.
    json: Option<Value>,
    /// What the file holds that is read, as bytes, in base64.
    base64: Option<Spanned<String>>,
    /// What stands in the folder that is listed: paths from the top, each a text (`notes/a.md`; with `/` at its end a
    /// folder), or a mapping with `path`, `type`, `size` and `modified`. `glob`, `recursive`, `after` and `limit` of
    /// the operation choose from them.
    entries: Option<Vec<EntryWord>>,
    /// What is known of the file after `stat`, `write`, `append`, `copy` and `rename`: `type`, `size`, `modified`, `etag`,
    /// `content_type`, each where it matters. Beside `text`, `json` or `base64`: of the file that is read.
    stat: Option<StatConfig>,
    /// There is no such file or folder.
    #[config(default)]
    missing: bool,
    /// What was to be deleted is not there any more.
    #[config(default)]
    deleted: bool,
}

const WORDS: [&str; 7] = ["text", "json", "base64", "entries", "stat", "missing", "deleted"];

/// What is known of a file or folder.
#[derive(Debug, Default, FromNode)]
struct StatConfig {
    /// A file unless set.
    #[config(rename = "type")]
    what: Option<WhatWord>,
    /// In bytes, of a file.
    size: Option<u64>,
    /// When it was changed, in RFC 3339.
    modified: Option<Time>,
    /// What `if: { etag: … }` compares.
    etag: Option<String>,
    /// The media type that the store keeps with it; that of the name's ending unless set.
    content_type: Option<String>,
}

/// An entry of a folder.
#[derive(Debug, FromNode)]
struct EntryConfig {
    /// From the top, such as `notes/a.md`.
    path: String,
    /// A file unless set.
    #[config(rename = "type")]
    what: Option<WhatWord>,
    /// In bytes, of a file.
    size: Option<u64>,
    /// When it was changed, in RFC 3339.
    modified: Option<Time>,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, FromNode)]
enum WhatWord {
    /// Something with bytes in it.
    File,
    /// Something with files in it.
    Folder,
    /// A device, a socket, a pipe.
    Other,
}

impl From<WhatWord> for What {
    fn from(word: WhatWord) -> Self {
        match word {
            WhatWord::File => What::File,
            WhatWord::Folder => What::Folder,
            WhatWord::Other => What::Other,
        }
    }
}

/// A point in time.
#[derive(Clone, Copy, Debug)]
struct Time(Timestamp);

impl FromNode for Time {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match node.as_str().and_then(|text| text.parse().ok()) {
            Some(time) => Some(Time(time)),
            None => wrong(node, "a point in time such as `2026-01-31T12:30:00Z`", d),
        }
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([("type", "string"), ("format", "date-time")])
    }
}

/// An [`EntryConfig`], or only its path.
#[derive(Debug)]
struct EntryWord(EntryConfig);

impl FromNode for EntryWord {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        let mut config = match (&node.kind, node.as_str()) {
            (_, Some(path)) => EntryConfig { path: path.into(), what: None, size: None, modified: None },
            (NodeKind::Map(_), _) => EntryConfig::from_node(node, d)?,
            _ => return wrong(node, "a path such as `notes/a.md`, or a mapping with `path`", d),
        };
        if let Some(folder) = config.path.strip_suffix('/') {
            (config.path, config.what) = (folder.into(), Some(WhatWord::Folder));
        }
        if config.path.is_empty() || config.path.starts_with('/') {
            d.push(
                Diagnostic::error(node.span, "an entry is named by its path from the top")
                    .hint("write `notes/a.md`, without `/` before it"),
            );
            return None;
        }
        Some(EntryWord(config))
    }

    fn schema(defs: &mut Definitions) -> Schema {
        Value::from([("oneOf", vec![String::schema(defs), EntryConfig::schema(defs)])])
    }
}

fn check(answer: &AnswerConfig, node: &Node, d: &mut Diagnostics) {
    let given: Vec<&str> = WORDS.into_iter().filter(|word| node.entry(word).is_some()).collect();
    let holds = |word: &&str| matches!(*word, "text" | "json" | "base64");
    let others: Vec<&str> = given.iter().copied().filter(|word| *word != "stat").collect();
    let together = others.is_empty() || given.len() == others.len() || others.iter().all(holds);
    if others.len() > 1 || !together {
        let message = format!("a place of files does not answer `{}` at once", given.join("` and `"));
        let hint = "keep one; `stat` goes with `text`, `json` and `base64`";
        d.push(Diagnostic::error(node.span, message).hint(hint));
    }
    for (word, set) in [("missing", answer.missing), ("deleted", answer.deleted)] {
        if let Some(entry) = node.entry(word).filter(|_| !set) {
            d.push(
                Diagnostic::error(entry.value.span, format!("`{word}` is true or left out"))
                    .hint("remove it, and say what the answer is"),
            );
        }
    }
    if let Some(text) = &answer.base64
        && STANDARD.decode(text.value.trim()).is_err()
    {
        d.push(
            Diagnostic::error(text.span, "this is not base64").hint("use the standard alphabet with padding"),
        );
    }
}

/// The words and their schemas.
pub(super) fn words(defs: &mut Definitions) -> Vec<(&'static str, Schema)> {
    let mut own = Definitions::default();
    let schema = AnswerConfig::schema(&mut own);
    let words: Vec<(&'static str, Schema)> =
        WORDS.into_iter().filter_map(|name| Some((name, own.property(&schema, name)?))).collect();
    // What the properties refer to stays; the struct itself is nobody's.
    defs.map.extend(own.map.into_iter().filter(|(name, _)| !name.ends_with("AnswerConfig")));
    words
}

#[derive(Debug)]
enum FilesAnswer {
    Holds { bytes: Bytes, stat: Stat },
    Entries(Vec<Entry>),
    Known(Stat),
    Missing,
    Deleted,
}

pub(super) fn read(node: &Node, d: &mut Diagnostics) -> Option<Arc<dyn Answer>> {
    let before = d.iter().count();
    let config = AnswerConfig::from_node(node, d)?;
    if d.iter().count() > before {
        return None;
    }
    let stat = || config.stat.as_ref().map_or_else(Stat::file, StatConfig::stat);
    // `json: null` is JSON, too.
    let json = node.entry("json").map(|_| config.json.clone().unwrap_or_default());
    let bytes = match (&config.text, json, &config.base64) {
        (Some(text), ..) => Some(Bytes::copy_from_slice(text.as_bytes())),
        (_, Some(value), _) => Some(value.to_json().into()),
        (.., Some(text)) => Some(STANDARD.decode(text.value.trim()).ok()?.into()),
        (None, None, None) => None,
    };
    let answer = if let Some(bytes) = bytes {
        let size = Some(bytes.len() as u64);
        FilesAnswer::Holds { bytes, stat: Stat { size, ..stat() } }
    } else if let Some(entries) = config.entries {
        let mut entries: Vec<Entry> = entries.into_iter().map(|EntryWord(entry)| entry.entry()).collect();
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        FilesAnswer::Entries(entries)
    } else if config.missing {
        FilesAnswer::Missing
    } else if config.deleted {
        FilesAnswer::Deleted
    } else {
        FilesAnswer::Known(stat())
    };
    Some(Arc::new(answer))
}

impl StatConfig {
    fn stat(&self) -> Stat {
        Stat {
            what: self.what.map_or(What::File, What::from),
            size: self.size,
            modified: self.modified.map(|time| time.0),
            etag: self.etag.clone(),
            content_type: self.content_type.clone(),
        }
    }
}

impl EntryConfig {
    fn entry(self) -> Entry {
        let what = self.what.map_or(What::File, What::from);
        let modified = self.modified.map(|time| time.0);
        Entry { path: self.path, stat: Stat { what, size: self.size, modified, ..Stat::file() } }
    }
}

impl FilesAnswer {
    /// In the words of a test.
    fn words(&self) -> &'static str {
        match self {
            FilesAnswer::Holds { .. } => "`text`, `json` and `base64` are",
            FilesAnswer::Entries(_) => "`entries` is",
            FilesAnswer::Known(_) => "`stat` is",
            FilesAnswer::Missing => "`missing` is",
            FilesAnswer::Deleted => "`deleted` is",
        }
    }
}

impl Answer for FilesAnswer {
    fn answer(&self, request: &Request) -> Result<Reply> {
        let Some(plan) = request.op.plan::<Plan>() else {
            return Err(Error::internal("answer a request: it is none to a place of files"));
        };
        let system = &request.op.system;
        let task = Task::of(system, &plan.config, request)?;
        let place = Place { system: system.clone(), verb: task.verb() };
        let word = place.verb.word();
        match (self, task) {
            (
                FilesAnswer::Missing,
                Task::Read { path, .. }
                | Task::Stat { path }
                | Task::Copy { path, .. }
                | Task::Rename { path, .. }
                | Task::List { wanted: Wanted { folder: path, .. }, .. },
            ) => Err(place.not_found(&path)),
            (FilesAnswer::Deleted, Task::Delete { path, .. }) => {
                Ok(Reply::json(Value::from([("deleted", path.as_str())])))
            }
            (FilesAnswer::Entries(entries), Task::List { wanted, own_limit }) => {
                let entries = below(entries, &wanted, &place)?;
                let listing = Listing { entries, notices: Vec::new() };
                Ok(reply::listed(&plan.config, listing, &wanted, own_limit))
            }
            (FilesAnswer::Holds { bytes, stat }, Task::Read { path, from, limit, read_as }) => {
                let reading = Reading::new(&place, &plan.config, &path, from, limit);
                let start = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
                let most = usize::try_from(reading.most()).unwrap_or(usize::MAX);
                let end = start.saturating_add(most).min(bytes.len());
                reading.reply(Part { bytes: bytes.slice(start..end), stat: stat.clone() }, read_as)
            }
            (FilesAnswer::Known(stat), Task::Write { path, bytes, content_type, .. }) => {
                let size = stat.size.or(Some(bytes.len() as u64));
                let content_type = stat.content_type.clone().or(content_type);
                Ok(reply::known(&path, &Stat { size, content_type, ..stat.clone() }))
            }
            (FilesAnswer::Known(stat), Task::Append { path, .. } | Task::Stat { path }) => {
                Ok(reply::known(&path, stat))
            }
            (FilesAnswer::Known(stat), Task::Copy { to, .. } | Task::Rename { to, .. }) => {
                Ok(reply::known(&to, stat))
            }
            (answer, _) => Err(Error::internal(format!(
                "answer a request to `{system}`: {} no answer to `{word}`; {}",
                answer.words(),
                match word {
                    "read" => "say what the file holds as `text`, `json` or `base64`",
                    "list" => "say what is in the folder as `entries`",
                    "delete" => "say `deleted: true`",
                    _ => "say what is known of the file as `stat`",
                }
            ))),
        }
    }
}

/// The entries that a list of the folder gives, and one more where there are more.
fn below(entries: &[Entry], wanted: &Wanted, place: &Place) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    for entry in entries {
        let rest = match wanted.folder.as_str() {
            "" => Some(&*entry.path),
            folder => entry.path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')),
        };
        let Some(rest) = rest else {
            let why =
                format!("the entry `{}` of the test is not in it; paths count from the top", entry.path);
            return Err(place.error(Kind::Internal, &wanted.folder, why));
        };
        if (wanted.recursive || !rest.contains('/')) && wanted.takes(&entry.path) {
            found.push(entry.clone());
        }
    }
    found.truncate(wanted.limit.saturating_add(1));
    Ok(found)
}

/// Writes an answer in those words.
pub(super) fn write(came: &Came<'_>) -> Vec<Value> {
    let Some(plan) = came.request.op.plan::<Plan>() else { return Vec::new() };
    let reply = match came.result {
        Ok(reply) => reply,
        Err(error) if error.kind() == Kind::NotFound => return vec![Value::from([("missing", true)])],
        Err(_) => return Vec::new(),
    };
    let truncated = reply.meta.get("truncated").and_then(Value::as_bool) == Some(true);
    let from = reply.meta.get("offset").and_then(Value::as_i64).unwrap_or(0);
    // Of a part nobody knows the rest.
    if truncated || from > 0 {
        return Vec::new();
    }
    let Ok(task) = Task::of(&came.request.op.system, &plan.config, came.request) else { return Vec::new() };
    let known =
        |value: &Value| Value::from([("stat", shortened(value, &["path", "offset", "bytes", "truncated"]))]);
    match (task, &reply.value) {
        (Task::List { .. }, Payload::Json(value)) => {
            let entries: Vec<Value> = value.as_array().unwrap_or_default().iter().map(entry).collect();
            vec![Value::from([("entries", entries)])]
        }
        (Task::Delete { .. }, _) => vec![Value::from([("deleted", true)])],
        (Task::Read { read_as, .. }, value) => {
            let (word, held) = match (value, read_as) {
                (Payload::Json(value), Some(ReadAs::Json)) => ("json", value.clone()),
                (Payload::Json(value), _) => ("text", value.clone()),
                (Payload::Blob { bytes, .. }, _) => ("base64", STANDARD.encode(bytes).into()),
            };
            let short: Map = [(word.into(), held)].into_iter().collect();
            let mut long = short.clone();
            let stat = shortened(&reply.meta, &["path", "offset", "bytes", "truncated", "size"]);
            long.insert("stat".into(), stat);
            vec![short.into(), long.into()]
        }
        (_, Payload::Json(value)) => vec![known(value)],
        (_, Payload::Blob { .. }) => Vec::new(),
    }
}

fn entry(value: &Value) -> Value {
    let path = value.get("path").cloned().unwrap_or_default();
    let short = shortened(value, &[]);
    match short.as_object() {
        Some(map) if map.len() == 1 => path,
        _ => short,
    }
}

/// Without what is left out: these keys, and the type of a file.
fn shortened(value: &Value, without: &[&str]) -> Value {
    let keep = |key: &str, value: &Value| {
        let is_file = key == "type" && value.as_str() == Some("file");
        !without.contains(&key) && !is_file
    };
    let members = value.as_object().into_iter().flatten();
    members
        .filter(|(key, value)| keep(key, value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect::<Map>()
        .into()
}
