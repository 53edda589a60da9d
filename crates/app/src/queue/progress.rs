//! How far long work is, on a terminal.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    time::{Duration, Instant},
};

/// Columns of the bar.
const WIDTH: u64 = 30;
const EVERY: Duration = Duration::from_millis(100);

/// One line on stderr, drawn anew. Nothing where stderr is no terminal, and nothing for work that ends at once.
pub(super) struct Progress {
    what: &'static str,
    total: u64,
    drawn: Option<Instant>,
    began: Instant,
    is_on: bool,
}

impl Progress {
    pub(super) fn new(what: &'static str, total: u64) -> Self {
        Progress { what, total, drawn: None, began: Instant::now(), is_on: stderr().is_terminal() }
    }

    pub(super) fn at(&mut self, done: u64) {
        let now = Instant::now();
        let last = self.drawn.unwrap_or(self.began);
        if !self.is_on || now.duration_since(last) < EVERY {
            return;
        }
        self.drawn = Some(now);
        let line = bar(self.what, done, self.total);
        let _ = write!(stderr(), "\r{line}\u{1b}[K");
        let _ = stderr().flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(stderr(), "\r\u{1b}[K");
        }
    }
}

fn bar(what: &str, done: u64, total: u64) -> String {
    // What grew meanwhile is not finished before it is.
    let total = total.max(done);
    let full = (done * WIDTH).checked_div(total).unwrap_or(WIDTH);
    let cells: String = (0..WIDTH).map(|cell| if cell < full { '█' } else { '░' }).collect();
    format!("{what} {cells} {done} of {total}")
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn a_bar_is_as_full_as_the_work_is_done() {
        assert!(bar("replaying", 0, 10).contains("░░ 0 of 10"));
        assert_eq!(bar("replaying", 5, 10).matches('█').count(), 15);
        assert!(bar("replaying", 12, 10).ends_with("12 of 12"));
        assert!(bar("replaying", 0, 0).ends_with("0 of 0"));
    }
}
