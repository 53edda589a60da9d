//! The points at which a process can end, by name.

use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::{Arc, Mutex},
};

/// What precedes the name of a point on stdout.
const PASSED: &str = "point ";

/// The points that a child has passed, by name.
pub(crate) fn passed(stdout: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(stdout);
    text.lines().filter_map(|line| line.strip_prefix(PASSED)).map(str::to_owned).collect()
}

/// Notes the points of a process, and ends it at one of them.
#[derive(Debug)]
pub(crate) struct Points {
    seen: Mutex<BTreeMap<String, usize>>,
    end: Option<String>,
}

impl Points {
    pub(crate) fn new(end: Option<&str>) -> Arc<Self> {
        Arc::new(Points { seen: Mutex::default(), end: end.map(str::to_owned) })
    }

    /// The second time that a point is passed it is `NAME#2`.
    pub(crate) fn pass(&self, name: &str) {
        let mut seen = self.seen.lock().unwrap();
        let times = seen.get(name).copied().unwrap_or_default() + 1;
        let known = if times == 1 { name.to_owned() } else { format!("{name}#{times}") };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{PASSED}{known}").unwrap();
        stdout.flush().unwrap();
        if self.end.as_ref() == Some(&known) {
            std::process::abort();
        }
        seen.insert(name.to_owned(), times);
    }

    /// Whether a point was passed, so often.
    pub(crate) fn has_passed(&self, name: &str, times: usize) -> bool {
        self.seen.lock().unwrap().get(name).is_some_and(|seen| *seen >= times)
    }
}
