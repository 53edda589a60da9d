//! The fuzz targets on their seeds, and on what becomes of those by a few changes: the same inputs each time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(unreachable_pub, reason = "the workspace `fuzz/` has these files in a library")]

mod targets;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use targets::{TARGETS, seeds};

/// A generator that gives the same numbers everywhere (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % limit.max(1)
    }
}

/// An input made of others: cut, repeated, mixed, and with a few bytes changed.
fn changed(inputs: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut input = inputs[numbers.below(inputs.len())].clone();
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(input.len() + 1);
        let to = (at + numbers.below(24)).min(input.len());
        match numbers.below(6) {
            0 => drop(input.drain(at..to)),
            1 => {
                let part = input[at..to].to_vec();
                input.splice(at..at, part);
            }
            2 => {
                let other = &inputs[numbers.below(inputs.len())];
                let from = numbers.below(other.len() + 1);
                let part = &other[from..(from + numbers.below(48)).min(other.len())];
                input.splice(at..to, part.iter().copied());
            }
            3 => input.truncate(at.max(1)),
            4 if at < input.len() => input[at] ^= 1 << numbers.below(8),
            _ => {
                let bytes = b"'\"`$[]{}()\\:;,-#/*.|\n\r\0\xff\xc3 09azAZ";
                input.insert(at, bytes[numbers.below(bytes.len())]);
            }
        }
    }
    input
}

fn hold(name: &str, changes: usize) {
    let (_, check) = TARGETS.into_iter().find(|(target, _)| *target == name).expect("a target");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let seeds = seeds::of(name, &root).unwrap();
    assert!(seeds.len() >= 10, "the seeds are gone");
    let mut numbers = Numbers(4711);
    let more = (0..changes).map(|_| changed(&seeds, &mut numbers)).collect::<Vec<_>>();
    for input in seeds.iter().chain(&more) {
        let done = catch_unwind(AssertUnwindSafe(|| check(input)));
        assert!(done.is_ok(), "{name} does not hold for {:?}", String::from_utf8_lossy(input));
    }
}

#[test]
fn config() {
    hold("config", 400);
}

#[test]
fn templates() {
    hold("templates", 4000);
}

#[test]
fn sql() {
    hold("sql", 4000);
}

#[test]
fn http() {
    hold("http", 1500);
}

#[test]
fn mcp() {
    hold("mcp", 1500);
}
