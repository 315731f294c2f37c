"""Writing so as to read: what comes back from inserts, updates, deletes and merges."""

from __future__ import annotations

from typing import Final

from tests.leaks.attack import Again, Attack, attack

_SPY: Final = (
    "create function pg_temp.spy(text) returns boolean language plpgsql cost 0.0000001 as"
    " $$begin raise notice 'spied %', $1; return true; end$$"
)
_HIDDEN: Final = "88008800880011"
_BACK: Final = "rollback"

ATTACKS: Final[tuple[Attack, ...]] = (
    attack(
        "update returning",
        "begin; update <sales>.customers set marketing_consent = true where id < 99"
        " returning email, phone, notes; rollback",
        home="writes",
    ),
    attack(
        "update returning whole rows",
        "begin; update <sales>.customers c set marketing_consent = true"
        " where id < 99 returning c, to_jsonb(c); rollback",
        home="writes",
    ),
    attack(
        "delete returning",
        "begin; delete from <sales>.loyalty_members returning *; rollback",
        home="writes",
    ),
    attack(
        "delete returning through a common table expression",
        "begin; with gone as (delete from <sales>.newsletter_subscribers where id < 50 returning *)"
        " select email, full_name from gone; rollback",
        home="writes",
    ),
    attack(
        "insert returning what a default makes",
        "begin; insert into <sales>.newsletter_subscribers (full_name)"
        " values ('x') returning *; rollback",
        home="writes",
        expect="42501|0A000",
        control="none",
        why="it returns the session's own row",
    ),
    attack(
        "update from itself with a masked condition",
        "begin; update <sales>.customers a set marketing_consent = true from <sales>.customers b"
        " where a.id = b.id and b.email = '<guess>' returning a.id; rollback",
        home="writes",
        guess="sales.customers.email",
    ),
    attack(
        "update of a clear column from a masked one",
        "begin; update <sales>.customers set country = left(email, 2) where id < 50 returning"
        " country; rollback",
        home="writes",
        expect="23503",
        control="none",
        why="two letters are no value; the next puts whole ones",
    ),
    attack(
        "update of a clear text from a masked one",
        "set search_path = sales; begin; update <sales>.support_tickets set subject = body"
        " returning subject;"
        " rollback",
        home="writes",
        expect="42501",
    ),
    attack(
        "update of a clear text of products from masked customers",
        "begin; update <sales>.products p set name = c.email from <sales>.customers c where c.id"
        " = p.id"
        " returning p.name; rollback",
        home="writes",
    ),
    attack(
        "update of a masked column",
        "begin; update <sales>.customers set email = email where id < 50 returning email; rollback",
        home="writes",
        expect="0A000",
    ),
    attack(
        "update of a masked column to find out what it was",
        "begin; update <sales>.customers set notes = 'x' where notes like '%@%' returning id;"
        " rollback",
        home="writes",
        expect="0A000",
        control="none",
        why="it shows ids",
    ),
    attack(
        "update that fails a constraint and quotes the row",
        "begin; update <sales>.customers set country = 'XX' where id < 50; rollback",
        home="writes",
        expect="23503",
        control="none",
        why="the error quotes what the session wrote",
    ),
    attack(
        "update to NULL that quotes the row",
        "begin; update <sales>.customers set region = null where id < 50; rollback",
        home="writes",
        expect="23502|44000",
    ),
    attack(
        "update that moves a row out of the filter",
        "begin; update <sales>.customers set region = 'US' where id < 50 returning *; rollback",
        home="writes",
        expect="44000",
        control="none",
        why="the owner has no filter",
    ),
    attack(
        "update out of the filter that quotes the row",
        "begin; update <sales>.stores set region = 'US'; rollback",
        home="writes",
        expect="44000",
        control="none",
        why="the owner has no filter",
    ),
    attack(
        "update of rows filtered out",
        "begin; update <sales>.orders set status = 'paid' where region <> 'EU'"
        " returning *; rollback",
        home="writes",
    ),
    attack(
        "update of a row filtered out by its key",
        f"begin; update <sales>.orders set status = 'paid' where id = {_HIDDEN} returning *;"
        f" rollback",
        home="writes",
    ),
    attack(
        "update with a spy before the filter",
        _SPY,
        "begin; update <sales>.orders o set status = status where pg_temp.spy(o::text); rollback",
        home="writes",
    ),
    attack(
        "delete with a spy before the filter",
        _SPY,
        "begin; delete from <sales>.stores s where pg_temp.spy(s::text); rollback",
        home="writes",
    ),
    attack(
        "delete using a masked condition",
        "begin; delete from <sales>.newsletter_subscribers n using <sales>.customers c where"
        " c.phone ="
        " '<guess>' and n.id = 1 returning 'it is'; rollback",
        home="writes",
        guess="sales.customers.phone",
    ),
    attack(
        "insert that reads a hidden row on its key",
        f"begin; insert into <sales>.orders (id, customer_id, region, total) values ({_HIDDEN},"
        f" 1, 'EU', 0)"
        " on conflict (id) do update set total = 1 returning *; rollback",
        home="writes",
        expect="42501|55000|44000",
    ),
    attack(
        "insert that takes a hidden row into the filter",
        f"begin; insert into <sales>.orders (id, customer_id, region, total) values ({_HIDDEN},"
        f" 1, 'EU', 0)"
        " on conflict (id) do update set region = 'EU' returning *; rollback",
        home="writes",
        expect="42501|55000",
    ),
    attack(
        "insert with a spy on the conflicting row",
        _SPY,
        f"begin; insert into <sales>.orders (id, customer_id, region, total) values ({_HIDDEN},"
        f" 1, 'EU', 0)"
        " on conflict (id) do update set total = 1 where pg_temp.spy(orders::text); rollback",
        home="writes",
        expect="42501|55000",
    ),
    attack(
        "insert with a spy on a conflicting shop",
        _SPY,
        "begin; insert into <sales>.stores (id, name, region, address, opened_on) overriding"
        " system value"
        " values (1900190019, 'x', 'EU', row('', '', '', '')::text::sales.postal_address,"
        " '2020-01-01')"
        " on conflict (id) do update set name = 'y' where pg_temp.spy(stores.name); rollback",
        home="writes",
        expect="42501|55000|42704",
    ),
    attack(
        "insert whose conflict returns the old row",
        f"begin; insert into <sales>.orders (id, customer_id, region, total) values ({_HIDDEN},"
        f" 1, 'EU', 0)"
        " on conflict (id) do update set total = 1 returning old.*, new.*; rollback",
        home="writes",
        since=18,
        expect="42501|55000|44000",
    ),
    attack(
        "update returning old and new",
        "begin; update <sales>.customers set marketing_consent = true"
        " where id < 99 returning old.email, new.email, old.*, new.*; rollback",
        home="writes",
        since=18,
    ),
    attack(
        "delete returning old and new",
        "begin; delete from <sales>.newsletter_subscribers where id < 50"
        " returning old.email, new.full_name, old; rollback",
        home="writes",
        since=18,
    ),
    attack(
        "insert on a conflict that does nothing",
        f"begin; insert into <sales>.orders (id, customer_id, region, total) values ({_HIDDEN},"
        f" 1, 'EU', 0)"
        " on conflict do nothing; rollback",
        home="writes",
        control="none",
        why="whether a key is taken shows by any unique constraint: documented",
        expect="masked|42501",
    ),
    attack(
        "insert on a key that is taken",
        f"begin; insert into <sales>.orders (id, customer_id, region, total) values ({_HIDDEN},"
        f" 1, 'EU', 0);"
        " rollback",
        home="writes",
        control="none",
        expect="23505|42501",
        why="whether a key is taken shows by any unique constraint: documented",
    ),
    attack(
        "insert that refers to a hidden row",
        f"begin; insert into <sales>.order_lines (order_id, line_no, product_id, quantity,"
        f" unit_price) values"
        f" ({_HIDDEN}, 1, 1, 1, 1); rollback",
        home="writes",
        control="none",
        why="whether a key exists shows by any foreign key: documented",
    ),
    attack(
        "insert outside of the filter",
        "begin; insert into <sales>.orders (id, customer_id, region, total) values"
        " (4242424242, 1, 'US', 0) returning *; rollback",
        home="writes",
        expect="44000|42501",
        control="none",
        why="it returns the session's own row",
    ),
    attack(
        "insert of what is hidden into a table of one's own",
        "create temporary table mine (a text, b text)",
        "insert into mine select email, phone from <sales>.customers returning a, b",
        home="writes",
    ),
    attack(
        "merge that reads",
        "create temporary table t (id bigint, e text)",
        "merge into t using <sales>.customers c on t.id = c.id when not matched then insert"
        " values (c.id, c.email)",
        "table t",
        home="writes",
        since=15,
    ),
    attack(
        "merge into a view",
        "create temporary table s as select 88008800880011::bigint as id",
        _SPY,
        "begin; merge into <sales>.orders o using s on o.id = s.id when matched and"
        " pg_temp.spy(o::text) then"
        " update set total = 1 when not matched then do nothing; rollback",
        home="writes",
        since=17,
    ),
    attack(
        "merge into a view, returning",
        "create temporary table s as select generate_series(1, 60)::bigint as id",
        "begin; merge into <sales>.customers c using s on c.id = s.id when matched then update set"
        " marketing_consent = true returning merge_action(), c.*; rollback",
        home="writes",
        since=17,
    ),
    attack(
        "merge where the source does not match",
        _SPY,
        "create temporary table s as select 0::bigint as id",
        "begin; merge into <sales>.stores o using s on o.id = s.id when not matched by source and"
        " pg_temp.spy(o::text) then delete; rollback",
        home="writes",
        since=17,
    ),
    attack(
        "copy into a view",
        "copy <sales>.customers (email) from stdin",
        home="writes",
        expect="0A000|42501|42809|57014",
        control="none",
        why="it shows nothing",
    ),
    attack(
        "rows locked for update",
        "begin; select * from <sales>.customers where id < 50 for update; rollback",
        home="writes",
    ),
    attack(
        "rows filtered out, locked and skipped",
        f"begin; select * from <sales>.orders where id = {_HIDDEN} for update skip locked;"
        f" rollback",
        home="writes",
    ),
    attack(
        "a cursor's current row",
        "begin; declare c cursor for select * from <sales>.customers for update;"
        " fetch 3 from c; update <sales>.customers set marketing_consent = true where current of c"
        " returning email; rollback",
        home="writes",
        expect="0A000|masked",
    ),
    attack(
        "a trigger that logs whole rows",
        "begin; update <sales>.customers set marketing_consent = true where id < 50",
        "select old_row, new_row from <app>.audit_log order by id desc limit 5",
        "rollback",
        home="writes",
        expect="3F000|42P01",
    ),
    attack(
        "a rule that copies a masked column",
        'begin; update <sales>."Legacy Customers" set "select" = \'x\' where "Customer No." <'
        " 90050",
        "select ticket_id, body from <sales>.ticket_log order by changed_at desc nulls last"
        " limit 20",
        "rollback",
        home="writes",
    ),
    attack(
        "a transaction left prepared",
        "begin",
        "update <sales>.products set name = name where id = 1",
        "prepare transaction 'kept'",
        "rollback prepared 'kept'",
        Again("select gid, owner from pg_prepared_xacts"),
        home="writes",
        control="none",
        why="it shows nothing",
    ),
    attack(
        "update through a customer's view",
        "begin; update <sales>.customer_contacts set full_name = 'x' where id = 1"
        " returning *; rollback",
        home="writes",
        expect="42501|0A000",
    ),
    attack(
        "update of the base table",
        "update sales.customers set notes = notes where id < 9 returning email",
        home="writes",
        expect="42501",
    ),
    attack(
        "truncate and see what refers",
        "truncate <sales>.customers",
        home="writes",
        expect="42501|42809",
        control="none",
        why="it shows nothing",
    ),
)
