//! Makes mocks and expectations of what a live run gave, in the words of each system.
//!
//! What is written has to say the same again: the mocks are played offline, and the shortest words are
//! taken with which the same comes of the call.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use renkei_core::{
    Applied, ConnectorKind, Diagnostics, Error, Map, Node, Reply, Retry, Secret, Value,
    connector::{Answer, Came, SystemPlan},
    duration,
    tool::ToolResult,
    trial::{Expect, ExpectedError, Mock, Origin, TestPlan},
};

use crate::{
    clean::Clean,
    compare::{Extent, differences, shown},
    live::{Take, Taken},
    run::{self, Rehearse},
    stage::{Script, Stage},
};

/// What is written into a test.
#[derive(Clone, Debug)]
pub struct Settled {
    pub test: TestPlan,
    /// By system, each with its mocks as they are written.
    pub mocks: IndexMap<Arc<str>, Vec<Value>>,
    /// Systems in whose mocks a secret is shown as `***`.
    pub masked: Vec<Arc<str>>,
    /// Whether these are all mocks of the test.
    pub whole: bool,
    /// What the test expects from now on; none where somebody wrote it already.
    pub expect: Option<Value>,
}

/// From what words are chosen.
#[derive(Debug)]
struct Draft {
    /// As the request is compared, and as it is written.
    request: Value,
    /// Each with what it is read as. The shortest comes first.
    forms: Vec<(Map, Arc<dyn Answer>)>,
    times: usize,
}

/// How often a mock's request is made less exact before it is given up.
const MAX_RELAXED: usize = 16;

/// What the words are made with.
pub struct Hand<'a> {
    pub kinds: &'a [&'a dyn ConnectorKind],
    pub systems: &'a IndexMap<Arc<str>, SystemPlan>,
    /// What must not be written.
    pub secrets: &'a [Secret],
}

/// Finds the words. To be called where time stands still.
///
/// # Errors
/// A sentence without its full stop: why nothing can be recorded.
pub async fn settle(take: &Take, hand: &Hand<'_>, house: &dyn Rehearse) -> Result<Settled, String> {
    let clean = Clean { run: &take.run, to: &take.test.start.id, secrets: hand.secrets };
    let came = clean.value(&run::outcome_value(&take.result));
    let mut drafts = IndexMap::new();
    for (name, calls) in &take.calls {
        let Some(kind) = hand.kind_of(name) else {
            return Err(format!("`{name}` is of no kind that is known"));
        };
        let mut own: Vec<Draft> = Vec::new();
        for taken in calls {
            let draft = draft(taken, kind, &clean)?;
            match own.last_mut() {
                Some(last) if last.request == draft.request && same_forms(last, &draft) => last.times += 1,
                _ => own.push(draft),
            }
        }
        drafts.insert(name.clone(), own);
    }
    let longest = drafts.values().flatten().map(|draft| draft.forms.len()).max().unwrap_or(1);
    let mut why = String::new();
    for level in 0..longest {
        match play(take, &mut drafts, level, hand, house).await? {
            Ok(played) => {
                let replayed = run::outcome_value(&played.result);
                let found = differences(&came, &replayed, Extent::Whole);
                if found.is_empty() {
                    return finish(take, &drafts, level, &played, hand, &clean);
                }
                why = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            }
            Err(problem) => why = problem,
        }
    }
    Err(format!("played offline, the answers give something else than live:\n{why}"))
}

impl std::fmt::Debug for Hand<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hand").field("systems", self.systems).finish_non_exhaustive()
    }
}

impl Hand<'_> {
    fn kind_of(&self, system: &str) -> Option<&dyn ConnectorKind> {
        let name = self.systems.get(system)?.kind;
        self.kinds.iter().copied().find(|kind| kind.name() == name)
    }
}

/// All the words for one answer that are read as what came.
fn draft(taken: &Taken, kind: &dyn ConnectorKind, clean: &Clean<'_>) -> Result<Draft, String> {
    let Some(result) = &taken.result else { return Err("a request was not answered in time".into()) };
    let request = clean.value(&taken.shown);
    let cleaned = result.as_ref().map(|reply| clean.reply(reply)).map_err(|error| clean.error(error));
    let came = Came { request: &taken.request, result, answered: taken.answered.as_ref() };
    let mut forms = Vec::new();
    for words in kind.write_answer(&came) {
        let Value::Object(words) = clean.value(&words) else { continue };
        let mut d = Diagnostics::default();
        let node = Node::from(&Value::Object(words.clone()));
        if let Some(answer) = kind.read_answer(&node, &mut d).filter(|_| !d.has_errors())
            && is_same(&cleaned, &answer.answer(&taken.request), clean)
        {
            forms.push((Map::clone(&words), answer));
        }
    }
    forms.extend(generic(&cleaned));
    Ok(Draft { request, forms, times: 1 })
}

