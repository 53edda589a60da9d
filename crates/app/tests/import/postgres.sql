create type status as enum ('new', 'good', 'it''s, bad');
create domain tier as text check (value in ('gold', 'it''s'));
create domain code as text check (value <> '');
create table customers (
    id bigint primary key generated always as identity,
    email text not null unique,
    "Full Name" text,
    status status not null default 'new',
    "order" integer,
    "größe" numeric(10, 2),
    is_vip boolean not null default false,
    created_at timestamptz not null default now(),
    extra jsonb,
    photo bytea,
    "limit" integer,
    tags text[],
    span int4range,
    born date,
    local timestamp,
    size varchar(2) check (size in ('S', 'M', 'L')),
    tier tier
);
alter table customers add constraint big check (size = 'L' or "order" > 0);
create index customers_name on customers ("Full Name");
create index customers_order on customers ("order");
create index customers_size on customers ("größe");
create index customers_born on customers (born, created_at);
create index customers_created on customers (created_at);
create index customers_local on customers (local);
create unique index customers_lower on customers (lower(email));
create index customers_tags on customers (tags);
comment on table customers is 'People who buy. See ${wiki}: "Customers" #7';
comment on column customers.email is 'Their address, checked once';
create table "Order Items" (
    "Order Id" bigint not null references customers (id),
    line integer not null,
    sku code not null,
    "it's a ""name"" `here`" text,
    primary key ("Order Id", line)
);
create table "select" (code text primary key, "from" text not null, "if" text, "and" text);
create table log (message text, at timestamptz, data json);
create view vips as select id, email from customers where is_vip;
create schema other;
create table other.things (id uuid primary key default gen_random_uuid(), name text not null);
