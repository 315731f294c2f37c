-- Keys, checks and indexes of orders and their lines. Runs as shop_owner.

alter table sales.orders
  add constraint orders_pkey primary key (id),
  add constraint orders_total_not_negative check (total >= 0);
create index orders_customer_idx on sales.orders (customer_id);
create index orders_ordered_at_idx on sales.orders (ordered_at);

alter table sales.order_lines
  add constraint order_lines_pkey primary key (order_id, line_no),
  add constraint order_lines_quantity_positive check (quantity > 0);
