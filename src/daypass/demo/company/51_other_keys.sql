-- Keys, checks and indexes of everything but customers, orders and lines. Runs as shop_owner.

alter table sales.stores
  add constraint stores_pkey primary key (id);

alter table sales.products
  add constraint products_pkey primary key (id),
  add constraint products_sku_key unique (sku),
  add constraint products_price_positive check (price > 0);
create index products_attributes_idx on sales.products using gin (attributes jsonb_path_ops);

alter table sales.loyalty_members
  add constraint loyalty_members_pkey primary key (email);

alter table sales.newsletter_subscribers
  add constraint newsletter_subscribers_pkey primary key (id);

alter table sales.support_tickets
  add constraint support_tickets_pkey primary key (id);
create index support_tickets_body_search_idx on sales.support_tickets using gin (body_search);

alter table sales."Legacy Customers"
  add constraint "Legacy Customers_pkey" primary key ("Customer No.");

alter table billing.payments
  add constraint payments_pkey primary key (id, paid_at),
  add constraint payments_method_known check (method in ('card', 'transfer'));
create index payments_order_idx on billing.payments (order_id);

alter table billing.invoices
  add constraint invoices_pkey primary key (invoice_no);
create index invoices_tenant_idx on billing.invoices (tenant, issued_on);

alter table billing.iban_countries
  add constraint iban_countries_pkey primary key (country);

-- Only with billing on the search_path does the check find its table: see billing.iban_ok.
set search_path = billing, pg_catalog;
alter table billing.bank_accounts
  add constraint bank_accounts_pkey primary key (id),
  add constraint bank_accounts_iban_length check (billing.iban_ok(iban));
set search_path = pg_catalog;

alter table billing.month_closings
  add constraint month_closings_pkey primary key (month);

alter table hr.employees
  add constraint employees_pkey primary key (id),
  add constraint employees_email_key unique (email),
  add constraint employees_salary_positive check (salary > 0);

alter table hr.absences
  add constraint absences_pkey primary key (employee_id, starts_on);

alter table app.merchants
  add constraint merchants_pkey primary key (id),
  add constraint merchants_tenant_key unique (tenant);
alter table app.merchant_messages
  add constraint merchant_messages_pkey primary key (id);
alter table app.audit_log
  add constraint audit_log_pkey primary key (id);
alter table app.api_keys
  add constraint api_keys_pkey primary key (id);

alter table public.countries
  add constraint countries_pkey primary key (code);
alter table public.schema_migrations
  add constraint schema_migrations_pkey primary key (version);
