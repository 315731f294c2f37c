-- A second, tiny database on the same instance. Runs as shop_owner in a new database.

set search_path = pg_catalog;

create table public.daily_sales (
  day date not null,
  region text not null,
  orders int not null,
  revenue numeric(12, 2) not null,
  constraint daily_sales_pkey primary key (day, region)
);
comment on table public.daily_sales is 'Sums per day, without anybody''s data';

create table public.page_views (
  id bigint generated always as identity,
  at timestamptz not null,
  path text not null,
  visitor_ip inet,
  user_email text,
  constraint page_views_pkey primary key (id)
);
comment on table public.page_views is 'A sample of page views, some of people signed in';

insert into public.daily_sales (day, region, orders, revenue)
select day::date, region, 40 + extract(doy from day)::int * 7 % 61 + n::int * 13,
  round((4000 + extract(doy from day)::int * 7919 % 90000 + n * 500) / 10.0, 2)
from generate_series(timestamp '2026-01-01', '2026-11-15', '1 day') as day,
  unnest(array['EU', 'US', 'APAC', 'LATAM']) with ordinality as r (region, n);

insert into public.page_views (at, path, visitor_ip, user_email)
select timestamptz '2026-11-01 00:00+00' + make_interval(mins => i * 3),
  (array['/', '/garden', '/cart', '/account'])[1 + i % 4],
  ('198.51.100.' || i % 250)::inet,
  case when i % 9 = 0 then 'visitor' || i || '@freemail.example' end
from generate_series(1, 2000) as i;

-- Somebody wanted a dashboard to work at once: every login of the instance reads who looked at what.
-- No grant on this database can keep that from a session, so none opens until an owner mends it.
grant select on public.page_views to public;

analyze public.daily_sales, public.page_views;
