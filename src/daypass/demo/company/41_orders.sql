-- Orders, their lines and payments, this worker's share. Runs as
-- shop_owner after 30_samples.sql, once customers and products are in.

-- Lines first, since an order's total is their sum.
with lines as (
  insert into sales.order_lines (order_id, line_no, product_id, quantity, unit_price)
  select o, n, p.id, 1 + pg_temp.mix(o * 5 + n, 23) % 3, p.price
  from generate_series(pg_temp.low(), pg_temp.high()) as o,
       generate_series(1, (array[1, 1, 1, 2, 2, 4])[1 + pg_temp.mix(o, 21) % 6]) as n,
       lateral (select 1 + pg_temp.mix(o * 5 + n, 22) % 480 as id) as pick
       join sales.products p using (id)
  returning order_id, quantity * unit_price as price
),
totals as (
  select order_id as o, sum(price) as total, pg_temp.mix(order_id, 24) as r4,
         1 + pg_temp.mix(order_id, 25) % pg_temp.customers() as customer_id,
         -- Two years, with the last weeks of 2026 still to come.
         timestamptz '2025-01-01 00:00+00'
           + make_interval(secs => pg_temp.mix(order_id, 26) % 59000000) as ordered_at
  from lines group by order_id
)
insert into sales.orders (id, customer_id, region, status, ordered_at, updated_at, total, ship_to)
select t.o, t.customer_id, p.region,
  (array['paid', 'shipped', 'shipped', 'shipped', 'shipped', 'shipped', 'returned', 'placed',
         'cancelled', 'cart'])[1 + t.r4 % 10]::sales.order_status,
  t.ordered_at, t.ordered_at + make_interval(secs => t.r4 % 400000), t.total,
  -- A present goes to somebody else.
  case when t.r4 % 7 = 0 then fn.name || ' ' || ln.name || ', ' || p.street || ' '
    || (t.r4 % 200 + 1) || ', ' || p.city end
from totals t
-- The place 40_customers.sql gave the customer; asking the table would double the time.
join places p on p.n = pg_temp.mix(t.customer_id, 6) % 16
join first_names fn on fn.n = t.r4 / 7 % 61
join last_names ln on ln.n = t.r4 / 11 % 83;

insert into billing.payments (id, order_id, paid_at, amount, method, payer_email, card_last4, iban)
select o.id, o.id, o.ordered_at + make_interval(secs => r % 7200), o.total,
  case when r % 4 = 0 then 'transfer' else 'card' end, lower(c.email),
  case when r % 4 > 0 then right(c.card_number, 4) end,
  case when r % 4 = 0 then pg_temp.iban(c.id * 7919 % 10000000000) end
from sales.orders o
join sales.customers c on c.id = o.customer_id,
lateral (select pg_temp.mix(o.id, 27) as r) as draw
where o.id between pg_temp.low() and pg_temp.high()
  and o.status in ('paid', 'shipped', 'returned');
