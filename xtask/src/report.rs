//! What passed and what did not, over all suites of one test run.

/// Counts of one suite or of all together.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    /// Names of what failed, `suite: test`.
    pub(crate) failures: Vec<String>,
}

impl Tally {
    pub(crate) fn pass(&mut self, name: &str) {
        println!("ok - {name}");
        self.passed += 1;
    }

    pub(crate) fn fail(&mut self, name: &str, why: &str) {
        println!("not ok - {name}");
        for line in why.lines() {
            println!("  # {line}");
        }
        self.failures.push(name.to_owned());
    }

    pub(crate) fn record(&mut self, name: &str, outcome: anyhow::Result<()>) {
        match outcome {
            Ok(()) => self.pass(name),
            Err(error) => self.fail(name, &format!("{error:#}")),
        }
    }

    pub(crate) fn add(&mut self, suite: &str, other: Tally) {
        println!("{suite}: {} passed, {} failed\n", other.passed, other.failures.len());
        self.passed += other.passed;
        self.failures.extend(other.failures.into_iter().map(|name| format!("{suite}: {name}")));
    }

    /// The last line is the one that tools read; it stands alone.
    pub(crate) fn print_summary(&self) {
        for name in &self.failures {
            println!("FAILED {name}");
        }
        println!("{} passed, {} failed", self.passed, self.failures.len());
    }
}
