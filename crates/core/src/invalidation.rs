//! What a change makes untrue: which cached replies are to be forgotten.

use std::sync::Arc;

/// Cached replies that are no longer true.
#[derive(Clone, Debug, PartialEq)]
pub enum Invalidation {
    /// Those kept under this name, in any system; and all of the system with this name.
    Name(Arc<str>),
    /// Those of one system that are about a fitting address.
    Address { system: Arc<str>, pattern: AddressPattern },
}

/// Segments of an address, some of them free: `/customers/*`, `/customers/7/**`.
#[derive(Clone, Debug, PartialEq)]
pub struct AddressPattern(Vec<Segment>);

/// One segment of an [`AddressPattern`].
#[derive(Clone, Debug, PartialEq)]
pub enum Segment {
    /// `**`: any number of segments, none included.
    Many,
    /// One segment, letter for letter; nothing stands for `*`, any number of letters.
    One(Vec<Option<char>>),
}

impl AddressPattern {
    pub fn new(segments: Vec<Segment>) -> Self {
        AddressPattern(segments)
    }

    /// Whether an address, as decoded segments, fits.
    pub fn fits(&self, address: &[String]) -> bool {
        fits(
            &self.0,
            address,
            |segment| *segment == Segment::Many,
            |segment, text| match segment {
                Segment::Many => true,
                Segment::One(letters) => {
                    let text: Vec<char> = text.chars().collect();
                    fits(letters, &text, Option::is_none, |letter, found| *letter == Some(*found))
                }
            },
        )
    }
}

/// Only the last star is ever tried again, so that the work is at most pattern times items.
fn fits<P, T>(
    pattern: &[P],
    items: &[T],
    is_star: impl Fn(&P) -> bool,
    is_same: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut at, mut item, mut again) = (0, 0, None);
    while item < items.len() {
        match pattern.get(at) {
            Some(part) if is_star(part) => {
                again = Some((at + 1, item));
                at += 1;
            }
            Some(part) if is_same(part, &items[item]) => {
                at += 1;
                item += 1;
            }
            _ => match &mut again {
                Some((after, from)) => {
                    *from += 1;
                    (at, item) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(is_star)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> AddressPattern {
        let segment = |text: &str| match text {
            "**" => Segment::Many,
            text => Segment::One(text.chars().map(|letter| (letter != '*').then_some(letter)).collect()),
        };
        AddressPattern::new(text[1..].split('/').map(segment).collect())
    }

    #[test]
    fn stars_stay_in_their_segments_and_double_ones_do_not() {
        for (text, address, expected) in [
            ("/customers", "customers", true),
            ("/customers", "customers/7", false),
            ("/customers/*", "customers", false),
            ("/customers/*", "customers/7", true),
            ("/customers/*", "customers/7/orders", false),
            ("/customers/**", "customers", true),
            ("/customers/**", "customers/7/orders", true),
            ("/**/orders", "customers/7/orders", true),
            ("/**/orders", "customers/7/order", false),
            ("/**/7/**/x", "a/7/7/b/x", true),
            ("/notes/2026-*.md", "notes/2026-11.md", true),
            ("/notes/2026-*.md", "notes/2025-11.md", false),
            ("/notes/*a*b", "notes/xaxxbxb", true),
            ("/customers/7", "customers/70", false),
        ] {
            let address: Vec<String> = address.split('/').map(Into::into).collect();
            assert_eq!(pattern(text).fits(&address), expected, "{text} {address:?}");
        }
    }

    #[test]
    fn long_addresses_cost_no_more_than_their_length() {
        let address = vec!["a".repeat(500); 2_000];
        assert!(!pattern("/**/a*a*a*a*b/**/c/**/d").fits(&address));
    }
}
