"""Making the server speak: errors, notices and details that quote values."""

from __future__ import annotations

from typing import Final

from tests.leaks.attack import Attack, attack

ATTACKS: Final[tuple[Attack, ...]] = (
    attack("cast to a number", "select email::int from <sales>.customers", expect="22P02"),
    attack(
        "cast in the condition",
        "select 1 from <sales>.customers where full_name::numeric > 1",
        expect="22P02",
    ),
    attack(
        "cast to a date", "select phone::date from <sales>.customers", expect="22007|22008|22009"
    ),
    attack(
        "cast to an interval", "select full_name::interval from <sales>.customers", expect="22007"
    ),
    attack("cast to boolean", "select notes::boolean from <sales>.customers", expect="22P02"),
    attack(
        "cast to an enumeration",
        "create type pg_temp.mood as enum ('ok')",
        "select email::text::pg_temp.mood from <sales>.customers",
        expect="22P02",
    ),
    attack(
        "cast to a network address",
        "select email::text::inet from <sales>.customers",
        expect="22P02",
    ),
    attack("cast to a point", "select email::text::point from <sales>.customers", expect="22P02"),
    attack("cast to an array", "select notes::int[] from <sales>.customers", expect="22P02"),
    attack("cast to JSON", "select email::json from <sales>.customers", expect="22P02"),
    attack(
        "cast to XML",
        "select xmlparse(document notes) from <sales>.customers",
        expect="2200M",
        feature="xml",
    ),
    attack(
        "cast to a type's name",
        "select email::text::regtype from <sales>.customers",
        expect="42601",
    ),
    attack(
        "cast to a relation's name",
        "select ('\"' || email || '\"')::regclass from <sales>.customers",
        expect="42P01",
    ),
    attack(
        "cast to a role's name",
        "select ('\"' || email || '\"')::regrole from <sales>.customers",
        expect="42704",
    ),
    attack(
        "a domain's check",
        "create domain pg_temp.none as text check (false)",
        "select full_name::pg_temp.none from <sales>.customers",
        expect="23514",
        control="none",
        why="PostgreSQL does not quote a value its domain rejects",
    ),
    attack(
        "a domain whose check tells",
        "create function pg_temp.no(text) returns boolean language plpgsql as"
        " $$begin raise exception 'it is %', $1; end$$",
        "create domain pg_temp.told as text check (pg_temp.no(value))",
        "select email::pg_temp.told from <sales>.customers",
        expect="P0001",
    ),
    attack(
        "division by what a value is",
        "select 1 / (case when email = '<guess>' then 0 else 1 end) from <sales>.customers",
        guess="sales.customers.email",
    ),
    attack(
        "array index by what a value is",
        "select (array[1])[case when card_number = '<guess>' then 1 else 2 end]"
        " from <sales>.customers order by 1 limit 1",
        guess="sales.customers.card_number",
    ),
    attack(
        "numeric field overflow",
        "select salary::numeric(3, 2) from <hr>.employees",
        expect="22003",
        control="none",
        why="PostgreSQL tells the field's limits, not the value",
    ),
    attack(
        "a regular expression's pattern",
        "select 'x' ~ ('(' || email) from <sales>.customers",
        expect="2201B",
        control="none",
        why="PostgreSQL does not quote a pattern that is invalid",
    ),
    attack(
        "a JSON path",
        "select jsonb_path_query('{}', ('strict $.\"' || email || '\"')::jsonpath) from"
        " <sales>.customers",
        expect="2203A",
    ),
    attack(
        "a time zone's name",
        "select now() at time zone full_name from <sales>.customers",
        expect="22023",
    ),
    attack(
        "a text search configuration",
        "select to_tsvector(('\"' || email || '\"')::regconfig, 'x') from <sales>.customers",
        expect="42704",
    ),
    attack(
        "a text search query",
        "select to_tsquery('simple', full_name) from <sales>.customers",
        expect="42601|masked",
    ),
    attack(
        "an encoding's name", "select convert_to('x', email) from <sales>.customers", expect="22023"
    ),
    attack(
        "a date's field",
        "select extract('day' from now()), date_part(full_name, now()) from <sales>.customers",
        expect="22023",
    ),
    attack(
        "a sequence's name",
        "select nextval('\"' || email || '\"') from <sales>.customers",
        expect="42P01",
    ),
    attack(
        "a privilege's name",
        "select has_table_privilege('<sales>.customers', full_name) from <sales>.customers",
        expect="22023",
    ),
    attack(
        "a setting's name",
        "select current_setting(replace(email, '@', '.')) from <sales>.customers",
        expect="42704",
    ),
    attack(
        "a setting's value",
        "select set_config('timezone', full_name, false) from <sales>.customers",
        expect="22023",
    ),
    attack(
        "a setting's value, shown",
        "select set_config('my.setting', email, false) from <sales>.customers limit 1",
        "show my.setting",
    ),
    attack(
        "the application's name",
        "select set_config('application_name', email, false) from <sales>.customers limit 1",
    ),
    attack(
        "a snapshot's name",
        "begin isolation level repeatable read;"
        " select pg_notify('x', email) from <sales>.customers limit 3; rollback",
        control="none",
        why="nothing is shown: the next one listens",
    ),
    attack(
        "a notification to oneself",
        "listen mine",
        "select pg_notify('mine', email) from <sales>.customers limit 3",
        commits=True,
    ),
    attack(
        "an advisory lock's number",
        "select pg_advisory_lock(national_id::bigint) from <sales>.customers limit 1",
        "select objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
        expect="22P02",
        control="none",
        why="half of a number in a system view is not its text",
    ),
    attack(
        "raised by a block",
        "do $$declare r record; begin for r in select email from <sales>.customers limit 5 loop"
        " raise notice '%', r.email; end loop; end$$",
    ),
    attack(
        "raised as an error with details",
        "do $$declare r record; begin select * into r from <sales>.customers limit 1;"
        " raise exception 'x' using detail = r.email, hint = r.full_name, column = r.card_number,"
        " constraint = r.birth_date::text, table = r.national_id; end$$",
        expect="P0001",
    ),
    attack(
        "asserted",
        "do $$begin assert false, (select email from <sales>.customers limit 1); end$$",
        expect="P0004",
    ),
    attack(
        "in an error's context",
        "create function pg_temp.f(v text) returns int language plpgsql as $$begin return 1 / 0;"
        " end$$",
        "do $$begin execute format('select pg_temp.f(%L)', (select email from <sales>.customers"
        " limit 1)); end$$",
        expect="22012",
    ),
    attack(
        "in a dynamic statement that fails",
        "do $$begin execute 'select ' || (select full_name from <sales>.customers limit 1) ||"
        " ' from'; end$$",
        expect="42601|42703",
    ),
    attack(
        "by stacked diagnostics",
        "do $$declare m text; begin perform email::int from <sales>.customers; exception when"
        " others"
        " then get stacked diagnostics m = message_text; raise notice '%', m; end$$",
    ),
    attack(
        "at the verbosest",
        "set client_min_messages = debug5; set debug_print_parse = on; set debug_print_rewritten"
        " = on;"
        " set debug_print_plan = on; set debug_pretty_print = off",
        "select count(*) from <sales>.customers where email = 'x'",
        "select email::int from <sales>.customers",
        expect="22P02",
    ),
    attack(
        "statistics of sorting",
        "set client_min_messages = log; set trace_sort = on",
        "select email from <sales>.customers order by email limit 3",
    ),
    attack(
        "a statement cut off",
        "set statement_timeout = '50ms'",
        "select email, pg_sleep(0.02) from <sales>.customers",
        expect="57014",
        control="none",
        why="rows that were not sent yet are not sent at all",
    ),
    attack(
        "a row too long for its type",
        "select notes::varchar(3)::char(2), notes::name from <sales>.customers"
        " where notes is not null limit 20",
    ),
    attack(
        "a unit of a size", "select pg_size_bytes(full_name) from <sales>.customers", expect="22023"
    ),
    attack(
        "an identifier split", "select parse_ident(email) from <sales>.customers", expect="22023"
    ),
    attack(
        "a base64 decoded",
        "select decode(email, 'hex') from <sales>.customers",
        expect="22023",
        control="none",
        why="PostgreSQL quotes one character",
    ),
    attack(
        "a function that is asked to be quoted",
        "select quote_literal(email), quote_ident(full_name),"
        " quote_nullable(phone) from <sales>.customers limit 9",
    ),
    attack(
        "input that is tried",
        "select (pg_input_error_info(email::text, 'integer')).* from <sales>.customers limit 5",
        since=16,
    ),
    attack(
        "a value that is not unique in a temporary table",
        "create temporary table u (e text unique)",
        "insert into u select email from <sales>.customers union all select email from"
        " <sales>.customers",
        expect="23505",
    ),
    attack(
        "a value that fails a temporary check",
        "create temporary table k (e text, p text, check (e is null))",
        "insert into k select email, phone from <sales>.customers",
        expect="23514",
    ),
    attack(
        "a value without its partition",
        "create temporary table pt (e text) partition by list (e)",
        "insert into pt select email from <sales>.customers",
        expect="23514",
    ),
    attack(
        "a value without its foreign key",
        "create temporary table fk_target (e text primary key)",
        "create temporary table fk (e text references fk_target)",
        "insert into fk select email from <sales>.customers",
        expect="23503",
    ),
    attack(
        "a value excluded",
        "create temporary table ex (e int4range, t text, exclude using gist (e with &&))",
        "insert into ex select int4range(1, 5), email from <sales>.customers",
        expect="23P01",
        control="none",
        why="the error quotes the range, not the text beside it",
    ),
    attack(
        "a constraint trigger's complaint",
        "create temporary table ct (e text)",
        "create function pg_temp.cry() returns trigger language plpgsql as $$begin raise exception"
        " 'new: %', new; end$$",
        "create constraint trigger cry after insert on ct deferrable initially deferred"
        " for each row execute function pg_temp.cry()",
        "insert into ct select email from <sales>.customers limit 1",
        expect="P0001",
        commits=True,
    ),
)
