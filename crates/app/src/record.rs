//! `renkei test --record`: mocks and expectations from a run on the live systems.

use std::{collections::BTreeMap, fmt::Write as _, fs, io, path::Path, process::ExitCode, sync::Arc};

use renkei_config::{Change, Loaded, Plan, Recorded, Replaced, Report};
use renkei_core::{
    Span, Value,
    trial::{Origin, TestPlan},
};
use renkei_trial::{Hand, Limits, Settled, Verdict};

use crate::{
    cli::TestArgs,
    exit, load,
    test::{House, chosen, refused, say},
};

/// What became of one test.
struct Outcome {
    test: TestPlan,
    became: Became,
}

enum Became {
    /// It has all it needs, or came to the same as before.
    Left(&'static str),
    Recorded(Box<Settled>),
    Refused(String),
}

/// What is written into one file.
struct Edit {
    file: String,
    before: String,
    text: String,
    changes: Vec<Change>,
}

pub(crate) async fn run(args: TestArgs) -> ExitCode {
    let Loaded { mut plan, report } = match load::load_to_record(&args.config.paths) {
        Ok(loaded) => loaded,
        Err(report) => return refused(&args, &report),
    };
    if !report.is_empty() && !args.json {
        load::print(&report);
    }
    let tests = match chosen(std::mem::take(&mut plan.tests), args.filter.as_deref()) {
        Ok(tests) => tests,
        Err(why) => return exit::usage(&why),
    };
    let plan = Arc::new(plan);
    let mut outcomes = match outcomes(tests, &plan, &args).await {
        Ok(outcomes) => outcomes,
        Err(why) => return exit::fail(&why),
    };
    let edits = edits(&mut outcomes, &report);
    if let Err(why) = proven(&edits, &outcomes, &args).await {
        return exit::fail(&why);
    }
    if !args.dry_run {
        for edit in &edits {
            if let Err(error) = replace(edit) {
                return exit::fail(&format!("failed to write `{}`: {error}", edit.file));
            }
        }
    }
    if args.json {
        say(&to_value(&outcomes, &edits, &report, args.dry_run).to_json_pretty());
    } else {
        say(&text(&outcomes, &edits, &report, args.dry_run));
    }
    let failed = outcomes.iter().any(|outcome| matches!(outcome.became, Became::Refused(_)));
    ExitCode::from(if failed { exit::FAILED } else { 0 })
}

/// Runs on the live systems what is to be recorded, and finds the words for it.
async fn outcomes(tests: Vec<TestPlan>, plan: &Arc<Plan>, args: &TestArgs) -> Result<Vec<Outcome>, String> {
    let played = offline(&tests, plan).await?;
    let limits = Limits { allow_writes: args.allow_writes, max_bytes: args.max_bytes };
    let house = House::new(plan);
    let (mut takes, mut outcomes) = (Vec::new(), Vec::new());
    for (test, verdict) in tests.into_iter().zip(played) {
        let became = match left(&test, verdict.passed(), args.again) {
            Some(why) => Became::Left(why),
            None => match renkei_trial::take(&test, args.again, &plan.systems, &house, &limits).await {
                Ok(take) => {
                    takes.push((outcomes.len(), take));
                    Became::Left("")
                }
                Err(why) => Became::Refused(why),
            },
        };
        outcomes.push(Outcome { test, became });
    }
    let (places, takes): (Vec<usize>, Vec<renkei_trial::Take>) = takes.into_iter().unzip();
    let plan = plan.clone();
    let settled = apart(move || {
        let kinds = load::kinds().connectors;
        let hand = Hand { kinds, systems: &plan.systems, secrets: &plan.secrets };
        renkei_trial::settle_all(&takes, &hand, &House::new(&plan))
    });
    for (at, settled) in places.into_iter().zip(settled.await?) {
        outcomes[at].became = match settled {
            Ok(settled) => Became::Recorded(Box::new(settled)),
            Err(why) => Became::Refused(why),
        };
    }
    Ok(outcomes)
}

/// Why a test is left as it is.
fn left(test: &TestPlan, passes: bool, again: bool) -> Option<&'static str> {
    let recording = &test.recording;
    if !recording.wanted.is_empty() || recording.expect == Origin::Absent {
        return None;
    }
    if again && (!recording.recorded.is_empty() || recording.expect == Origin::Recorded) {
        return None;
    }
    match (recording.unmocked, passes) {
        (true, true) => Some("it needs no system"),
        (true, false) => None,
        (false, _) if recording.recorded.is_empty() => Some("it has mocks"),
        (false, _) => Some("it is recorded; `--again` records it once more"),
    }
}

