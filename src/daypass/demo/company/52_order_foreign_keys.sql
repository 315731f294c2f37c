-- Foreign keys of orders and what hangs on them. Runs as shop_owner, beside 53_foreign_keys.sql.

alter table sales.order_lines
  add constraint order_lines_order_fkey foreign key (order_id) references sales.orders (id),
  add constraint order_lines_product_fkey foreign key (product_id) references sales.products (id);
alter table billing.payments
  add constraint payments_order_fkey foreign key (order_id) references sales.orders (id);
-- Last, since it alone needs a lock on customers too, which the other file holds to its end.
alter table sales.orders
  add constraint orders_customer_fkey foreign key (customer_id) references sales.customers (id);
