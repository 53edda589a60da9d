//! The process is killed (SIGKILL) at moments that a seed chooses, with tasks under way: nothing that was acknowledged
//! is lost, every repeat of a step carries the same key, and every task ends.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    ledger::Ledger,
    server::{Serving, answer},
};

/// More with `RENKEI_KILLS`.
const KILLS: usize = 15;
/// Tasks that are begun between two kills.
const TASKS: usize = 4;
const STEPS: usize = 3;

fn config(ledger: &Ledger) -> String {
    format!(
        "server:
  store: sqlite:renkei.db
  limits: {{ run_lease: 1s, run_attempts: 1000 }}
systems:
  ledger:
    http: {{ base_url: '{}', private: true }}
tools:
  chain:
    description: Three effects, one after the other.
    input: {{ n: integer }}
    task: required
    aggregate:
      one: {{ call: {{ ledger: {{ post: /, body: {{ key: '${{$key}}', n: '${{.n}}', step: one }} }} }} }}
      two: {{ call: {{ ledger: {{ post: /, body: {{ key: '${{$key}}', n: '${{.n}}', step: two, after: '${{$one.receipt}}' }} }} }} }}
      three: {{ call: {{ ledger: {{ post: /, body: {{ key: '${{$key}}', n: '${{.n}}', step: three, after: '${{$two.receipt}}' }} }} }} }}
",
        ledger.url
    )
}

/// Marsaglia's xorshift: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a test takes is up to whoever starts it")]
fn number(name: &str, or: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

#[test]
fn whatever_moment_it_is_killed_at_nothing_is_lost_and_nothing_is_done_with_two_keys() {
    let (kills, seed) = (number("RENKEI_KILLS", KILLS), number("RENKEI_SEED", 20_261_201));
    println!("seed {seed}: RENKEI_SEED repeats it");
    let mut random = Random(seed as u64 | 1);
    let ledger = Ledger::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("renkei.yaml"), config(&ledger)).unwrap();
    let (mut acknowledged, mut begun): (BTreeMap<usize, String>, usize) = (BTreeMap::new(), 0);
    for _ in 0..kills {
        let server = Serving::start(folder.path());
        // It is killed when this request has come in: with its answer held back, or on its way.
        let last = ledger.count() + 1 + random.below(TASKS * STEPS);
        let answered = random.below(2) == 0;
        if !answered {
            ledger.hold_from(Some(last));
        }
        let calls: Vec<_> = (0..TASKS)
            .map(|_| {
                begun += 1;
                let params = json!({ "name": "chain", "arguments": { "n": begun } });
                (begun, server.send("tools/call", params, true))
            })
            .collect();
        ledger.wait_for(last);
        server.kill();
        ledger.hold_from(None);
        for (n, stream) in calls {
            if let Some(id) =
                stream.and_then(answer).and_then(|said| Some(said["result"]["taskId"].as_str()?.to_owned()))
            {
                acknowledged.insert(n, id);
            }
        }
    }
    let server = Serving::start(folder.path());
    assert!(!acknowledged.is_empty());
    for (n, id) in &acknowledged {
        let task = server.ended(id);
        assert_eq!(
            (task["status"].as_str(), &task["result"]["isError"]),
            (Some("completed"), &json!(false)),
            "{n}: {task}"
        );
    }
    let effects = ledger.effects();
    let mut steps: BTreeMap<(u64, String), Vec<&String>> = BTreeMap::new();
    for (key, (body, _)) in &effects {
        let step = (body["n"].as_u64().unwrap(), body["step"].as_str().unwrap().to_owned());
        steps.entry(step).or_default().push(key);
    }
    let twice: Vec<_> = steps.iter().filter(|(_, keys)| keys.len() > 1).collect();
    assert!(twice.is_empty(), "with two keys: {twice:?}");
    for n in acknowledged.keys() {
        let done = ["one", "two", "three"]
            .iter()
            .filter(|step| steps.contains_key(&(*n as u64, (**step).to_owned())));
        assert_eq!(done.count(), STEPS, "the steps of {n}");
    }
    let repeats: usize = effects.values().map(|(_, count)| count - 1).sum();
    println!(
        "{kills} kills, {} tasks acknowledged, {} effects, {repeats} repeats",
        acknowledged.len(),
        effects.len()
    );
    assert!(server.terminate());
}