async fn offline(tests: &[TestPlan], plan: &Arc<Plan>) -> Result<Vec<Verdict>, String> {
    let (tests, plan) = (tests.to_vec(), plan.clone());
    apart(move || renkei_trial::run_all(&tests, &plan.systems, &House::new(&plan))).await
}

/// Where the clock of tests stands still.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, String> {
    #[expect(clippy::disallowed_methods, reason = "it is awaited right here, and every test ends")]
    let done = tokio::task::spawn_blocking(work).await;
    match done {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(format!("failed to start the runtime of the tests: {error}")),
        Err(error) => Err(format!("failed to run the tests: {error}")),
    }
}

/// The files with what was recorded in them. A test that nothing can be written into is refused.
fn edits(outcomes: &mut [Outcome], report: &Report) -> Vec<Edit> {
    let mut by_file: BTreeMap<u16, Vec<Recorded>> = BTreeMap::new();
    for outcome in outcomes.iter() {
        let Became::Recorded(settled) = &outcome.became else { continue };
        by_file.entry(outcome.test.span.file).or_default().push(Recorded {
            test: outcome.test.span,
            mocks: settled.mocks.iter().map(|(name, mocks)| (name.clone(), mocks.clone())).collect(),
            masked: settled.masked.clone(),
            whole: settled.whole,
            expect: settled.expect.clone(),
        });
    }
    let mut edits = Vec::new();
    for (file, recorded) in by_file {
        let Some(source) = report.sources().files.get(usize::from(file)) else { continue };
        let edited = renkei_config::write_recorded(file, &source.text, &recorded);
        for (span, why) in edited.refused {
            if let Some(outcome) = outcomes.iter_mut().find(|outcome| outcome.test.span == span) {
                outcome.became = Became::Refused(why);
            }
        }
        let (file, before) = (source.name.clone(), source.text.clone());
        if !edited.changes.is_empty() {
            edits.push(Edit { file, before, text: edited.text, changes: edited.changes });
        }
    }
    edits
}

/// What is to be written has to pass, as it will be read.
async fn proven(edits: &[Edit], outcomes: &[Outcome], args: &TestArgs) -> Result<(), String> {
    let texts: Replaced = edits.iter().map(|edit| (edit.file.clone(), edit.text.clone())).collect();
    let loaded = load::load_recorded(&args.config.paths, &texts).map_err(|report| {
        format!("what was recorded is not read back, and nothing was written:\n{report}")
    })?;
    let recorded = |test: &&TestPlan| {
        let became =
            outcomes.iter().find(|outcome| outcome.test.name == test.name).map(|outcome| &outcome.became);
        matches!(became, Some(Became::Recorded(_)))
    };
    let tests: Vec<TestPlan> = loaded.plan.tests.iter().filter(recorded).cloned().collect();
    let plan = Arc::new(loaded.plan);
    let verdicts = offline(&tests, &plan).await?;
    match verdicts.iter().find(|verdict| !verdict.passed()) {
        None => Ok(()),
        Some(verdict) => {
            let why: Vec<String> = verdict.problems.iter().map(ToString::to_string).collect();
            let name = &verdict.test.name;
            Err(format!(
                "what was recorded of `{name}` does not pass, and nothing was written:\n{}",
                why.join("\n")
            ))
        }
    }
}

