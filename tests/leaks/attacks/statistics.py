"""What the server tells of its data and its work: statistics, plans, activity."""

from __future__ import annotations

from typing import Final

from tests.leaks.attack import DOCUMENTED, Attack, By, attack

_ACTIVITY: Final = "select query from pg_stat_activity where query like '%busy elsewhere%'"

ATTACKS: Final[tuple[Attack, ...]] = (
    attack(
        "pg_stats",
        "select most_common_vals, histogram_bounds from pg_stats"
        " where schemaname in ('sales', 'hr', 'billing') and attname in ('email', 'salary',"
        " 'payer_email')",
    ),
    attack(
        "pg_stats of everything", "select * from pg_stats where schemaname !~ '^pg_|^information'"
    ),
    attack(
        "pg_statistic",
        "select stavalues1, stavalues2 from pg_statistic",
        expect="42501",
        control="superuser",
    ),
    attack(
        "pg_statistic of one relation",
        "select s.* from pg_statistic s join pg_class c on c.oid = s.starelid where relname ="
        " 'employees'",
        expect="42501",
        control="superuser",
    ),
    attack("statistics on several columns", "select most_common_vals from pg_stats_ext"),
    attack(
        "statistics on expressions",
        "select most_common_vals, histogram_bounds from pg_stats_ext_exprs",
    ),
    attack(
        "data of extended statistics",
        "select stxdmcv, stxdexpr from pg_statistic_ext_data",
        expect="42501",
        control="superuser",
    ),
    attack(
        "statistics of an index on an expression",
        "select s.most_common_vals, s.histogram_bounds from pg_stats s join pg_class c on"
        " c.relname = s.tablename where c.relkind = 'i'",
    ),
    attack(
        "statistics restored elsewhere",
        "select pg_restore_attribute_stats('schemaname', 'sales', 'relname', 'customers',"
        " 'attname', 'email', 'inherited', false, 'version', 180000)",
        since=18,
        expect="42501",
        control="none",
        why="it writes statistics and shows none",
    ),
    attack(
        "statistics of a copy of one's own",
        "create temporary table mine as select * from <sales>.customers",
        "analyze mine",
        "select most_common_vals, histogram_bounds from pg_stats where tablename = 'mine'",
    ),
    attack(
        "analyse the base table",
        "analyze verbose sales.customers",
        control="none",
        why="it counts rows and shows none",
    ),
    attack(
        "vacuum the base table",
        "vacuum (verbose) sales.customers",
        commits=True,
        control="none",
        why="it counts rows and shows none",
    ),
    attack(
        "a plan",
        "explain (verbose, settings) select email from <sales>.customers where email = '<guess>'",
        guess="sales.customers.email",
        control="none",
        why="plans show expressions and counts, never rows",
    ),
    attack(
        "a plan's estimate of an equal value",
        "explain select * from <hr>.employees where salary = <guess>",
        guess="hr.employees.salary",
        control="none",
        why="a value among many has the same estimate as one that is missing",
    ),
    attack(
        "a plan's estimate of a common value",
        "explain select * from <hr>.absences where reason = 'holiday'",
        answer="explain select * from hr.absences where reason = 'holiday'",
        about=("hr.absences.reason",),
    ),
    attack(
        "a plan's estimate of a range",
        "explain select * from <hr>.employees where salary > 300000",
        answer="explain select * from hr.employees where salary > 300000",
        about=("hr.employees.salary",),
    ),
    attack(
        "a plan run",
        "explain (analyze, verbose, timing off, summary off) select email from"
        " <sales>.customers where email = '<guess>'",
        guess="sales.customers.email",
    ),
    attack(
        "a plan run as JSON",
        "explain (analyze, format json, costs off, timing off, summary off, buffers off)"
        " select id from <sales>.customers where card_number = '<guess>'",
        guess="sales.customers.card_number",
    ),
    attack(
        "rows removed by a filter",
        "explain (analyze, costs off, timing off, summary off) select * from <sales>.stores",
        home="contractor",
        expect="masked",
        control="none",
        why="it tells how many rows are hidden, never what is in them: documented",
    ),
    attack(
        "a plan in XML, with buffers and settings",
        "explain (format xml, verbose, buffers, analyze, wal, settings, timing off) select"
        " full_name, phone"
        " from <sales>.customers limit 3",
        control="none",
        why="plans show expressions and counts, never rows",
    ),
    attack(
        "a generic plan",
        "explain (generic_plan, verbose) select * from <sales>.customers where email = $1",
        since=16,
        control="none",
        why="plans show expressions and counts, never rows",
    ),
    attack(
        "a plan that says what it sends",
        "explain (analyze, serialize, memory, timing off) select * from <sales>.customers",
        since=17,
        control="none",
        why="plans show expressions and counts, never rows",
    ),
    attack(
        "a plan of the base table",
        "explain select * from sales.customers",
        expect="42501",
        control="none",
        why="plans show expressions and counts, never rows",
    ),
    attack(
        "a plan of execution",
        "prepare e (text) as select * from <sales>.customers where email = $1",
        "explain (analyze, verbose, timing off, summary off) execute e ('<guess>')",
        guess="sales.customers.email",
    ),
    attack(
        "plans of others written for the client",
        "load 'auto_explain'",
        "set auto_explain.log_min_duration = 0; set client_min_messages = log",
        "select email from <sales>.customers where email = 'x'",
        expect="42501|58P01",
        control="none",
        why="plans show expressions and counts, never rows",
    ),
    attack(
        "statements written for the client",
        "set client_min_messages = log",
        "set log_statement = 'all'; set log_min_duration_statement = 0",
        expect="42501",
        control="none",
        why="the owner may not set it either",
    ),
    attack(
        "settings of a customer's own in a plan",
        "set my.note = 'x'",
        "explain (settings) select current_setting('my.note'), email from"
        " <sales>.customers limit 1",
        control="none",
        why="plans show expressions and counts, never rows",
    ),
    attack(
        "what others do",
        By(
            "superuser",
            "create temporary table if not exists x (); do $$begin perform pg_sleep(0); end$$",
        ),
        "select usename, query from pg_stat_activity where query <> '<insufficient privilege>'"
        " and pid <> pg_backend_pid() and query ilike '%@%'",
        control="none",
        why="the next one has somebody wait with a value in their statement",
    ),
    attack(
        "locks of others",
        "select * from pg_locks l left join pg_class c on c.oid = l.relation",
        control="none",
        why="it shows relations, not rows",
    ),
    attack(
        "prepared transactions of others",
        By("superuser", "begin; select 1; commit"),
        "select gid from pg_prepared_xacts",
        control="none",
        why="names of transactions are no rows",
    ),
    attack(
        "statements of others by an extension",
        "select query from pg_stat_statements",
        expect="42P01",
        control="none",
        why="the extension is not installed in the sample",
    ),
    attack(
        "statements of others, the extension installed by the session",
        "create extension pg_stat_statements",
        "select query from pg_stat_statements",
        expect="42501|0A000|58P01",
        control="none",
        why="whether the owner may depends on the server",
    ),
    attack(
        "plans of other backends' memory",
        "select * from pg_backend_memory_contexts",
        expect="42501|42P01",
        control="none",
        why="it shows sizes",
    ),
    attack(
        "the log, written to by oneself",
        "select pg_log_backend_memory_contexts(pg_backend_pid())",
        expect="42501|masked",
        control="none",
        why="it shows sizes",
    ),
    attack(
        "how many rows were ever read",
        "select relname, n_live_tup, seq_tup_read from pg_stat_all_tables where schemaname ="
        " 'sales'"
        " and relname = 'stores'",
        control="none",
        why="it shows counts, as pg_class does: documented",
    ),
    attack(
        "how many rows a relation has",
        "select reltuples::bigint from pg_class where oid = (select oid from pg_class where"
        " relname = 'orders' and relkind = 'r')",
        home="contractor",
        expect=DOCUMENTED,
        answer="select count(*) from sales.orders",
        about=("sales.orders",),
        why="pg_class tells every role how large each relation is",
    ),
    attack(
        "a sequence's last value",
        "select last_value from pg_sequences where schemaname = 'sales' and last_value is not null",
        answer="select last_value from pg_sequences where schemaname = 'sales' and last_value is"
        " not null",
        about=("sales.customers.email",),
    ),
    attack(
        "a sequence itself",
        "select last_value from sales.customers_id_seq",
        expect="42501",
        control="none",
        why="it shows a number of rows",
    ),
    attack(
        "progress of others",
        "select * from pg_stat_progress_create_index, pg_stat_progress_copy",
        control="none",
        why="it shows counts",
    ),
    attack(
        "replication slots and their data",
        "select * from pg_replication_slots, pg_stat_replication",
        control="none",
        why="it shows positions",
    ),
)
