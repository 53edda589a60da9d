//! What `renkei check` says of queues.

use crate::house::House;

async fn checked(config: &str) -> String {
    let house = House::new(config).await;
    let output = house.try_run(&["check"]);
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_said_with_how_to_mend_it() {
    let put = "tools: { put: { description: Puts one., input: { year: integer }, enqueue: { reports: { year: '${.year}' } } } }\n";
    let worker =
        "worker: { call: { ledger: { post: /build, effect: idempotent, body: { year: '${.year}' } } } }";
    for (queues, said) in [
        ("", "there is no queue `reports`"),
        ("queues: { report: { worker: { transform: 1 } } }", "did you mean `report`?"),
        (
            &*format!("queues: {{ reports: {{ engine: rabbit, {worker} }} }}"),
            "`rabbit` is not available in this version",
        ),
        (
            &*format!("queues: {{ reports: {{ order_by: '${{.yaer}}', {worker} }} }}"),
            "takes `.yaer`, which this message does not have",
        ),
        (
            &*format!(
                "queues: {{ reports: {{ input: {{ year: integer }}, order_by: '${{.yaer}}', {worker} }} }}"
            ),
            "did you mean `.year`?",
        ),
        (
            &*format!("queues: {{ reports: {{ input: {{ month: integer }}, {worker} }} }}"),
            "also needs `month`",
        ),
        ("queues: { reports: {} }", "nobody takes the messages of the queue `reports`"),
        (
            &*format!("queues: {{ reports: {{ {worker} }}, others: {{ {worker} }} }}"),
            "nothing enqueues in the queue `others`",
        ),
        ("queues: { reports: { worker: { call: { ledger: { post: /build } } } } }", "may do its work twice"),
        (
            "queues: { reports: { worker: { enqueue: { more: 1 } } }, more: { worker: { enqueue: { reports: { year: 1 } } } } }",
            "`reports` → `more` → `reports`",
        ),
        (&*format!("queues: {{ reports: {{ lease: 10ms, {worker} }} }}"), "a lease of 10ms is too short"),
        (
            &*format!("queues: {{ reports: {{ retry: {{ attempts: 0 }}, {worker} }} }}"),
            "0 attempts are not possible",
        ),
        (&*format!("queues: {{ reports: {{ order_by: year, {worker} }} }}"), "a template of the message"),
        (&*format!("queues: {{ reports: {{ priority: 40000, {worker} }} }}"), "-32768 to 32767"),
        (
            &*format!("queues: {{ reports: {{ batch: {{ max: 1 }}, {worker} }} }}"),
            "a batch of 1 messages is not possible",
        ),
        (
            &*format!("queues: {{ reports: {{ batch: {{ max: 20, wait: 20s }}, {worker} }} }}"),
            "a wait of 20s is too long for a lease of 30s",
        ),
        (
            &*format!(
                "queues: {{ reports: {{ batch: {{ max: 20 }}, retry: {{ attempts: 1 }}, {worker} }} }}"
            ),
            "needs two attempts at least",
        ),
        (
            &*format!("queues: {{ reports: {{ batch: {{ max: 20 }}, concurrency: 10, {worker} }} }}"),
            "a batch of 20 messages never fits",
        ),
        ("queues: { reports: { batch: { max: 20 } } }", "a batch is for a worker"),
        (
            "queues: { reports: { batch: { max: 20 }, worker: { call: { ledger: { post: /build, body: '${$message.id}' } } } } }",
            "did you mean `$messages`",
        ),
        (
            "queues: { reports: { batch: { max: 20 }, input: { year: integer }, worker: { call: { ledger: { post: /build, effect: idempotent, body: '${.[0].yaer}' } } } } }",
            "did you mean",
        ),
        (
            "queues: { reports: { batch: { max: 20 }, worker: { call: { ledger: { post: /build, headers: { Idempotency-Key: '${$key}' }, body: '${.}' } } } } }",
            "may do its work twice",
        ),
        (
            &*format!(
                "queues: {{ reports: {{ resource: true, {worker} }} }}\nresources: {{ other: {{ uri: renkei://queues/reports, text: x }} }}"
            ),
            "the URI `renkei://queues/reports` is there twice",
        ),
        (&*format!("queues: {{ reports: {{ wroker: 1, {worker} }} }}"), "unknown key `wroker`"),
        (&*format!("queues: {{ Reports: {{ {worker} }} }}"), "cannot be the name of a queue"),
    ] {
        let text = checked(&format!("{put}{queues}\n")).await;
        // Long lines are broken for the terminal.
        let flat = text.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        // A sentence begins with a capital there.
        assert!(flat.to_lowercase().contains(&said.to_lowercase()), "{queues}: {text}");
    }
    let good =
        checked(&format!("{put}queues: {{ reports: {{ order_by: '${{.year}}', {worker} }} }}\n")).await;
    assert!(good.starts_with("ok"), "{good}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_schedule_is_said_where_it_stands() {
    let queue = "queues: { reports: { input: { year: integer, tick: { type: string, optional: true } }, worker: { call: { ledger: { post: /build, effect: idempotent, body: '${.}' } } } } }\n";
    for (schedule, said) in [
        ("{ cron: '0 25 * * *', enqueue: { reports: { year: 1 } } }", "`25` in `0 25 * * *` is no hour"),
        ("{ cron: '0 3 * *', enqueue: { reports: { year: 1 } } }", "has five fields, and this has 4"),
        ("{ cron: '0 0 30 2 *', enqueue: { reports: { year: 1 } } }", "never ticks"),
        ("{ enqueue: { reports: { year: 1 } } }", "cron"),
        (
            "{ cron: '0 3 * * *', timezone: Europe/Berln, enqueue: { reports: { year: 1 } } }",
            "did you mean `Europe/Berlin`",
        ),
        ("{ cron: '0 3 * * *' }", "does nothing"),
        ("{ cron: '0 3 * * *', enqueue: { report: { year: 1 } } }", "did you mean `reports`"),
        ("{ cron: '0 3 * * *', enqueue: { reports: {} } }", "also needs `year`"),
        ("{ cron: '0 3 * * *', enqueue: { reports: { year: 1, tick: '${.tik}' } } }", "did you mean `.tick`"),
        ("{ cron: '0 3 * * *', call: { ledger: { post: /x } } }", "cannot `call`"),
        ("{ cron: '0 3 * * *', missed: never, enqueue: { reports: { year: 1 } } }", "`skip`"),
        ("{ cron: '0 3 * * *', missed: all, max_missed: 0, enqueue: { reports: { year: 1 } } }", "1 to 1000"),
        (
            "{ cron: '0 3 * * *', max_missed: 5, enqueue: { reports: { year: 1 } } }",
            "belongs to `missed: all`",
        ),
        ("{ corn: '0 3 * * *', enqueue: { reports: { year: 1 } } }", "did you mean `cron`"),
    ] {
        let text = checked(&format!("{queue}schedules: {{ nightly: {schedule} }}\n")).await;
        let flat = text.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        assert!(flat.to_lowercase().contains(&said.to_lowercase()), "{schedule}: {text}");
    }
    let good = "schedules:\n  nightly:\n    cron: 0 3 * * *\n    timezone: Europe/Berlin\n    enqueue: { reports: { year: 1, tick: '${.tick}' } }\n    message: { priority: 5 }\n";
    let text =
        checked(&format!("tools: {{ t: {{ description: A tool., transform: 1 }} }}\n{queue}{good}")).await;
    assert!(!text.contains("error") && !text.contains("nothing enqueues"), "{text}");
}
