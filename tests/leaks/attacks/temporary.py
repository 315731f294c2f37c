"""Objects of the session's own: copies, shadows, functions and operators in `pg_temp`."""

from __future__ import annotations

from typing import Final

from tests.leaks.attack import Attack, By, attack

_SPY: Final = (
    "create function pg_temp.spy(anyelement) returns anyelement language plpgsql cost 0.0000001 as"
    " $$begin raise notice 'spied %', $1; return $1; end$$"
)

ATTACKS: Final[tuple[Attack, ...]] = (
    attack(
        "a copy",
        "create temporary table mine as select * from <sales>.customers",
        "select email, phone, birth_date from mine limit 30",
    ),
    attack(
        "a copy by insertion",
        "create temporary table mine (e text, c text)",
        "insert into mine select email, card_number from <sales>.customers returning *",
    ),
    attack(
        "a copy like the view",
        "create temporary table mine (like <sales>.loyalty_members including all)",
        "insert into mine select * from <sales>.loyalty_members on conflict do nothing",
        "table mine",
    ),
    attack(
        "a copy of the base table",
        "create temporary table mine as table sales.customers",
        "select email from mine",
        expect="42501",
    ),
    attack(
        "a copy like the base table",
        "create temporary table mine (like sales.loyalty_members including all)",
        "insert into mine select * from sales.loyalty_members limit 9 returning *",
        expect="42501",
    ),
    attack(
        "select into",
        "select * into temporary mine from <hr>.employees",
        "select full_name, salary, iban from mine",
    ),
    attack(
        "a temporary view",
        "create temporary view v as select * from <sales>.customers",
        "select email, notes from v limit 30",
    ),
    attack(
        "a temporary view of the base",
        "create temporary view v as select * from sales.customers",
        "select email from v limit 9",
        expect="42501",
    ),
    attack(
        "a temporary recursive view",
        "create temporary recursive view v (id, e) as select id, email::text from <sales>.customers"
        " where id = 1 union all select c.id, c.email from <sales>.customers c join v on c.id ="
        " v.id + 1"
        " where v.id < 20",
        "table v",
    ),
    attack(
        "a temporary table that shadows a view",
        "create temporary table customers (email text)",
        "insert into pg_temp.customers values ('x')",
        "select c.email, s.email from pg_temp.customers c, <sales>.customers s limit 9",
    ),
    attack(
        "a temporary table that inherits",
        "create temporary table kid () inherits (sales.customers)",
        "select email from sales.customers limit 9",
        expect="42501",
    ),
    attack(
        "a temporary table with a foreign key to it",
        "create temporary table fk (e text references sales.customers (email))",
        expect="42501|42P16",
        control="none",
        why="PostgreSQL lets no temporary table refer to a permanent one",
    ),
    attack(
        "a temporary table filled on a trigger",
        "create temporary table mine as select * from <sales>.customers where false",
        "create temporary table seen (t text)",
        "create function pg_temp.look() returns trigger language plpgsql as $$begin"
        " insert into seen values (new::text); return new; end$$",
        "create trigger look before insert on mine for each row execute function pg_temp.look()",
        "insert into mine select * from <sales>.customers limit 20",
        "table seen",
    ),
    attack(
        "a temporary table with a rule",
        "create temporary table mine (e text)",
        "create temporary table seen (e text)",
        "create rule look as on insert to mine do also insert into seen values (new.e)",
        "insert into mine select email from <sales>.customers limit 20",
        "table seen",
    ),
    attack(
        "a temporary generated column",
        "create temporary table mine (e text, u text generated always as (upper(e)) stored)",
        "insert into mine select email from <sales>.customers limit 20",
        "select u from mine",
    ),
    attack(
        "an index on a failing expression",
        "create temporary table mine as select email::text as e from <sales>.customers",
        "create index on mine ((e::int))",
        expect="22P02",
    ),
    attack(
        "statistics of one's own on a copy",
        "create temporary table mine as select id, email::text as e, phone as p from"
        " <sales>.customers",
        "create statistics pg_temp.both (mcv) on e, p from mine",
        "analyze mine",
        "select most_common_vals from pg_stats_ext where tablename = 'mine'",
        expect="masked|3F000|42501",
    ),
    attack(
        "a spying function", _SPY, "select pg_temp.spy(email::text) from <sales>.customers limit 9"
    ),
    attack(
        "a spying function in a condition",
        _SPY,
        "select count(*) from <sales>.customers where pg_temp.spy(full_name) is not null",
    ),
    attack(
        "a spying function over whole rows",
        _SPY,
        "select count(*) from <sales>.customers c where pg_temp.spy(c) is not null and id < 20",
    ),
    attack(
        "a spying function in a join",
        _SPY,
        "select count(*) from <sales>.customers c join <sales>.loyalty_members m"
        " on pg_temp.spy(m.email::text) = c.email where c.id < 99",
    ),
    attack(
        "a spying function in an order",
        _SPY,
        "select id from <sales>.customers order by pg_temp.spy(phone) limit 9",
    ),
    attack(
        "a spying aggregate",
        "create function pg_temp.add(text, text) returns text language sql immutable as"
        " $$select coalesce($1, '') || ' ' || coalesce($2, '')$$",
        "create aggregate pg_temp.all_of (text) (sfunc = pg_temp.add, stype = text)",
        "select pg_temp.all_of(email) from <sales>.customers",
    ),
    attack(
        "a spying equality",
        _SPY,
        "create function pg_temp.same(text, text) returns boolean language plpgsql cost 0.000001 as"
        " $$begin raise notice '% %', $1, $2; return true; end$$",
        "create operator pg_temp.= (function = pg_temp.same, leftarg = text, rightarg = text)",
        "select count(*) from <sales>.customers where full_name operator(pg_temp.=) 'x'",
    ),
    attack(
        "a shadow of the server's operator within the mask",
        "create function pg_temp.join(text, text) returns text language plpgsql as"
        " $$begin raise notice 'masking % %', $1, $2; return $1; end$$",
        "create operator pg_temp.|| (function = pg_temp.join, leftarg = text, rightarg = text)",
        'create function pg_temp."left"(text, int) returns text language plpgsql as'
        " $$begin raise notice 'left %', $1; return $1; end$$",
        "create function pg_temp.right(text, int) returns text language plpgsql as"
        " $$begin raise notice 'right %', $1; return $1; end$$",
        "set search_path = pg_temp, pg_catalog, <sales>",
        "select full_name, email || '', \"left\"(phone, 99) from <sales>.customers limit 9",
    ),
    attack(
        "a shadow of the deadline's function",
        "create function pg_temp.live(oid) returns boolean language sql as 'select true'",
        "create function pg_temp.pg_has_role(oid, oid, text) returns boolean language sql as"
        " 'select true'",
        "create function pg_temp.clock_timestamp() returns timestamptz language sql as"
        " $$select timestamptz '2000-01-01'$$",
        "create temporary table pg_roles as select * from pg_catalog.pg_roles",
        "set search_path = pg_temp, pg_catalog",
        "select email from <sales>.customers limit 9",
    ),
    attack(
        "a shadow of a catalog's table",
        "create temporary table pg_class as select * from pg_catalog.pg_class",
        "create temporary table pads (one boolean, ipad bytea)",
        "insert into pads values (true, '')",
        "set search_path = pg_temp, pg_catalog",
        "select national_id from <sales>.customers limit 9",
    ),
    attack(
        "a shadow of a type",
        "create domain pg_temp.text as pg_catalog.text",
        "create type pg_temp.region as enum ('EU', 'US')",
        "set search_path = pg_temp, pg_catalog",
        "select email, phone from <sales>.customers limit 9",
    ),
    attack(
        "a shadow in a customer's policy",
        "create temporary table message_reads (reader text, sender_email text, body text,"
        " read_at timestamptz)",
        "set app.tenant = 'acme'",
        "select count(*) from <app>.merchant_messages",
        "select sender_email, body from message_reads limit 9",
        expect="42P01|3F000",
        control="shop_app",
    ),
    attack(
        "a shadow in a customer's trigger",
        "create temporary table ticket_log (ticket_id bigint, body text, changed_by text,"
        " changed_at timestamptz)",
        "create function pg_temp.coalesce_actor(text) returns text language sql as 'select $1'",
        "set search_path = pg_temp, <sales>, sales",
        "update <sales>.support_tickets set subject = 'x' where id < 9",
        "select body from pg_temp.ticket_log",
        home="writes",
        expect="42501",
    ),
    attack(
        "a shadow in a customer's check",
        "create temporary table iban_countries (country text, length int)",
        "create function pg_temp.look() returns boolean language plpgsql as $$begin raise notice"
        " 'looked';"
        " return true; end$$",
        "insert into <billing>.bank_accounts (customer_id, holder, iban) values (1, 'x', 'NL00')",
        home="writes",
        expect="42501|0A000",
        control="none",
        why="a check is given what the session inserts",
    ),
    attack(
        "a shadow in a function with its caller's rights",
        "create temporary table customers (id bigint, full_name text)",
        "select * from sales.search_customers('')",
        control="none",
        why="the function would read the session's own table",
    ),
    attack(
        "a function called as somebody else writes",
        "create function pg_temp.f() returns text language sql security definer as 'select"
        " current_user::text'",
        By("superuser", "select 1"),
        "select pg_temp.f(), email from <sales>.customers limit 5",
    ),
    attack(
        "a procedure",
        "create procedure pg_temp.p() language plpgsql as $$declare r record; begin"
        " for r in select email from <sales>.customers limit 9 loop raise warning '%', r; end"
        " loop; end$$",
        "call pg_temp.p()",
    ),
    attack(
        "a function bound to names when made",
        "create function pg_temp.b() returns setof text begin atomic"
        " select email from <sales>.customers limit 9; end",
        "select pg_temp.b()",
    ),
    attack(
        "a function of the base table, bound when made",
        "create function pg_temp.b() returns setof text begin atomic"
        " select email from sales.customers limit 9; end",
        "select pg_temp.b()",
        expect="42501",
    ),
    attack(
        "a function that takes the row",
        "create function pg_temp.f(<sales>.customers) returns text language sql"
        " as 'select $1.email::text'",
        "select pg_temp.f(c) from <sales>.customers c limit 9",
    ),
    attack(
        "a cast of the session's own",
        "create type pg_temp.box as (t text)",
        "create function pg_temp.to_box(text) returns pg_temp.box language plpgsql as"
        " $$begin raise notice 'boxing %', $1; return row($1)::pg_temp.box; end$$",
        "create cast (text as pg_temp.box) with function pg_temp.to_box(text)",
        "select email::text::pg_temp.box from <sales>.customers limit 9",
    ),
    attack(
        "a range of the session's own",
        "create type pg_temp.tr as range (subtype = text)",
        "select range_agg(pg_temp.tr(email::text, null)) from <sales>.customers where id < 9",
    ),
    attack(
        "a collation",
        "create collation pg_temp.odd (locale = 'C')",
        "select email collate pg_temp.odd from <sales>.customers order by 1 limit 9",
    ),
    attack(
        "an extension's language",
        "create function pg_temp.f() returns text language c as 'x', 'y'",
        expect="42501",
        control="none",
        why="code in C makes its author superuser",
    ),
    attack(
        "a leakproof function",
        "create function pg_temp.lp(bigint) returns boolean language plpgsql leakproof cost"
        " 0.00001 as"
        " $$begin raise notice 'row %', $1; return true; end$$",
        "select count(*) from <sales>.orders where pg_temp.lp(id)",
        home="contractor",
        expect="42501",
        control="superuser",
    ),
    attack(
        "an index method's function",
        "create operator family pg_temp.fam using btree",
        "create operator class pg_temp.cls for type text using btree family pg_temp.fam as"
        " function 1 bttextcmp(text, text)",
        expect="42501",
        control="none",
        why="only a superuser makes operator classes",
    ),
)