/// Whether it is read as the same. What it says of the way there may differ: a host, a header.
fn is_same(came: &Result<Reply, Error>, read: &Result<Reply, Error>, clean: &Clean<'_>) -> bool {
    match (came, read) {
        (Ok(came), Ok(read)) => clean.reply(read).value.into_value() == came.value.clone().into_value(),
        (Err(came), Err(read)) => {
            (came.kind(), came.was_applied(), came.status_code())
                == (read.kind(), read.was_applied(), read.status_code())
                && came.retry_advice() == read.retry_advice()
                && clean.text(read.public()) == came.public()
        }
        _ => false,
    }
}

/// The words that fit every system.
fn generic(came: &Result<Reply, Error>) -> Vec<(Map, Arc<dyn Answer>)> {
    let reply = match came {
        Ok(reply) => reply,
        Err(error) => {
            let words: Map = [("error".into(), failure(error))].into_iter().collect();
            return vec![(words, Arc::new(Err::<Reply, Error>(error.clone())))];
        }
    };
    let mut words: Map = [("reply".into(), reply.value.clone().into_value())].into_iter().collect();
    let short = Reply { meta: Value::object(), ..reply.clone() };
    let mut forms: Vec<(Map, Arc<dyn Answer>)> = vec![(words.clone(), Arc::new(Ok(short)))];
    if reply.meta != Value::object() {
        words.insert("meta".into(), reply.meta.clone());
        forms.push((words, Arc::new(Ok(reply.clone()))));
    }
    forms
}

fn failure(error: &Error) -> Value {
    let mut map = Map::new();
    map.insert("kind".into(), error.kind().as_str().into());
    map.insert("message".into(), error.public().into());
    if error.retry_advice() != Error::new(error.kind(), "").retry_advice() {
        let retry = match error.retry_advice() {
            Retry::After(time) => duration::format(time),
            Retry::Safe => "safe".into(),
            Retry::Never | Retry::Exhausted => "never".into(),
        };
        map.insert("retry".into(), retry.into());
    }
    if error.was_applied() != Applied::No {
        map.insert("applied".into(), error.was_applied().as_str().into());
    }
    map.extend(error.status_code().map(|status| ("status".into(), i64::from(status).into())));
    map.into()
}

fn same_forms(one: &Draft, other: &Draft) -> bool {
    let words = |draft: &Draft| draft.forms.iter().map(|(words, _)| words.clone()).collect::<Vec<_>>();
    words(one) == words(other)
}

/// What came of a test that was played offline.
struct Played {
    result: ToolResult,
    stage: Stage,
    test: TestPlan,
}

/// Plays the drafts at one length. A request that does not come as it came is made less exact.
async fn play(
    take: &Take,
    drafts: &mut IndexMap<Arc<str>, Vec<Draft>>,
    level: usize,
    hand: &Hand<'_>,
    house: &dyn Rehearse,
) -> Result<Result<Played, String>, String> {
    for _ in 0..MAX_RELAXED {
        let mut test = take.test.clone();
        if take.whole {
            test.mocks.clear();
        }
        for (name, own) in drafts.iter() {
            test.mocks.insert(name.clone(), own.iter().map(|draft| draft.mock(level, &test)).collect());
        }
        let (stage, result, _) = run::rehearse(&test, hand.systems, house).await?;
        let mut problem = None;
        let mut relaxed = false;
        for (name, script) in stage.scripts() {
            for unmatched in script.unmatched() {
                let nearest = unmatched.nearest.filter(|nearest| !nearest.differences.is_empty());
                let draft = drafts.get_mut(name).zip(nearest).and_then(|(own, nearest)| {
                    let paths: Vec<String> =
                        nearest.differences.iter().map(|found| found.path.clone()).collect();
                    own.get_mut(nearest.number - 1).map(|draft| (draft, paths))
                });
                if draft.is_some_and(|(draft, paths)| without(&mut draft.request, &paths)) {
                    relaxed = true;
                } else {
                    let request = shown(&unmatched.request);
                    problem = Some(format!("`{name}` is asked something else: {request}"));
                }
            }
        }
        match problem {
            Some(problem) => return Ok(Err(problem)),
            None if relaxed => {}
            None => return Ok(Ok(Played { result, stage, test })),
        }
    }
    Ok(Err("the requests are other ones each time".into()))
}

