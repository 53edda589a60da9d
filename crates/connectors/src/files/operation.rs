//! What stands under `call: { SYSTEM: … }`: the words of an operation, and which of them belong together.

use renkei_core::{Definitions, Diagnostic, Diagnostics, FromNode as _, Node, Schema, Value, read::Spanned};
use renkei_derive::FromNode;

/// One operation on files. In short `read notes/${.name}.md`, as `list`, `stat` and `delete`, too; in long a
/// mapping with what is done as key and the path as its value.
#[derive(Debug, Default, FromNode)]
#[config(check = check)]
#[expect(dead_code, reason = "values with templates are read from the node, which has their places")]
pub(super) struct Op {
    /// The folder whose files and folders are listed; `.` is the top. Gives objects with `path`, `type` (`file`,
    /// `folder` or `other`), `size` and `modified`, by path. `${+ .folder}` may be absent here.
    list: Option<Node>,
    /// The file that is read. Gives its text; what is no text as `{ mime_type, base64 }`.
    read: Option<Node>,
    /// The file that is written as a whole, with the folders on the way. Below `root` and in S3, nobody sees it
    /// half written.
    write: Option<Node>,
    /// The file to whose end `content` is added; it is created when it is not there. Only in a folder of this
    /// machine.
    append: Option<Node>,
    /// The file that is deleted. One that is not there is deleted already.
    delete: Option<Node>,
    /// The file or folder whose `path`, `type`, `size`, `modified`, `etag` and `content_type` are given.
    stat: Option<Node>,
    /// The file that is copied to `to`.
    copy: Option<Node>,
    /// The file that is renamed to `to`; below `root` a folder, too. Not in S3, which can only copy and delete.
    rename: Option<Node>,
    /// The new path, of `copy` and `rename`.
    to: Option<Node>,
    /// Which paths of a `list` are given, counted from its folder: `*.md`, `2026-??/*`, `**/*.{png,jpg}`. `*` stops
    /// at `/`, `**` does not.
    glob: Option<Node>,
    /// Lists what is in subfolders, too; a `glob` with `/` or `**` implies it. For `delete`: deletes a folder with
    /// all that is in it.
    pub(super) recursive: Option<bool>,
    /// The most entries of a `list`, instead of the system's `max_entries`; the most bytes of a `read`, at most the
    /// system's `max_bytes`.
    limit: Option<Node>,
    /// Lists only what comes after this path in the order of the list: goes on where a list was cut.
    after: Option<Node>,
    /// Reads from this byte on.
    offset: Option<Node>,
    /// Reads the file as this, whatever is in it.
    #[config(rename = "as")]
    pub(super) read_as: Option<ReadAs>,
    /// What is written: a text, a number or a boolean; an object or a list is written as JSON.
    content: Option<Node>,
    /// What is written, in base64, instead of `content`.
    base64: Option<Node>,
    /// The media type that the store keeps with the file; that of the name's ending unless given.
    pub(super) content_type: Option<Spanned<String>>,
    /// Writes, copies or renames only then; else it is a `conflict`.
    #[config(rename = "if")]
    pub(super) when: Option<If>,
}

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromNode)]
pub(super) enum ReadAs {
    /// A text, with a mark where something is not UTF-8.
    Text,
    /// The value that is written there; numbers keep their digits.
    Json,
    /// `{ mime_type, base64 }`.
    Bytes,
}

impl ReadAs {
    pub(super) fn word(self) -> &'static str {
        match self {
            ReadAs::Text => "text",
            ReadAs::Json => "json",
            ReadAs::Bytes => "bytes",
        }
    }
}

/// A condition.
#[derive(Debug, FromNode)]
pub(super) enum If {
    /// There is nothing of that name yet.
    Absent,
    /// The file has still this `etag`, as `stat` or a `read`'s `$name_meta` gave it.
    Etag(Node),
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    List,
    Read,
    Write,
    Append,
    Delete,
    Stat,
    Copy,
    Rename,
}

