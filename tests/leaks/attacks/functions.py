"""The customer's own code: functions, operators, triggers and rules that already exist."""

from __future__ import annotations

from typing import Final

from tests.leaks.attack import Attack, By, FunctionCall, attack

ATTACKS: Final[tuple[Attack, ...]] = (
    attack("a definer function", "select app.customer_email(1)", expect="42501"),
    attack(
        "a definer function over all rows",
        "select string_agg(app.customer_email(c.id), ',') from <sales>.customers c",
        expect="42501",
    ),
    attack(
        "a definer function by its oid",
        FunctionCall("app.customer_email(bigint)", ("1",)),
        expect="42501",
    ),
    attack(
        "a trigger's function by its oid",
        FunctionCall("app.audit_row()"),
        expect="42501",
        control="none",
        why="a trigger's function runs in triggers only",
    ),
    attack(
        "a caller's function by its oid",
        FunctionCall("sales.search_customers(text)", ("a",)),
        expect="42501|0A000",
        control="none",
        why="the protocol's call takes no sets",
    ),
    attack(
        "a definer function through a function of the session's",
        "create function pg_temp.f(bigint) returns text language sql as 'select"
        " app.customer_email($1)'",
        "select pg_temp.f(1)",
        expect="42501",
    ),
    attack(
        "a definer function through dynamic SQL",
        "do $$begin raise notice '%', (select app.customer_email(2)); end$$",
        expect="42501",
    ),
    attack(
        "a definer function as an aggregate's",
        "create aggregate pg_temp.agg (bigint) (sfunc = app.customer_email, stype = text)",
        expect="42501",
        control="none",
        why="its arguments do not fit",
    ),
    attack(
        "a definer function as an operator's",
        "create operator pg_temp.~~~ (function = app.customer_email, rightarg = bigint)",
        "select operator(pg_temp.~~~) 3::bigint",
        expect="42501",
        commits=True,
    ),
    attack(
        "a definer function as a cast's",
        "create type pg_temp.x as (a int)",
        "create cast (bigint as text) with function app.customer_email(bigint)",
        "select cast(3::bigint as text)",
        expect="42501",
        control="superuser",
    ),
    attack(
        "a definer function as a default's",
        "create temporary table d (i bigint, e text default app.customer_email(4))",
        "insert into d (i) values (1) returning e",
        expect="42501",
    ),
    attack(
        "a definer function as a trigger's",
        "create temporary table d (id bigint)",
        "create trigger t after insert on d for each row execute function app.audit_row()",
        "insert into d values (1)",
        expect="42501",
        control="none",
        why="it would log the session's own row",
    ),
    attack(
        "a customer's trigger on a table of one's own",
        "create temporary table d (id bigint, body text)",
        "create trigger t before update on d for each row execute function sales.log_ticket()",
        "insert into d values (1, 'x')",
        "update d set body = 'y'",
        expect="masked|42P01|0A000",
        control="none",
        why="it would log the session's own row",
    ),
    attack(
        "a function with its caller's rights",
        "set search_path = sales; select * from sales.search_customers('a')",
        expect="42501",
    ),
    attack(
        "a function with its caller's rights, over the views",
        "select * from sales.search_customers('a')",
        control="none",
        why="the owner has no views",
    ),
    attack(
        "a function in the public schema over hidden values",
        "select id from <sales>.customers where public.luhn_ok(card_number) and card_number ="
        " '<guess>'",
        guess="sales.customers.card_number",
        expect="22P02|masked",
    ),
    attack(
        "a function that sums what is in the scope",
        "select sales.order_total(88008800880011)",
        home="contractor",
        expect="42501|masked",
        control="none",
        why="it reads with its caller's rights",
    ),
    attack(
        "a procedure of the customer's",
        "call billing.close_month('2026-01-01')",
        expect="42501",
        control="none",
        why="it shows nothing",
    ),
    attack(
        "a function replaced by the session's",
        "create or replace function public.luhn_ok(card text)"
        " returns boolean language plpgsql as $$begin raise notice '%', card; return true; end$$",
        expect="42501",
        control="none",
        why="it shows nothing by itself",
    ),
    attack(
        "a notification of a customer's trigger",
        "listen loyalty",
        By(
            "owner",
            "update sales.loyalty_members set points = points + 1 where email ="
            " (select min(email) from sales.loyalty_members)",
        ),
        "select 1",
        expect="documented",
        commits=True,
        why="PostgreSQL lets every login listen: Daypass drops notifications, a direct"
        " credential cannot",
    ),
    attack(
        "names of channels others listen to",
        "select pg_listening_channels(), pg_notification_queue_usage()",
        control="none",
        why="it shows the session's own",
    ),
    attack(
        "a text of a function",
        "select prosrc from pg_proc where proname = 'customer_email'",
        control="none",
        why="the catalog is readable by every role and holds no rows",
    ),
    attack(
        "a C function of the server by its oid",
        FunctionCall("pg_read_file(text)", ("PG_VERSION",)),
        expect="42501",
        control="none",
        why="see the server's files",
    ),
    attack(
        "the deadline's function by its oid",
        FunctionCall("daypass.live(oid)", ("1",)),
        expect="42501",
        control="none",
        why="it shows nothing",
    ),
    attack(
        "another grant's views",
        "select email from <other>.customers limit 9",
        expect="42501",
        control="owner",
    ),
    attack(
        "another grant's views through a view of one's own",
        "create temporary view v as select * from <other>.customers",
        "select email from v limit 9",
        expect="42501",
    ),
    attack(
        "another grant's views in a document",
        "select table_to_xml('<other>.customers', true, false, '')",
        expect="42501",
        feature="xml",
    ),
)
