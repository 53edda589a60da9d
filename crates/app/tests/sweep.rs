//! The crash sweeps: a process is aborted before and after each of its durable writes and external calls, one after the
//! other. After each, another process works on what is left, and what came of it is compared with a model.
//!
//! One sweep is of a durable run of four steps, the other of queues and schedules: enqueue, claim, handle, acknowledge, try
//! again, bury, replay, receive, extend, tick, give back. Their points have names, and a point that is not reached fails it.
//!
//! The effects are lines in a file, which outlives the process as any system outside would. The test is its own child: it
//! starts itself with the name of the point at which to end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "it is its own test harness")]

#[path = "sweep/points.rs"]
mod points;
#[path = "sweep/queues/mod.rs"]
mod queues;
#[path = "sweep/runs/mod.rs"]
mod runs;
#[path = "sweep/stage.rs"]
mod stage;
#[path = "sweep/watched.rs"]
mod watched;

use std::{
    collections::BTreeSet,
    env,
    fmt::Debug,
    fs,
    path::Path,
    process::{Command, ExitCode, Output},
};

/// What a child is told before the name of a point.
const AT: &str = "at=";

/// One sweep.
#[derive(Clone, Copy)]
struct Sweep {
    name: &'static str,
    /// What its children are told.
    word: &'static str,
    prepare: fn(&Path),
    child: fn(&Path, &[&str], Option<&str>) -> ExitCode,
    /// The points that there have to be; nothing where the undisturbed process says them.
    points: fn() -> Option<Vec<String>>,
    /// What is expected, and what was found, where they differ.
    differs: fn(&Path, &[String], &[u8]) -> Option<String>,
}

static SWEEPS: [Sweep; 2] = [
    Sweep {
        name: "every_durable_write_and_external_call",
        word: "run",
        prepare: runs::prepare,
        child: runs::run,
        points: || None,
        differs: runs::differs,
    },
    Sweep {
        name: "every_durable_write_and_external_call_of_queues_and_schedules",
        word: "queues",
        prepare: queues::prepare,
        child: queues::run,
        points: || Some(queues::points()),
        differs: queues::differs,
    },
];

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["child", word, folder, rest @ ..] => {
            let sweep = SWEEPS.iter().find(|sweep| sweep.word == *word).unwrap();
            let at = rest.iter().find_map(|word| word.strip_prefix(AT));
            (sweep.child)(Path::new(folder), rest, at)
        }
        // As cargo-nextest asks for.
        words if words.contains(&"--list") => {
            if !words.contains(&"--ignored") {
                SWEEPS.iter().for_each(|sweep| println!("{}: test", sweep.name));
            }
            ExitCode::SUCCESS
        }
        words => {
            let wanted = |sweep: &&Sweep| {
                // A number is how many threads there may be.
                let is_name = |word: &&&str| !word.starts_with('-') && word.parse::<usize>().is_err();
                let mut names = words.iter().filter(is_name).peekable();
                names.peek().is_none()
                    || names.any(|name| match words.contains(&"--exact") {
                        true => sweep.name == *name,
                        false => sweep.name.contains(name),
                    })
            };
            let all: Vec<bool> = SWEEPS.iter().filter(wanted).map(Sweep::run).collect();
            if all.iter().all(|good| *good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}

/// The same, or both.
fn difference<T: Debug + PartialEq>(expected: &T, found: &T) -> Option<String> {
    (expected != found).then(|| format!("  expected {expected:?}\n  found    {found:?}"))
}

impl Sweep {
    /// Runs the child on a folder: `begin` begins what there is to do, `end` works until all is done; it aborts at a point, if
    /// one is given.
    fn child(&self, folder: &Path, words: &[&str], at: Option<&str>) -> Output {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["child", self.word]).arg(folder).args(words);
        command.args(at.map(|at| format!("{AT}{at}"))).output().unwrap()
    }

    fn folder(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        (self.prepare)(folder.path());
        folder
    }

    /// Whether all points have the outcome of the model.
    fn run(&self) -> bool {
        let undisturbed = self.folder();
        let output = self.child(undisturbed.path(), &["begin", "end"], None);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let points = points::passed(&output.stdout);
        assert!(points.len() > 20, "{points:?}");
        if let Some(named) = (self.points)() {
            let (named, found): (BTreeSet<_>, BTreeSet<_>) =
                (named.iter().collect(), points.iter().collect());
            let missing: Vec<_> = named.difference(&found).collect();
            assert!(missing.is_empty(), "{}: points that are never reached: {missing:?}", self.name);
            let unknown: Vec<_> = found.difference(&named).collect();
            assert!(unknown.is_empty(), "{}: points that the test does not know: {unknown:?}", self.name);
        }
        let differing = points.iter().filter(|at| !self.is_as_the_model(at, &points)).count();
        println!(
            "{}: {} aborted, {differing} with another outcome than the model's",
            self.name,
            points.len()
        );
        differing == 0
    }

    /// Aborts a process at a point, lets another one work on, and looks what came of it.
    fn is_as_the_model(&self, at: &str, points: &[String]) -> bool {
        let folder = self.folder();
        let first = self.child(folder.path(), &["begin", "end"], Some(at));
        assert!(!first.status.success(), "the process is aborted at {at}");
        let passed = points::passed(&first.stdout);
        let upto = points.iter().position(|point| point == at).unwrap();
        assert_eq!(passed, points[..=upto], "the same points in every process");
        let second = self.child(folder.path(), &["end"], None);
        assert!(second.status.success(), "{at}: {}", String::from_utf8_lossy(&second.stderr));
        let differs = (self.differs)(folder.path(), &passed, &second.stdout);
        if let Some(differs) = &differs {
            println!("{}: aborted {at}:\n{differs}", self.name);
        }
        differs.is_none()
    }
}

/// The lines that are the effects: the word, and what follows it.
fn effects(folder: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(folder.join("effects/log.txt")).unwrap_or_default();
    let lines = text.lines().map(|line| line.split_once(' ').unwrap());
    lines.map(|(word, rest)| (word.to_owned(), rest.to_owned())).collect()
}

/// What a child says of how it ended.
fn outcomes(stdout: &[u8]) -> Vec<String> {
    let said = String::from_utf8_lossy(stdout);
    said.lines().filter_map(|line| line.strip_prefix("outcome ")).map(str::to_owned).collect()
}
