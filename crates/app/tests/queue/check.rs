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