/// The whole file or nothing, and not over what somebody changed meanwhile.
fn replace(edit: &Edit) -> io::Result<()> {
    let path = fs::canonicalize(Path::new(&edit.file))?;
    if fs::read(&path)? != edit.before.as_bytes() {
        return Err(io::Error::other("it was changed while its tests were recorded; record again"));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    fs::write(&beside, &edit.text)?;
    let moved = fs::metadata(&path)
        .and_then(|metadata| fs::set_permissions(&beside, metadata.permissions()))
        .and_then(|()| fs::rename(&beside, &path));
    if moved.is_err() {
        // What is left of it is of no use; the first error counts.
        let _ = fs::remove_file(&beside);
    }
    moved
}

/// How many of each: recorded, refused, left.
fn counts(outcomes: &[Outcome]) -> (usize, usize, usize) {
    let count =
        |wanted: fn(&Became) -> bool| outcomes.iter().filter(|outcome| wanted(&outcome.became)).count();
    (
        count(|became| matches!(became, Became::Recorded(_))),
        count(|became| matches!(became, Became::Refused(_))),
        count(|became| matches!(became, Became::Left(_))),
    )
}

fn place(report: &Report, span: Span) -> String {
    let (file, line) = report.place(span);
    format!("{file}:{line}")
}

fn text(outcomes: &[Outcome], edits: &[Edit], report: &Report, dry_run: bool) -> String {
    let mut out = String::new();
    for outcome in outcomes {
        let (name, place) = (&outcome.test.name, place(report, outcome.test.span));
        match &outcome.became {
            Became::Left(_) => {}
            Became::Refused(why) => {
                let _ = writeln!(out, "REFUSED   {name}  ({place})\n    {}", why.replace('\n', "\n    "));
            }
            Became::Recorded(settled) => {
                let _ = writeln!(out, "RECORDED  {name}  ({place})");
                for (system, mocks) in &settled.mocks {
                    let answers = if mocks.len() == 1 { "answer" } else { "answers" };
                    let _ = writeln!(out, "    `{system}`: {} {answers}", mocks.len());
                }
                for system in &settled.masked {
                    let _ = writeln!(
                        out,
                        "    a secret of the config is shown as `***` in the mocks of `{system}`"
                    );
                }
            }
        }
    }
    for edit in edits {
        for change in &edit.changes {
            let _ = writeln!(out, "\n{}:{}", edit.file, change.line);
            for line in &change.removed {
                let _ = writeln!(out, "- {line}");
            }
            for line in &change.added {
                let _ = writeln!(out, "+ {line}");
            }
        }
    }
    let (recorded, refused, left) = counts(outcomes);
    if !out.is_empty() {
        out.push('\n');
    }
    let _ = write!(out, "{recorded} recorded, {refused} refused, {left} left as they are");
    let _ = match (edits.is_empty(), dry_run) {
        (true, _) => write!(out, "; nothing has changed"),
        (false, true) => write!(out, "; nothing was written (`--dry-run`)"),
        (false, false) => write!(out, "; look through what was written before you share it"),
    };
    out
}

/// For programs: `{ "ok", "recorded", "refused", "left", "written", "tests": [{ "name", "file", "line", "became", "why",
/// "masked" }] }`.
fn to_value(outcomes: &[Outcome], edits: &[Edit], report: &Report, dry_run: bool) -> Value {
    let tests = outcomes.iter().map(|outcome| {
        let (file, line) = report.place(outcome.test.span);
        let (became, why, masked) = match &outcome.became {
            Became::Left(why) => ("left", Some((*why).to_owned()), &[][..]),
            Became::Recorded(settled) => ("recorded", None, &settled.masked[..]),
            Became::Refused(why) => ("refused", Some(why.clone()), &[][..]),
        };
        let masked: Vec<Value> = masked.iter().map(|name| name.clone().into()).collect();
        Value::from([
            ("name", Value::from(outcome.test.name.clone())),
            ("file", file.into()),
            ("line", line.into()),
            ("became", became.into()),
            ("why", why.into()),
            ("masked", masked.into()),
        ])
    });
    let (recorded, refused, left) = counts(outcomes);
    Value::from([
        ("ok", Value::from(refused == 0)),
        ("recorded", recorded.into()),
        ("refused", refused.into()),
        ("left", left.into()),
        ("written", Value::from(!dry_run && !edits.is_empty())),
        ("tests", tests.collect::<Vec<_>>().into()),
    ])
}