impl Verb {
    pub(super) const ALL: [Verb; 8] = [
        Verb::List,
        Verb::Read,
        Verb::Write,
        Verb::Append,
        Verb::Delete,
        Verb::Stat,
        Verb::Copy,
        Verb::Rename,
    ];

    pub(super) fn word(self) -> &'static str {
        match self {
            Verb::List => "list",
            Verb::Read => "read",
            Verb::Write => "write",
            Verb::Append => "append",
            Verb::Delete => "delete",
            Verb::Stat => "stat",
            Verb::Copy => "copy",
            Verb::Rename => "rename",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Verb> {
        Self::ALL.into_iter().find(|verb| verb.word() == word)
    }

    pub(super) fn changes(self) -> bool {
        !matches!(self, Verb::List | Verb::Read | Verb::Stat)
    }

    /// The other keys that it takes, and those of them that it needs.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Verb::List => &["glob", "recursive", "limit", "after"],
            Verb::Read => &["offset", "limit", "as"],
            Verb::Write => &["content", "base64", "content_type", "if"],
            Verb::Append => &["content", "base64"],
            Verb::Delete => &["recursive"],
            Verb::Stat => &[],
            Verb::Copy | Verb::Rename => &["to", "if"],
        }
    }
}

/// Of one operation: a text or a mapping.
pub(super) fn schema(defs: &mut Definitions) -> Schema {
    let short = Value::from([
        ("type", "string"),
        ("pattern", "^(list|read|stat|delete) "),
        ("description", "What is done and the path, such as `read notes/${.name}.md`."),
    ]);
    Value::from([("oneOf", Value::from(vec![short, Op::schema(defs)]))])
}

fn check(op: &Op, node: &Node, d: &mut Diagnostics) {
    let given: Vec<Verb> = Verb::ALL.into_iter().filter(|verb| node.get(verb.word()).is_some()).collect();
    let [verb] = given[..] else {
        match given[..] {
            [] => d.push(
                Diagnostic::error(node.span, "it is not said what is done with the files")
                    .hint("add one of `list`, `read`, `write`, `append`, `delete`, `stat`, `copy` and `rename`, with the path as its value"),
            ),
            [first, second, ..] => {
                let (first, second) = (first.word(), second.word());
                let span = node.entry(second).map_or(node.span, |entry| entry.key_span);
                d.push(
                    Diagnostic::error(span, format!("an operation does one thing, not `{first}` and `{second}`"))
                        .hint("make two operations of it"),
                );
            }
            _ => {}
        }
        return;
    };
    let word = verb.word();
    for entry in node.as_map().unwrap_or_default() {
        if *entry.key != *word && !verb.keys().contains(&&*entry.key) {
            let hint = match verb.keys() {
                [] => format!("`{word}` takes nothing more"),
                keys => format!("`{word}` takes `{}`", keys.join("`, `")),
            };
            let message = format!("`{}` does not belong to `{word}`", entry.key);
            d.push(Diagnostic::error(entry.key_span, message).hint(hint));
        }
    }
    if matches!(verb, Verb::Write | Verb::Append) && op.content.is_some() == op.base64.is_some() {
        let hint = if op.content.is_some() { "remove one of them" } else { "add `content: '${.text}'`" };
        d.push(Diagnostic::error(node.span, "give what is written as `content` or as `base64`").hint(hint));
    }
    if matches!(verb, Verb::Copy | Verb::Rename) && op.to.is_none() {
        d.push(
            Diagnostic::error(node.span, format!("it is not said what to `{word}` to"))
                .hint("add `to: archive/${.name}`"),
        );
    }
    if matches!(verb, Verb::Copy | Verb::Rename) && matches!(op.when, Some(If::Etag(_))) {
        let span = node.get("if").map_or(node.span, |node| node.span);
        d.push(
            Diagnostic::error(span, format!("`{word}` knows `if: absent` only")).hint("write `if: absent`"),
        );
    }
    if let Some(kind) = &op.content_type
        && kind.parse::<mime::Mime>().is_err()
    {
        d.push(
            Diagnostic::error(kind.span, format!("`{}` is not a media type", kind.value))
                .hint("write one such as `text/csv` or `application/pdf`"),
        );
    }
}
