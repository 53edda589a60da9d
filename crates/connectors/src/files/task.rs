//! What one request asks for: its values in their places, checked, before anything is touched.

use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use renkei_core::{Error, Kind, Map, Request, Result, Value};

use super::{
    config::Config,
    error::Place,
    glob::Glob,
    operation::{ReadAs, Verb},
    path::FilePath,
    prepare::{Content, Pattern, Plan, When},
    store::{Condition, Wanted},
};
use crate::slots::Slot;

/// A request, ready for a store.
#[derive(Debug)]
pub(super) enum Task {
    /// `own_limit`: the operation says how many entries there may be.
    List {
        wanted: Wanted,
        own_limit: bool,
    },
    Read {
        path: FilePath,
        from: u64,
        limit: Option<u64>,
        read_as: Option<ReadAs>,
    },
    /// `content_type` if the operation names one.
    Write {
        path: FilePath,
        bytes: Bytes,
        content_type: Option<String>,
        when: Condition,
    },
    Append {
        path: FilePath,
        bytes: Bytes,
    },
    Delete {
        path: FilePath,
        recursive: bool,
    },
    Stat {
        path: FilePath,
    },
    Copy {
        path: FilePath,
        to: FilePath,
        when: Condition,
    },
    Rename {
        path: FilePath,
        to: FilePath,
        when: Condition,
    },
}

impl Task {
    /// Whatever is wrong with a value is found here.
    pub(super) fn of(system: &Arc<str>, config: &Config, request: &Request) -> Result<Task> {
        let plan = request.op.plan::<Plan>().filter(|_| request.op.system == *system).ok_or_else(|| {
            let other = &request.op.system;
            Error::internal(format!("use `{system}`: the operation was prepared for the system `{other}`"))
        })?;
        let values = Values { plan, params: &request.params, config };
        let place = Place { system: system.clone(), verb: plan.verb };
        let path = plan.path.render(&plan.slots, &request.params)?;
        Ok(match plan.verb {
            Verb::List => Task::List { wanted: values.wanted(path)?, own_limit: plan.limit.is_some() },
            Verb::Read => Task::Read {
                path,
                from: values.number(plan.offset)?.unwrap_or(0),
                limit: values.number(plan.limit)?,
                read_as: plan.read_as,
            },
            Verb::Write => Task::Write {
                bytes: values.content(&place, &path)?,
                when: values.condition()?,
                content_type: plan.content_type.clone(),
                path,
            },
            Verb::Append => Task::Append { bytes: values.content(&place, &path)?, path },
            Verb::Delete => Task::Delete { path, recursive: plan.recursive == Some(true) },
            Verb::Stat => Task::Stat { path },
            Verb::Copy => Task::Copy { to: values.to(&place, &path)?, when: values.condition()?, path },
            Verb::Rename => Task::Rename { to: values.to(&place, &path)?, when: values.condition()?, path },
        })
    }

    pub(super) fn verb(&self) -> Verb {
        match self {
            Task::List { .. } => Verb::List,
            Task::Read { .. } => Verb::Read,
            Task::Write { .. } => Verb::Write,
            Task::Append { .. } => Verb::Append,
            Task::Delete { .. } => Verb::Delete,
            Task::Stat { .. } => Verb::Stat,
            Task::Copy { .. } => Verb::Copy,
            Task::Rename { .. } => Verb::Rename,
        }
    }

    /// As data, in the words of the operation: `{ write: notes/a.txt, content: … }`.
    pub(super) fn show(&self) -> Value {
        let mut map = Map::new();
        let path = match self {
            Task::List { wanted, .. } => &wanted.folder,
            Task::Read { path, .. }
            | Task::Write { path, .. }
            | Task::Append { path, .. }
            | Task::Delete { path, .. }
            | Task::Stat { path }
            | Task::Copy { path, .. }
            | Task::Rename { path, .. } => path,
        };
        let mut add = |key: &str, value: Value| {
            map.insert(key.into(), value);
        };
        add(self.verb().word(), if path.is_root() { "." } else { path.as_str() }.into());
        match self {
            Task::List { wanted, own_limit } => {
                if let Some(glob) = &wanted.glob {
                    add("glob", glob.pattern.as_str().into());
                }
                if wanted.recursive {
                    add("recursive", true.into());
                }
                if *own_limit {
                    add("limit", wanted.limit.into());
                }
                if let Some(after) = &wanted.after {
                    add("after", after.as_str().into());
                }
            }
            Task::Read { from, limit, read_as, .. } => {
                if *from > 0 {
                    add("offset", (*from).into());
                }
                if let Some(limit) = limit {
                    add("limit", (*limit).into());
                }
                if let Some(read_as) = read_as {
                    add("as", read_as.word().into());
                }
            }
            Task::Write { bytes, content_type, when, .. } => {
                let (key, value) = shown_content(bytes);
                add(key, value);
                if let Some(kind) = content_type {
                    add("content_type", kind.as_str().into());
                }
                shown_condition(when).into_iter().for_each(|when| add("if", when));
            }
            Task::Append { bytes, .. } => {
                let (key, value) = shown_content(bytes);
                add(key, value);
            }
            Task::Delete { recursive: true, .. } => add("recursive", true.into()),
            Task::Delete { .. } | Task::Stat { .. } => {}
            Task::Copy { to, when, .. } | Task::Rename { to, when, .. } => {
                add("to", to.as_str().into());
                shown_condition(when).into_iter().for_each(|when| add("if", when));
            }
        }
        map.into()
    }
}

