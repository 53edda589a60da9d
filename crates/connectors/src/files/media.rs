//! What bytes are: a text, JSON, or something with a media type.

use bytes::Bytes;
use renkei_core::{Payload, Value};

/// Media types by the ending of a name.
const ENDINGS: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("eml", "message/rfc822"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/vnd.microsoft.icon"),
    ("ics", "text/calendar"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("jsonl", "application/jsonl"),
    ("log", "text/plain"),
    ("m4a", "audio/mp4"),
    ("md", "text/markdown"),
    ("mjs", "text/javascript"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ogg", "audio/ogg"),
    ("parquet", "application/vnd.apache.parquet"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("rtf", "application/rtf"),
    ("sqlite", "application/vnd.sqlite3"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "application/toml"),
    ("tsv", "text/tab-separated-values"),
    ("txt", "text/plain"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// Media types by what stands in the file, and where.
const BEGINNINGS: &[(usize, &[u8], &str)] = &[
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
    (0, b"\0asm", "application/wasm"),
    (0, b"PK\x03\x04", "application/zip"),
];

/// What nothing more is known of.
const UNKNOWN: &str = "application/octet-stream";

/// The media type that the ending of a name says.
pub(super) fn of_name(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
    ENDINGS.iter().find(|(known, _)| *known == ending).map(|(_, kind)| *kind)
}

/// The media type that the first bytes say.
fn of_bytes(bytes: &[u8]) -> Option<&'static str> {
    let begins =
        |(at, mark, _): &&(usize, &[u8], &str)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(mark));
    BEGINNINGS.iter().find(begins).map(|(.., kind)| *kind)
}

/// The media type of bytes that are no text. The ending tells more than the first bytes where many
/// formats share these, as those of office programs do.
pub(super) fn of_binary(path: &str, bytes: &[u8], at_start: bool) -> &'static str {
    let named = of_name(path).filter(|kind| !kind.starts_with("text/"));
    let found = if at_start { of_bytes(bytes) } else { None };
    match (named, found) {
        (Some(named), Some("application/zip")) => named,
        (_, Some(found)) => found,
        (Some(named), None) => named,
        (None, None) => UNKNOWN,
    }
}

/// A part of a file as a text: whole letters only, so that parts fit together. `more` says that the file goes
/// on after it. Gives the text and how many bytes before it were left out; nothing if this is no text.
pub(super) fn text(bytes: &[u8], at_start: bool, more: bool) -> Option<(&str, usize)> {
    let continues = |byte: &&u8| **byte & 0b1100_0000 == 0b1000_0000;
    let skipped = if at_start { 0 } else { bytes.iter().take(3).take_while(continues).count() };
    let rest = &bytes[skipped..];
    match std::str::from_utf8(rest) {
        Ok(text) => Some((text, skipped)),
        // No `error_len`: the last letter is not whole.
        Err(error) if more && error.error_len().is_none() => {
            std::str::from_utf8(&rest[..error.valid_up_to()]).ok().map(|text| (text, skipped))
        }
        Err(_) => None,
    }
}

/// The bytes as what they are; the media type is `content_type` if the store knows one.
pub(super) fn blob(bytes: Bytes, kind: &str) -> Payload {
    Payload::Blob { bytes, mime_type: kind.into() }
}

/// A text as the value of a reply.
pub(super) fn plain(text: &str) -> Payload {
    Payload::Json(Value::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_text_fit_together() {
        let text_of = "aä漢😀b";
        for at in 0..=text_of.len() {
            let bytes = text_of.as_bytes();
            let (first, _) = text(&bytes[..at], true, true).unwrap();
            assert!(text_of.starts_with(first) && at - first.len() < 4, "{at}: {first}");
            let (rest, skipped) = text(&bytes[at..], false, false).unwrap();
            assert!(text_of.ends_with(rest) && skipped < 4, "{at}: {rest}");
        }
        assert_eq!(text("ä".as_bytes(), true, false), Some(("ä", 0)));
        // The end of the file in the middle of a letter is no text.
        assert_eq!(text(&"ä".as_bytes()[..1], true, false), None);
        assert_eq!(text(b"\xff\xfe", true, true), None);
    }

    #[test]
    fn names_and_bytes_tell_the_type() {
        assert_eq!(of_name("a/b.c/Report.PDF"), Some("application/pdf"));
        assert_eq!(of_name("a.pdf/b"), None);
        assert_eq!(of_binary("x", b"\x89PNG\r\n\x1a\n...", true), "image/png");
        assert_eq!(of_binary("x.pdf", b"\x89PNG\r\n\x1a\n...", true), "image/png");
        assert_eq!(of_binary("x.docx", b"PK\x03\x04", true), ENDINGS[7].1);
        assert_eq!(of_binary("x.txt", b"\xff", true), UNKNOWN);
        assert_eq!(of_binary("x.jpg", b"\x89PNG\r\n\x1a\n", false), "image/jpeg");
    }

    #[test]
    fn endings_are_sorted_and_media_types() {
        assert!(ENDINGS.is_sorted());
        for kind in ENDINGS.iter().map(|(_, kind)| kind).chain(BEGINNINGS.iter().map(|(.., kind)| kind)) {
            assert!(kind.parse::<mime::Mime>().is_ok(), "{kind}");
        }
    }
}
