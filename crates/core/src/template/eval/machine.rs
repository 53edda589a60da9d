//! What one evaluation has used up, and how it ends early.

use super::{regex, track::Item, values};
use crate::{
    Map, Value,
    template::{
        Scope,
        budget::{MAX_CREATED_BYTES, MAX_OUTPUT_BYTES, MAX_STACK, MAX_VALUE_DEPTH, WORK_UNITS},
    },
};

pub(in crate::template) type Flow<T = ()> = Result<T, Stop>;

/// Takes outputs.
pub(super) type Out<'o, 's> = &'o mut dyn FnMut(&mut Machine<'s>, Item) -> Flow;

/// Why an evaluation does not go on.
#[derive(Debug)]
pub(in crate::template) enum Stop {
    /// `error`, or an operation that does not fit its values; `try` catches it.
    Error(Value),
    /// Leaves everything up to the label or the function that made it.
    Break(u64),
    /// A limit; nothing catches it.
    Limit(String),
}

/// An error with a message: a clause that names types, never values, for those may be secret.
pub(in crate::template) fn fail(message: impl Into<String>) -> Stop {
    Stop::Error(message.into().into())
}

impl Stop {
    pub(super) fn into_message(self) -> String {
        const LETTERS: usize = 500;
        let mut text = match self {
            Stop::Limit(message) => message,
            Stop::Error(Value::String(message)) => message.to_string(),
            Stop::Error(Value::Null) => "`error` without a message".to_owned(),
            Stop::Error(_) => "`error` with a message that is not a string".to_owned(),
            Stop::Break(_) => "`break` outside of its `label`".to_owned(),
        };
        if let Some((cut, _)) = text.char_indices().nth(LETTERS) {
            text.truncate(cut);
            text.push('…');
        }
        text
    }
}

#[derive(Debug)]
pub(in crate::template) struct Machine<'s> {
    pub(super) scope: &'s Scope,
    pub(super) regexes: regex::Cache<'s>,
    /// How many steps there were at the beginning.
    steps: u64,
    /// What is left, in parts of a step.
    work: u64,
    /// Bytes that may still be created.
    bytes: u64,
    stack: usize,
    labels: u64,
    /// Whether NaN or an infinity was computed.
    not_finite: bool,
}

impl<'s> Machine<'s> {
    pub(super) fn new(scope: &'s Scope, patterns: &'s regex::Patterns, steps: u64) -> Self {
        Machine {
            scope,
            regexes: regex::Cache::new(patterns),
            steps,
            work: steps * WORK_UNITS,
            bytes: MAX_CREATED_BYTES,
            stack: 0,
            labels: 0,
            not_finite: false,
        }
    }

    /// Begun ones count.
    pub(super) fn steps_taken(&self) -> u64 {
        self.steps - self.work / WORK_UNITS
    }

    /// A step, one level deeper.
    fn enter(&mut self) -> Flow {
        self.stack += 1;
        if self.stack > MAX_STACK {
            return Err(Stop::Limit(format!("it nests generators more than {MAX_STACK} deep; split it")));
        }
        self.step()
    }

    fn leave(&mut self) {
        self.stack -= 1;
    }

