//! The tables, and how they came to be. `PRAGMA user_version` says how many of these steps a file has taken.
//!
//! A step that was shipped is never changed; another one is added.

/// `RNKI`: by this in its header a file is known as a store.
pub(super) const APPLICATION_ID: i32 = 0x524e_4b49;

pub(super) const STEPS: &[&str] = &[FIRST];

/// The version of the tables that this program knows.
pub(super) const VERSION: u32 = STEPS.len() as u32;

/// The numbers of states are those of `rows::state`. Only the head of a key (`holds`) is ever `ready`, so that a claim never looks
/// at a key's backlog.
const FIRST: &str = "
create table counters (
    id integer primary key check (id = 1),
    position integer not null,
    version integer not null,
    seq integer not null
);
insert into counters values (1, 0, 0, 0);

create table streams (
    stream integer primary key,
    name text not null unique,
    last integer not null,
    first integer not null
);
create table events (
    position integer primary key,
    stream integer not null,
    version integer not null,
    id text not null,
    kind text not null,
    record integer not null,
    data blob not null,
    meta blob not null,
    at integer not null
);
create unique index events_version on events (stream, version);
create unique index events_id on events (stream, id);
create table dropped (prefix text primary key, position integer not null) without rowid;

create table queues (
    queue integer primary key,
    name text not null unique,
    ready integer not null default 0,
    scheduled integer not null default 0,
    held integer not null default 0,
    leased integer not null default 0,
    dead integer not null default 0,
    done integer not null default 0
);
create table jobs (
    seq integer primary key,
    id blob not null,
    queue integer not null,
    state integer not null,
    holds integer not null,
    key text,
    priority integer not null,
    run_at integer not null,
    expires integer,
    uniq text,
    attempts integer not null default 0,
    token integer not null default 0,
    leased_until integer,
    worker text,
    errors text,
    created integer not null,
    changed integer not null,
    cause integer,
    keep_until integer,
    record integer not null,
    headers blob not null,
    payload blob
);
create unique index jobs_id on jobs (id);
create index jobs_ready on jobs (queue, priority desc, seq) where state = 0;
create index jobs_scheduled on jobs (queue, run_at) where state = 1;
create index jobs_held on jobs (queue, key, seq) where state = 2;
create index jobs_leased on jobs (queue, leased_until) where state = 3;
create index jobs_dead on jobs (queue, changed) where state = 4;
create index jobs_done on jobs (queue, changed) where state = 5;
create unique index jobs_head on jobs (queue, key) where holds = 1;
create unique index jobs_unique on jobs (queue, uniq) where uniq is not null and state <= 3;
create index jobs_expires on jobs (queue, expires) where expires is not null and state <= 2;
create index jobs_kept on jobs (keep_until) where state = 5;
create table payloads (seq integer primary key, payload blob not null);

create table cells (
    space text not null,
    key text not null,
    version integer not null,
    record integer not null,
    expires integer,
    owner text,
    state text,
    due integer,
    changed integer not null,
    value blob not null,
    unique (space, key)
);
create index cells_owner on cells (space, owner, key) where owner is not null;
create index cells_state on cells (space, state, key) where state is not null;
create index cells_due on cells (space, due, key) where due is not null;
create index cells_expires on cells (expires) where expires is not null;
";