impl Draft {
    fn form(&self, level: usize) -> &(Map, Arc<dyn Answer>) {
        // There is always a generic one.
        &self.forms[level.min(self.forms.len() - 1)]
    }

    fn mock(&self, level: usize, test: &TestPlan) -> Mock {
        Mock {
            span: test.span,
            request: Some(self.request.clone()),
            answer: self.form(level).1.clone(),
            times: self.times,
            optional: false,
            delay: std::time::Duration::ZERO,
            sent: true,
        }
    }

    fn written(&self, level: usize, kind: &dyn ConnectorKind) -> Value {
        let mut map = Map::new();
        if self.request.as_object().is_none_or(|request| !request.is_empty()) {
            map.insert("request".into(), kind.write_request(&self.request));
        }
        map.extend(self.form(level).0.iter().map(|(key, value)| (key.clone(), value.clone())));
        if self.times > 1 {
            map.insert("times".into(), self.times.into());
        }
        map.into()
    }
}

/// Leaves out the members that differ, each as a whole where it stands in a list.
fn without(request: &mut Value, paths: &[String]) -> bool {
    let mut left_out = false;
    for path in paths {
        let end = path.find('[').unwrap_or(path.len());
        let keys: Vec<&str> = path[..end].split('.').filter(|key| !key.is_empty()).collect();
        left_out |= remove(request, &keys);
    }
    left_out
}

fn remove(value: &mut Value, keys: &[&str]) -> bool {
    let (Value::Object(map), [first, rest @ ..]) = (value, keys) else { return false };
    let map = Arc::make_mut(map);
    match (map.get_mut(*first), rest) {
        (None, _) => false,
        (Some(_), []) => map.shift_remove(*first).is_some(),
        (Some(inner), rest) => remove(inner, rest),
    }
}

fn finish(
    take: &Take,
    drafts: &IndexMap<Arc<str>, Vec<Draft>>,
    level: usize,
    played: &Played,
    hand: &Hand<'_>,
    clean: &Clean<'_>,
) -> Result<Settled, String> {
    let mut test = played.test.clone();
    if test.recording.expect != Origin::Written {
        // Whatever came is what it is to expect.
        let error = played.result.error.as_ref().map(|_| ExpectedError::default());
        test.expect = Expect { error, ..Expect::default() };
    }
    let problems = run::judge(&test, &played.stage, &played.result);
    if !problems.is_empty() {
        let why: Vec<String> = problems.iter().map(ToString::to_string).collect();
        return Err(format!("the systems do not give what the test expects\n{}", why.join("\n")));
    }
    let mut mocks: IndexMap<Arc<str>, Vec<Value>> = IndexMap::new();
    for (name, own) in drafts {
        let Some(kind) = hand.kind_of(name) else { continue };
        // In the order in which they are asked offline, which is the same every time.
        let order: IndexSet<usize> =
            played.stage.script(name).map(Script::order).unwrap_or_default().into_iter().collect();
        let written = order.iter().filter_map(|at| own.get(*at)).map(|draft| draft.written(level, kind));
        mocks.insert(name.clone(), written.collect());
    }
    // An address in what is known about a reply is no matter where only the reply is written.
    let shows = |name: &Arc<str>| {
        let written = Value::from(mocks.get(name).cloned().unwrap_or_default()).to_json();
        written.contains("***") || written.contains("\"base64\"")
    };
    let masked = take.calls.iter().filter(|(name, calls)| clean.has_masked(calls) && shows(name));
    let masked = masked.map(|(name, _)| name.clone()).collect();
    Ok(Settled {
        mocks,
        masked,
        whole: take.whole,
        expect: (take.test.recording.expect != Origin::Written)
            .then(|| expected(&take.result, &played.result, clean)),
        test: take.test.clone(),
    })
}

/// What a test expects when this came of it.
fn expected(live: &ToolResult, played: &ToolResult, clean: &Clean<'_>) -> Value {
    let Some(error) = &played.error else { return run::outcome_value(played) };
    let mut map = Map::new();
    map.insert("kind".into(), error.kind().as_str().into());
    // Live it may name a host that is another one offline.
    let said = live.error.as_ref().map(|error| clean.text(error.public()));
    map.extend(
        said.filter(|said| error.to_string().contains(said)).map(|said| ("message".into(), said.into())),
    );
    if error.was_applied() != Applied::No {
        map.insert("applied".into(), error.was_applied().as_str().into());
    }
    let only = map.get("kind").filter(|_| map.len() == 1).cloned();
    Value::from([("error", only.unwrap_or_else(|| map.into()))])
}
