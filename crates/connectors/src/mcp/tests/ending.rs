//! Programs end, at any moment, and nothing is left of them.

use renkei_core::{Applied, Kind};
use renkei_testkit::upstream::{Upstream, is_alive};

use super::{lost, patient, program, system};
use crate::fixture::{Client, context};

/// Waits until a process is gone. What ends it has been done already: it is a matter of being reaped.
async fn gone(pid: u64) {
    let wait = async {
        while is_alive(pid) {
            tokio::task::yield_now().await;
        }
    };
    assert!(
        tokio::time::timeout(std::time::Duration::from_secs(30), wait).await.is_ok(),
        "{pid} is still there"
    );
}

fn pid(entry: &serde_json::Value) -> u64 {
    entry["pid"].as_u64().unwrap()
}

#[tokio::test]
async fn a_program_that_dies_in_a_call_is_told_and_noticed() {
    for tool in ["die", "half", "close"] {
        let upstream = Upstream::new().await;
        let system = system(&program(&upstream, &["both"], ""));
        let connection = system.connect(&patient()).await.unwrap();
        let client = Client { system, call: Some(connection.call.clone()) };
        let error = client.fails(tool, "{}").await;
        assert_eq!(
            (error.kind(), error.was_applied()),
            (Kind::Unavailable, Applied::Unknown),
            "{tool}: {error}"
        );
        let reason = lost(&connection).await;
        assert!(reason.public().contains("`shop`"), "{tool}: {reason}");
        if tool == "die" {
            assert!(reason.detail_text().unwrap_or_default().contains("the disk is gone"), "{reason:?}");
        }
        // Who comes later is told the reason, and nothing was sent.
        let cx = context();
        let error = connection.call.call(&cx, &client.request("echo", "{}")).await.unwrap_err();
        assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::No), "{tool}: {error}");
        assert!(!cx.attempt.was_sent());
        gone(pid(&upstream.told_of("started")[0])).await;
    }
}

/// With a connection all that its program has started ends.
#[tokio::test]
async fn the_whole_group_ends_with_its_connection() {
    let upstream = Upstream::new().await;
    let system = system(&program(&upstream, &["both"], ""));
    let connection = system.connect(&patient()).await.unwrap();
    let client = Client { system, call: Some(connection.call.clone()) };
    client.get("forked", "{}").await;
    let forked = upstream.wait("forked", 1).await;
    let (program, child) = (pid(&forked[0]), forked[0]["child"].as_u64().unwrap());
    assert!(is_alive(program) && is_alive(child));
    drop((client, connection));
    // Its input is closed first, so that it can end by itself.
    upstream.wait("input closed", 1).await;
    gone(program).await;
    gone(child).await;
}

/// A runtime that ends takes the programs with it, whatever they do.
#[test]
fn the_group_ends_with_the_runtime() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (around, inside) = (runtime(), runtime());
    let upstream = around.block_on(Upstream::new());
    let config = program(&upstream, &["both"], "");
    let connection = inside.block_on(async {
        let system = system(&config);
        let connection = system.connect(&patient()).await.unwrap();
        let client = Client { system, call: Some(connection.call.clone()) };
        client.get("forked", "{}").await;
        connection
    });
    let forked = around.block_on(upstream.wait("forked", 1));
    drop(inside);
    around.block_on(async {
        gone(pid(&forked[0])).await;
        gone(forked[0]["child"].as_u64().unwrap()).await;
    });
    drop(connection);
}

/// Wherever a program is killed, the next one works, and none is left.
#[tokio::test]
async fn programs_killed_at_every_point_leave_nothing() {
    let upstream = Upstream::new().await;
    let system = system(&program(&upstream, &["both"], ""));
    let mut pids = Vec::new();
    for at in 0..6 {
        let before = upstream.count("started");
        let connection = system.connect(&patient()).await.unwrap();
        let started = upstream.wait("started", before + 1).await;
        let victim = pid(started.last().unwrap());
        pids.push(victim);
        let client = Client { system: system.clone(), call: Some(connection.call.clone()) };
        let slow_before = upstream.count("slow started");
        match at % 3 {
            // Before its first call, between two calls, in a call.
            0 => kill(victim),
            1 => {
                client.get("echo", "{}").await;
                kill(victim);
            }
            _ => {
                let (slow, cx, call) = (client.request("slow", "{}"), context(), client.call());
                let mut slow = call.call(&cx, &slow);
                tokio::select! {
                    reply = &mut slow => panic!("{reply:?}"),
                    _ = upstream.wait("slow started", slow_before + 1) => {}
                }
                kill(victim);
                let error = slow.await.unwrap_err();
                assert_eq!(
                    (error.kind(), error.was_applied()),
                    (Kind::Unavailable, Applied::Unknown),
                    "{error}"
                );
            }
        }
        lost(&connection).await;
    }
    for pid in pids {
        gone(pid).await;
    }
}

fn kill(pid: u64) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// 200 connects and disconnects: no process is left, and no open file more than before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_leave_nothing() {
    let upstream = Upstream::new().await;
    let system = system(&program(&upstream, &["both"], ""));
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut before = None;
    for round in 0..200 {
        let connection = system.connect(&patient()).await.unwrap();
        if round % 20 == 0 {
            let client = Client { system: system.clone(), call: Some(connection.call.clone()) };
            assert_eq!(client.get("echo", "{}").await, "{}");
        }
        drop(connection);
        let ended = upstream.wait("input closed", round + 1).await;
        gone(pid(ended.last().unwrap())).await;
        if round == 20 {
            before = Some(open());
        }
    }
    for entry in upstream.told_of("started") {
        gone(pid(&entry)).await;
    }
    // A connection of the journal may still be open for each of the last ones.
    let (before, after) = (before.unwrap(), open());
    assert!(after <= before + 4, "{before} open files became {after}");
}
