//! Names that become `$names` in templates.

/// `$names` that mean something already, or would not be found.
pub const RESERVED: [&str; 15] = [
    "__loc__",
    "__prog_args",
    "answer",
    "answer_meta",
    "caller",
    "env",
    "errors",
    "file",
    "index",
    "item",
    "key",
    "message",
    "now",
    "result",
    "run",
];

/// Whether a name may be a `$name`: 1 to 64 lower-case letters, digits and `_`, not beginning with a digit.
pub fn is_word(name: &str) -> bool {
    let mut letters = name.bytes();
    let head = letters.next().is_some_and(|byte| matches!(byte, b'a'..=b'z' | b'_'));
    head && name.len() <= 64 && letters.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// The word that is most like `name`; nothing if there is none.
pub fn word_like(name: &str) -> Option<String> {
    let like: String = name
        .chars()
        .map(|letter| letter.to_ascii_lowercase())
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' })
        .take(64)
        .collect();
    (is_word(&like) && like.bytes().any(|byte| byte != b'_')).then_some(like)
}
