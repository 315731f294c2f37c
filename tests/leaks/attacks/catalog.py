"""What the catalog holds: keys of masks, texts of views, values that got into definitions."""

from __future__ import annotations

from typing import Final

from tests.leaks.attack import Attack, By, attack

ATTACKS: Final[tuple[Attack, ...]] = (
    attack(
        "keys of hashes",
        "select encode(ipad, 'hex') from daypass.pads",
        expect="42501",
        control="here",
    ),
    attack(
        "keys of hashes in a document",
        "select table_to_xml('daypass.pads', true, false, '')",
        expect="42501",
        control="none",
        why="binary values are in base64 there; the control above shows them in hex",
        feature="xml",
    ),
    attack(
        "keys of hashes in statistics",
        "select most_common_vals, histogram_bounds from pg_stats where tablename = 'pads'",
        control="none",
        why="a table of one row has no statistics",
    ),
    attack(
        "keys of hashes in definitions",
        "select string_agg(pg_get_viewdef(oid), '') from pg_class"
        " where relkind = 'v' and relname = 'customers'",
        control="none",
        why="definitions name the table of keys and never hold them",
    ),
    attack(
        "keys of hashes in functions",
        "select prosrc, probin from pg_proc p join pg_namespace n on"
        " n.oid = p.pronamespace where nspname = 'daypass'",
        control="none",
        why="definitions name the table of keys and never hold them",
    ),
    attack(
        "keys of hashes in a plan",
        "explain (analyze, verbose, timing off) select national_id from <sales>.customers limit 1",
        control="none",
        why="plans show expressions, never the rows they read",
    ),
    attack(
        "keys of hashes by the lock table's neighbour",
        "begin; lock table daypass.turns in access share mode",
        expect="42501",
        control="none",
        why="it shows nothing",
    ),
    attack(
        "a hash asked of the masks' own expression",
        "select pg_get_viewdef('<sales>.customers'::regclass)",
        "select encode(substr(sha512((select ipad from daypass.pads) || '<guess>'::bytea), 1, 32),"
        " 'hex') = any (array(select national_id::text from <sales>.customers))",
        guess="sales.customers.national_id",
        expect="42501",
        control="none",
        why="the owner has no masks to compare with",
    ),
    attack(
        "values in constraints",
        "select pg_get_constraintdef(oid), pg_get_expr(conbin, conrelid) from pg_constraint",
        control="none",
        why="constraints of the sample hold no rows",
    ),
    attack(
        "values in bounds of partitions",
        "select pg_get_expr(relpartbound, oid) from pg_class where relispartition",
        control="none",
        why="bounds of the sample are dates",
    ),
    attack(
        "values in policies",
        "select * from pg_policies",
        control="none",
        why="policies of the sample hold no rows",
    ),
    attack(
        "values in comments",
        "select description from pg_description where objoid >= 16384",
        control="none",
        why="comments are read by every role",
    ),
    attack(
        "values in settings of roles",
        "select * from pg_db_role_setting",
        control="none",
        why="settings of roles are read by every role",
    ),
    attack(
        "the masked columns' defaults that a row keeps",
        "select attmissingval from pg_attribute where attmissingval is not null",
        control="none",
        why="a default of a column added later is in the catalog for every role",
    ),
    attack(
        "who asked for what",
        "select rolname, shobj_description(oid, 'pg_authid') from pg_roles",
        control="none",
        why="names of accounts say nothing of rows",
    ),
    attack(
        "base columns by the information schema",
        "select * from information_schema.columns c join"
        " information_schema.column_privileges p using (table_schema, table_name, column_name)"
        " where grantee <> 'PUBLIC'",
        control="none",
        why="it shows names",
    ),
    attack(
        "a base table locked",
        "begin; lock table sales.customers in access share mode",
        expect="42501",
        control="none",
        why="it shows nothing",
    ),
    attack(
        "a base table truncated",
        "truncate sales.loyalty_members",
        expect="42501",
        control="none",
        why="it shows nothing",
    ),
    attack(
        "a base table's size",
        "select pg_relation_size(oid) > 0, pg_total_relation_size(oid) > 0 from pg_class"
        " where relname = 'customers'",
        control="none",
        why="sizes are told to every role: documented",
    ),
    attack(
        "rows by an index",
        "select * from sales.customers_pkey",
        expect="42809",
        control="none",
        why="an index is no relation to select from",
    ),
    attack(
        "the row type of the base",
        "select null::sales.customers",
        control="none",
        why="a type holds no rows",
    ),
    attack(
        "a dump, as pg_dump begins",
        "begin isolation level repeatable read, read only",
        "lock table sales.customers, sales.orders in access share mode",
        "copy sales.customers (id, full_name, email) to stdout",
        expect="42501",
    ),
    attack(
        "a snapshot of somebody who sees more",
        By("superuser", "select pg_export_snapshot()"),
        "begin isolation level repeatable read",
        "set transaction snapshot '00000003-00000001-1'",
        expect="22023|42704",
        control="none",
        why="a snapshot is of rows' versions, not of rights",
    ),
)
