-- Indexes of customers by e-mail address. Runs as shop_owner.

create unique index customers_email_key on sales.customers (email);
create index customers_email_lower_idx on sales.customers (email_lower);
