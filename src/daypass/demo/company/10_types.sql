-- Schemas, types and the functions tables depend on. Runs as shop_owner in a new database.
-- The shop grew over years and several hands; what is awkward here is awkward on purpose, and a
-- comment at each such place says why.

set search_path = pg_catalog;

create schema sales;
create schema billing;
create schema hr;
create schema app;

comment on schema sales is 'Customers, products and orders';
comment on schema billing is 'Payments, invoices and bank accounts';
comment on schema hr is 'Staff and their pay';
comment on schema app is 'What the shop''s own services keep';

-- An enum, so that a row filter's literal must be coerced to it and a mask cannot simply be text.
create type sales.region as enum ('EU', 'US', 'APAC', 'LATAM');
create type sales.order_status as enum ('cart', 'placed', 'paid', 'shipped', 'returned', 'cancelled');

-- A domain: a masked value must not have to pass the check of the type it replaces.
create domain sales.email_address as text
  constraint email_address_has_at check (value like '%_@_%._%');
create domain billing.money_amount as numeric(12, 2)
  constraint money_amount_not_nan check (value <> 'NaN');

-- A composite type with personal data inside: whole-row references and (col).field reach into it.
create type sales.postal_address as (street text, city text, postcode text, country text);

-- Anybody may call it, and it is harmless: it reads no table, and a SQL-standard body is bound when
-- it is created, so no search_path can change what it means.
create function public.luhn_ok(card text) returns boolean
  language sql immutable strict parallel safe
  begin atomic
    select sum(case when odd then d else (d * 2) / 10 + (d * 2) % 10 end) % 10 = 0
    from (
      select substr(reverse(card), n, 1)::int as d, n % 2 = 1 as odd
      from generate_series(1, length(card)) as n
    ) as digits;
  end;
comment on function public.luhn_ok is 'Whether a card number passes its checksum (Luhn)';

-- A column default that calls a function of the customer's. It is written with care: every name is
-- qualified and search_path is fixed with pg_temp last, so nothing can be put in its way.
create sequence billing.invoice_no_seq;
create function billing.next_invoice_no() returns text
  language sql volatile
  set search_path = pg_catalog, pg_temp
  as $$ select 'INV-' || lpad(nextval('billing.invoice_no_seq'::regclass)::text, 8, '0') $$;
comment on function billing.next_invoice_no is 'Number the next invoice';

-- A check constraint calls this function, and the function finds iban_countries through whatever
-- search_path the session has: a temporary table of that name decides instead of the real one.
-- (Restoring a dump of such a database fails too; nobody noticed yet.)
create function billing.iban_ok(iban text) returns boolean
  language plpgsql stable
  as $$
  begin
    return exists (
      select from iban_countries c
      where c.country = left(iban, 2) and c.length = length(iban)
    );
  end
  $$;
comment on function billing.iban_ok is 'Whether an IBAN has the length its country uses';
