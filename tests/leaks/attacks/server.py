"""The server around the database: files, programs, other servers, large objects, slots."""

from __future__ import annotations

from typing import Final

from tests.leaks.attack import Attack, By, attack

_NO_ROWS: Final = "it reaches files, where every row is: only superusers may"

ATTACKS: Final[tuple[Attack, ...]] = (
    attack(
        "a relation's file",
        "select encode(pg_read_binary_file(pg_relation_filepath(c.oid)), 'escape') from pg_class c"
        " where relname = 'loyalty_members' and relkind = 'r'",
        expect="42501",
        control="superuser",
        commits=True,
    ),
    attack(
        "a relation's file, written by a checkpoint",
        "checkpoint",
        "select convert_from(pg_read_binary_file(pg_relation_filepath(c.oid)), 'SQL_ASCII') from"
        " pg_class c"
        " where relname = 'api_keys' and relkind = 'r'",
        expect="42501",
        control="none",
        why=_NO_ROWS,
    ),
    attack(
        "the data directory", "select pg_ls_dir('.')", expect="42501", control="none", why=_NO_ROWS
    ),
    attack(
        "the log",
        "select pg_read_file(pg_current_logfile())",
        expect="42501|masked",
        control="none",
        why=_NO_ROWS,
    ),
    attack(
        "a file by copy",
        "create temporary table f (t text)",
        "copy f from '/etc/hostname'",
        expect="42501",
        control="none",
        why=_NO_ROWS,
    ),
    attack(
        "a file written by copy",
        "copy (select email from <sales>.customers) to '/tmp/leak'",
        expect="42501",
        control="none",
        why="what it writes is masked",
    ),
    attack(
        "a program",
        "copy (select 1) to program 'cat > /dev/null'",
        expect="42501",
        control="none",
        why=_NO_ROWS,
    ),
    attack(
        "a program's output",
        "create temporary table f (t text)",
        "copy f from program 'cat PG_VERSION'",
        expect="42501",
        control="none",
        why=_NO_ROWS,
    ),
    attack(
        "a file as a large object",
        "select lo_import('/etc/hostname')",
        expect="42501",
        control="none",
        why=_NO_ROWS,
    ),
    attack(
        "a large object written to a file",
        "select lo_export(lo_from_bytea(0, 'x'), '/tmp/leak')",
        expect="42501",
        control="none",
        why=_NO_ROWS,
    ),
    attack(
        "others' large objects",
        By(
            "owner",
            "select lo_from_bytea(987654, (select string_agg(email, ',') from sales.customers"
            " where id < 20)::bytea)",
        ),
        "select convert_from(lo_get(987654), 'UTF8')",
        expect="42501",
        undo=("select lo_unlink(987654)",),
    ),
    attack(
        "pages of large objects",
        By(
            "owner",
            "select lo_from_bytea(987655, (select string_agg(email, ',')"
            " from sales.customers where id < 20)::bytea)",
        ),
        "select data from pg_largeobject",
        expect="42501",
        undo=("select lo_unlink(987655)",),
        control="superuser",
    ),
    attack(
        "a large object opened by its number",
        By(
            "owner",
            "select lo_from_bytea(987656, (select string_agg(email, ',') from sales.customers"
            " where id < 20)::bytea)",
        ),
        "begin; select loread(lo_open(987656, 262144), 9999); commit",
        expect="42501",
        undo=("select lo_unlink(987656)",),
    ),
    attack(
        "a link to another server",
        "create extension dblink",
        "select * from dblink('dbname=shop', 'select email from sales.customers') as t (e text)",
        expect="42501|0A000|58P01",
        control="none",
        why="whether the server has it depends on its packages",
    ),
    attack(
        "a foreign server",
        "create extension postgres_fdw",
        expect="42501|0A000|58P01",
        control="none",
        why="whether the server has it depends on its packages",
    ),
    attack(
        "a foreign file",
        "create extension file_fdw",
        expect="42501|0A000|58P01",
        control="none",
        why="whether the server has it depends on its packages",
    ),
    attack(
        "a wrapper of the session's own",
        "create foreign data wrapper w",
        expect="42501",
        control="none",
        why="only superusers may",
    ),
    attack(
        "pages of a relation",
        "create extension pageinspect",
        "select get_raw_page('sales.customers', 0)",
        expect="42501|0A000|58P01",
        control="none",
        why="whether the server has it depends on its packages",
    ),
    attack(
        "an untrusted language",
        "create extension plpython3u",
        expect="42501|0A000|58P01",
        control="none",
        why="whether the server has it depends on its packages",
    ),
    attack(
        "a trusted extension",
        "create extension hstore",
        expect="42501|0A000|58P01",
        control="none",
        why="it needs CREATE on the database, which sessions lack",
    ),
    attack(
        "a slot of logical decoding",
        "select pg_create_logical_replication_slot('x', 'test_decoding')",
        expect="42501|55000",
        control="none",
        why="it needs the attribute REPLICATION",
    ),
    attack(
        "a publication",
        "create publication p for table sales.customers",
        expect="42501",
        control="none",
        why="it shows nothing by itself",
    ),
    attack(
        "a subscription",
        "create subscription s connection 'dbname=shop' publication p with (connect = false)",
        expect="42501",
        control="none",
        why="it shows nothing by itself",
    ),
    attack(
        "a message in the log of changes",
        "select pg_logical_emit_message(false, 'x', email) from <sales>.customers limit 1",
        control="none",
        why="it is written where only replication reads",
    ),
    attack(
        "a tablespace",
        "create tablespace t location '/tmp'",
        expect="42501",
        control="none",
        why=_NO_ROWS,
    ),
    attack(
        "a database of the session's own from the customer's",
        "create database mine template shop",
        expect="42501",
        control="none",
        why="it needs CREATEDB",
    ),
    attack(
        "the session of somebody else ended",
        "select pg_cancel_backend(pid), pg_terminate_backend(pid)"
        " from pg_stat_activity where usename = 'daypass_admin'",
        expect="42501|masked",
        control="none",
        why="it shows nothing",
    ),
    attack(
        "settings of the server",
        "alter system set log_statement = 'all'",
        expect="42501",
        control="none",
        why="it shows nothing by itself",
    ),
    attack(
        "lines of who may sign in",
        "select * from pg_hba_file_rules",
        expect="42501",
        control="none",
        why=_NO_ROWS,
    ),
    attack(
        "passwords",
        "select rolpassword from pg_authid",
        expect="42501",
        control="none",
        why="it shows verifiers, not rows",
    ),
    attack(
        "passwords of foreign servers",
        "select umoptions from pg_user_mappings",
        control="none",
        why="there are none in the sample",
    ),
    attack(
        "an event trigger",
        "create function pg_temp.e() returns event_trigger language plpgsql as"
        " $$begin raise notice '%', current_query(); end$$",
        "create event trigger e on ddl_command_end execute function pg_temp.e()",
        expect="42501",
        control="none",
        why="only superusers may",
    ),
    attack(
        "the statement others run",
        By("superuser", "set application_name = 'x'; select set_config('x.y', 'z', false)"),
        "select pg_stat_get_backend_activity(n) from pg_stat_get_backend_idset() as n",
        control="none",
        why="see activity while somebody works",
    ),
)