/// A text, or base64 of what is none.
fn shown_content(bytes: &[u8]) -> (&'static str, Value) {
    match std::str::from_utf8(bytes) {
        Ok(text) => ("content", text.into()),
        Err(_) => ("base64", base64::engine::general_purpose::STANDARD.encode(bytes).into()),
    }
}

fn shown_condition(when: &Condition) -> Option<Value> {
    match when {
        Condition::Always => None,
        Condition::Absent => Some("absent".into()),
        Condition::Etag(etag) => Some(Value::from([("etag", etag.as_str())])),
    }
}

/// The values of one call.
struct Values<'a> {
    plan: &'a Plan,
    params: &'a [Option<Value>],
    config: &'a Config,
}

impl Values<'_> {
    fn get(&self, slot: Slot) -> Result<Option<&Value>> {
        Ok(self.plan.slots.value(slot, self.params)?.filter(|value| !value.is_null()))
    }

    fn refused(&self, slot: Slot, why: impl std::fmt::Display) -> Error {
        Error::invalid(format!("{} {why}; nothing was touched", self.plan.slots.place(slot)))
    }

    /// A whole number; nothing if it is absent or null.
    fn number(&self, slot: Option<Slot>) -> Result<Option<u64>> {
        let Some(slot) = slot else { return Ok(None) };
        match self.get(slot)? {
            None => Ok(None),
            Some(Value::Number(number)) => match number.to_string().parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(self.refused(slot, "is not a whole number that is not negative")),
            },
            Some(value) => {
                Err(self.refused(slot, format!("is of type {}; give it a number", value.type_name())))
            }
        }
    }

    fn text(&self, slot: Slot) -> Result<Option<String>> {
        match self.get(slot)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.to_string())),
            Some(value) => {
                Err(self.refused(slot, format!("is of type {}; give it a text", value.type_name())))
            }
        }
    }

    fn wanted(&self, folder: FilePath) -> Result<Wanted> {
        let plan = self.plan;
        let glob = match &plan.glob {
            None => None,
            Some(Pattern::Fixed(glob)) => Some(glob.clone()),
            Some(Pattern::Value(slot)) => match self.text(*slot)? {
                None => None,
                Some(text) => {
                    let glob = Glob::read(&text).map_err(|why| self.refused(*slot, why))?;
                    Some(Arc::new(glob))
                }
            },
        };
        let limit = self.number(plan.limit)?.map_or(self.config.max_entries, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX).min(self.config.max_scan)
        });
        let recursive = plan.recursive.unwrap_or_else(|| glob.as_ref().is_some_and(|glob| glob.deep));
        let after = plan.after.map(|slot| self.text(slot)).transpose()?.flatten();
        Ok(Wanted { folder, glob, recursive, after, limit })
    }

    /// What is written, as bytes.
    fn content(&self, place: &Place, path: &FilePath) -> Result<Bytes> {
        let missing = |slot| self.refused(slot, "is absent or null; `\"\"` writes an empty file");
        let bytes = match self.plan.content {
            None => return Err(Error::internal("write a file: the operation has no content")),
            Some(Content::Plain(slot)) => match self.get(slot)? {
                None => return Err(missing(slot)),
                Some(Value::String(text)) => text.as_bytes().to_vec(),
                Some(value) => value.to_json().into_bytes(),
            },
            Some(Content::Base64(slot)) => {
                let text = self.text(slot)?.ok_or_else(|| missing(slot))?;
                let decoded = base64::engine::general_purpose::STANDARD.decode(text.as_bytes());
                decoded.map_err(|why| self.refused(slot, format!("is not base64: {why}")))?
            }
        };
        if bytes.len() as u64 > self.config.max_write.0 {
            return Err(place.too_large(path, bytes.len() as u64, self.config.max_write, "max_write"));
        }
        Ok(bytes.into())
    }

    fn condition(&self) -> Result<Condition> {
        match self.plan.when {
            When::Always => Ok(Condition::Always),
            When::Absent => Ok(Condition::Absent),
            When::Etag(slot) => match self.text(slot)? {
                Some(etag) => Ok(Condition::Etag(etag)),
                None => {
                    Err(self.refused(slot, "is absent or null; give the etag of the file as it was read"))
                }
            },
        }
    }

    fn to(&self, place: &Place, path: &FilePath) -> Result<FilePath> {
        let Some(to) = &self.plan.to else {
            return Err(Error::internal("copy a file: the operation has no `to`"));
        };
        let to = to.render(&self.plan.slots, self.params)?;
        if to == *path {
            return Err(place.error(Kind::Invalid, path, "both paths are the same"));
        }
        Ok(to)
    }
}
