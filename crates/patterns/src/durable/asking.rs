//! What a run asks, and what was answered.
//!
//! A run that needs an answer is suspended: its questions and the end of the attempt are one commit, and nobody works on it
//! until all are answered, or the time for that is over. The attempt after that runs the action again, as after a crash:
//! its steps are known, and so are the answers. Questions and answers are events of the run's stream.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use indexmap::IndexMap;
use renkei_core::{
    Error, Kind, Result, Retry, Value,
    ask::{Abilities, Answer, Asker, Question},
    clock::Timestamp,
    duration,
    store::Event,
};

use super::{
    question,
    record::{self, ASKED},
};
use crate::engine::{AskLimits, digest_of};

/// Questions that wait at once; what is more is asked after them.
const MAX_QUESTIONS: usize = 32;

/// What the stream of a run says of its questions.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// By path: the answer, and to which words.
    answered: BTreeMap<String, (String, Answer)>,
    /// By path: those that are not answered, in time or at all.
    waiting: BTreeMap<String, Waiting>,
    /// By path, how often it was asked.
    counts: BTreeMap<String, usize>,
    /// How often the run was suspended.
    pub(super) rounds: usize,
    /// When it was, if nobody has taken it up since.
    since: Option<Timestamp>,
    /// How long it was, all in all.
    paused: Duration,
}

#[derive(Clone, Debug, PartialEq)]
struct Waiting {
    key: String,
    digest: String,
    expires: Timestamp,
}

impl Asked {
    /// `run_asked` or `run_answered`.
    pub(super) fn add(&mut self, event: &Event, value: &Value) -> Result<()> {
        if event.kind == ASKED {
            let expires = Timestamp(record::number(value, "expires")?);
            self.rounds += 1;
            self.since = Some(event.at);
            // What nobody answered in time stays so.
            self.waiting.retain(|_, waits| waits.expires <= event.at);
            for question in record::member(value, "questions")?.as_array().unwrap_or_default() {
                let path = record::text(question, "path")?.to_owned();
                let (key, digest) = (record::text(question, "key")?, record::text(question, "digest")?);
                *self.counts.entry(path.clone()).or_default() += 1;
                self.answered.remove(&path);
                self.waiting.insert(path, Waiting { key: key.into(), digest: digest.into(), expires });
            }
            return Ok(());
        }
        for given in record::member(value, "answers")?.as_array().unwrap_or_default() {
            let answer = Answer::from_value(record::member(given, "answer")?)
                .ok_or_else(|| record::corrupt("an answer is none"))?;
            let digest = record::text(given, "digest")?.to_owned();
            let path = record::text(given, "path")?.to_owned();
            self.waiting.remove(&path);
            self.answered.insert(path, (digest, answer));
        }
        Ok(())
    }

    /// Somebody took the run up.
    pub(super) fn claimed(&mut self, at: Timestamp) {
        if let Some(since) = self.since.take() {
            self.paused += at.since(since);
        }
    }

    /// How long its clock stood still until `now`.
    pub(super) fn paused(&self, now: Timestamp) -> Duration {
        self.paused + self.since.map(|since| now.since(since)).unwrap_or_default()
    }
}

/// Answers what is answered, and collects what is not.
pub(super) struct Conversation {
    abilities: Abilities,
    asked: Asked,
    limits: AskLimits,
    /// Of the attempt.
    now: Timestamp,
    open: Mutex<IndexMap<String, Question>>,
}

/// What a run waits for.
pub(super) struct Round {
    /// By key, with their paths.
    questions: IndexMap<String, (String, Question)>,
    pub(super) expires: Timestamp,
    /// What is to be written; nothing if it waits for the same as before.
    pub(super) event: Option<Value>,
}

