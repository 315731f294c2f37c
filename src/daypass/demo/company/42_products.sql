-- Products, stores and countries. Runs as shop_owner after 30_samples.sql.

insert into public.countries (code, name, region)
select distinct country, country_name, region from places order by country;

insert into sales.products (id, sku, name, category, price, cost, labels, attributes)
select i, upper(left(category, 3)) || '-' || lpad(i::text, 5, '0'),
  (array['Oak', 'Linen', 'Copper', 'Cork', 'Wool', 'Glass', 'Birch', 'Slate'])[1 + i % 8] || ' '
    || noun || case when i > 240 then ' II' else '' end,
  category, price, round(price * (45 + i % 20) / 100, 2),
  case when i % 4 = 0 then array['sale', 'bestseller'] else array['new'] end,
  jsonb_build_object('weight_g', 100 + r % 9000, 'colour',
    (array['sand', 'moss', 'ink', 'rust'])[1 + i % 4], 'supplier', 'S-' || r % 40)
from (
  select i, pg_temp.mix(i, 31) as r, round((499 + pg_temp.mix(i, 32) % 29500) / 100.0, 2) as price,
    (array['kitchen', 'living', 'garden', 'office', 'bath', 'travel'])[1 + i / 8 % 6] as category,
    (array['Bowl', 'Lamp', 'Planter', 'Desk Tray', 'Towel', 'Bag', 'Board', 'Stool', 'Vase', 'Clock'])
      [1 + i / 8 % 10] as noun
  from generate_series(1, 480) as i
) as drawn;

insert into sales.stores (name, region, address, opened_on, manager_email)
select 'Tulip & Vane ' || city, region,
  row(street || ' ' || (1 + n * 7), city, replace(postcode, '##', '1' || n % 10), country_name)
    ::sales.postal_address,
  date '2009-03-01' + n * 211, 'store.' || lower(country) || n || '@tulipvane.example'
from places order by n;
