"""What others change while a session is open: columns, views, partitions, privileges."""

from __future__ import annotations

from typing import Final

from tests.leaks.attack import Again, Attack, By, attack

# As the sample company makes it (10_types.sql).
_LUHN: Final = """
create or replace function public.luhn_ok(card text) returns boolean
  language sql immutable strict parallel safe
  begin atomic
    select sum(case when odd then d else (d * 2) / 10 + (d * 2) % 10 end) % 10 = 0
    from (
      select substr(reverse(card), n, 1)::int as d, n % 2 = 1 as odd
      from generate_series(1, length(card)) as n
    ) as digits;
  end
"""

ATTACKS: Final[tuple[Attack, ...]] = (
    attack(
        "a column added",
        By("owner", "alter table sales.customers add column tax_number text"),
        By("owner", "update sales.customers set tax_number = national_id"),
        "select * from <sales>.customers order by id limit 9",
        "select tax_number from <sales>.customers limit 9",
        expect="42703",
        commits=True,
        undo=("alter table sales.customers drop column tax_number",),
    ),
    attack(
        "a column added, found by a row's text",
        By("owner", "alter table sales.customers add column extra text"),
        By("owner", "update sales.customers set extra = email"),
        "select c::text, to_jsonb(c) from <sales>.customers c limit 9",
        commits=True,
        undo=("alter table sales.customers drop column extra",),
    ),
    attack(
        "columns that swap their names",
        "prepare p as select id, phone from <sales>.customers limit 20",
        By(
            "owner",
            "alter table sales.customers rename column phone to phone_before;"
            " alter table sales.customers rename column country to phone;"
            " alter table sales.customers rename column phone_before to country",
        ),
        "execute p",
        "select id, region, country, phone from <sales>.customers limit 20",
        commits=True,
        undo=(
            (
                "alter table sales.customers rename column country to phone_before;"
                " alter table sales.customers rename column phone to country;"
                " alter table sales.customers rename column phone_before to phone"
            ),
        ),
    ),
    attack(
        "a table renamed and another in its place",
        By(
            "owner",
            "alter table sales.products rename to products_before;"
            " create table sales.products as select id, email::text as sku, full_name as name,"
            " phone as category"
            " from sales.customers",
        ),
        "select sku, name, category from <sales>.products limit 20",
        commits=True,
        undo=("drop table sales.products; alter table sales.products_before rename to products",),
    ),
    attack(
        "a view made over masked columns",
        By("owner", "create view sales.everything as select * from sales.customers"),
        "select email from <sales>.everything limit 9",
        "select email from sales.everything limit 9",
        expect="42P01",
        commits=True,
        undo=("drop view sales.everything",),
    ),
    attack(
        "a partition attached",
        By(
            "owner",
            "create table billing.payments_2027q1 partition of billing.payments for values"
            " from ('2027-01-01+00') to ('2027-04-01+00')",
        ),
        By(
            "owner",
            "insert into billing.payments (order_id, paid_at, amount, method, payer_email)"
            " select 1,"
            " '2027-02-02', 1, 'card', email from sales.customers limit 20",
        ),
        "select payer_email from <billing>.payments where paid_at > '2027-01-01'",
        "select payer_email from billing.payments_2027q1",
        expect="42501",
        commits=True,
        undo=("drop table billing.payments_2027q1",),
    ),
    attack(
        "a child that inherits",
        By("owner", "create table sales.old_orders () inherits (sales.orders)"),
        By(
            "owner",
            "insert into sales.old_orders (id, customer_id, region, total, ship_to) select 9e12"
            " + id, 1,"
            " 'US', 7654321.12, full_name from sales.customers limit 9",
        ),
        "select * from <sales>.orders where id > 1e12",
        home="contractor",
        commits=True,
        undo=("drop table sales.old_orders",),
    ),
    attack(
        "a row that moves out of the filter while a transaction reads",
        "begin isolation level repeatable read; select count(*) > 0 from <sales>.stores",
        By(
            "owner",
            "update sales.stores set manager_email = 'hidden.manager@moved.example', region ="
            " 'LATAM'"
            " where id = 1900190019",
        ),
        "select * from <sales>.stores; commit",
        home="contractor",
        commits=True,
        undo=(
            (
                "update sales.stores set region = 'US', manager_email ="
                " 'hidden.manager@stores.example' where id = 1900190019"
            ),
        ),
    ),
    attack(
        "a function replaced that a scope calls",
        By(
            "owner",
            "create or replace function public.luhn_ok(card text) returns boolean language"
            " plpgsql as"
            " $$begin raise notice 'card %', card; return true; end$$",
        ),
        "select public.luhn_ok(card_number) from <sales>.customers limit 9",
        commits=True,
        undo=(_LUHN,),
    ),
    attack(
        "row security turned on",
        By("owner", "alter table sales.stores enable row level security"),
        "select * from <sales>.stores",
        commits=True,
        control="none",
        why="the owner is exempt; a session sees less, not more",
        undo=("alter table sales.stores disable row level security",),
    ),
    attack(
        "a trigger that tells",
        By(
            "owner",
            "create function sales.tell() returns trigger language plpgsql as"
            " $$begin raise notice 'old %', old; return new; end$$;"
            " create trigger tell before update on sales.products for each row execute function"
            " sales.tell()",
        ),
        "begin; update <sales>.products set name = name where id = 1; rollback",
        home="writes",
        commits=True,
        control="none",
        why="it tells of a row that is in clear",
        undo=("drop trigger tell on sales.products; drop function sales.tell()",),
    ),
    attack(
        "a privilege to PUBLIC on another schema's table",
        By("owner", "grant select on hr.employees to public"),
        "select full_name, salary from hr.employees limit 9",
        commits=True,
        expect="documented",
        why="PUBLIC cannot be taken from a session: found at the next look, which ends it",
        undo=("revoke select on hr.employees from public",),
    ),
    attack(
        "a privilege to PUBLIC on a column, by its statistics",
        By("owner", "grant select (salary) on hr.employees to public"),
        "select most_common_vals, histogram_bounds from pg_stats where tablename = 'employees'",
        commits=True,
        expect="documented",
        why="PUBLIC cannot be taken from a session: found at the next look, which ends it",
        undo=("revoke select (salary) on hr.employees from public",),
    ),
    attack(
        "a schema opened to PUBLIC with a table in it",
        By("owner", "grant usage on schema hr to public; grant select on hr.employees to public"),
        "select full_name, salary from hr.employees limit 9",
        commits=True,
        expect="documented",
        why="PUBLIC cannot be taken from a session: found at the next look, which ends it",
        undo=("revoke usage on schema hr from public; revoke select on hr.employees from public",),
    ),
    attack(
        "what others run meanwhile",
        By(
            "superuser",
            "select count(*) from sales.customers where email = '<guess>' or notes = 'busy'",
        ),
        "select usename, query, state from pg_stat_activity where query like '%busy%' and pid <>"
        " pg_backend_pid()",
        guess="sales.customers.email",
        control="superuser",
        commits=True,
    ),
    attack(
        "what others run meanwhile, by number of backend",
        By(
            "superuser",
            "select count(*) from sales.customers where email = '<guess>' or notes = 'busy'",
        ),
        "select pg_stat_get_backend_activity(n) from pg_stat_get_backend_idset() n"
        " where pg_stat_get_backend_activity(n) like '%busy%' and pg_stat_get_backend_pid(n) <>"
        " pg_backend_pid()",
        guess="sales.customers.email",
        control="superuser",
        commits=True,
    ),
    attack(
        "what others left prepared",
        By(
            "superuser",
            "begin; insert into sales.newsletter_subscribers (email) values ('x@y.example');"
            " prepare transaction 'prepared@others.example'",
        ),
        "commit prepared 'prepared@others.example'",
        expect="42501",
        commits=True,
        control="none",
        why="it shows nothing",
        undo=("rollback prepared 'prepared@others.example'",),
    ),
    attack(
        "a scope opened beside it for somebody else",
        Again("select email from <other>.customers limit 9"),
        expect="42501",
        control="owner",
        commits=True,
    ),
)
