//! Where the text of a JSON string needs a second look, eight bytes at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// How many bytes at the start of `bytes` are neither a quote, nor a backslash, nor a control character.
pub(super) fn plain(bytes: &[u8]) -> usize {
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (at, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        // Borrows go upwards, so the lowest mark is never a false one.
        let marks = zeros(word ^ (ONES * 0x22))
            | zeros(word ^ (ONES * 0x5c))
            | zeros(word ^ (ONES * 0x7f))
            | controls(word);
        if marks != 0 {
            return at * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x7f);
    bytes.len() - rest.len() + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// The high bit of each byte that is zero.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// The high bit of each byte below 0x20.
fn controls(word: u64) -> u64 {
    word.wrapping_sub(ONES * 0x20) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn finds_the_first_one(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40)) {
            let first = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x7f));
            proptest::prop_assert_eq!(plain(&bytes), first.unwrap_or(bytes.len()));
        }

        #[test]
        fn finds_a_late_one(before in "[ -!#-\\[\\]-~é連]{0,40}", special in "[\"\\\\\u{0}-\u{1f}\u{7f}]", after in ".{0,9}") {
            let text = format!("{before}{special}{after}");
            proptest::prop_assert_eq!(plain(text.as_bytes()), before.len());
        }
    }
}
