-- Everything smaller that hangs on customers, and what hangs on nobody. Runs as shop_owner after
-- 30_samples.sql, once customers are in.

insert into sales.loyalty_members (email, tier, points, joined_on)
select email, profile #>> '{loyalty,tier}', (profile #>> '{loyalty,points}')::int, created_at::date
from sales.customers where id % 5 = 0;

insert into sales.newsletter_subscribers (email, full_name, subscribed_at)
select lower(email), case when id % 3 > 0 then full_name end, created_at
from sales.customers where id % 8 = 0 order by id;

insert into sales.support_tickets (id, customer_id, reporter_email, subject, body, opened_at)
select id / 20, id, lower(email),
  (array['Parcel late', 'Wrong colour', 'Refund', 'Change of address', 'Invoice missing'])
    [1 + pg_temp.mix(id, 41) % 5],
  case pg_temp.mix(id, 42) % 4
    when 0 then 'Hello, my order has not come yet. Regards, ' || full_name
    when 1 then 'Please call me on ' || coalesce(phone, 'the number you have') || '. ' || full_name
    when 2 then 'I was charged twice on card ' || card_number || ', please check.'
    else 'New address: ' || (profile #>> '{address,street}') || ', '
      || (profile #>> '{address,city}') || '. Write to ' || lower(email) || ' if anything is unclear.'
  end,
  timestamptz '2025-06-01 08:00+00' + make_interval(mins => (pg_temp.mix(id, 43) % 760000)::int)
from sales.customers where id % 20 = 0;

insert into sales.ticket_log (ticket_id, body, changed_by, changed_at)
select id, left(body, 40) || ' …', 'support', opened_at + interval '2 hours'
from sales.support_tickets where id % 10 = 0;

insert into sales."Legacy Customers" ("Customer No.", "E-Mail", "select")
select 90000 + id, lower(email), case when id % 2 = 0 then 'yes' else 'no' end
from sales.customers where id <= 200;

insert into billing.invoices (tenant, customer_email, amount, issued_on, paid)
select (array['acme', 'borealis', 'cobalt', 'dunes'])[1 + pg_temp.mix(id, 44) % 4], lower(email),
  round((900 + pg_temp.mix(id, 45) % 90000) / 100.0, 2),
  date '2025-01-01' + (pg_temp.mix(id, 46) % 680)::int, pg_temp.mix(id, 47) % 6 > 0
from sales.customers where id % 20 = 7 order by id;

insert into billing.iban_countries (country, length) values
  ('NL', 18), ('DE', 22), ('FR', 27), ('PL', 28), ('ES', 24), ('IE', 22);

insert into billing.bank_accounts (id, customer_id, holder, iban)
select id / 10, id, full_name, pg_temp.iban(id * 7919 % 10000000000)
from sales.customers where id % 10 = 0;

-- One head, and six reports to each: 240 people on four levels.
insert into hr.employees (
  id, full_name, email, title, department, manager_id, salary, birth_date, iban, hired_on, left_on
)
select i, fn.name || ' ' || ln.name, fn.latin || '.' || ln.latin || '@tulipvane.example',
  case when i = 1 then 'Managing director' when i <= 7 then 'Director' when i <= 43 then 'Lead'
       else 'Specialist' end,
  (array['Operations', 'Sales', 'Technology', 'Finance', 'People', 'Logistics'])
    [1 + case when i <= 7 then i when i <= 43 then boss else (boss - 2) / 6 + 1 end % 6],
  case when i > 1 then boss end,
  case when i = 1 then 310000 when i <= 7 then 165000 when i <= 43 then 88000 else 41000 end
    + pg_temp.mix(i, 51) % 240 * 100,
  date '1958-01-01' + (pg_temp.mix(i, 52) % 16500)::int, pg_temp.iban(i * 104729),
  date '2008-01-01' + (pg_temp.mix(i, 53) % 6500)::int,
  case when i > 43 and i % 29 = 0 then date '2026-06-30' end
from generate_series(1, 240) as i
cross join lateral (select (i - 2) / 6 + 1 as boss) as above
join first_names fn on fn.n = i * 17 % 61
join last_names ln on ln.n = i * 29 % 83;

insert into hr.absences (employee_id, starts_on, days, reason)
select i, date '2026-01-05' + (pg_temp.mix(i, 54) % 300)::int, 1 + pg_temp.mix(i, 55) % 12,
  (array['holiday', 'holiday', 'flu', 'back injury', 'parental leave', 'burn-out'])
    [1 + pg_temp.mix(i, 56) % 6]
from generate_series(2, 240, 2) as i;

insert into app.merchants (id, tenant, name) values
  (1, 'acme', 'Acme Home'), (2, 'borealis', 'Borealis Books'), (3, 'cobalt', 'Cobalt Labs'),
  (4, 'dunes', 'Dunes Travel');

insert into app.merchant_messages (id, tenant, sender_email, body, sent_at)
select id, (array['acme', 'borealis', 'cobalt', 'dunes'])[1 + id % 4], lower(email),
  'Does it come in moss? ' || full_name, created_at
from sales.customers where id <= 400;

insert into app.audit_log (at, actor, relation, action, old_row, new_row)
select updated_at, 'shop', 'sales.customers', 'UPDATE',
  jsonb_build_object('id', id, 'email', 'old.' || lower(email)),
  jsonb_build_object('id', id, 'email', lower(email), 'phone', phone)
from sales.customers where id % 100 = 0 order by id;

insert into app.api_keys (id, service, secret, created_at) values
  (1, 'parcel', 'pk_sample_3f1c9d0b7a65', '2025-02-01 09:00+00'),
  (2, 'newsletter', 'nl_sample_b80e4412cc97', '2025-05-11 09:00+00'),
  (3, 'search', 'se_sample_07d1aa93fe21', '2026-01-20 09:00+00');

insert into public.schema_migrations (version, applied_at)
select to_char(day, 'YYYYMMDD') || '01', day
from generate_series(timestamptz '2025-01-10+00', '2026-10-10+00', '45 days') as day;

insert into public.export_2024_final (c1, c2, c3, c4, c5)
select id, full_name, lower(email), card_number, national_id
from sales.customers where id % 4 = 1 and id <= 2000;
