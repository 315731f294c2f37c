-- Indexes of customers, as soon as the rows are in. Runs as shop_owner; the two that take longest are
-- made beside it by 44_customer_email_indexes.sql.

create unique index customers_pkey on sales.customers (id);
create unique index customers_national_id_key on sales.customers (national_id);
create index customers_region_idx on sales.customers (region, created_at);
