create table customers (
    id bigint unsigned primary key auto_increment,
    email varchar(200) not null unique comment 'Their address, checked once',
    `Full Name` varchar(200),
    status enum('new', 'good', 'it''s, bad') not null default 'new',
    `order` integer,
    `größe` decimal(10, 2),
    is_vip boolean not null default false,
    created_at timestamp not null default current_timestamp,
    extra json,
    photo blob,
    `limit` integer,
    born date,
    local datetime(3),
    long_text longtext,
    size varchar(2) check (size in ('S', 'M', 'L')),
    notes longtext,
    constraint notes_are_json check (json_valid(notes)),
    constraint big check (size = 'L' or `order` > 0),
    index customers_name (`Full Name`),
    index customers_order (`order`),
    index customers_size (`größe`),
    index customers_born (born, created_at),
    index customers_created (created_at),
    index customers_local (local),
    index customers_long (long_text(20))
) comment 'People who buy. See ${wiki}: "Customers" #7';
create table `Order Items` (
    `Order Id` bigint unsigned not null,
    line integer not null,
    sku varchar(40) not null,
    `it's a "name" ``here``` text,
    primary key (`Order Id`, line),
    foreign key (`Order Id`) references customers (id)
);
create table `select` (code varchar(40) primary key, `from` text not null, `if` text, `and` text);
create table log (message text, at datetime);
create view vips as select id, email from customers where is_vip;
