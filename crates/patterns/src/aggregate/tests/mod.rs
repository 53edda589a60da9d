//! Branches: what they see, what is there when one fails, and in which order they run.

mod graphs;
mod results;
mod visible;

use std::{sync::atomic::Ordering, time::Duration};

use renkei_core::{
    Value,
    tool::{ToolResult, Tools},
};
use tokio::time::Instant;

use crate::fake::{Bench, Tool, context, value};

/// A tool of one action.
fn tool(action: &str) -> Tool {
    Tool { action: Some(action.to_owned()), ..Tool::default() }
}

fn bench(action: &str) -> Bench {
    Bench::new(tool(action))
}

async fn call(bench: &Bench, arguments: &str) -> ToolResult {
    let result = bench.engine.call(context(), "t", value(arguments), None).await.unwrap();
    assert_eq!(bench.ledger.open.load(Ordering::SeqCst), 0, "a call is open after the end");
    result
}

/// The result of a call that goes well, and how long it took by the clock of the test.
async fn timed(bench: &Bench, arguments: &str) -> (Value, Duration) {
    let start = Instant::now();
    let result = call(bench, arguments).await;
    assert!(result.error.is_none(), "{:?}", result.error);
    (result.structured.unwrap(), start.elapsed())
}
