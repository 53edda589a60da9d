-- Texts are compared by bytes, so that their order is the same on every server. Times are milliseconds since 1970.

create table meta (
    one bool primary key default true check (one),
    version integer not null,
    -- The last position of the log that retention has dropped.
    dropped bigint not null
);
insert into meta (version, dropped) values (0, 0);

create table streams (
    stream text collate "C" primary key,
    -- The version of the first event that is kept, and of the last one that was dropped.
    first bigint not null,
    dropped bigint not null,
    -- The position of the last event that was dropped.
    dropped_at bigint not null
);

create table events (
    position bigint primary key,
    stream text collate "C" not null,
    version bigint not null,
    id text collate "C" not null,
    kind text collate "C" not null,
    form integer not null,
    data bytea not null,
    meta bytea not null,
    at bigint not null
);
create unique index events_version on events (stream, version);
create unique index events_id on events (stream, id);

create sequence places;
create table jobs (
    id uuid primary key,
    -- Its place among all jobs, in the order of the commits.
    place bigint not null,
    queue text collate "C" not null,
    key text collate "C",
    priority smallint not null,
    -- 0 ready, 1 scheduled, 2 held, 3 leased, 4 dead, 5 done
    state smallint not null,
    run_at bigint not null,
    expires bigint,
    uniq text collate "C",
    form integer not null,
    payload bytea not null,
    headers bytea not null,
    attempts integer not null,
    token bigint not null,
    leased_until bigint,
    worker text collate "C",
    -- JSON
    errors text not null,
    created bigint not null,
    changed bigint not null,
    dead smallint,
    blocks bool not null,
    keep_until bigint
);
create index jobs_ready on jobs (queue, priority desc, place) where state = 0;
create index jobs_scheduled on jobs (queue, run_at, place) where state = 1;
create index jobs_held on jobs (queue, place) where state = 2;
create index jobs_leased on jobs (queue, leased_until, place) where state = 3;
create index jobs_ended on jobs (queue, state, changed, place) where state >= 4;
create index jobs_expiring on jobs (queue, expires) where state <= 2 and expires is not null;
create index jobs_kept on jobs (keep_until) where state = 5;
create index jobs_buried on jobs (changed) where state = 4;
-- The head of a key, and who waits for it.
create index jobs_head on jobs (queue, key) where key is not null and (state in (0, 1, 3) or blocks);
create index jobs_waiting on jobs (queue, key, place) where key is not null and state = 2;
create unique index jobs_unique on jobs (queue, uniq) where uniq is not null and state <= 3;

-- How many jobs a queue has in each state: the row with the greatest number counts.
create sequence counts_number;
create table counts (
    queue text collate "C" not null,
    number bigint not null,
    ready bigint not null,
    scheduled bigint not null,
    held bigint not null,
    leased bigint not null,
    dead bigint not null,
    done bigint not null,
    primary key (queue, number)
);

create sequence cell_versions;
create table cells (
    space text collate "C" not null,
    key text collate "C" not null,
    version bigint not null,
    form integer not null,
    value bytea not null,
    expires bigint,
    owner text collate "C",
    state text collate "C",
    due bigint,
    changed bigint not null,
    primary key (space, key)
);
create index cells_owner on cells (space, owner, key) where owner is not null;
create index cells_state on cells (space, state, key) where state is not null;
create index cells_due on cells (space, due, key) where due is not null;
create index cells_expiring on cells (expires) where expires is not null;

-- Which groups a node has committed: after a lost connection it looks here whether the last one is in.
create table groups (
    node uuid not null,
    number bigint not null,
    at bigint not null,
    primary key (node, number)
);