    /// Runs something one level deeper.
    pub(super) fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Flow<T>) -> Flow<T> {
        self.enter()?;
        let flow = run(self);
        self.leave();
        flow
    }

    pub(super) fn step(&mut self) -> Flow {
        self.work(WORK_UNITS)
    }

    /// Counts parts of a step: a value looked at, some bytes compared.
    pub(super) fn work(&mut self, units: u64) -> Flow {
        match self.work.checked_sub(units) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => {
                self.work = 0;
                Err(Stop::Limit(format!(
                    "it takes more than {} steps; let the system do the work, or take less data",
                    self.steps
                )))
            }
        }
    }

    /// Counts bytes before they are created.
    pub(super) fn create(&mut self, bytes: u64) -> Flow {
        match self.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bytes = left;
                self.work(bytes / 16)
            }
            None => {
                self.bytes = 0;
                Err(Stop::Limit(format!("it creates more than {MAX_CREATED_BYTES} bytes; take less data")))
            }
        }
    }

    /// A number for a new label: nothing else breaks to it.
    pub(super) fn label(&mut self) -> u64 {
        self.labels += 1;
        self.labels
    }

    pub(super) fn string(&mut self, text: String) -> Flow<Value> {
        self.create(text.len() as u64 + values::ELEMENT)?;
        Ok(text.into())
    }

    pub(super) fn number(&mut self, number: f64) -> Value {
        self.not_finite |= !number.is_finite();
        Value::Number(crate::Number::computed(number))
    }

    /// An array whose elements may be nested one less deep than a value.
    pub(super) fn array(&mut self, items: Vec<Value>) -> Flow<Value> {
        for item in &items {
            self.check_depth(item, MAX_VALUE_DEPTH - 1)?;
        }
        Ok(items.into())
    }

    pub(super) fn object(&mut self, map: Map) -> Flow<Value> {
        for value in map.values() {
            self.check_depth(value, MAX_VALUE_DEPTH - 1)?;
        }
        Ok(map.into())
    }

    /// Refuses what is nested more than `levels` deep.
    pub(super) fn check_depth(&mut self, value: &Value, levels: usize) -> Flow {
        match value {
            Value::Array(items) => {
                let levels = self.level(levels)?;
                self.work(1 + items.len() as u64 / 2)?;
                items.iter().try_for_each(|item| self.check_depth(item, levels))
            }
            Value::Object(map) => {
                let levels = self.level(levels)?;
                self.work(1 + map.len() as u64 / 2)?;
                map.values().try_for_each(|item| self.check_depth(item, levels))
            }
            _ => Ok(()),
        }
    }

    /// One level down.
    pub(super) fn level(&self, levels: usize) -> Flow<usize> {
        levels.checked_sub(1).ok_or_else(|| {
            Stop::Limit(format!("a value is nested more than {MAX_VALUE_DEPTH} deep; take a part of it"))
        })
    }

    /// About how many bytes of JSON a value is, counted as work; shared parts count each time.
    pub(super) fn measure(&mut self, value: &Value, bytes: &mut u64, levels: usize) -> Flow {
        self.work(1)?;
        *bytes += match value {
            Value::String(text) => text.len() as u64 + 3,
            Value::Number(_) => 8,
            _ => 5,
        };
        if *bytes > MAX_OUTPUT_BYTES {
            return Err(Stop::Limit(format!(
                "a value is larger than {MAX_OUTPUT_BYTES} bytes; take a part of it"
            )));
        }
        match value {
            Value::Array(items) => {
                let levels = self.level(levels)?;
                items.iter().try_for_each(|item| self.measure(item, bytes, levels))
            }
            Value::Object(map) => {
                let levels = self.level(levels)?;
                map.iter().try_for_each(|(key, value)| {
                    *bytes += key.len() as u64 + 4;
                    self.measure(value, bytes, levels)
                })
            }
            _ => Ok(()),
        }
    }

    /// Compact JSON.
    pub(super) fn json(&mut self, value: &Value) -> Flow<String> {
        let mut bytes = 0;
        self.measure(value, &mut bytes, MAX_VALUE_DEPTH)?;
        self.check_finite(value)?;
        self.create(bytes)?;
        self.work(bytes / 4)?;
        let text = value.to_json();
        // Escapes and long numbers make it longer than measured.
        self.create((text.len() as u64).saturating_sub(bytes))?;
        Ok(text)
    }

    /// Checks a result: its size, its depth, and that it is JSON.
    pub(super) fn finish(&mut self, value: Value) -> Flow<Value> {
        self.measure(&value, &mut 0, MAX_VALUE_DEPTH)?;
        self.check_finite(&value)?;
        Ok(value)
    }

    /// Refuses NaN and the infinities where a value becomes JSON, which has no word for them: a null
    /// in their place would say something else.
    pub(super) fn check_finite(&self, value: &Value) -> Flow {
        if self.not_finite && is_lost(value) {
            return Err(fail(
                "it gives NaN or an infinity, which JSON cannot say; choose what stands for it: `if isnan or isinfinite then null else . end`",
            ));
        }
        Ok(())
    }
}

/// NaN and the infinities: only arithmetic makes them.
fn is_lost(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.as_f64().is_finite() && number.is_computed(),
        Value::Array(items) => items.iter().any(is_lost),
        Value::Object(map) => map.values().any(is_lost),
        _ => false,
    }
}
