//! One call of several: which answers it brought, and what it asks.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use indexmap::IndexMap;
use renkei_core::{
    Error, Result, Value,
    ask::{Abilities, Answer, Asker, Question},
    call::RunStart,
};

use super::{
    super::seal::digest_of,
    state::{Digest, State},
};
use crate::durable;

/// Questions of one round; what is more comes in the next one.
const MAX_QUESTIONS: usize = 32;

pub(in super::super) struct Session {
    abilities: Abilities,
    start: RunStart,
    /// The one that is under way; the first is 1.
    round: usize,
    /// By path: to which words, if that is known.
    known: IndexMap<Arc<str>, (Option<Digest>, Answer)>,
    open: Mutex<IndexMap<Arc<str>, Question>>,
}

impl Session {
    /// `answers` are those that a client gave unasked.
    pub(super) fn first(abilities: Abilities, answers: Option<&IndexMap<Arc<str>, Answer>>) -> Self {
        let known =
            answers.into_iter().flatten().map(|(path, answer)| (path.clone(), (None, answer.clone())));
        Session {
            abilities,
            start: RunStart::new(),
            round: 1,
            known: known.collect(),
            open: Mutex::default(),
        }
    }

    /// Answers to what was not asked are left out.
    pub(super) fn again(abilities: Abilities, state: State, answers: &IndexMap<Arc<str>, Answer>) -> Self {
        let before =
            state.answered.into_iter().map(|(path, (digest, answer))| (path, (Some(digest), answer)));
        let now = state.asked.into_iter().filter_map(|(path, digest)| {
            let answer = answers.get(&path)?.clone();
            Some((path, (Some(digest), answer)))
        });
        let known = before.chain(now).collect();
        Session { abilities, start: state.start, round: state.round + 1, known, open: Mutex::default() }
    }

    pub(super) fn start(&self) -> &RunStart {
        &self.start
    }

    pub(super) fn round(&self) -> usize {
        self.round
    }

    /// What was answered to words that are known, as a task's run reads it.
    pub(in super::super) fn answers(&self) -> Vec<Value> {
        let known = self.known.iter();
        let known = known.filter_map(|(path, (digest, answer))| Some((path, (*digest)?, answer)));
        known.map(|(path, digest, answer)| durable::answered(path, &digest, answer)).collect()
    }

    /// The state for the next round, and the questions. An answer whose question is put again is gone. All are to be
    /// answered within `time`, or what the most urgent one gives.
    pub(super) fn end(&self, now_ms: i64, time: Duration) -> (State, IndexMap<Arc<str>, Question>) {
        let open = self.lock().clone();
        let time = open.values().filter_map(Question::timeout).fold(time, Duration::min);
        let life = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let expires_ms = now_ms.saturating_add(life);
        let answered = self.known.iter().filter(|(path, _)| !open.contains_key(*path));
        let answered = answered
            .filter_map(|(path, (digest, answer))| Some((path.clone(), ((*digest)?, answer.clone()))))
            .collect();
        let asked =
            open.iter().map(|(path, question)| (path.clone(), digest_of(&question.to_value()))).collect();
        let state = State {
            start: self.start.clone(),
            round: self.round,
            expires_ms,
            nonce: rand::random(),
            asked,
            answered,
        };
        (state, open)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, IndexMap<Arc<str>, Question>> {
        // No code that can panic runs under the lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Asker for Session {
    fn abilities(&self) -> Abilities {
        self.abilities
    }

    async fn ask(&self, path: &str, question: &Question) -> Result<Answer> {
        if let Some((digest, answer)) = self.known.get(path)
            && !question.is_again()
            && question.takes(answer)
            && digest.is_none_or(|digest| digest == digest_of(&question.to_value()))
        {
            return Ok(answer.clone());
        }
        let mut open = self.lock();
        if open.len() < MAX_QUESTIONS {
            open.insert(path.into(), question.clone());
        }
        Err(Error::suspended())
    }

    fn repeats(&self) -> bool {
        true
    }
}
