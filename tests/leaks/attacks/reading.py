"""Reading in other words: every way a SELECT has of showing a column."""

from __future__ import annotations

from typing import Final

from tests.leaks.attack import Attack, Bound, attack

ATTACKS: Final[tuple[Attack, ...]] = (
    attack("alias", "select c.email as contact from <sales>.customers as c order by c.id limit 20"),
    attack("column of an aliased table", "select x.y from <sales>.customers as x (id, y) limit 20"),
    attack("concatenation", "select 'mail: ' || email || '!' from <sales>.customers limit 20"),
    attack("upper case", "select upper(full_name) from <sales>.customers limit 20"),
    attack("reversed", "select reverse(card_number) from <sales>.customers limit 20"),
    attack(
        "one character to a row",
        "select substr(national_id, n, 1) from <sales>.customers, generate_series(1, 9) as n"
        " where id = 1 order by n",
    ),
    attack(
        "codes of its characters",
        "select string_agg(chr(ascii(substr(email, n, 1))), '' order by n)"
        " from <sales>.customers, generate_series(1, 60) as n"
        " where id = 7 and substr(email, n, 1) <> ''",
    ),
    attack(
        "in hexadecimal",
        "select encode(convert_to(email, 'UTF8'), 'hex') from <sales>.customers limit 9",
    ),
    attack("in base64", "select encode(phone::bytea, 'base64') from <sales>.customers limit 20"),
    attack(
        "digest to try guesses at",
        "select md5(card_number), sha256(email::bytea) from <sales>.customers limit 50",
    ),
    attack(
        "digest of whole rows",
        "select id, md5(c::text) from <sales>.customers c order by id limit 5",
        answer="select id, md5(c::text) from sales.customers c order by id limit 5",
        about=("sales.customers.email",),
    ),
    attack("whole row", "select c from <sales>.customers as c order by c.id limit 10"),
    attack(
        "whole row as text", "select c::text from <sales>.customers as c order by c.id limit 10"
    ),
    attack("field of a whole row", "select (c).email, (c).* from <sales>.customers as c limit 5"),
    attack("row constructor", "select row(c.*, c.phone) from <sales>.customers as c limit 5"),
    attack("table command", "table <sales>.loyalty_members"),
    attack("array of values", "select array_agg(email) from <sales>.customers where id < 30"),
    attack(
        "one long string", "select string_agg(full_name, ';' order by id) from <sales>.customers"
    ),
    attack("coalesce", "select coalesce(nullif(phone, ''), email) from <sales>.customers limit 30"),
    attack(
        "case",
        "select case when true then birth_date::text else '' end from <sales>.customers limit 50",
    ),
    attack(
        "format",
        "select format('%s/%I/%L', email, full_name, notes) from <sales>.customers limit 20",
    ),
    attack(
        "overlay", "select overlay(email placing '' from 1 for 0) from <sales>.customers limit 9"
    ),
    attack(
        "regular expression's matches",
        "select regexp_matches(card_number, '(.*)') from <sales>.customers limit 9",
    ),
    attack(
        "split into parts",
        "select regexp_split_to_table(notes, '\\s+') from <sales>.customers where id < 40",
    ),
    attack(
        "text search vector of it",
        "select to_tsvector('simple', full_name) from <sales>.customers order by id limit 9",
        answer="select to_tsvector('simple', full_name) from sales.customers order by id limit 9",
        about=("sales.customers.full_name",),
    ),
    attack(
        "the words of a stored text search vector",
        "select * from ts_stat('select body_search from <sales>.support_tickets')",
        answer="select * from ts_stat('select body_search from sales.support_tickets')",
        about=("sales.support_tickets.body_search",),
    ),
    attack(
        "a generated column of a masked one",
        "select email_lower from <sales>.customers order by id limit 20",
    ),
    attack("greatest and least", "select max(email), min(national_id) from <sales>.customers"),
    attack(
        "mode and percentile",
        "select mode() within group (order by notes), percentile_disc(0.5) within group"
        " (order by birth_date) from <sales>.customers",
    ),
    attack("distinct values", "select distinct credit_limit::text from <sales>.customers limit 40"),
    attack("distinct on", "select distinct on (region) email, phone from <sales>.customers"),
    attack(
        "how many are distinct",
        "select count(distinct full_name) from <sales>.customers",
        answer="select count(distinct full_name) from sales.customers",
        about=("sales.customers.full_name",),
    ),
    attack(
        "the exact sum of a masked number",
        "select sum(salary) from <hr>.employees",
        answer="select sum(salary) from hr.employees",
        about=("hr.employees.salary",),
    ),
    attack(
        "average and deviation",
        "select avg(salary)::text, stddev(salary)::text from <hr>.employees",
        answer="select avg(salary)::text, stddev(salary)::text from hr.employees",
        about=("hr.employees.salary",),
    ),
    attack(
        "window functions",
        "select lag(email) over w, first_value(phone) over w, nth_value(notes, 2) over w"
        " from <sales>.customers window w as (order by id) limit 20",
    ),
    attack(
        "lateral", "select x.e from <sales>.customers c, lateral (select c.email as e) x limit 20"
    ),
    attack(
        "correlated subquery",
        "select (select c2.email from <sales>.customers c2 where c2.id = c.id) from"
        " <sales>.customers c limit 20",
    ),
    attack(
        "common table expression",
        "with x as materialized (select * from <sales>.customers) select email from x limit 20",
    ),
    attack(
        "recursive query",
        "with recursive r (id, path) as (select id, full_name from <hr>.employees where"
        " manager_id is null union all select e.id, r.path || '>' || e.full_name from"
        " <hr>.employees e join r on r.id = e.manager_id) select path from r limit 40",
    ),
    attack(
        "union with a literal",
        "select 'nobody@example.org'::text union select email from <sales>.customers",
    ),
    attack("except", "select email from <sales>.customers except select ''::text"),
    attack(
        "intersect with itself",
        "select phone from <sales>.customers intersect select phone from <sales>.customers",
    ),
    attack(
        "how many addresses two relations share",
        "select count(*) from <sales>.customers c join <billing>.payments p"
        " on p.payer_email = lower(c.email)",
        answer="select count(*) from sales.customers c join billing.payments p"
        " on p.payer_email = lower(c.email)",
        about=("sales.customers.email",),
    ),
    attack(
        "grouping sets",
        "select region, email, count(*) from <sales>.customers"
        " group by grouping sets ((region, email), (email), ()) limit 60",
    ),
    attack(
        "cube",
        "select email, phone, count(*) from <sales>.customers where id < 9 group by cube (1, 2)",
    ),
    attack(
        "the order of hidden values",
        "select id from <hr>.employees order by salary desc, id limit 40",
        answer="select id from hr.employees order by salary desc, id limit 40",
        about=("hr.employees.salary",),
    ),
    attack(
        "rank by a hidden value",
        "select id, rank() over (order by birth_date) from <sales>.customers order by id",
        answer="select id, rank() over (order by birth_date) from sales.customers order by id",
        about=("sales.customers.birth_date",),
    ),
    attack(
        "who has the same value",
        "select count(*) from <hr>.employees a join <hr>.employees b"
        " on a.salary = b.salary and a.id < b.id",
        answer="select count(*) from hr.employees a join hr.employees b"
        " on a.salary = b.salary and a.id < b.id",
        about=("hr.employees.salary",),
    ),
    attack(
        "length of a hidden text",
        "select id, length(full_name) from <sales>.customers order by id limit 30",
        answer="select id, length(full_name) from sales.customers order by id limit 30",
        about=("sales.customers.full_name",),
    ),
    attack(
        "size of a hidden value",
        "select id, pg_column_size(notes) from <sales>.customers order by id",
        answer="select id, pg_column_size(notes) from sales.customers order by id",
        about=("sales.customers.notes",),
    ),
    attack(
        "soundness of a card number",
        "select public.luhn_ok(card_number), count(*) from <sales>.customers group by 1",
        answer="select public.luhn_ok(card_number), count(*) from sales.customers group by 1",
        about=("sales.customers.card_number",),
        expect="masked|22P02",
    ),
    attack(
        "day of a birthday",
        "select id, extract(day from birth_date), age(birth_date, '2026-01-01')"
        " from <sales>.customers order by id limit 30",
        answer="select id, extract(day from birth_date), age(birth_date, '2026-01-01')"
        " from sales.customers order by id limit 30",
        about=("sales.customers.birth_date",),
    ),
    attack(
        "JSON path of a document",
        "select profile #>> '{contact,email}' from <sales>.customers limit 20",
    ),
    attack(
        "JSON path query",
        "select jsonb_path_query(profile, '$.**') from <sales>.customers where id < 20",
    ),
    attack(
        "every key of a document",
        "select k, v from <sales>.customers, jsonb_each(profile) as d(k, v) where id < 20",
    ),
    attack(
        "a document as text",
        "select jsonb_pretty(profile), profile::text from <sales>.customers limit 9",
    ),
    attack(
        "subscript of a document",
        "select profile['address']['street'] from <sales>.customers limit 20",
    ),
    attack(
        "points of a loyalty programme",
        "select id, profile #>> '{loyalty,points}' from <sales>.customers order by id limit 40",
        answer="select id, profile #>> '{loyalty,points}' from sales.customers order by id limit"
        " 40",
        about=("sales.customers.profile",),
    ),
    attack(
        "a customer's view that shows it",
        "select email, phone, full_name from <sales>.customer_contacts limit 9",
    ),
    attack("a view over that view", "select name, reach_at from <sales>.vip_contacts limit 20"),
    attack(
        "a view that hides it in an expression", "select label from <sales>.mailing_labels limit 20"
    ),
    attack("a recursive view", "select path from <hr>.reporting_lines limit 40"),
    attack(
        "a view with its caller's rights",
        "select * from <sales>.open_orders limit 5",
        expect="42501|42P01",
        control="none",
        why="it holds nothing hidden; whoever shows it must still not show more",
    ),
    attack("a materialized view", "select customer_email from <billing>.dunning_list limit 20"),
    attack("a partitioned table", "select payer_email, iban from <billing>.payments limit 40"),
    attack("a partition", "select payer_email from <billing>.payments_2026q4 limit 20"),
    attack(
        "the default partition and its parent's name",
        "select tableoid::regclass, payer_email from <billing>.payments limit 20",
        expect="42703|masked",
    ),
    attack(
        "names that need quotes",
        'select "E-Mail", "select" from <sales>."Legacy Customers" limit 20',
    ),
    attack("a relation nobody has classified", "select * from <public>.export_2024_final limit 40"),
    attack("an audit trail", "select old_row, new_row from <app>.audit_log limit 20"),
    attack("keys of services", "select service, secret from <app>.api_keys"),
    attack("reasons of absences", "select employee_id, reason from <hr>.absences limit 30"),
    attack(
        "binary results",
        Bound("select email, card_number from <sales>.customers limit 20", binary=True),
    ),
    attack(
        "parameters",
        Bound("select email, $1::text from <sales>.customers where id = $2::bigint", ("x", "3")),
    ),
    attack(
        "binary rows",
        Bound("select c, array_agg(c.phone) over () from <sales>.customers c limit 3", binary=True),
    ),
    attack(
        "several statements in one message",
        "select 1; select email from <sales>.customers limit 9; select 2",
    ),
    attack(
        "cursor",
        "begin; declare c cursor for select email from <sales>.customers; fetch 20 from c; commit",
    ),
    attack(
        "scrolling cursor with hold",
        "declare h scroll cursor with hold for select phone, notes from <sales>.customers",
        "fetch last from h",
        "fetch backward 20 from h",
        "close h",
    ),
    attack(
        "binary cursor",
        "begin; declare b binary cursor for select full_name from <sales>.customers;"
        " fetch 20 from b; commit",
    ),
    attack(
        "prepared statement",
        "prepare p (bigint) as select email from <sales>.customers where id = $1",
        "execute p (1)",
        "execute p (2)",
    ),
    attack(
        "prepared statement with a generic plan",
        "set plan_cache_mode = force_generic_plan",
        "prepare g (bigint) as select c::text from <sales>.customers c where id < $1",
        "execute g (20)",
    ),
    attack(
        "copy of a query", "copy (select email, phone from <sales>.customers limit 20) to stdout"
    ),
    attack(
        "copy as CSV with a header",
        "copy (select * from <sales>.customers limit 9) to stdout (format csv, header)",
    ),
    attack(
        "copy in binary",
        "copy (select email from <sales>.customers limit 9) to stdout (format binary)",
    ),
    attack("copy of the base table", "copy sales.customers (email) to stdout", expect="42501"),
    attack(
        "copy of a view", "copy <sales>.customers to stdout", expect="42809", control="superuser"
    ),
    attack("base table", "select email from sales.customers limit 20", expect="42501"),
    attack(
        "base table, inheritance left out",
        "select payer_email from only billing.payments_2026q4 limit 9",
        expect="42501",
    ),
    attack(
        "base table behind a join with what is allowed",
        "select b.email from <sales>.customers c join sales.customers b using (id) limit 9",
        expect="42501",
    ),
    attack(
        "base table in a subquery never shown",
        "select count(*) from <sales>.customers where exists (select from sales.customers)"
        " having count(*) > 0; select max(email) from sales.customers",
        expect="42501",
    ),
    attack(
        "physical position", "select ctid, email from <sales>.customers limit 9", expect="42703"
    ),
    attack(
        "transaction of a row",
        "select xmin, xmax, email from <sales>.customers limit 9",
        expect="42703",
    ),
    attack(
        "sample of a table",
        "select email from <sales>.customers tablesample system (100) limit 9",
        expect="0A000|42809",
        control="none",
        why="the owner's table is no view; the rows are read above",
    ),
    attack(
        "rows by number of page",
        "select email from sales.customers where ctid = '(0,1)'",
        expect="42501",
    ),
    attack(
        "lock for update", "select email from <sales>.customers limit 5 for update", expect="42501"
    ),
    attack(
        "lock for key share of the base",
        "select phone from sales.customers limit 5 for key share",
        expect="42501",
    ),
    attack(
        "row comparison",
        "select c.email from <sales>.customers c where row(c.*) is not null and c >= c limit 9",
    ),
    attack(
        "row locked by name",
        "select email from <sales>.customers c limit 5 for share of c",
        expect="42501",
    ),
    attack(
        "values list with subqueries",
        "values ((select email from <sales>.customers where id = 1)),"
        " ((select email from <sales>.customers where id = 2))",
    ),
    attack(
        "cast to the base table's row type",
        "select c::text::sales.customers from <sales>.customers c limit 1",
        control="none",
        why="the owner learns nothing by it that the row does not say",
    ),
)
