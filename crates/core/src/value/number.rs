//! Numbers that keep their digits.

use std::sync::Arc;

/// A JSON number: a 64-bit integer, or the digits exactly as they were written.
#[derive(Clone, Debug)]
pub struct Number(Repr);

#[derive(Clone, Debug)]
enum Repr {
    Int(i64),
    /// A valid JSON number that is not a plain `i64`: fractions, exponents, larger integers.
    Digits(Arc<str>),
}

impl Number {
    /// Reads a JSON number. Nothing for text that is not one (`01`, `+1`, `1.`, `NaN`).
    pub fn parse(text: &str) -> Option<Self> {
        is_number(text.as_bytes()).then(|| Self::from_valid(text))
    }

    /// `text` must be a valid JSON number.
    pub(super) fn from_valid(text: &str) -> Self {
        match text.parse::<i64>() {
            // "-0" is a number of its own and keeps its sign.
            Ok(int) if !(int == 0 && text.starts_with('-')) => Number(Repr::Int(int)),
            _ => Number(Repr::Digits(text.into())),
        }
    }

    /// Nothing for NaN and the infinities. Integral values are written without a fraction.
    pub fn from_f64(number: f64) -> Option<Self> {
        if !number.is_finite() {
            return None;
        }
        if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
            return Some(Number(Repr::Int(number as i64)));
        }
        serde_json::Number::from_f64(number).map(|n| Self::from_valid(&n.to_string()))
    }

    /// The value as `i64`, if it is written as an integer and fits.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Int(int) => Some(*int),
            Repr::Digits(text) => text.parse().ok(),
        }
    }

    /// The nearest double. Digits beyond its range become an infinity.
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            Repr::Int(int) => *int as f64,
            Repr::Digits(text) => text.parse().unwrap_or(f64::NAN),
        }
    }

    /// True for `7`, `7.0` and `7e0`: the value has no fractional part.
    pub fn is_integral(&self) -> bool {
        match &self.0 {
            Repr::Int(_) => true,
            Repr::Digits(text) => !text.contains(['.', 'e', 'E']) || self.as_f64().fract() == 0.0,
        }
    }

    pub(super) fn write(&self, out: &mut String) {
        match &self.0 {
            Repr::Int(int) => {
                let mut buffer = itoa::Buffer::new();
                out.push_str(buffer.format(*int));
            }
            Repr::Digits(text) => out.push_str(text),
        }
    }

    pub(super) fn to_serde(&self) -> serde_json::Value {
        match &self.0 {
            Repr::Int(int) => (*int).into(),
            Repr::Digits(text) => match text.parse::<u64>() {
                Ok(int) => int.into(),
                Err(_) => self.as_f64().into(),
            },
        }
    }

    pub(super) fn from_serde(number: &serde_json::Number) -> Self {
        Self::from_valid(&number.to_string())
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Number(Repr::Int(number))
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        match i64::try_from(number) {
            Ok(int) => Number(Repr::Int(int)),
            Err(_) => Number(Repr::Digits(number.to_string().into())),
        }
    }
}

/// Numbers are equal when their values are: `1` and `1.0`, but not two long integers that
/// merely share a double.
impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Int(a), Repr::Int(b)) => a == b,
            (Repr::Digits(a), Repr::Digits(b)) if a == b => true,
            _ if self.is_written_integer() && other.is_written_integer() => false,
            _ => self.as_f64() == other.as_f64(),
        }
    }
}

impl Number {
    fn is_written_integer(&self) -> bool {
        match &self.0 {
            Repr::Int(_) => true,
            Repr::Digits(text) => &**text != "-0" && !text.contains(['.', 'e', 'E']),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Repr::Int(int) => int.fmt(f),
            Repr::Digits(text) => f.write_str(text),
        }
    }
}

/// RFC 8259, section 6.
fn is_number(text: &[u8]) -> bool {
    let digits = |from: usize| text[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    match digits(at) {
        0 => return false,
        n if n > 1 && text[at] == b'0' => return false,
        n => at += n,
    }
    if text.get(at) == Some(&b'.') {
        match digits(at + 1) {
            0 => return false,
            n => at += 1 + n,
        }
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
        match digits(at) {
            0 => return false,
            n => at += n,
        }
    }
    at == text.len()
}
