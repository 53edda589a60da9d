//! The page of what is measured.

use renkei_core::metric::ALL;

use super::HEAD;

const LEAD: &str = "What `server.metrics` shows and `server.telemetry.otlp` sends. Labels take their values from the config or \
                    from fixed lists. The process's own (`process_…`: memory, processor time, open files) come under the names \
                    that all Prometheus clients use.";

pub(super) fn page() -> (String, String) {
    let mut out =
        format!("{}# metrics\n\n{LEAD}\n\n", HEAD.replace("config types", "catalogue in `core::metric`"));
    out += "| name | kind | labels | what it says |\n|---|---|---|---|\n";
    for metric in ALL {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, help) = (metric.name, metric.kind.as_str(), metric.help);
        out += &format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "));
    }
    ("metrics.md".to_owned(), out)
}
