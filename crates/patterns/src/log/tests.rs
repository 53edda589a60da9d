//! What stands in the log, and what comes out.

use std::{
    io,
    sync::{Arc, Mutex},
};

use renkei_core::tool::Tools;
use tracing_subscriber::fmt::MakeWriter;

use crate::fake::{Bench, Tool, context, value};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

/// The lines about an order, without their time.
async fn lines(log: &str, arguments: &str) -> (Vec<String>, String) {
    let sink = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(sink.clone())
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .without_time()
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let tool = Tool { action: Some(format!(r#"{{ "log": {log} }}"#)), ..Tool::default() };
    let cx = context();
    let trace = cx.trace.id().to_owned();
    let result = Bench::new(tool).engine.call(cx, "t", value(arguments), None).await.unwrap();
    assert_eq!(result.structured.unwrap(), value(arguments));
    let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    (text.lines().filter(|line| line.contains("order")).map(str::to_owned).collect(), trace)
}

#[tokio::test(start_paused = true)]
async fn a_line_has_its_level_its_fields_and_the_trace() {
    for (word, level) in [("debug", "DEBUG"), ("info", "INFO"), ("warning", "WARN"), ("error", "ERROR")] {
        let log = format!(
            r#"{{ "level": "{word}", "message": "order ${{.id}}", "fields": {{ "id": "${{.id}}" }} }}"#
        );
        let (lines, trace) = lines(&log, r#"{ "id": 7 }"#).await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].trim_start().starts_with(level), "{lines:?}");
        assert!(lines[0].contains("order 7") && lines[0].contains(&trace), "{lines:?}");
        assert!(lines[0].contains(r#"fields="{\"id\":7}""#), "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_writes_no_line_of_its_own() {
    let (lines, _) =
        lines(r#"{ "message": "order ${.id}" }"#, r#"{ "id": "1\nERROR order stolen\u001b[2J" }"#).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(r"order 1\nERROR order stolen\u{1b}[2J"), "{lines:?}");
}
