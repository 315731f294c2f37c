-- All other foreign keys. Runs as shop_owner, and never locks orders: see
-- 52_order_foreign_keys.sql.

alter table sales.customers
  add constraint customers_country_fkey foreign key (country) references public.countries (code);
-- By e-mail address, a masked column: an error of this key tells whether an address exists.
alter table sales.loyalty_members
  add constraint loyalty_members_email_fkey
    foreign key (email) references sales.customers (email) on update cascade;
alter table sales.support_tickets
  add constraint support_tickets_customer_fkey
    foreign key (customer_id) references sales.customers (id);
alter table billing.bank_accounts
  add constraint bank_accounts_customer_fkey
    foreign key (customer_id) references sales.customers (id);
alter table billing.invoices
  add constraint invoices_tenant_fkey foreign key (tenant) references app.merchants (tenant);
alter table hr.employees
  add constraint employees_manager_fkey foreign key (manager_id) references hr.employees (id);
alter table hr.absences
  add constraint absences_employee_fkey foreign key (employee_id) references hr.employees (id);

-- Rows brought their numbers along; identities go on behind the last.
select setval(pg_get_serial_sequence(t.name, 'id'), t.last)
from (
  select 'sales.customers', max(id) from sales.customers
  union all select 'sales.products', max(id) from sales.products
  union all select 'sales.orders', max(id) from sales.orders
  union all select 'sales.support_tickets', max(id) from sales.support_tickets
  union all select 'billing.payments', max(id) from billing.payments
  union all select 'billing.bank_accounts', max(id) from billing.bank_accounts
  union all select 'hr.employees', max(id) from hr.employees
  union all select 'app.merchant_messages', max(id) from app.merchant_messages
  union all select 'app.api_keys', max(id) from app.api_keys
) as t (name, last)
where t.last is not null;
