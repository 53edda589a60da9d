create table customers (
    id integer primary key,
    email text not null unique,
    "Full Name" text,
    status text not null default 'new',
    "order" integer,
    "größe" decimal(10, 2),
    is_vip boolean not null default 0,
    created_at text not null default current_timestamp,
    extra json,
    photo blob,
    "limit" integer,
    size text check (size in ('S', 'M', 'L')),
    check (status <> '' or size = 'S')
);
create index customers_name on customers ("Full Name");
create index customers_order on customers ("order");
create index customers_size on customers ("größe");
create table "Order Items" (
    "Order Id" integer not null references customers (id),
    line integer not null,
    sku text not null,
    "it's a ""name"" `here`" text,
    primary key ("Order Id", line)
);
create table "select" (code text primary key not null, "from" text not null, "if" text, "and" text);
create table log (message text, at datetime);
create view vips as select id, email from customers where is_vip;
