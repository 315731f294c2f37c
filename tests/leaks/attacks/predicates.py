"""Asking instead of reading: conditions whose answers tell whether a guess is right."""

from __future__ import annotations

from typing import Final

from tests.leaks.attack import Attack, Bound, attack

_EMAIL: Final = "sales.customers.email"
_NAME: Final = "sales.customers.full_name"
_CARD: Final = "sales.customers.card_number"
_BSN: Final = "sales.customers.national_id"
_BORN: Final = "sales.customers.birth_date"
_PAY: Final = "hr.employees.salary"

ATTACKS: Final[tuple[Attack, ...]] = (
    attack("equality", "select id from <sales>.customers where email = '<guess>'", guess=_EMAIL),
    attack(
        "how many are equal",
        "select count(*) from <sales>.customers where full_name = '<guess>'",
        guess=_NAME,
    ),
    attack("pattern", "select id from <sales>.customers where email like '<guess>%'", guess=_EMAIL),
    attack(
        "pattern without case",
        "select id from <sales>.customers where full_name ilike '<guess>'",
        guess=_NAME,
    ),
    attack(
        "regular expression",
        "select count(*) from <sales>.customers where card_number ~ '^<guess>$'",
        guess=_CARD,
    ),
    attack(
        "starts with",
        "select id from <sales>.customers where starts_with(national_id, '<guess>')",
        guess=_BSN,
    ),
    attack(
        "position", "select sum(position('<guess>' in email)) from <sales>.customers", guess=_EMAIL
    ),
    attack(
        "equal to a date",
        "select id from <sales>.customers where birth_date = '<guess>'",
        guess=_BORN,
    ),
    attack(
        "equal to a number",
        "select count(*) from <hr>.employees where salary = <guess>",
        guess=_PAY,
    ),
    attack(
        "in a list",
        "select id from <sales>.customers where email in ('x', '<guess>')",
        guess=_EMAIL,
    ),
    attack(
        "any of an array",
        "select id from <sales>.customers where email = any (array['<guess>'])",
        guess=_EMAIL,
    ),
    attack(
        "exists",
        "select exists (select from <sales>.customers where phone = '<guess>')",
        guess="sales.customers.phone",
    ),
    attack(
        "join with a list of guesses",
        "select c.id from <sales>.customers c join (values ('<guess>'::text)) g (e) on c.email ="
        " g.e",
        guess=_EMAIL,
    ),
    attack(
        "anti-join",
        "select count(*) from (values ('<guess>'::text)) g (e) left join <sales>.customers c"
        " on c.email::text = g.e where c.id is null",
        guess=_EMAIL,
    ),
    attack(
        "intersect with a guess",
        "select '<guess>'::text intersect select email::text from <sales>.customers",
        guess=_EMAIL,
    ),
    attack(
        "except a guess",
        "select count(*) from (select '<guess>'::text except select email::text from"
        " <sales>.customers) x",
        guess=_EMAIL,
    ),
    attack(
        "having",
        "select region from <sales>.customers group by region having bool_or(email = '<guess>')",
        guess=_EMAIL,
    ),
    attack(
        "filter of an aggregate",
        "select count(*) filter (where card_number = '<guess>') from <sales>.customers",
        guess=_CARD,
    ),
    attack(
        "case in the order",
        "select id from <sales>.customers order by (email = '<guess>'), id limit 1",
        guess=_EMAIL,
    ),
    attack(
        "limit by a condition",
        "select id from <sales>.customers order by id limit"
        " (select count(*) from <sales>.customers where email = '<guess>') + 1",
        guess=_EMAIL,
    ),
    attack(
        "window over a condition",
        "select sum((email = '<guess>')::int) over () from <sales>.customers limit 1",
        guess=_EMAIL,
    ),
    attack(
        "parameter of the extended protocol",
        Bound("select id from <sales>.customers where email = $1", ("<guess>",)),
        guess=_EMAIL,
    ),
    attack(
        "prepared and executed with guesses",
        "prepare q (text) as select count(*) from <sales>.customers where national_id = $1",
        "execute q ('<guess>')",
        guess=_BSN,
    ),
    attack(
        "a row compared",
        "select id from <sales>.customers where (id > 0, email) = (true, '<guess>')",
        guess=_EMAIL,
    ),
    attack(
        "a document contains",
        "select id from <sales>.customers where to_jsonb(customers) @>"
        " jsonb_build_object('email', '<guess>')",
        guess=_EMAIL,
    ),
    attack(
        "a document's path matches",
        "select count(*) from <sales>.customers where profile::text like '%' || lower('<guess>')"
        " || '%'",
        guess=_EMAIL,
    ),
    attack(
        "text search",
        "select count(*) from <sales>.support_tickets where body_search @@ "
        "phraseto_tsquery('simple', '<guess>')",
        guess="sales.support_tickets.reporter_email",
        control="none",
        why="bodies repeat an address in some rows only; the words are read above",
    ),
    attack(
        "similar to",
        "select count(*) from <sales>.customers where email similar to '<guess>'",
        guess=_EMAIL,
    ),
    attack(
        "a hash of a guess",
        "select count(*) from <sales>.customers where national_id = encode(sha256('<guess>'),"
        " 'hex')"
        " or md5(national_id) = md5('<guess>')",
        guess=_BSN,
    ),
    attack(
        "the same by a generated column",
        "select id from <sales>.customers where email_lower = lower('<guess>')",
        guess=_EMAIL,
    ),
    attack(
        "the same by a view",
        "select id from <sales>.customer_contacts where email = '<guess>'",
        guess=_EMAIL,
    ),
    attack(
        "the same by a materialized view",
        "select count(*) from <billing>.dunning_list where customer_email = '<guess>'",
        guess="billing.dunning_list.customer_email",
    ),
    attack(
        "the same by a partition",
        "select count(*) from <billing>.payments_2025q1 where payer_email = '<guess>'",
        guess="billing.payments_2025q1.payer_email",
    ),
    attack(
        "the same in the base table",
        "select id from sales.customers where email = '<guess>'",
        guess=_EMAIL,
        expect="42501",
    ),
    attack(
        "a cheap function of the session's before the mask",
        "create function pg_temp.tell(text) returns boolean language plpgsql cost 0.0000001 as"
        " $$begin if $1 like '%@%.%' then raise notice '%', $1; end if; return true; end$$",
        "select count(*) from <sales>.customers where pg_temp.tell(email)",
    ),
    attack(
        "a cheap operator of the session's",
        "create function pg_temp.tell(text, text) returns boolean language plpgsql cost 0.0000001"
        " as $$begin raise notice '%', $1; return true; end$$",
        "create operator pg_temp.<<<< (function = pg_temp.tell, leftarg = text, rightarg = text)",
        "select count(*) from <sales>.customers where email operator(pg_temp.<<<<) 'x'",
    ),
    attack(
        "rows filtered out, by a cheap function",
        "create function pg_temp.tell(text) returns boolean language plpgsql cost 0.0000001 as"
        " $$begin raise notice '%', $1; return true; end$$",
        "select count(*) from <sales>.orders o where pg_temp.tell(o::text)",
        home="contractor",
    ),
    attack(
        "rows filtered out, by an operator",
        "create function pg_temp.tell(bigint, bigint) returns boolean language plpgsql"
        " cost 0.0000001 as $$begin raise notice 'row %', $1; return false; end$$",
        "create operator pg_temp.=== (function = pg_temp.tell, leftarg = bigint, rightarg ="
        " bigint)",
        "select count(*) from <sales>.customers where id operator(pg_temp.===) 1",
        home="contractor",
    ),
    attack(
        "rows filtered out, counted",
        "select count(*) from <sales>.orders",
        home="contractor",
        answer="select count(*) from sales.orders",
        about=("sales.orders",),
    ),
    attack(
        "rows filtered out, by their key",
        "select * from <sales>.orders where id = 88008800880011",
        home="contractor",
    ),
    attack(
        "rows filtered out, by a contradiction",
        "select * from <sales>.customers where region <> 'EU' or id = 77007700770011",
        home="contractor",
    ),
    attack(
        "rows filtered out, by an outer join",
        "select o.id, o.total from <sales>.orders o right join generate_series(88008800880000,"
        " 88008800880020) as g (id) on g.id = o.id",
        home="contractor",
    ),
    attack(
        "rows filtered out, by a division",
        "select count(*) from <sales>.orders where 1 / (id - 88008800880011) is not null",
        home="contractor",
        tells="22012",
        about=("sales.orders",),
    ),
    attack(
        "rows filtered out, by a cast that fails",
        "select count(*) from <sales>.stores where case when region::text <> 'EU' then"
        " name::int > 0 end",
        home="contractor",
    ),
    attack(
        "rows filtered out, sorted by a failing expression",
        "select id from <sales>.orders order by (case when region::text = 'EU' then 0 else"
        " id::text::numeric(3, 0) end) limit 3",
        home="contractor",
        tells="22003",
        about=("sales.orders",),
    ),
    attack(
        "rows filtered out, sampled in a subquery",
        "select name from (select * from <sales>.stores offset 0) s",
        home="contractor",
    ),
    attack(
        "rows filtered out, window over all",
        "select max(id) over (), max(total) over () from <sales>.orders limit 1",
        home="contractor",
    ),
    attack(
        "rows filtered out, in a cursor run backwards",
        "begin; declare k scroll cursor for select * from <sales>.stores; fetch last from k;"
        " fetch backward all from k; commit",
        home="contractor",
    ),
    attack(
        "rows of an agent's filter",
        "select count(*) from <sales>.orders where status = 'cart'",
        home="agent",
        answer="select count(*) from sales.orders where status = 'cart'",
        about=("sales.orders",),
    ),
)