impl Conversation {
    pub(super) fn new(abilities: Abilities, asked: Asked, limits: AskLimits, now: Timestamp) -> Self {
        Conversation { abilities, asked, limits, now, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, IndexMap<String, Question>> {
        // No code that can panic runs under the lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of an attempt that was suspended.
    ///
    /// # Errors
    /// It has asked too often.
    pub(super) fn round(&self) -> Result<Round> {
        let open = self.open().clone();
        let waiting = self.asked.waiting.iter().filter(|(_, waits)| waits.expires > self.now);
        let waiting: BTreeMap<&str, &Waiting> = waiting.map(|(path, waits)| (path.as_str(), waits)).collect();
        if open.keys().all(|path| waiting.contains_key(path.as_str())) && open.len() == waiting.len() {
            // It was taken up before its time.
            let expires = waiting.values().map(|waits| waits.expires).min().unwrap_or(self.now);
            let key = |path: &str| waiting.get(path).map_or(path.to_owned(), |waits| waits.key.clone());
            let questions = open.into_iter().map(|(path, question)| (key(&path), (path, question))).collect();
            return Ok(Round { questions, expires, event: None });
        }
        let AskLimits { time, rounds, .. } = &self.limits;
        if self.asked.rounds >= *rounds {
            let message = format!(
                "get its answers in {rounds} rounds, the most there are (`server.limits.ask_rounds`)"
            );
            return Err(Error::new(Kind::Rejected, message));
        }
        let time = open.values().filter_map(Question::timeout).fold(*time, Duration::min);
        let expires = self.now.after(time);
        let (mut questions, mut events) = (IndexMap::new(), Vec::new());
        for (path, question) in open {
            let key = match self.asked.counts.get(&path) {
                None => path.clone(),
                Some(count) => format!("{path}#{}", count + 1),
            };
            events.push(Value::from([
                ("path", Value::from(path.as_str())),
                ("key", key.as_str().into()),
                ("digest", words(&question).into()),
            ]));
            questions.insert(key, (path, question));
        }
        let event = Value::from([("questions", Value::from(events)), ("expires", expires.0.into())]);
        Ok(Round { questions, expires, event: Some(event) })
    }
}

#[async_trait]
impl Asker for Conversation {
    fn abilities(&self) -> Abilities {
        self.abilities
    }

    async fn ask(&self, path: &str, question: &Question) -> Result<Answer> {
        if let Some((digest, answer)) = self.asked.answered.get(path)
            && !question.is_again()
            && question.takes(answer)
            && *digest == words(question)
        {
            return Ok(answer.clone());
        }
        if let Some(waits) = self.asked.waiting.get(path)
            && self.now >= waits.expires
        {
            let limit = question.timeout().map_or(self.limits.time, |own| own.min(self.limits.time));
            let message = format!("get an answer within {}", duration::format(limit));
            return Err(Error::new(Kind::Timeout, message).retry(Retry::Never));
        }
        let mut open = self.open();
        if open.len() < MAX_QUESTIONS {
            open.insert(path.to_owned(), question.clone());
        }
        Err(Error::suspended())
    }
}

/// What tells one question from another.
fn words(question: &Question) -> String {
    hex(&digest_of(&question.to_value()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An answer that was given before there was a run, as it is written.
pub(crate) fn answered(path: &str, digest: &[u8], answer: &Answer) -> Value {
    given(path, &hex(digest), answer)
}

/// The questions of a task, as they are kept beside it: by key, with the path and the words that an answer belongs to.
#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    pub(super) expires: Timestamp,
    pub(super) questions: IndexMap<Arc<str>, OpenQuestion>,
}

#[derive(Clone, Debug)]
pub(super) struct OpenQuestion {
    path: String,
    digest: String,
    pub(super) question: Question,
}

impl Open {
    pub(super) fn new(round: &Round) -> Self {
        let questions = round.questions.iter().map(|(key, (path, question))| {
            let (path, question) = (path.clone(), question.clone());
            let open = OpenQuestion { path, digest: words(&question), question };
            (key.as_str().into(), open)
        });
        Open { expires: round.expires, questions: questions.collect() }
    }

    /// Takes the answers out that fit what is open; what is to be written of them, if there are any.
    pub(super) fn take(&mut self, answers: &IndexMap<Arc<str>, Answer>) -> Option<Value> {
        let mut all = Vec::new();
        for (key, answer) in answers {
            // What is no answer to it at all does not count: it stays open.
            if self.questions.get(key).is_some_and(|open| open.question.takes(answer))
                && let Some(open) = self.questions.shift_remove(key)
            {
                all.push(given(&open.path, &open.digest, answer));
            }
        }
        (!all.is_empty()).then(|| Value::from([("answers", all)]))
    }

    pub(super) fn to_value(&self) -> Value {
        let questions = self.questions.iter().map(|(key, open)| {
            Value::from([
                ("key", Value::from(key.clone())),
                ("path", open.path.as_str().into()),
                ("digest", open.digest.as_str().into()),
                ("question", question::of_question(&open.question)),
            ])
        });
        let questions: Vec<Value> = questions.collect();
        Value::from([("expires", Value::from(self.expires.0)), ("questions", questions.into())])
    }

    pub(super) fn of_value(value: &Value) -> Result<Self> {
        let questions = record::member(value, "questions")?.as_array().unwrap_or_default();
        let questions = questions.iter().map(|open| {
            Ok((
                record::text(open, "key")?.into(),
                OpenQuestion {
                    path: record::text(open, "path")?.to_owned(),
                    digest: record::text(open, "digest")?.to_owned(),
                    question: question::to_question(record::member(open, "question")?)?,
                },
            ))
        });
        Ok(Open {
            expires: Timestamp(record::number(value, "expires")?),
            questions: questions.collect::<Result<_>>()?,
        })
    }
}

/// An answer as it is written.
fn given(path: &str, digest: &str, answer: &Answer) -> Value {
    Value::from([("path", Value::from(path)), ("digest", digest.into()), ("answer", answer.to_value())])
}

#[cfg(test)]
mod tests {
    use super::{
        super::record::{ANSWERED, event},
        *,
    };

    const SECOND: Duration = Duration::from_secs(1);

    fn page(url: &str) -> Question {
        Question::Url { message: "Go".into(), url: url.into(), timeout: None }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    /// A run that is taken up at `seconds`.
    fn taken_up(asked: &Asked, seconds: i64) -> Conversation {
        let limits = AskLimits { time: 10 * SECOND, rounds: 3, ..AskLimits::default() };
        Conversation::new(Abilities::ALL, asked.clone(), limits, at(seconds))
    }

    /// What the stream says then, if something was written at `seconds`.
    fn written(asked: &mut Asked, kind: &str, value: &Value, seconds: i64) {
        let stored = event("x".to_owned(), kind, value);
        let stored = Event {
            stream: "run/x".to_owned(),
            version: 1,
            id: stored.id,
            kind: stored.kind,
            data: stored.data,
            meta: stored.meta,
            at: at(seconds),
            position: renkei_core::store::Position::START,
        };
        asked.add(&stored, value).unwrap();
    }

    #[tokio::test]
    async fn what_nobody_answered_in_time_stays_so() {
        let mut asked = Asked::default();
        let first = taken_up(&asked, 0);
        assert!(first.ask("a", &page("http://a")).await.unwrap_err().is_suspended());
        let round = first.round().unwrap();
        assert_eq!(round.expires, at(10));
        written(&mut asked, ASKED, &round.event.unwrap(), 0);

        // Before its time: the same question, and nothing to write.
        let early = taken_up(&asked, 9);
        assert!(early.ask("a", &page("http://a")).await.unwrap_err().is_suspended());
        let round = early.round().unwrap();
        assert_eq!((round.expires, round.event.is_none()), (at(10), true));

        // After it, the run goes on without an answer, and asks something else.
        asked.claimed(at(10));
        let late = taken_up(&asked, 10);
        assert_eq!(late.ask("a", &page("http://a")).await.unwrap_err().kind(), Kind::Timeout);
        assert!(late.ask("b", &page("http://b")).await.unwrap_err().is_suspended());
        written(&mut asked, ASKED, &late.round().unwrap().event.unwrap(), 11);
        asked.claimed(at(12));
        assert_eq!(asked.paused(at(99)), 11 * SECOND);
        let again = taken_up(&asked, 12);
        assert_eq!(again.ask("a", &page("http://a")).await.unwrap_err().kind(), Kind::Timeout);
        assert!(again.ask("b", &page("http://b")).await.unwrap_err().is_suspended());
    }

    #[tokio::test]
    async fn an_answer_holds_for_its_words_and_a_question_has_a_key_of_its_own_each_time() {
        let mut asked = Asked::default();
        let mut keys = Vec::new();
        for round in 0..3 {
            let run = taken_up(&asked, 0);
            // Other words each time.
            assert!(run.ask("a", &page(&format!("http://{round}"))).await.unwrap_err().is_suspended());
            let round = run.round().unwrap();
            let mut open = Open::of_value(&Open::new(&round).to_value()).unwrap();
            keys.extend(open.questions.keys().cloned());
            written(&mut asked, ASKED, &round.event.unwrap(), 0);
            let wrong = keys.iter().map(|key| (key.clone(), Answer::Roots(Value::Null)));
            assert!(open.take(&wrong.collect()).is_none());
            let right = keys.iter().map(|key| (key.clone(), Answer::Accepted(Value::object())));
            let given = open.take(&right.collect()).unwrap();
            assert!(open.questions.is_empty());
            written(&mut asked, ANSWERED, &given, 0);
        }
        assert_eq!(keys, ["a".into(), "a#2".into(), "a#3".into()] as [Arc<str>; 3]);
        let run = taken_up(&asked, 0);
        assert_eq!(run.ask("a", &page("http://2")).await.unwrap(), Answer::Accepted(Value::object()));
        assert!(run.ask("a", &page("http://3")).await.unwrap_err().is_suspended());
        let error = run.round().err().unwrap();
        let expected = "get its answers in 3 rounds, the most there are (`server.limits.ask_rounds`)";
        assert_eq!(error.to_string(), expected);
    }
}
