//! What the demo writes: plain lines on stdout, with colour only on a terminal.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

/// Longer lines of an answer are cut.
const MAX_LINE: usize = 100;

/// More lines of an answer are left out.
const MAX_LINES: usize = 14;

#[derive(Clone, Copy, Debug)]
pub(super) struct Paper {
    colour: bool,
}

#[derive(Clone, Copy)]
enum Ink {
    Bold,
    Dim,
    Green,
    Red,
}

impl Paper {
    pub(super) fn new() -> Self {
        Paper { colour: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    /// How a config's diagnostics look on it.
    pub(super) fn style(self) -> renkei_config::Style {
        renkei_config::Style { color: self.colour, width: MAX_LINE }
    }

    /// A line of its own, after an empty one.
    pub(super) fn heading(self, text: &str) {
        self.line(&format!("\n{}", self.ink(Ink::Bold, text)));
    }

    pub(super) fn text(self, text: &str) {
        self.line(text);
    }

    pub(super) fn indented(self, text: &str) {
        self.line(&indent(text));
    }

    /// What the client asks.
    pub(super) fn ask(self, text: &str) {
        self.line(&format!("   {} {text}", self.ink(Ink::Dim, ">")));
    }

    /// What came back, shortened.
    pub(super) fn answer(self, text: &str) {
        self.line(&indent(&shorten(text)));
    }

    /// What came back in words, wrapped.
    pub(super) fn words(self, text: &str) {
        self.line(&indent(&wrap(text)));
    }

    /// What the reader should see in it; it was checked.
    pub(super) fn checked(self, text: &str) {
        self.line(&format!("   {} {text}", self.ink(Ink::Green, "✓")));
    }

    pub(super) fn failed(self, text: &str) {
        self.line(&format!("   {} {text}", self.ink(Ink::Red, "✗")));
    }

    /// How long a call took.
    pub(super) fn took(self, time: Duration) {
        let milliseconds = time.as_secs_f64() * 1000.0;
        self.line(&format!("     {}", self.ink(Ink::Dim, &format!("{milliseconds:.1} ms"))));
    }

    fn ink(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Bold => 1,
            Ink::Dim => 2,
            Ink::Green => 32,
            Ink::Red => 31,
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(self, text: &str) {
        // A reader that closed the pipe does not want more.
        let _ = writeln!(io::stdout(), "{text}");
    }
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| if line.is_empty() { String::new() } else { format!("     {line}") })
        .collect::<Vec<_>>()
        .join("\n")
}

fn wrap(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut filled = String::new();
        for word in line.split(' ') {
            if !filled.is_empty() && filled.chars().count() + 1 + word.chars().count() > MAX_LINE {
                lines.push(std::mem::take(&mut filled));
            } else if !filled.is_empty() {
                filled.push(' ');
            }
            filled += word;
        }
        lines.push(filled);
    }
    lines.join("\n")
}

fn shorten(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().take(MAX_LINES).map(cut).collect();
    let left_out = text.lines().count() - lines.len();
    if left_out > 0 {
        lines.push(format!("… {left_out} more lines"));
    }
    lines.join("\n")
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(MAX_LINE) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_answers_are_shortened() {
        assert_eq!(shorten("a\nb"), "a\nb");
        assert_eq!(cut(&"é".repeat(MAX_LINE)), "é".repeat(MAX_LINE));
        assert_eq!(cut(&"é".repeat(MAX_LINE + 1)), "é".repeat(MAX_LINE) + "…");
        let long = "x\n".repeat(MAX_LINES + 3);
        assert_eq!(shorten(&long).lines().last(), Some("… 3 more lines"));
    }

    #[test]
    fn words_are_wrapped_between_words() {
        let long = "x".repeat(MAX_LINE - 2);
        assert_eq!(wrap(&format!("{long} y zz\n- b")), format!("{long} y\nzz\n- b"));
    }

    #[test]
    fn without_colour_no_escape_is_written() {
        assert_eq!(Paper { colour: false }.ink(Ink::Red, "no"), "no");
    }
}
