//! The page of limits is whole: each limit of the config has a row with its default, and a test that reaches it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

const HTTP: &str = "http/tests/listener";
const MCP: &str = "mcp/tests/server";
const ENGINE: &str = "patterns/src/engine";
const DURABLE: &str = "patterns/src/durable";
const LAYERS: &str = "layers/src/tests";
const REST: &str = "connectors/src/http";
const POSTGRES: &str = "connectors/src/postgres";
const MYSQL: &str = "connectors/src/mysql";
const SQLITE: &str = "connectors/src/sqlite";
const FILES: &str = "connectors/src/files";
const UPSTREAM: &str = "connectors/src/mcp";

/// Limit, folder below `crates`, test.
const REACHED: &[(&str, &str, &str)] = &[
    ("request_body", HTTP, "a_body_may_be_as_large_as_the_limit"),
    ("body_pause", HTTP, "a_body_that_stands_still_is_given_up"),
    ("body_time", HTTP, "a_body_that_trickles_is_given_up"),
    ("request_headers", HTTP, "headers_that_are_too_large_are_refused"),
    ("header_lines", HTTP, "a_head_that_is_too_much_is_refused"),
    ("request_uri", HTTP, "a_head_that_is_too_much_is_refused"),
    ("header_time", HTTP, "a_client_that_does_not_finish_its_headers_is_dropped"),
    ("write_pause", HTTP, "a_client_that_does_not_read_is_dropped"),
    ("connections", HTTP, "one_connection_too_many_waits_for_its_turn"),
    ("streams", HTTP, "one_stream_too_many_waits_for_its_turn"),
    ("handshakes", HTTP, "one_handshake_too_many_waits_for_its_turn"),
    ("handshake_time", HTTP, "a_handshake_has_an_end"),
    ("concurrent_calls", MCP, "one_call_too_many_is_told_so"),
    ("tool_timeout", ENGINE, "the_shortest_deadline_counts"),
    ("result_bytes", ENGINE, "a_long_array_is_cut_at_whole_elements"),
    ("kept_result", ENGINE, "the_oldest_make_room"),
    ("kept_results", ENGINE, "the_oldest_make_room"),
    ("kept_for", ENGINE, "only_the_owner_reads_and_only_for_a_while"),
    ("content_bytes", ENGINE, "bytes_that_are_too_many_and_not_kept_are_refused"),
    ("list_page", MCP, "lists_come_in_pages_with_cursors_of_their_own"),
    ("listed_resources", ENGINE, "instances_come_from_a_query_and_are_capped"),
    ("subscriptions", MCP, "what_cannot_be_had_is_said"),
    ("watched_resources", ENGINE, "watches_are_limited_and_make_room"),
    ("ask", ENGINE, "attacks_on_the_state_are_refused"),
    ("asks", "app/tests", "one_question_too_many_is_refused"),
    ("ask_rounds", ENGINE, "rounds_and_what_is_carried_have_their_limits"),
    ("ask_state", ENGINE, "rounds_and_what_is_carried_have_their_limits"),
    ("sessions", MCP, "the_session_that_is_idle_longest_makes_room"),
    ("session_idle", MCP, "sessions_that_nobody_uses_leave_nothing"),
    ("drain", HTTP, "a_drain_has_an_end"),
    ("runs", DURABLE, "more_runs_than_may_be_under_way_wait"),
    ("run_time", DURABLE, "a_run_has_a_time"),
    ("run_journal", DURABLE, "a_journal_has_a_limit"),
    ("run_attempts", DURABLE, "a_run_that_ends_its_process_every_time_is_given_up"),
    ("run_lease", DURABLE, "a_run_whose_lease_is_lost_stops"),
    ("run_history", "store/tests/behaviour/trials", "retention_leaves_a_gap"),
    ("tasks", DURABLE, "a_caller_has_so_many_tasks_and_a_wrong_argument_makes_none"),
    ("task_ttl", DURABLE, "a_task_has_its_time_and_says_how_often_to_ask"),
    ("task_result", DURABLE, "a_result_has_a_limit"),
    ("task_poll", DURABLE, "a_task_has_its_time_and_says_how_often_to_ask"),
    ("task_patience", "app/tests/tasks", "who_knows_no_tasks_is_refused_or_told_where_the_result_is"),
    ("timeout.total", LAYERS, "deadline_before_cache_who_waits_for_others_waits_no_longer"),
    ("limit.rate", LAYERS, "what_is_too_much_is_refused_at_once"),
    ("limit.concurrency", LAYERS, "a_full_bulkhead_answers_at_once_and_counts_what_is_under_way"),
    ("cache.max_entries", LAYERS, "keeps_no_more_than_it_may"),
    ("cache.max_bytes", LAYERS, "keeps_no_more_than_it_may"),
    ("retry.attempts", LAYERS, "gives_up_after_the_attempts_and_says_so"),
    ("http.max_body", REST, "a_body_has_a_limit_with_a_name"),
    ("http.max_request", REST, "refuses_what_is_too_large_to_send"),
    ("postgres.max_connections", POSTGRES, "many_calls_share_few_connections"),
    ("postgres.queue", POSTGRES, "a_full_queue_says_so_and_a_waiting_call_can_leave"),
    ("postgres.statement_timeout", POSTGRES, "a_statement_has_a_time"),
    ("postgres.max_rows", POSTGRES, "rows_are_cut_with_a_notice"),
    ("postgres.max_bytes", POSTGRES, "bytes_are_cut_at_a_whole_row"),
    ("mysql.max_connections", MYSQL, "many_calls_share_few_connections"),
    ("mysql.queue", MYSQL, "a_full_queue_says_so_and_a_waiting_call_can_leave"),
    ("mysql.statement_timeout", MYSQL, "a_statement_has_a_time"),
    ("mysql.max_rows", MYSQL, "rows_are_cut_with_a_notice"),
    ("mysql.max_bytes", MYSQL, "bytes_are_cut_with_a_notice"),
    ("sqlite.queue", SQLITE, "a_full_queue_says_so_and_a_waiting_call_can_leave"),
    ("sqlite.statement_timeout", SQLITE, "a_statement_has_a_time"),
    ("sqlite.busy_timeout", SQLITE, "a_lock_of_another_program_is_unavailable"),
    ("sqlite.max_rows", SQLITE, "rows_are_cut_with_a_notice"),
    ("sqlite.max_bytes", SQLITE, "bytes_are_cut_with_a_notice"),
    ("files.max_bytes", FILES, "a_part_says_how_to_get_the_rest"),
    ("files.max_write", FILES, "what_is_too_large_is_refused"),
    ("files.max_entries", FILES, "long_lists_are_cut_with_a_notice"),
    ("files.max_scan", FILES, "long_lists_are_cut_with_a_notice"),
    ("files.queue", FILES, "more_calls_than_may_wait_are_told_so"),
    ("mcp.max_message", UPSTREAM, "a_message_that_is_too_large_is_its_own_calls_failure"),
    ("mcp.max_calls", UPSTREAM, "one_call_too_many_is_refused"),
    ("mcp.expose.tools.max_tools", UPSTREAM, "what_would_break_a_list_is_left_out_and_told"),
    ("JSON of messages, nested", MCP, "over_stdio"),
    ("messages in one batch", MCP, "over_http"),
    ("steps of one template", "core/src/template/tests", "a_limit_names_the_template"),
    ("output of one template", "core/src/template/tests", "attempts_are_inert"),
    ("actions within actions", "patterns/src/aggregate/tests", "nesting_ends_somewhere"),
    (
        "elements of `map` and `for_each`",
        "patterns/src/map",
        "a_list_that_is_none_or_too_long_is_refused_before_anything_is_done",
    ),
    ("pages of a list", "patterns/src/call", "each_limit_ends_it_with_a_notice_and_a_cursor"),
];

