//! Schedules, on the machine's clock.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::house::{Effect, House};

/// A tick each second, and a worker that writes it to the ledger.
fn config(schedule: &str) -> String {
    format!(
        "queues:
  jobs:
    worker:
      call:
        ledger:
          post: /effects
          headers: {{ Idempotency-Key: '${{$key}}' }}
          body: {{ tick: '${{.tick}}', of: '${{.of}}', caller: '${{$caller.name}}' }}
schedules:
  each_second:
    {schedule}
    enqueue: {{ jobs: {{ tick: '${{.tick}}', of: '${{.schedule}}' }} }}
"
    )
}

const EACH_SECOND: &str = "cron: '* * * * * *'\n    timezone: Europe/Berlin\n    missed: all";

fn ticks(effects: &[Effect]) -> Vec<String> {
    effects.iter().map(|effect| effect.body["tick"].as_str().unwrap().to_owned()).collect()
}

fn second(tick: &str) -> i64 {
    tick.parse::<jiff::Timestamp>().unwrap().as_second()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_tick_once_and_a_restart_loses_no_tick() {
    let house = House::new(&config(EACH_SECOND)).await;
    let (server, mut other) = (house.serve(), house.work(&[]));
    house.ledger.wait_received(2).await;
    let effect = &house.effects()[0];
    assert_eq!(effect.body["of"], "each_second");
    assert_eq!(effect.body["caller"], "schedule:each_second");
    other.kill();
    drop(server);
    // Nobody is there while ticks go by: they are made up for.
    let down = house.effects().len();
    let next = |list: &Value| second(list[0]["next"][0].as_str().unwrap());
    let first = next(&house.json(&["schedule", "list"]));
    house.wait_json(&["schedule", "list"], |list| next(list) >= first + 2);
    let _server = house.serve();
    house.ledger.wait_received(down + 4).await;
    let all = ticks(&house.effects());
    let unique: BTreeSet<&String> = all.iter().collect();
    let moments: Vec<i64> = unique.iter().map(|tick| second(tick)).collect();
    // Without a hole. (A message whose worker was killed may be handled twice; a tick is enqueued once.)
    assert!(moments.windows(2).all(|pair| pair[1] == pair[0] + 1), "{all:?}");
    assert!(all.iter().all(|tick| tick.ends_with("+01:00") || tick.ends_with("+02:00")), "{all:?}");
    let keys: BTreeSet<String> = house.effects().into_iter().map(|effect| effect.key).collect();
    assert_eq!(keys.len(), unique.len(), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_shows_the_last_tick_and_the_next_ones_and_a_reload_changes_them() {
    let house = House::new(&config(EACH_SECOND)).await;
    let server = house.serve();
    house.ledger.wait_received(1).await;
    let list = house.json(&["schedule", "list"]);
    let one = &list[0];
    assert_eq!(
        (&one["schedule"], &one["queue"], &one["begun"]),
        (&json!("each_second"), &json!("jobs"), &json!(true))
    );
    assert_eq!(one["next"].as_array().unwrap().len(), 3);
    let message = one["last"]["message"].as_str().unwrap();
    assert!(one["last"]["tick"].is_string() && message.len() == 36, "{one}");
    let table = house.run(&["schedule", "list"]);
    assert!(table.contains("SCHEDULE") && table.contains("Europe/Berlin"), "{table}");

    house.write(&config("cron: '0 0 1 1 *'"));
    server.wait_log(&["the changed config is served"]);
    let yearly = |list: &Value| {
        list[0]["begun"] == true && list[0]["next"][0].as_str().unwrap().contains("-01-01T00:00:00+00:00")
    };
    let list = house.wait_json(&["schedule", "list"], yearly);
    assert_eq!(list[0]["cron"], "0 0 1 1 *");
    // It began anew: nothing has ticked yet.
    assert_eq!(list[0]["last"], Value::Null);
}
