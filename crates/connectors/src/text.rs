//! Patterns of names and texts, in which `*` stands for anything.

/// The longest pattern.
const MAX_PATTERN: usize = 1_000;

/// A pattern: `*` stands for any letters or none, anything else for itself. The case of ASCII letters does not matter.
#[derive(Clone, Debug)]
pub(crate) struct Glob {
    /// What stands between the `*`, in lower case; one more than there are `*`.
    pieces: Vec<String>,
}

impl Glob {
    /// The error says what is wrong with the pattern, after "it".
    pub(crate) fn read(pattern: &str) -> Result<Glob, String> {
        if pattern.is_empty() {
            return Err("is empty".into());
        }
        if pattern.len() > MAX_PATTERN {
            return Err(format!("has {} bytes, at most {MAX_PATTERN} fit", pattern.len()));
        }
        Ok(Glob { pieces: pattern.to_ascii_lowercase().split('*').map(Into::into).collect() })
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        let [first, rest @ ..] = &self.pieces[..] else { return false };
        let Some(mut left) = text.strip_prefix(first.as_str()) else { return false };
        let [middle @ .., last] = rest else { return left.is_empty() };
        // The earliest place of each is as good as any later one.
        for piece in middle {
            let Some(at) = left.find(piece.as_str()) else { return false };
            left = &left[at + piece.len()..];
        }
        left.len() >= last.len() && left.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        let fits = |pattern: &str, text: &str| Glob::read(pattern).unwrap().matches(text);
        for (pattern, text) in [
            ("*", ""),
            ("*", "a"),
            ("a*", "A"),
            ("*b", "ab"),
            ("a*b*c", "a--b--bc"),
            ("*not found*", "the file is Not Found, sorry"),
            ("a**c", "abc"),
            ("ü*", "übung"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a*", "ba"), ("a*b", "a"), ("ab*ba", "aba"), ("*b", "abc")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
        assert!(Glob::read("").is_err() && Glob::read(&"a".repeat(1_001)).is_err());
    }
}