/// Where keys of connectors are limits: by their names.
const CONNECTORS: [&str; 6] = ["http", "postgres", "mysql", "sqlite", "files", "mcp"];

/// Those that stand deeper: connector, heading of the reference, where.
const NESTED: [(&str, &str, &str); 1] = [("mcp", "\n## ExposedTools\n", "expose.tools")];

fn is_limit(key: &str) -> bool {
    key.starts_with("max_") || ["queue", "statement_timeout", "busy_timeout"].contains(&key)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join("docs").join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The cells of the rows of the table below `heading`; of the first table of the page without one.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let from = page.find(heading).unwrap_or_else(|| panic!("no {heading}"));
    let table = page[from..].lines().skip_while(|line| !line.starts_with("| ---"));
    let rows = table.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn key(row: &[String]) -> String {
    row[0].trim_matches('`').to_owned()
}

fn guide(heading: &str) -> BTreeMap<String, String> {
    let rows = rows(&page("guide/limits.md"), heading);
    for row in &rows {
        assert!(row.len() == 3 && !row[2].is_empty(), "what happens when it is reached? {row:?}");
    }
    rows.iter().map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone())).collect()
}

#[test]
fn each_limit_of_the_server_has_a_row_with_its_default() {
    let reference = rows(&page("reference/server.md"), "\n## Limits\n");
    let expected: BTreeMap<_, _> = reference.iter().map(|row| (key(row), row[2].clone())).collect();
    assert!(expected.len() > 20, "{expected:?}");
    assert_eq!(guide("\n## Of the server\n"), expected);
}

