"""Being somebody else, or the same account otherwise: roles, passwords, settings, search paths."""

from __future__ import annotations

from typing import Final

from tests.leaks.attack import Again, Attack, By, attack

_READ: Final = "select email from sales.customers limit 9"

ATTACKS: Final[tuple[Attack, ...]] = (
    attack(
        "set role to the owner", "set role shop_owner", _READ, expect="42501", control="superuser"
    ),
    attack(
        "set role to a native role", "set role shop_app", _READ, expect="42501", control="superuser"
    ),
    attack(
        "set role to the views' owner",
        "set role dp_views",
        "select email from sales.customers limit 9",
        expect="42501",
        control="here",
    ),
    attack(
        "set role to the admin",
        "set role daypass_admin",
        _READ,
        expect="42501",
        control="superuser",
    ),
    attack(
        "set role to the scope",
        "set role <scope>",
        "select email, phone from <sales>.customers limit 9",
        "reset role",
        expect="42501|masked",
        control="none",
        why="until 15 it may, and sees what it saw before",
    ),
    attack(
        "set role by a setting",
        "select set_config('role', 'shop_owner', false)",
        _READ,
        expect="42501",
        control="superuser",
    ),
    attack(
        "set role for a transaction",
        "begin; set local role shop_owner; select email from sales.customers limit 9; rollback",
        expect="42501",
        control="superuser",
    ),
    attack(
        "set session authorization",
        "set session authorization shop_owner",
        _READ,
        expect="42501",
        control="superuser",
    ),
    attack(
        "set session authorization by a setting",
        "select set_config('session_authorization', 'postgres', false)",
        _READ,
        expect="42501",
        control="superuser",
    ),
    attack(
        "a role set in a function's definition",
        "create function pg_temp.f() returns setof text language sql set role = 'shop_owner' as"
        " 'select email::text from sales.customers limit 9'",
        "select pg_temp.f()",
        expect="42501",
        control="superuser",
    ),
    attack(
        "a session's user set in a function's definition",
        "create function pg_temp.f() returns setof text language sql set session_authorization ="
        " 'shop_owner' as 'select email::text from sales.customers limit 9'",
        "select pg_temp.f()",
        expect="42501",
        control="superuser",
    ),
    attack(
        "row security off",
        "set row_security = off",
        "select customer_email from <billing>.invoices limit 9",
        expect="42501",
    ),
    attack(
        "another tenant",
        "set app.tenant = 'borealis'",
        "select tenant, customer_email, amount::text from <billing>.invoices limit 9",
        expect="documented",
        why="a policy of the database's own that trusts a session variable trusts the session",
    ),
    attack(
        "another tenant than the grant's",
        "set app.tenant = 'borealis'",
        "select invoice_no, amount from <billing>.invoices limit 20",
        home="tenant",
        expect="documented",
        why="a policy of the database's own that trusts a session variable trusts the session",
    ),
    attack(
        "settings that change what statements mean",
        "set transform_null_equals = on; set standard_conforming_strings = off; set"
        " backslash_quote = on;"
        " set quote_all_identifiers = on; set escape_string_warning = off; set array_nulls = off",
        "select email, phone from <sales>.customers limit 9",
    ),
    attack(
        "settings of the planner",
        "set enable_indexscan = off; set enable_seqscan = off; set constraint_exclusion = on;"
        " set from_collapse_limit = 100; set join_collapse_limit = 100; set geqo_threshold = 2;"
        " set jit_above_cost = 0; set parallel_setup_cost = 0; set parallel_tuple_cost = 0;"
        " set min_parallel_table_scan_size = 0; set cursor_tuple_fraction = 1",
        "select c.email, o.ship_to from <sales>.customers c join <sales>.orders o on"
        " o.customer_id = c.id limit 9",
    ),
    attack(
        "settings of plpgsql",
        "set plpgsql.extra_errors = 'all'; set plpgsql.extra_warnings = 'all'",
        "select email from <sales>.customers limit 9",
    ),
    attack(
        "a setting that is the superuser's",
        "set session_replication_role = replica",
        _READ,
        expect="42501",
        control="superuser",
    ),
    attack(
        "libraries of the session's own",
        "set local_preload_libraries = '/tmp/x'",
        _READ,
        expect="55P02|42501",
        control="none",
        why="it is set when connecting, by nobody later",
    ),
    attack(
        "search path to the base schema",
        "set search_path = sales, hr",
        "select email from customers limit 9",
        expect="42501",
    ),
    attack(
        "search path with pg_temp first",
        "set search_path = pg_temp, <sales>",
        "create temporary table orders (id int)",
        "select email from customers limit 9",
    ),
    attack(
        "search path without the server's catalog first",
        "set search_path = <sales>, pg_catalog",
        "select lower(email), count(*) from customers group by 1 limit 9",
    ),
    attack(
        "a schema of the session's own",
        "create schema mine",
        "create view mine.customers as select * from sales.customers",
        "select email from mine.customers limit 9",
        expect="42501",
    ),
    attack(
        "an object in the public schema",
        "create table public.trap (e text)",
        expect="42501",
        control="none",
        why="nothing is read by making a table",
    ),
    attack(
        "a self-changed password",
        "alter role current_user password 'of my own'",
        Again("select email from sales.customers limit 9", password="of my own"),
        expect="42501|refused|masked",
        lasting=True,
        control="none",
        why="a further login shows what the first does; the next attacks try it",
    ),
    attack(
        "a self-changed password and the views in it",
        "alter role current_user password 'of my own'",
        Again(
            "select full_name, email, phone from <sales>.customers limit 9", password="of my own"
        ),
        expect="refused|masked",
        lasting=True,
        control="none",
        why="the account's rights are the same in every connection of it",
    ),
    attack(
        "a role that is set at login",
        "alter role current_user set role = 'shop_owner'",
        Again(_READ),
        expect="42501|refused",
        lasting=True,
        control="none",
        why="the control cannot sign in as the owner: nobody can",
    ),
    attack(
        "a search path that is set at login",
        "alter role current_user set search_path = pg_temp, sales",
        Again(_READ, options=" "),
        expect="42501|refused",
        lasting=True,
        control="none",
        why="nobody signs in as the owner",
    ),
    attack(
        "settings at login by its options",
        Again(
            "select email from sales.customers limit 9",
            options="-c role=shop_owner -c row_security=off",
        ),
        expect="refused",
        control="none",
        why="nobody signs in as the owner",
    ),
    attack(
        "session authorization at login by its options",
        Again(_READ, options="-c session_authorization=shop_owner"),
        expect="refused",
        control="none",
        why="nobody signs in as the owner",
    ),
    attack(
        "another deadline",
        "alter role current_user valid until 'infinity'",
        expect="42501",
        control="none",
        why="it shows nothing; a session without end would go on showing",
    ),
    attack(
        "more power",
        "alter role current_user createrole bypassrls",
        expect="42501",
        control="none",
        why="it shows nothing by itself",
    ),
    attack(
        "superuser", "alter role current_user superuser", _READ, expect="42501", control="superuser"
    ),
    attack(
        "membership in the owner",
        "grant shop_owner to current_user",
        _READ,
        expect="42501|42704|0LP01",
        control="superuser",
    ),
    attack(
        "membership in a native role",
        "grant shop_app to <account>",
        "select email from sales.customers limit 9",
        expect="42501|0LP01",
        control="superuser",
    ),
    attack(
        "membership in the statistics' readers",
        "grant pg_read_all_data to current_user",
        _READ,
        expect="42501|42704",
        control="superuser",
    ),
    attack(
        "a role of the session's own",
        "create role helper login",
        expect="42501",
        control="none",
        why="it shows nothing by itself",
    ),
    attack(
        "handing the account to an accomplice",
        "grant <account> to tom_baker",
        By("superuser", "select 1"),
        expect="42501|masked",
        control="none",
        lasting=True,
        undo=("revoke <account> from tom_baker",),
        why="the accomplice's session is ended by the deadline's clause: see the next attack's"
        " control",
    ),
    attack(
        "ownership of a view",
        "alter view <sales>.customers owner to current_user",
        expect="42501",
        control="none",
        why="the owner may and learns nothing by it",
    ),
    attack(
        "a view replaced",
        "create or replace view <sales>.customers as select * from sales.customers",
        "select email from <sales>.customers limit 9",
        expect="42501",
        control="none",
        why="to the owner it is a table",
    ),
    attack(
        "a view's barrier taken away",
        "alter view <sales>.orders reset (security_barrier)",
        home="contractor",
        expect="42501",
        control="none",
        why="to the owner it is a table",
    ),
    attack(
        "a view made to run as its caller",
        "alter view <sales>.customers set (security_invoker = true)",
        "select email from <sales>.customers limit 9",
        expect="42501",
        control="none",
        why="to the owner it is a table",
    ),
    attack(
        "a rule on a view",
        "create rule r as on insert to <sales>.customers do instead select * from sales.customers",
        expect="42501",
        control="none",
        why="to the owner it is a table",
    ),
    attack(
        "a trigger on a view",
        "create function pg_temp.t() returns trigger language plpgsql as"
        " $$begin raise notice '%', old; return old; end$$",
        "create trigger t instead of update on <sales>.orders for each row execute function"
        " pg_temp.t()",
        home="writes",
        expect="42501",
        control="none",
        why="to the owner it is a table",
    ),
    attack(
        "a privilege granted",
        "grant select on sales.customers to current_user",
        _READ,
        expect="42501",
    ),
    attack(
        "a privilege granted on a view",
        "grant select on <sales>.customers to public",
        expect="42501|masked",
        control="none",
        why="PostgreSQL warns and grants nothing; the views raise for whoever has no grant",
    ),
    attack(
        "default privileges",
        "alter default privileges for role shop_owner grant select on tables to public",
        expect="42501",
        control="none",
        why="it shows nothing by itself",
    ),
    attack(
        "what is owned, reassigned",
        "reassign owned by shop_owner to current_user",
        _READ,
        expect="42501",
        control="none",
        why="the owner already owns it",
    ),
    attack(
        "a policy of the session's own",
        "create policy p on billing.invoices using (true)",
        "select customer_email from <billing>.invoices limit 9",
        expect="42501",
        control="owner",
    ),
    attack(
        "row security taken away",
        "alter table billing.invoices disable row level security",
        "select customer_email from <billing>.invoices limit 9",
        expect="42501",
    ),
    attack(
        "another database with the same account",
        Again("select user_email, visitor_ip from public.page_views limit 20", database="metrics"),
        expect="refused",
        control="none",
        why="a credential is handed out only where other databases are closed to PUBLIC",
    ),
    attack(
        "the server's own databases",
        Again(
            "select * from pg_stats where schemaname <> 'pg_catalog' limit 9", database="postgres"
        ),
        expect="masked|refused",
        control="none",
        why="there is nothing of the customer's in it",
    ),
    attack(
        "replication of the database",
        Again("start_replication slot x logical 0/0", replication=True),
        expect="refused",
        control="none",
        why="the owner may not either",
    ),
)
