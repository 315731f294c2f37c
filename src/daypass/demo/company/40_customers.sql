-- Customers, this worker's share. Runs as shop_owner after 30_samples.sql.

insert into sales.customers (
  id, full_name, email, phone, national_id, card_number, card_expires, birth_date, region, country,
  credit_limit, marketing_consent, notes, profile, created_at, updated_at
)
with size as (
  select (select count(*) from first_names) as f, (select count(*) from last_names) as l,
         (select count(*) from domains) as d
),
-- Multiplied by a prime and taken modulo f * l * d, each customer gets a combination of first name,
-- last name and domain of its own; past the last combination a number tells them apart.
combination as (
  select i, (i * 1000003) % (f * l * d) as j, i / (f * l * d) as lap, f, l
  from size, generate_series(pg_temp.low(), pg_temp.high()) as i
),
drawn as (
  select c.i, c.j, c.lap, fn.latin as first_latin, ln.latin as last_latin, d.name as domain,
         fn.name || ' ' || ln.name as full_name,
         p.region, p.country, p.country_name, p.city, p.street, p.postcode, p.dial,
         p.language,
         k.prefix, k.luhn_sum as prefix_sum,
         date '1938-01-01' + (pg_temp.mix(c.i, 1) % 25300)::int as birth_date,
         pg_temp.mix(c.i, 2) as r2, pg_temp.mix(c.i, 3) as r3, pg_temp.mix(c.i, 4) as r4,
         -- Seven digits of the national id and nine of the card, each by a permutation.
         1000000 + (c.i * 7368787) % 9000000 as id7,
         (c.i * 387420489 + 123456789) % 1000000000 as card9
  from combination c
  join first_names fn on fn.n = c.j % c.f
  join last_names ln on ln.n = (c.j / c.f) % c.l
  join domains d on d.n = c.j / (c.f * c.l)
  join places p on p.n = pg_temp.mix(c.i, 6) % 16
  join cards k on k.n = pg_temp.mix(c.i, 5) % 5
  -- Keeps the scatter from being written out again wherever it is used.
  offset 0
),
-- Check digits, in arithmetic rather than by a function call per row. Luhn: from the right, every
-- other digit is doubled (4 * 2 = 8, 7 * 2 = 14 = 5), starting with the last of the payload.
-- Eleven-test: weights 9 to 2, then -1; the eighth digit moves on by one where the remainder
-- would be ten.
digits as (
  select *,
    prefix_sum
      + 2 * (card9 / 100000000) % 9 + card9 / 10000000 % 10
      + 2 * (card9 / 1000000 % 10) % 9 + card9 / 100000 % 10
      + 2 * (card9 / 10000 % 10) % 9 + card9 / 1000 % 10
      + 2 * (card9 / 100 % 10) % 9 + card9 / 10 % 10
      + 2 * (card9 % 10) % 9
      -- 2 * 9 leaves 9, not the 0 that the remainder says.
      + 9 * ((card9 / 100000000 = 9)::int + (card9 / 1000000 % 10 = 9)::int
        + (card9 / 10000 % 10 = 9)::int + (card9 / 100 % 10 = 9)::int + (card9 % 10 = 9)::int)
      as luhn_sum,
    9 * (id7 / 1000000) + 8 * (id7 / 100000 % 10) + 7 * (id7 / 10000 % 10)
      + 6 * (id7 / 1000 % 10) + 5 * (id7 / 100 % 10) + 4 * (id7 / 10 % 10)
      + 3 * (id7 % 10) + 2 * (i % 9) as bsn_sum
  from drawn
  offset 0
),
finished as (
  select *,
    prefix || lpad(card9::text, 9, '0') || (10 - luhn_sum % 10) % 10 as card_number,
    id7::text || case when bsn_sum % 11 = 10 then (i % 9 + 1) || '1'
                      else (i % 9)::text || bsn_sum % 11 end as national_id,
    -- Some people write themselves with capitals, or tell shops apart by a plus.
    case when i % 23 = 0 then initcap(first_latin) else first_latin end
      || case j % 4 when 0 then '.' when 1 then '_' when 2 then '-' else '' end
      || last_latin
      || case when lap > 0 then '.' || lap when j % 5 = 0 then to_char(birth_date, 'YY') else '' end
      || case when j % 31 = 0 then '+shop' else '' end
      || '@' || domain as email,
    replace(replace(dial, '###', lpad((r2 / 7 % 1000)::text, 3, '0')),
            '##', lpad((r2 / 11 % 100)::text, 2, '0')) as phone,
    timestamptz '2019-01-01 00:00+00' + make_interval(secs => r2 % 230000000) as created_at
  from digits
  offset 0
)
select i, full_name, email, case when r4 % 12 > 0 then phone end, national_id, card_number,
  date '2026-12-31' + (r2 % 48)::int * 30, birth_date, region, country,
  (500 + r3 % 96 * 100)::numeric, r4 % 3 = 0,
  -- What people type into free text is what no column name tells of.
  case r3 % 24
    when 0 then 'Prefers delivery in the evening.'
    when 1 then 'Rings twice, has a dog.'
    when 2 then 'Call back on ' || coalesce(phone, 'the number on the invoice') || ' after six.'
    when 3 then 'Wants invoices sent to ' || lower(email) || ' instead.'
    when 4 then 'Card ' || card_number || ' taken over the telephone, to be removed.'
    when 5 then 'Identified by national id ' || national_id || ', born '
                || to_char(birth_date, 'DD Month YYYY') || '.'
    when 6 then 'Complained about a late parcel; refunded shipping.'
    when 7 then 'Moved to ' || street || ' ' || (r3 % 200 + 1) || ', ' || city || '.'
  end,
  -- Put together as text and parsed once: half the time of nested jsonb_build_object.
  ('{"contact": {"email": "' || lower(email) || '", "phone": ' || coalesce('"' || phone || '"', 'null')
    || '}, "address": {"street": "' || street || ' ' || (r3 % 200 + 1) || '", "city": "' || city
    || '", "postcode": "' || replace(postcode, '##', lpad((r3 % 100)::text, 2, '0'))
    || '", "country": "' || country_name
    || '"}, "preferences": {"language": "' || language || '", "newsletter": ' || (r4 % 3 = 0)
    || ', "channels": ' || case r4 % 2 when 0 then '["email"]' else '["email", "sms"]' end
    || '}, "loyalty": {"tier": "' || case r4 % 3 when 0 then 'none' when 1 then 'silver' else 'gold' end
    || '", "points": ' || r3 % 5000 || '}}')::jsonb,
  created_at, created_at + make_interval(secs => r3 % 15000000)
from finished;
