-- The customer's own views and native row-level security. Runs as shop_owner.

-- Shows two masked columns to whoever may read the view, with the rights of its owner.
create view sales.customer_contacts as
  select id, full_name, email, phone, region from sales.customers;
comment on view sales.customer_contacts is 'For support: how to reach a customer';

-- A view over that view: the masked column is two steps away and has another name.
create view sales.vip_contacts as
  select c.id, c.full_name as name, c.email as reach_at, t.spent
  from sales.customer_contacts c
  join (select customer_id, sum(total) as spent from sales.orders group by customer_id) as t
    on t.customer_id = c.id
  where t.spent > 2000;
comment on view sales.vip_contacts is 'Customers who spent more than 2,000';

-- Personal data only inside an expression: nothing in the column's name tells.
create view sales.mailing_labels as
  select id, full_name || E'\n' || (profile #>> '{address,street}') || E'\n'
    || (profile #>> '{address,postcode}') || ' ' || (profile #>> '{address,city}') as label
  from sales.customers;
comment on view sales.mailing_labels is 'Printed on parcels';

-- Runs with its caller's rights (from PostgreSQL 15), so it leaks nothing and, for a role that may
-- not read the table, does not work either.
create view sales.open_orders with (security_invoker = true) as
  select id, customer_id, ordered_at, total from sales.orders where status in ('placed', 'paid');
comment on view sales.open_orders is 'Orders still to be shipped';

-- Harmless: sums only.
create view sales.revenue_by_region as
  select region, date_trunc('month', ordered_at)::date as month, count(*) as orders,
    sum(total) as revenue
  from sales.orders where status in ('paid', 'shipped') group by 1, 2;
comment on view sales.revenue_by_region is 'For the dashboard';

-- Within itself a recursive view goes by its bare name.
create recursive view hr.reporting_lines (id, full_name, path, level) as
  select id, full_name, full_name, 1 from hr.employees where manager_id is null
  union all
  select e.id, e.full_name, r.path || ' > ' || e.full_name, r.level + 1
  from hr.employees e join reporting_lines r on r.id = e.manager_id;
comment on view hr.reporting_lines is 'Who reports to whom, from the top';

-- A materialized view is a copy: it keeps the addresses it was made with, and no view, mask or
-- row-level policy on the table reaches it.
create materialized view billing.dunning_list as
  select i.tenant, i.customer_email, sum(i.amount) as owed, min(i.issued_on) as since
  from billing.invoices i where not i.paid group by i.tenant, i.customer_email
  with data;
create index dunning_list_tenant_idx on billing.dunning_list (tenant);
comment on materialized view billing.dunning_list is 'Unpaid invoices by customer, refreshed nightly';

-- Trusts the session: whoever may set app.tenant chooses what is seen.
alter table billing.invoices enable row level security;
create policy invoices_of_tenant on billing.invoices
  using (tenant = current_setting('app.tenant', true))
  with check (tenant = current_setting('app.tenant', true));

-- A policy that runs the customer's code on every row read: the function writes to message_reads,
-- found through the session's search_path.
create function app.note_read(sender_email text, body text) returns boolean
  language plpgsql volatile
  as $$
  begin
    insert into message_reads (reader, sender_email, body, read_at)
    values (session_user, sender_email, body, now());
    return true;
  end
  $$;
comment on function app.note_read is 'Note that somebody read a message';
alter table app.merchant_messages enable row level security;
create policy messages_of_tenant on app.merchant_messages
  using (
    tenant = current_setting('app.tenant', true) and app.note_read(sender_email, body)
  );
