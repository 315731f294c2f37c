-- Keys and checks of customers, once 44_customer_indexes.sql and 44_customer_email_indexes.sql have
-- made what they rest on. Runs as shop_owner.

alter table sales.customers
  add constraint customers_pkey primary key using index customers_pkey,
  add constraint customers_email_key unique using index customers_email_key,
  add constraint customers_national_id_key unique using index customers_national_id_key,
  add constraint customers_birth_date_past check (birth_date < date '2020-01-01');

-- What is made from customers next is planned by their number.
analyze sales.customers (id, country);
analyze public.countries;
analyze sales.products (id);
