//! What only PostgreSQL can do to a store: die under it, be newer, be busy with something else.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use renkei_core::{
    Applied, Kind, Secret,
    clock::{Clock, SystemClock, Timestamp},
    store::{
        Append, Batch, Claim, Expected, JobChange, JobId, LogQuery, Maintain as _, NewEvent, NewJob,
        Position, Record, Refusal, Store as _, Verdict,
    },
};
use renkei_store::postgres::PostgresStore;
use renkei_testkit::postgres::{Loss, PASSWORD, ROLE, Relay, Server};
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

fn claim(max: usize) -> Claim {
    Claim { queue: "work".into(), max, lease_for: Duration::from_secs(60), worker: "test".into() }
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

/// The connection is lost around a commit: what has happened is looked up, and told.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_looked_up() {
    let server = Server::shared();
    let (database, relay) = (server.new_database(), Relay::to(server.port()).await);
    let url = Secret::new(relay.url(&database));
    let store = PostgresStore::open(&url, Path::new("."), true, Arc::new(SystemClock)).await.unwrap();
    for loss in [Loss::AfterCommit, Loss::BeforeCommit] {
        let id = JobId::new();
        relay.lose(loss);
        let enqueued = store.commit(enqueue(id)).await.unwrap();
        assert!(matches!(enqueued, Verdict::Done(_)), "{loss:?}: {enqueued:?}");
        assert!(relay.has_lost());

        relay.lose(loss);
        let claims = store.claim(claim(10)).await.unwrap();
        assert!(relay.has_lost());
        let [job] = &claims.jobs[..] else { panic!("{loss:?}: {claims:?}") };
        assert_eq!((job.id, job.attempts), (id, 1), "{loss:?}");

        relay.lose(loss);
        let finish = JobChange::Finish { lease: job.lease(), keep_until: None };
        let finished = store.commit(Batch::new().job(finish)).await.unwrap();
        assert!(matches!(finished, Verdict::Done(_)), "{loss:?}: {finished:?}");
        assert!(relay.has_lost());
        assert_eq!(store.job(id).await.unwrap(), None, "{loss:?}");
    }
    assert_eq!(store.check().await.unwrap(), []);
    store.close().await;
    server.drop_database(&database);
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
        through(&store, 3).await;
    }
    store.close().await;
    drop(other);
    connection.await.unwrap().unwrap();
    server.run(&foreign, "rollback prepared 'in doubt'");
}

/// So many messages, enqueued, claimed and finished.
#[expect(clippy::unwrap_used, reason = "whatever fails here fails the test")]
async fn through(store: &PostgresStore, count: usize) {
    let new = || NewJob::new(JobId::new(), "work", Record::new(1, "{}"));
    let enqueues = std::iter::repeat_with(new).take(count).collect();
    store.commit(Batch { enqueues, ..Batch::default() }).await.unwrap().into_result().unwrap();
    // More than there are: such a claim looks at everything.
    let claims = store.claim(claim(count + 1)).await.unwrap();
    assert_eq!(claims.jobs.len(), count);
    let jobs =
        claims.jobs.iter().map(|job| JobChange::Finish { lease: job.lease(), keep_until: None }).collect();
    store.commit(Batch { jobs, ..Batch::default() }).await.unwrap().into_result().unwrap();
}

/// A clock that the test moves.
#[derive(Debug)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// A transaction that stays open elsewhere keeps every row that a queue has had. What a claim reads does not grow with them.
#[tokio::test(flavor = "multi_thread")]
async fn dead_rows_are_not_read_again_and_again() {
    const MANY: usize = 2_000;
    const FEW: usize = 10;
    let server = Server::shared();
    let database = server.new_database();
    let clock = Arc::new(SetClock(AtomicI64::new(1_800_000_000_000)));
    let open =
        async || PostgresStore::open(&url(&server, &database), Path::new("."), true, clock.clone()).await;
    open().await.unwrap().close().await;
    let config: tokio_postgres::Config = url(&server, &database).expose().parse().unwrap();
    let (other, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let hold = "begin isolation level repeatable read; select count(*) from renkei.jobs";
    other.batch_execute(hold).await.unwrap();

    // A connection has told what it read when it is closed.
    let read = || -> usize {
        let sum = "select sum(idx_tup_read) + (select seq_tup_read from pg_stat_user_tables where relname = 'jobs') \
                   from pg_stat_user_indexes where relname = 'jobs'";
        server.run(&database, sum).parse().unwrap()
    };
    let store = open().await.unwrap();
    for _ in 0..MANY / 100 {
        through(&store, 100).await;
    }
    store.close().await;
    // All leases that there were have ended.
    clock.0.fetch_add(600_000, Ordering::Relaxed);
    let before = all_gone(&server, &database, &read).await;
    let store = open().await.unwrap();
    for _ in 0..FEW {
        through(&store, 1).await;
        store.queues().await.unwrap();
    }
    store.close().await;
    let after = all_gone(&server, &database, &read).await;
    assert!(after - before < FEW * 100, "{} entries were read for {FEW} messages", after - before);
    drop(other);
    connection.await.unwrap().unwrap();
    server.drop_database(&database);
}

/// Waits until the server has ended the store's connections; then gives what `read` says.
async fn all_gone(server: &Server, database: &str, read: &impl Fn() -> usize) -> usize {
    let left = format!(
        "select count(*) from pg_stat_activity where datname = '{database}' and application_name <> 'psql'"
    );
    // The one that holds the transaction open stays.
    while server.run(database, &left) != "1" {
        tokio::task::yield_now().await;
    }
    read()
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
    assert!(error.public().contains("version 99") && error.public().contains("knows 2"), "{error}");
    server.drop_database(&database);
}

/// Tables of version 1 did not say where looks begin; what waited then is found.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_older_tables_is_found() {
    let server = Server::shared();
    let database = server.new_database();
    let store = open(&server, &database).await.unwrap();
    let ids = [JobId::new(), JobId::new()];
    store.commit(enqueue(ids[0])).await.unwrap().into_result().unwrap();
    store.close().await;
    let older = "alter table renkei.counts drop low, drop top, drop bottom, drop due; update renkei.meta set version = 1";
    server.run(&database, older);

    let store = open(&server, &database).await.unwrap();
    store.commit(enqueue(ids[1])).await.unwrap().into_result().unwrap();
    assert_eq!(store.check().await.unwrap(), []);
    let claims = store.claim(claim(10)).await.unwrap();
    assert_eq!(claims.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), ids);
    store.close().await;
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
