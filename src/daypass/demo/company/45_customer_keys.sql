-- Keys and indexes of customers, as soon as they are in. Runs as shop_owner.

alter table sales.customers
  add constraint customers_pkey primary key (id),
  add constraint customers_email_key unique (email),
  add constraint customers_national_id_key unique (national_id),
  add constraint customers_birth_date_past check (birth_date < date '2020-01-01');
create index customers_email_lower_idx on sales.customers (email_lower);
create index customers_region_idx on sales.customers (region, created_at);

-- What is made from customers next is planned by their number.
analyze sales.customers (id, country);
analyze public.countries;
analyze sales.products (id);
