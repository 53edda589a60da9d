//! What only PostgreSQL can do to a store: die under it, be newer, be busy with something else.

use std::{path::Path, sync::Arc};

use renkei_core::{
    Applied, Kind, Secret,
    clock::SystemClock,
    store::{
        Append, Batch, Expected, JobId, LogQuery, Maintain as _, NewEvent, NewJob, Position, Record, Refusal,
        Store as _, Verdict,
    },
};
use renkei_store::postgres::PostgresStore;
use renkei_testkit::postgres::{PASSWORD, ROLE, Server};
use tokio::task::JoinSet;

fn url(server: &Server, database: &str) -> Secret {
    Secret::new(format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/{database}", server.port()))
}

async fn open(server: &Server, database: &str) -> renkei_core::Result<PostgresStore> {
    PostgresStore::open(&url(server, database), Path::new("."), true, Arc::new(SystemClock)).await
}

fn enqueue(id: JobId) -> Batch {
    Batch::new().enqueue(NewJob::new(id, "work", Record::new(1, "{}")))
}

/// What a producer was told of its jobs.
#[derive(Default)]
struct Told {
    done: Vec<JobId>,
    not: Vec<JobId>,
    doubtful: Vec<JobId>,
}

async fn produce(store: Arc<PostgresStore>, count: usize) -> Told {
    let mut told = Told::default();
    for _ in 0..count {
        let id = JobId::new();
        match store.commit(enqueue(id)).await {
            Ok(Verdict::Done(_)) => told.done.push(id),
            Ok(Verdict::Refused(refusal)) => panic!("{refusal:?}"),
            Err(error) if error.was_applied() == Applied::No => told.not.push(id),
            Err(_) => told.doubtful.push(id),
        }
    }
    told
}

/// The server crashes and comes back, again and again, while eight producers work. What they were told is true.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_answered_is_lost_when_the_server_dies() {
    let mut server = Server::private(&["fsync=on", "synchronous_commit=on"]);
    let database = server.new_database();
    let store = Arc::new(open(&server, &database).await.unwrap());
    let mut producers = JoinSet::new();
    for _ in 0..8 {
        producers.spawn(produce(store.clone(), 30));
    }
    let mut changes = store.changes();
    for seen in [30, 90, 150] {
        // Each crash comes in the middle of the work, not after it.
        while store.queues().await.ok().and_then(|all| all.first().map(|counts| counts.ready)) < Some(seen) {
            changes.next().await.unwrap();
        }
        tokio::task::block_in_place(|| {
            server.stop("QUIT");
            server.start();
        });
    }
    let told = producers.join_all().await;
    assert_eq!(store.check().await.unwrap(), []);
    for told in told {
        for id in told.done {
            assert!(store.job(id).await.unwrap().is_some(), "answered, and lost");
        }
        for id in told.not {
            assert!(store.job(id).await.unwrap().is_none(), "said not to be there, and is");
        }
        for id in told.doubtful {
            // The same again settles it.
            let again = store.commit(enqueue(id)).await.unwrap();
            assert!(matches!(again, Verdict::Done(_) | Verdict::Refused(Refusal::JobExists { .. })));
        }
    }
    store.close().await;
}

/// Neither a prepared transaction in another database nor a writer in this one that does not end holds anything up.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_of_others_hold_nothing_up() {
    let server = Server::private(&[]);
    let (database, foreign) = (server.new_database(), server.new_database());
    server.run(&foreign, "create table t (a int)");
    server.run(&foreign, "begin; insert into t values (1); prepare transaction 'in doubt'");
    let config: tokio_postgres::Config = url(&server, &database).expose().parse().unwrap();
    let (other, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    other.batch_execute("create table theirs (a int); begin; insert into theirs values (1)").await.unwrap();

    let store = open(&server, &database).await.unwrap();
    for number in 0..20 {
        let event = NewEvent {
            id: number.to_string(),
            kind: "order_placed".into(),
            data: Record::new(1, "{}"),
            meta: bytes::Bytes::new(),
        };
        let append =
            Append { stream: "orders".into(), expected: Expected::Version(number), events: vec![event] };
        store.commit(Batch::new().append(append)).await.unwrap().into_result().unwrap();
        let query = LogQuery { after: Position::START, prefix: String::new(), limit: 100 };
        let page = store.read_log(query).await.unwrap();
        let positions: Vec<u64> = page.events.iter().map(|event| event.position.number()).collect();
        assert_eq!(positions, (1..=number + 1).collect::<Vec<_>>());
    }
    store.close().await;
    drop(other);
    connection.await.unwrap().unwrap();
    server.run(&foreign, "rollback prepared 'in doubt'");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_is_refused_and_left_alone() {
    let server = Server::shared();
    let database = server.new_database();
    let look =
        PostgresStore::open(&url(&server, &database), Path::new("."), false, Arc::new(SystemClock)).await;
    assert_eq!(look.unwrap_err().kind(), Kind::NotFound, "looking makes no tables");
    open(&server, &database).await.unwrap().close().await;
    server.run(&database, "update renkei.meta set version = 99");
    let error = open(&server, &database).await.unwrap_err();
    assert!(error.public().contains("version 99") && error.public().contains("knows 1"), "{error}");
    server.drop_database(&database);
}

/// The store says what is wrong, and never the password.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_opened_says_why() {
    let server = Server::shared();
    for (url, part) in [
        (
            format!("postgres://{ROLE}:wrong-password@127.0.0.1:{}/postgres", server.port()),
            "user and the password",
        ),
        (format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/nowhere", server.port()), "no such database"),
        (format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:1/postgres"), "cannot be reached"),
        (format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1/d?schema=a.b"), "`schema`"),
    ] {
        let opened =
            PostgresStore::open(&Secret::new(url), Path::new("."), true, Arc::new(SystemClock)).await;
        let error = opened.unwrap_err();
        let text = format!("{error} {}", error.detail_text().unwrap_or_default());
        assert!(text.contains(part), "{text}");
        assert!(!text.contains(PASSWORD) && !text.contains("wrong-password"), "{text}");
    }
}