#[test]
fn each_limit_of_a_system_has_a_row_with_its_default() {
    let listed = guide("\n## Of systems\n");
    let mut expected = BTreeMap::new();
    for connector in CONNECTORS {
        let reference = rows(&page(&format!("reference/{connector}.md")), "# ");
        let limits = reference.iter().filter(|row| is_limit(&key(row)));
        expected.extend(limits.map(|row| (format!("{connector}.{}", key(row)), row[2].clone())));
    }
    for (connector, heading, prefix) in NESTED {
        let reference = rows(&page(&format!("reference/{connector}.md")), heading);
        let limits = reference.iter().filter(|row| is_limit(&key(row)));
        expected.extend(limits.map(|row| (format!("{connector}.{prefix}.{}", key(row)), row[2].clone())));
    }
    let of_layers =
        |name: &str| CONNECTORS.iter().all(|connector| !name.starts_with(&format!("{connector}.")));
    let found: BTreeMap<_, _> = listed.iter().filter(|(name, _)| !of_layers(name)).collect();
    assert_eq!(found, expected.iter().collect());
    // Those of the layers stand on one page, each below the heading of its group.
    let systems = page("reference/systems.md");
    for (name, default) in listed.iter().filter(|(name, _)| of_layers(name)) {
        let (_, key) = name.split_once('.').unwrap();
        let row = systems
            .lines()
            .find(|line| line.starts_with(&format!("| `{key}` |")) && line.contains(default.as_str()));
        assert!(row.is_some(), "`{name}` with the default `{default}` is not in the reference");
    }
}

#[test]
fn each_limit_has_a_test_that_reaches_it() {
    let page = page("guide/limits.md");
    let headings = ["\n## Of the server\n", "\n## Of systems\n", "\n## Of a config's own work\n"];
    let mut listed: Vec<String> =
        headings.iter().flat_map(|heading| rows(&page, heading)).map(|row| row[0].clone()).collect();
    listed.iter_mut().for_each(|name| {
        if let Some(key) = name.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
            *name = key.to_owned();
        }
    });
    let reached: Vec<&str> = REACHED.iter().map(|(limit, ..)| *limit).collect();
    assert_eq!(reached, listed.iter().map(String::as_str).collect::<Vec<_>>());
    for (limit, folder, test) in REACHED {
        let text = sources(&root().join("crates").join(folder));
        assert!(text.contains(&format!("fn {test}(")), "`{limit}`: there is no test `{test}` in {folder}");
    }
}

fn sources(path: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(path).unwrap();
        }
    }
    text
}
