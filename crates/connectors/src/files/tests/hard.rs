//! What is not a plain file, and what ends half-way.

use std::{
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, fs::symlink, net::UnixListener},
    time::Duration,
};

use renkei_core::{Applied, Kind, Value};
use tokio::time::timeout;

use super::{Docs, context};

/// A folder beside the root with a file, and links to it from inside.
async fn with_links() -> Docs {
    let docs = Docs::new("").await;
    let outside = docs.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    docs.put("in/file", "inside");
    symlink("../outside/secret", docs.path("file_out")).unwrap();
    symlink(outside.join("secret"), docs.path("file_absolute")).unwrap();
    symlink("../outside", docs.path("dir_out")).unwrap();
    symlink("../outside/new", docs.path("dangling_out")).unwrap();
    symlink("dir_out", docs.path("link_to_link")).unwrap();
    symlink("in/file", docs.path("file_in")).unwrap();
    symlink("in", docs.path("dir_in")).unwrap();
    symlink("loop", docs.path("loop")).unwrap();
    symlink("nowhere", docs.path("dangling")).unwrap();
    symlink("..", docs.path("in/up")).unwrap();
    docs
}

#[tokio::test]
async fn links_never_lead_out() {
    let docs = with_links().await;
    let before = docs.everything();
    for path in [
        "file_out",
        "file_absolute",
        "dir_out/secret",
        "dir_out/new",
        "dangling_out",
        "link_to_link/secret",
        "in/up/dir_out/secret",
        "dir_out",
        "loop",
        "loop/x",
        "dangling",
    ] {
        for op in [
            r#"{"read": "${+ .path}"}"#,
            r#"{"stat": "${+ .path}"}"#,
            r#"{"list": "${+ .path}"}"#,
            r#"{"write": "${+ .path}", "content": "evil"}"#,
            r#"{"write": "${+ .path}", "content": "evil", "if": "absent"}"#,
            r#"{"append": "${+ .path}", "content": "evil"}"#,
            r#"{"copy": "${+ .path}", "to": "copied"}"#,
            r#"{"copy": "in/file", "to": "${+ .path}"}"#,
            r#"{"rename": "${+ .path}", "to": "renamed"}"#,
            r#"{"rename": "in/file", "to": "${+ .path}"}"#,
        ] {
            let error = docs.fails(op, &format!(r#"{{"path": "{path}"}}"#)).await;
            assert_eq!(error.was_applied(), Applied::No, "{op} {path}: {error}");
            assert!(!error.public().contains(docs.folder.path().to_str().unwrap()), "{error}");
        }
    }
    assert_eq!(docs.fails("read dir_out/secret", "{}").await.kind(), Kind::Forbidden);
    assert_eq!(docs.everything(), before);
    assert_eq!(std::fs::read_to_string(docs.folder.path().join("outside/secret")).unwrap(), "secret");
    assert_eq!(docs.fails("delete dir_out/secret", "{}").await.kind(), Kind::Forbidden);
    // A link itself can go; what it leads to stays.
    docs.get("delete file_out", "{}").await;
    docs.get(r#"{"delete": "dir_out", "recursive": true}"#, "{}").await;
    docs.get(r#"{"delete": "link_to_link/secret"}"#, "{}").await;
    assert!(docs.folder.path().join("outside/secret").exists());
    assert!(!docs.path("file_out").is_symlink() && !docs.path("dir_out").is_symlink());
}

#[tokio::test]
async fn links_inside_are_followed_but_not_replaced() {
    let docs = with_links().await;
    assert_eq!(docs.get("read file_in", "{}").await, r#""inside""#);
    assert_eq!(docs.get("read dir_in/file", "{}").await, r#""inside""#);
    docs.get(r#"{"write": "dir_in/new", "content": "n"}"#, "{}").await;
    assert!(docs.path("in/new").exists());
    let error = docs.fails(r#"{"write": "file_in", "content": "n"}"#, "{}").await;
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.public().contains("symbolic link"), "{error}");
    // Those that lead nowhere or out are not there; none is entered.
    let all = docs.list(r#"{"list": ".", "recursive": true}"#, "{}").await;
    assert_eq!(all, "dir_in file_in in in/file in/new in/up");
}

#[tokio::test]
async fn a_tree_with_links_is_deleted_without_what_they_lead_to() {
    let docs = with_links().await;
    symlink("../../outside", docs.path("in/out")).unwrap();
    docs.get(r#"{"delete": "in", "recursive": true}"#, "{}").await;
    assert!(!docs.path("in").exists());
    assert!(docs.folder.path().join("outside/secret").exists() && docs.path("dir_out").is_symlink());
}

/// A folder in the path is replaced with a link, again and again, while files below it are used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_appear_while_a_call_runs_never_lead_out() {
    let docs = Docs::new("").await;
    let outside = docs.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("f"), "secret").unwrap();
    docs.put("real/f", "inside");
    symlink("../outside", docs.path("evil")).unwrap();
    let root = docs.path("");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let swapper = std::thread::spawn(move || {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        let mut swaps = 0u32;
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            renameat_with(CWD, root.join("real"), CWD, root.join("evil"), RenameFlags::EXCHANGE).unwrap();
            swaps += 1;
        }
        swaps
    });
    let mut inside = 0;
    for at in 0..400 {
        if let Ok(reply) = docs.run("read real/f", "{}").await {
            assert_eq!(reply.value.into_value(), "inside".into());
            inside += 1;
        }
        let _ = docs.run(&format!(r#"{{"write": "real/{at}", "content": "x"}}"#), "{}").await;
        let _ = docs.run(&format!(r#"{{"append": "real/a{at}", "content": "x"}}"#), "{}").await;
        let _ = docs.run(&format!(r#"{{"delete": "real/{at}"}}"#), "{}").await;
        let _ = docs.run("delete evil/f/x", "{}").await;
    }
    drop(stop);
    assert!(swapper.join().unwrap() > 0 && inside > 0);
    let names: Vec<_> =
        std::fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["f"]);
    assert_eq!(std::fs::read_to_string(outside.join("f")).unwrap(), "secret");
}

#[tokio::test]
async fn what_is_no_file_is_refused_at_once() {
    let docs = Docs::new("").await;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        docs.path("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let _socket = UnixListener::bind(docs.path("socket")).unwrap();
    for path in ["pipe", "socket"] {
        for op in [
            format!("read {path}"),
            format!(r#"{{"write": "{path}", "content": "a"}}"#),
            format!(r#"{{"append": "{path}", "content": "a"}}"#),
            format!(r#"{{"copy": "{path}", "to": "b"}}"#),
            format!(r#"{{"rename": "{path}", "to": "b"}}"#),
        ] {
            let error = timeout(Duration::from_secs(20), docs.fails(&op, "{}")).await.expect(&op);
            assert_eq!((error.kind(), error.was_applied()), (Kind::Invalid, Applied::No), "{op}: {error}");
            assert!(error.public().contains("a socket or a pipe"), "{error}");
        }
        let stat = docs.reply(&format!("stat {path}"), "{}").await.value.into_value();
        assert_eq!(stat.get("type"), Some(&"other".into()));
    }
    assert_eq!(docs.everything(), ["root", "root/pipe", "root/socket"]);
}

#[tokio::test]
async fn names_that_are_not_utf_8_are_told() {
    let docs = Docs::new("").await;
    docs.put("a", "");
    std::fs::write(docs.path("").join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "").unwrap();
    let list = docs.reply("list .", "{}").await;
    assert_eq!(list.value.into_value().as_array().unwrap().len(), 1);
    assert!(list.notices[0].contains("1 names are not UTF-8"), "{:?}", list.notices);
    // They do not keep a folder from being deleted.
    docs.put("d/x", "");
    std::fs::write(docs.path("d").join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    docs.get(r#"{"delete": "d", "recursive": true}"#, "{}").await;
    assert!(!docs.path("d").exists());
}

#[tokio::test]
async fn folders_may_be_deep_but_not_endless() {
    let docs = Docs::new("").await;
    let deep = vec!["d"; 63].join("/");
    docs.get(&format!(r#"{{"write": "{deep}/f", "content": "x"}}"#), "{}").await;
    assert!(docs.list(r#"{"list": ".", "glob": "**/f"}"#, "{}").await.ends_with("/d/f"));
    let mut path = docs.path(&deep);
    for _ in 0..10 {
        path.push("d");
    }
    std::fs::create_dir_all(&path).unwrap();
    for op in [r#"{"list": ".", "recursive": true}"#, r#"{"delete": "d", "recursive": true}"#] {
        let error = docs.fails(op, "{}").await;
        assert!(error.public().contains("deeper than 64"), "{error}");
    }
    assert!(path.exists());
}

/// A file as large as this shows that only the part that is asked for is read. It takes no space.
#[tokio::test]
async fn huge_files_are_read_in_parts() {
    let docs = Docs::new(r#""max_bytes": "10B""#).await;
    let file = std::fs::File::create(docs.path("huge")).unwrap();
    file.set_len(1 << 40).unwrap();
    let part = docs.reply(r#"{"read": "huge", "as": "bytes", "offset": 1099511627771}"#, "{}").await;
    assert_eq!(part.meta.get("bytes"), Some(&Value::from(5u64)));
    let part = docs.reply("read huge", "{}").await;
    assert_eq!(part.value.into_value().as_str().map(str::len), Some(10));
    assert!(part.notices[0].contains("`offset: 10`"));
}

#[tokio::test]
async fn who_may_read_a_file_stays() {
    let docs = Docs::new("").await;
    docs.put("a", "1");
    std::fs::set_permissions(docs.path("a"), std::fs::Permissions::from_mode(0o4640)).unwrap();
    docs.get(r#"{"write": "a", "content": "2"}"#, "{}").await;
    docs.get(r#"{"copy": "a", "to": "b"}"#, "{}").await;
    for path in ["a", "b"] {
        let mode = std::fs::metadata(docs.path(path)).unwrap().permissions().mode();
        // Never more than reading and writing.
        assert_eq!(mode & 0o7777, 0o640, "{path}");
    }
}

/// Whoever reads while a file is written sees the old or the new one, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_half_a_file() {
    let docs = Docs::new("").await;
    let (one, other) = ("a".repeat(600_000), "b".repeat(500_000));
    docs.put("f", &one);
    let path = docs.path("f");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let reader = std::thread::spawn(move || {
        let mut reads = 0;
        while reads == 0 || stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let text = std::fs::read(&path).unwrap();
            assert!(matches!((text.len(), text[0]), (600_000, b'a') | (500_000, b'b')));
            assert!(text.iter().all(|byte| *byte == text[0]));
            reads += 1;
        }
    });
    let write = r#"{"write": "f", "content": "${.c}"}"#;
    for at in 0..30 {
        let content = if at % 2 == 0 { &other } else { &one };
        docs.ask(write, &Value::from([("c", content.as_str())])).await.unwrap();
    }
    drop(stop);
    reader.join().unwrap();
    assert_eq!(docs.everything(), ["root", "root/f"]);
}

/// A call that is dropped leaves the old file or the new one, and nothing else. When it says that it was not
/// sent, it is the old one.
#[tokio::test]
async fn a_dropped_write_leaves_nothing_half_done() {
    let docs = Docs::new(r#""max_write": "64MB", "parallel": 1"#).await;
    let content = Value::from([("c", "x".repeat(20_000_000))]);
    let write = docs.request(r#"{"write": "new/f", "content": "${.c}"}"#, &content.to_json());
    let mut unsent = 0;
    for wait in [0, 0, 1, 2, 4, 8, 16, 32] {
        let _ = std::fs::remove_file(docs.path("new/f"));
        let cx = context();
        let call = docs.call();
        let mut call = call.call(&cx, &write);
        let done = timeout(Duration::from_millis(wait), &mut call).await;
        drop(call);
        let sent = cx.attempt.was_sent();
        // The only thread is free again only when the work has ended.
        docs.reply("stat .", "{}").await;
        let there = docs.path("new/f").exists();
        assert!(sent || !there, "it said that nothing was sent");
        assert!(done.is_err() || there);
        if there {
            assert_eq!(std::fs::metadata(docs.path("new/f")).unwrap().len(), 20_000_000);
        }
        unsent += usize::from(!sent);
        let left: Vec<_> = docs.everything().into_iter().filter(|name| name.contains(".renkei")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
    assert!(unsent > 0);
}

/// The rename is refused after the file was written: the folder takes its place meanwhile.
#[tokio::test]
async fn a_failed_write_leaves_no_unfinished_file() {
    let docs = Docs::new("").await;
    docs.put("f/x", "1");
    for op in [
        r#"{"write": "f", "content": "a"}"#,
        r#"{"write": "f/x", "content": "a", "if": "absent"}"#,
        r#"{"copy": "none", "to": "g"}"#,
    ] {
        docs.fails(op, "{}").await;
    }
    assert_eq!(docs.everything(), ["root", "root/f", "root/f/x"]);
}

#[tokio::test]
async fn more_calls_than_may_wait_are_told_so() {
    let docs = Docs::new(r#""parallel": 1, "queue": 2"#).await;
    docs.put("a", "1");
    let (cx, call, request) = (context(), docs.call(), docs.request("read a", "{}"));
    // A thread may be faster than whoever calls it, so it is tried until they come too fast.
    let mut refused = Vec::new();
    for _ in 0..1000 {
        let done = futures_util::future::join_all((0..50).map(|_| call.call(&cx, &request))).await;
        refused = done.into_iter().filter_map(Result::err).collect();
        // What may wait is never refused.
        assert!(refused.len() <= 48);
        if !refused.is_empty() {
            break;
        }
    }
    assert!(!refused.is_empty());
    for error in refused {
        assert_eq!((error.kind(), error.was_applied()), (Kind::RateLimited, Applied::No));
        assert!(error.public().contains("(`queue`)"), "{error}");
    }
}
