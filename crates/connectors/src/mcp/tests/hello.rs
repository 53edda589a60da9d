//! Which era is spoken with whom.

use renkei_core::{ConnectContext, Kind};
use renkei_testkit::{
    fault::{Answer, FaultServer},
    upstream::Upstream,
};

use super::{program, reached, started, system};
use std::time::Duration;

#[tokio::test]
async fn a_program_gets_the_newest_era_that_it_knows() {
    let upstream = Upstream::new().await;
    for (modes, hello) in [
        (&["both"][..], "discover"),
        (&["modern"], "discover"),
        (&["legacy"], "initialize"),
        (&["strict"], "initialize"),
    ] {
        let before = upstream.count(hello);
        let client = started(&upstream, modes, "").await;
        assert_eq!(client.get("echo", "{}").await, "{}", "{modes:?}");
        assert_eq!(upstream.wait(hello, before + 1).await.len(), before + 1, "{modes:?}");
    }
    // One that ended at a first word it did not know is not asked again.
    let program = system(&program(&upstream, &["strict"], ""));
    for starts in [2, 1] {
        let before = upstream.count("started");
        let connection = program.connect(&super::patient()).await.unwrap();
        assert_eq!(upstream.wait("started", before + starts).await.len(), before + starts);
        drop(connection);
    }
}

#[tokio::test]
async fn a_program_that_says_nothing_to_an_unknown_word_is_asked_in_the_old_way() {
    let upstream = Upstream::new().await;
    let mute = system(&program(&upstream, &["mute"], ""));
    let connect = ConnectContext { timeout: Duration::from_secs(6), ..super::patient() };
    // Half of the time goes by before the second word; on a busy machine one start may take longer.
    let mut connected = mute.connect(&connect).await;
    for _ in 0..3 {
        if connected.is_ok() {
            break;
        }
        connected = mute.connect(&connect).await;
    }
    connected.unwrap();
    assert!(upstream.count("initialize") >= 1);
}

#[tokio::test]
async fn an_era_can_be_fixed() {
    let upstream = Upstream::new().await;
    let client = started(&upstream, &["both"], r#""era": "legacy""#).await;
    client.get("echo", "{}").await;
    assert_eq!((upstream.count("initialize"), upstream.count("discover")), (1, 0));
    let modern = system(&program(&upstream, &["legacy"], r#""era": "modern""#));
    let error = modern.connect(&super::patient()).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.public().contains("`era: modern`"), "{error}");
}

#[tokio::test]
async fn who_says_no_hello_is_not_waited_for_longer_than_the_limit() {
    let upstream = Upstream::new().await;
    let late = system(&program(&upstream, &["late", "legacy"], ""));
    let connect = ConnectContext { timeout: Duration::from_secs(3), ..super::patient() };
    let error = late.connect(&connect).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.public().contains("timeout.connect"), "{error}");
}

#[tokio::test]
async fn what_is_no_server_is_told() {
    let upstream = Upstream::new().await;
    let dead = system(&program(&upstream, &["dead"], ""));
    let error = dead.connect(&super::patient()).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.public().contains("has ended") || error.public().contains("closed its output"), "{error}");
    assert!(error.detail_text().unwrap_or_default().contains("cannot start today"), "{error:?}");
    // A file that is no program.
    let file = upstream.folder().join("server.py");
    let file = format!(r#"{{"command": "{}"}}"#, file.display());
    for (config, words) in [
        (r#"{"command": "no-such-program-here"}"#, "there is no such program"),
        (r#"{"command": "python3", "cwd": "no/such/folder"}"#, "the folder of `cwd` is not there"),
        (&file, "may not be started"),
    ] {
        let system = system(&crate::fixture::json(config));
        let error = system.connect(&super::patient()).await.err().unwrap();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.public().contains(words) && error.public().contains("`shop`"), "{error}");
    }
}

#[tokio::test]
async fn http_that_is_no_server_is_told() {
    let server = FaultServer::start().await;
    for (answer, kind, words) in [
        (Answer::status(401), Kind::Unauthenticated, "401"),
        (Answer::status(403), Kind::Forbidden, "403"),
        (Answer::status(503), Kind::Unavailable, "503"),
        (Answer::html(200, "<html>hello</html>"), Kind::Unavailable, "text/html"),
        (Answer::json("not json"), Kind::Unavailable, "no answer of the protocol"),
        (Answer::json("{}"), Kind::Unavailable, "no answer of the protocol"),
    ] {
        server.on("/mcp", [answer]);
        let error = reached(&format!("{}/mcp", server.url()), "").await.err().unwrap();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
    server.on("/mcp", [Answer::status(405)]);
    let error = reached(&format!("{}/mcp", server.url()), "").await.err().unwrap();
    assert!(error.public().contains("405"), "{error}");
    let nobody = FaultServer::refused().await;
    let error = reached(&format!("http://{nobody}/mcp"), "").await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unavailable);
}
