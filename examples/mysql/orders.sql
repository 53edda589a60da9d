create table orders (
  id integer primary key auto_increment,
  customer varchar(50) not null,
  status enum('open', 'shipped', 'cancelled') not null default 'open',
  total decimal(10, 2) not null,
  placed_at timestamp not null default current_timestamp,
  key (customer, placed_at)
);

create table items (
  order_id integer not null references orders (id),
  sku varchar(20) not null,
  quantity integer not null check (quantity > 0),
  primary key (order_id, sku)
);
