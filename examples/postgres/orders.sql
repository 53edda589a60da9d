create type order_state as enum ('open', 'paid', 'shipped');

create table stock (
    sku text primary key,
    price numeric(10, 2) not null,
    quantity integer not null check (quantity >= 0)
);

create table orders (
    id uuid primary key default gen_random_uuid(),
    customer text not null,
    state order_state not null default 'open',
    total numeric(10, 2) not null,
    created timestamptz not null default now()
);

create table lines (
    order_id uuid not null references orders,
    sku text not null references stock,
    quantity integer not null check (quantity > 0),
    primary key (order_id, sku)
);

insert into stock values ('anvil', 99.90, 3), ('bell', 12.50, 40);
