//! What a store gave, as a reply.

use bytes::Bytes;
use renkei_core::{Kind, Map, Payload, Reply, Result, Value, call::Again};

use super::{
    config::Config,
    error::Place,
    media,
    operation::ReadAs,
    path::FilePath,
    store::{Listing, Part, Stat, Wanted, What},
};

/// What is known of a file, as result and as meta.
pub(super) fn known(path: &FilePath, stat: &Stat) -> Reply {
    let value = Value::from(stat.to_map(path.as_str()));
    Reply { meta: value.clone(), ..Reply::json(value) }
}

/// As many entries as fit, and what was left out.
pub(super) fn listed(config: &Config, listing: Listing, wanted: &Wanted, own_limit: bool) -> Reply {
    let Listing { entries, mut notices } = listing;
    let max_bytes = config.max_bytes;
    let mut values = Vec::new();
    let mut last = None;
    // The brackets.
    let mut length = 2;
    let mut cut = None;
    for entry in entries {
        let value = Value::from(entry.stat.to_entry(&entry.path));
        length += value.to_json().len() + 1;
        if values.len() == wanted.limit {
            let key = if own_limit { "limit" } else { "max_entries" };
            cut = Some(format!("`{key}` is {}", wanted.limit));
            break;
        }
        if length as u64 > max_bytes.0 {
            cut = Some(format!("`max_bytes` is {max_bytes}"));
            break;
        }
        values.push(value);
        last = Some(entry.path);
    }
    if let Some(why) = &cut {
        let rest = match &last {
            Some(last) => format!("the rest comes after `{last}`: narrow `glob`, or go on with `after`"),
            None => "not even one fits: raise it".to_owned(),
        };
        notices.push(format!("only the first {} entries are given ({why}); {rest}", values.len()));
    }
    let meta = Value::from([
        ("path", Value::from(wanted.folder.as_str())),
        ("truncated", Value::from(cut.is_some())),
    ]);
    Reply { value: Payload::Json(values.into()), meta, notices, page: None, again: Again::Whole }
}

/// A part of a file on its way into a reply.
pub(super) struct Reading<'a> {
    place: &'a Place,
    config: &'a Config,
    path: &'a FilePath,
    from: u64,
    most: u64,
    /// What the part was cut by, if it was.
    cut: &'static str,
}

impl<'a> Reading<'a> {
    /// Of the file `path` from the byte `from` on, at most `limit` bytes if the operation says so.
    pub(super) fn new(
        place: &'a Place,
        config: &'a Config,
        path: &'a FilePath,
        from: u64,
        limit: Option<u64>,
    ) -> Self {
        let most = limit.unwrap_or(u64::MAX).min(config.max_bytes.0);
        let cut = if limit.is_some_and(|limit| limit <= most) { "limit" } else { "max_bytes" };
        Reading { place, config, path, from, most, cut }
    }

    /// How many bytes are asked for.
    pub(super) fn most(&self) -> u64 {
        self.most
    }

    pub(super) fn reply(&self, part: Part, read_as: Option<ReadAs>) -> Result<Reply> {
        let Part { bytes, stat } = part;
        if stat.what != What::File {
            return Err(self.place.special(self.path));
        }
        // What grew while it was read has at least this size.
        let size = stat.size.unwrap_or(0).max(self.from.min(stat.size.unwrap_or(0)) + bytes.len() as u64);
        if self.from > size {
            let why = format!("`offset` is {}, but the file has {size} bytes", self.from);
            return Err(self.place.error(Kind::Invalid, self.path, why));
        }
        let more = self.from + (bytes.len() as u64) < size;
        let mut notices = Vec::new();
        let (value, start, length) = match read_as {
            Some(ReadAs::Json) => (Payload::Json(self.json(&bytes, size, more)?), self.from, bytes.len()),
            Some(ReadAs::Bytes) => self.blob(bytes, &stat),
            read_as => match media::text(&bytes, self.from == 0, more) {
                Some(("", _)) if !bytes.is_empty() => {
                    let why = format!("{} bytes are less than one letter; raise `{}`", self.most, self.cut);
                    return Err(self.place.error(Kind::Invalid, self.path, why));
                }
                Some((text, skipped)) => (media::plain(text), self.from + skipped as u64, text.len()),
                None if read_as.is_none() => self.blob(bytes, &stat),
                None => {
                    notices.push("it is not UTF-8; what could not be read is shown as `\u{fffd}`".to_owned());
                    (media::plain(&String::from_utf8_lossy(&bytes)), self.from, bytes.len())
                }
            },
        };
        let end = start + length as u64;
        if more {
            let limit = match self.cut {
                "limit" => format!("`limit` is {}", self.most),
                _ => format!("`max_bytes` of the system is {}", self.config.max_bytes),
            };
            notices.push(format!(
                "{} has {size} bytes, these are the bytes {start} to {end} ({limit}); the rest begins at `offset: {end}`",
                self.path
            ));
        }
        let mut meta: Map = stat.to_map(self.path.as_str());
        meta.insert("offset".into(), start.into());
        meta.insert("bytes".into(), length.into());
        meta.insert("truncated".into(), more.into());
        Ok(Reply { value, meta: meta.into(), notices, page: None, again: Again::Whole })
    }

    fn blob(&self, bytes: Bytes, stat: &Stat) -> (Payload, u64, usize) {
        const NOTHING_SAID: [&str; 2] = ["application/octet-stream", "binary/octet-stream"];
        let said = stat.content_type.as_deref();
        let said = said.filter(|kind| !NOTHING_SAID.contains(kind) && kind.parse::<mime::Mime>().is_ok());
        let found = media::of_binary(self.path.as_str(), &bytes, self.from == 0);
        let length = bytes.len();
        (media::blob(bytes, said.unwrap_or(found)), self.from, length)
    }

    fn json(&self, bytes: &[u8], size: u64, more: bool) -> Result<Value> {
        if more || self.from > 0 {
            let limit = self.config.max_bytes;
            let why = format!(
                "a part of it is no JSON: it has {size} bytes, and at most {limit} are read (`max_bytes` of the system)"
            );
            return Err(self.place.error(Kind::Internal, self.path, why));
        }
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        Value::from_json(text).map_err(|why| {
            self.place.error(
                Kind::Internal,
                self.path,
                format!("it is not valid JSON ({why}); read it as text"),
            )
        })
    }
}
