"""The sample company on a real server: complete, the same everywhere, and as awkward as meant."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import errors, sql

from daypass.demo import company
from daypass.demo.company.company import (
    ADMIN,
    DATABASES,
    NATIVE_ROLES,
    STANDING_LOGINS,
    load_company,
)
from daypass.embedded import Cluster
from tests import servers as pg

CUSTOMERS = 2000
PASSWORDS = {name: secrets.token_urlsafe(12) for name in (ADMIN, *STANDING_LOGINS)}
LOGINS = {name: PASSWORDS[name] for name in STANDING_LOGINS}
SAMPLES = Path(company.__file__).parent.parent

Row = tuple[object, ...]


@pytest.fixture(scope="module")
def cluster(pg_major: int) -> Iterator[Cluster]:
    """Give these tests a server of their own: the company's names are fixed."""
    binaries = pg.binaries_of(pg_major)
    if binaries is None:
        pytest.skip(f"PostgreSQL {pg_major} is not installed")
    with pg.running_server(binaries) as running:
        load(running)
        yield running


def load(cluster: Cluster, customers: int = CUSTOMERS) -> None:
    load_company(
        cluster.conninfo("postgres"),
        customers=customers,
        admin_password=PASSWORDS[ADMIN],
        logins=LOGINS,
    )


def connect(
    cluster: Cluster, user: str | None = None, database: str = "shop"
) -> psycopg.Connection[Row]:
    """Connect as the superuser, or as one who has to give a password."""
    password = PASSWORDS[user] if user else None
    return psycopg.connect(cluster.conninfo(database, user, password), autocommit=True)


def one(connection: psycopg.Connection[Row], query: str, *values: object) -> object:
    """Return the single value a query gives."""
    row = connection.execute(query.encode(), values or None).fetchone()
    assert row is not None
    return row[0]


@pytest.fixture
def owner(cluster: Cluster) -> Iterator[psycopg.Connection[Row]]:
    with connect(cluster) as connection:
        yield connection


def test_everything_is_there(owner: psycopg.Connection[Row]) -> None:
    counts = {
        "sales.customers": CUSTOMERS,
        "sales.orders": CUSTOMERS,
        "sales.products": 480,
        "sales.loyalty_members": CUSTOMERS // 5,
        "hr.employees": 240,
        "billing.invoices": CUSTOMERS // 20,
    }
    for relation, count in counts.items():
        assert one(owner, f"select count(*) from {relation}") == count, relation
    lines = one(owner, "select count(*) from sales.order_lines")
    payments = one(owner, "select count(*) from billing.payments")
    assert isinstance(lines, int)
    assert lines > CUSTOMERS
    assert isinstance(payments, int)
    assert CUSTOMERS // 2 < payments < CUSTOMERS
    partitions = one(
        owner, "select count(*) from pg_inherits where inhparent = 'billing.payments'::regclass"
    )
    assert partitions == 9
    assert one(owner, "select count(*) from billing.payments_other") == 0
    regions = owner.execute("select region::text, count(*) from sales.customers group by 1")
    assert {name for name, _ in regions} == {"EU", "US", "APAC", "LATAM"}


def test_nothing_asks_for_an_extension(owner: psycopg.Connection[Row]) -> None:
    assert one(owner, "select array_agg(extname::text) from pg_extension") == ["plpgsql"]


def test_all_is_owned_by_the_owner(owner: psycopg.Connection[Row]) -> None:
    strangers = owner.execute(
        "select relname from pg_class where relnamespace::regnamespace::text"
        " in ('sales', 'billing', 'hr', 'app', 'public') and relowner <> 'shop_owner'::regrole"
    ).fetchall()
    assert strangers == []


def test_totals_are_the_sums_of_lines(owner: psycopg.Connection[Row]) -> None:
    wrong = one(
        owner,
        "select count(*) from sales.orders o where total is distinct from sales.order_total(o.id)",
    )
    assert wrong == 0


def test_values_pass_their_checksums(owner: psycopg.Connection[Row]) -> None:
    for card, national_id in owner.execute("select card_number, national_id from sales.customers"):
        assert luhn_ok(str(card)), card
        assert bsn_ok(str(national_id)), national_id
    for (iban,) in owner.execute("select iban from billing.bank_accounts"):
        assert iban_ok(str(iban)), iban
    assert one(owner, "select bool_and(public.luhn_ok(card_number)) from sales.customers") is True
    assert one(owner, "select public.luhn_ok('4242424242424243')") is False


def luhn_ok(card: str) -> bool:
    digits = [int(c) for c in reversed(card)]
    doubled = (2 * d - 9 if d > 4 else 2 * d for d in digits[1::2])
    return len(card) == 16 and (sum(digits[::2]) + sum(doubled)) % 10 == 0


def bsn_ok(number: str) -> bool:
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    weighted = sum(w * int(c) for w, c in zip(weights, number, strict=True))
    return weighted % 11 == 0


def iban_ok(iban: str) -> bool:
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def test_a_customer_is_the_same_on_every_server(owner: psycopg.Connection[Row]) -> None:
    found = owner.execute(
        "select full_name, email, national_id, card_number, birth_date::text, region::text,"
        " profile #>> '{contact,email}' from sales.customers where id = 1999"
    ).fetchone()
    assert found == (
        "Alice Kim", "alice-kim58@family-archive.example", "720521312", "6011115770143006",
        "1958-11-30", "EU", "alice-kim58@family-archive.example",
    )  # fmt: skip


def test_free_text_repeats_what_columns_hide(owner: psycopg.Connection[Row]) -> None:
    for column in ("card_number", "national_id", "email_lower", "phone"):
        found = one(
            owner,
            f"select count(*) from sales.customers where strpos(notes, {column}) > 0",
        )
        assert isinstance(found, int)
        assert found > CUSTOMERS // 50, column


def test_loading_again_changes_nothing_but_passwords(cluster: Cluster) -> None:
    with connect(cluster) as connection:
        connection.execute("create table public.made_since ()")
        connection.execute("alter role tom_baker password 'forgotten'")
    load(cluster, customers=CUSTOMERS * 2)
    with connect(cluster, "tom_baker") as connection:
        assert one(connection, "select to_regclass('public.made_since')") == "made_since"
    with connect(cluster) as connection:
        assert one(connection, "select count(*) from sales.customers") == CUSTOMERS
        connection.execute("drop table public.made_since")


def test_what_was_interrupted_is_made_anew(cluster: Cluster) -> None:
    with connect(cluster, database="postgres") as connection:
        connection.execute("drop database metrics")
        connection.execute("create database metrics_unfinished")
    load(cluster)
    with connect(cluster, database="metrics") as connection:
        assert one(connection, "select count(*) from public.page_views") == 2000
        names = one(connection, "select array_agg(datname::text) from pg_database")
    assert isinstance(names, list)
    assert set(names) >= set(DATABASES)
    assert not [name for name in names if name.endswith("_unfinished")]


def test_logins_and_sizes_it_does_not_know_are_refused() -> None:
    with pytest.raises(ValueError, match="logins must name exactly maria_keller"):
        load_company("", admin_password="x", logins={"somebody": "x"})
    with pytest.raises(ValueError, match="customers must be between"):
        load_company("", customers=1, admin_password="x", logins=LOGINS)


def test_the_admin_is_no_superuser_and_can_do_its_work(cluster: Cluster) -> None:
    with connect(cluster, ADMIN) as admin:
        rights = admin.execute(
            "select rolsuper, rolcreaterole, rolbypassrls, rolcreatedb, rolreplication"
            " from pg_roles where rolname = current_user"
        ).fetchone()
        assert rights == (False, True, False, False, False)
        admin.execute("create role dp_trial nologin")
        try:
            admin.execute("create schema dp_trial_views")
            admin.execute("grant select on hr.employees to dp_trial")
            for role in NATIVE_ROLES:
                admin.execute(sql.SQL("grant {} to dp_trial").format(sql.Identifier(role)))
            assert one(admin, "select pg_has_role('dp_trial', 'shop_readonly', 'member')") is True
            with pytest.raises(errors.InsufficientPrivilege):
                admin.execute("create role dp_too_much superuser")
        finally:
            admin.execute("drop schema if exists dp_trial_views")
            admin.execute("revoke all on hr.employees from dp_trial")
            admin.execute("drop role dp_trial")


def test_from_16_roles_the_admin_makes_are_its_own(cluster: Cluster, pg_major: int) -> None:
    with connect(cluster, ADMIN) as admin:
        admin.execute("create role dp_trial nologin")
        usable = one(admin, "select pg_has_role('dp_trial', 'usage')")
        admin.execute("drop role dp_trial")
    assert usable is (pg_major >= 16)


def test_the_view_shows_what_the_column_grant_hides(cluster: Cluster) -> None:
    with connect(cluster, "tom_baker") as reader:
        with pytest.raises(errors.InsufficientPrivilege):
            reader.execute("select email from sales.customers")
        reader.execute("select id, full_name from sales.customers where id = 1")
        expected = "alice-kim58@family-archive.example"
        assert one(reader, "select email from sales.customer_contacts where id = 1999") == expected
        assert "@" in str(one(reader, "select reach_at from sales.vip_contacts limit 1"))


def test_copies_and_computed_columns_show_it_too(owner: psycopg.Connection[Row]) -> None:
    same = one(owner, "select bool_and(email_lower = lower(email)) from sales.customers")
    assert same is True
    assert "@" in str(one(owner, "select customer_email from billing.dunning_list limit 1"))
    assert "@" in str(one(owner, "select reporter_email from sales.support_tickets limit 1"))
    assert one(owner, "select count(*) from sales.loyalty_members where email like '%@%'")


def test_a_partition_has_a_grant_of_its_own(cluster: Cluster) -> None:
    with connect(cluster, "tom_baker") as reader:
        found = one(reader, "select payer_email from billing.payments_2026q4 limit 1")
        assert "@" in str(found)
        with pytest.raises(errors.InsufficientPrivilege):
            reader.execute("select from billing.payments_2026q3")


def test_public_is_kept_out_by_the_schema_alone(owner: psycopg.Connection[Row]) -> None:
    owner.execute("create role dp_trial")
    try:
        for schema in ("sales", "app"):
            usable = one(owner, "select has_schema_privilege('dp_trial', %s, 'usage')", schema)
            assert usable is False
        relation = "sales.order_lines"
        granted = one(owner, "select has_table_privilege('dp_trial', %s, 'select')", relation)
        assert granted is True
        owner.execute("set role dp_trial")
        with pytest.raises(errors.InsufficientPrivilege, match="schema sales"):
            owner.execute("select from sales.order_lines")
        owner.execute("reset role")
        owner.execute("grant usage on schema app to dp_trial")
        owner.execute("set role dp_trial")
        address = one(owner, "select app.customer_email(1999)")
        assert address == "alice-kim58@family-archive.example"
    finally:
        owner.execute("reset role")
        owner.execute("drop owned by dp_trial")
        owner.execute("drop role dp_trial")


def test_a_temporary_table_gets_what_a_careless_trigger_writes(cluster: Cluster) -> None:
    with connect(cluster, "nightly_batch") as session:
        session.execute("create temp table ticket_log (like sales.ticket_log)")
        session.execute("update sales.support_tickets set subject = 'x' where id = 1")
        shadowed = one(session, "select body from pg_temp.ticket_log")
        assert shadowed == one(session, "select body from sales.support_tickets where id = 1")
        assert one(session, "select count(*) from sales.ticket_log where ticket_id = 1") == 0


def test_a_temporary_table_gets_what_a_careless_policy_writes(cluster: Cluster) -> None:
    with connect(cluster, "nightly_batch") as session:
        session.execute("create temp table message_reads (like app.message_reads)")
        session.execute("select from app.merchant_messages")
        assert one(session, "select count(*) from pg_temp.message_reads") == 100
        assert "@" in str(one(session, "select sender_email from pg_temp.message_reads limit 1"))


def test_a_temporary_table_decides_a_careless_check(cluster: Cluster) -> None:
    add = (
        "insert into billing.bank_accounts (id, customer_id, holder, iban)"
        " values (-1, 1, 'X', 'XX1')"
    )
    with connect(cluster, "nightly_batch") as session:
        with pytest.raises(errors.CheckViolation) as caught:
            session.execute(add)
        assert caught.value.diag.constraint_name == "bank_accounts_iban_length"
        session.execute("create temp table iban_countries as select 'XX' as country, 3 as length")
        session.execute(add)
        session.execute("delete from billing.bank_accounts where id = -1")


def test_the_careful_trigger_is_not_fooled(cluster: Cluster) -> None:
    with connect(cluster, "nightly_batch") as session:
        session.execute("create temp table audit_log (like app.audit_log)")
        session.execute("update sales.customers set notes = 'seen' where id = 2")
        assert one(session, "select count(*) from pg_temp.audit_log") == 0
        newest = one(
            session, "select new_row ->> 'notes' from app.audit_log order by id desc limit 1"
        )
        assert newest == "seen"


def test_native_row_security_believes_the_session(cluster: Cluster) -> None:
    with connect(cluster, "nightly_batch") as session:
        tenants = "select array_agg(distinct tenant) from billing.invoices"
        assert one(session, tenants) == ["acme"]
        session.execute("set app.tenant = 'dunes'")
        assert one(session, tenants) == ["dunes"]


def test_a_notification_carries_the_clear_row(cluster: Cluster) -> None:
    with connect(cluster) as listener, connect(cluster, "nightly_batch") as session:
        listener.execute("listen loyalty")
        session.execute(
            "update sales.loyalty_members set points = points"
            " where email = (select email from sales.customers where id = 5)"
        )
        heard = next(listener.notifies(timeout=10, stop_after=1))
        assert "@" in heard.payload


def test_the_procedure_and_defaults_work(owner: psycopg.Connection[Row]) -> None:
    owner.execute("call billing.close_month('2025-05-17')")
    assert one(owner, "select revenue > 0 from billing.month_closings") is True
    number = one(
        owner,
        "insert into billing.invoices (tenant, customer_email, amount, issued_on)"
        " values ('acme', 'a@b.example', 1, '2026-01-01') returning invoice_no",
    )
    assert number == f"INV-{CUSTOMERS // 20 + 1:08}"
    owner.execute("delete from billing.invoices where customer_email = 'a@b.example'")
    levels = one(owner, "select max(level) from hr.reporting_lines")
    assert levels == 4


def test_next_numbers_follow_the_last(owner: psycopg.Connection[Row]) -> None:
    added = one(
        owner,
        "insert into sales.orders (customer_id, region) values (1, 'EU') returning id",
    )
    assert added == CUSTOMERS + 1
    owner.execute(b"delete from sales.orders where id = %s", (added,))


def test_every_relation_but_the_forgotten_export_has_been_classified(cluster: Cluster) -> None:
    tags = yaml.safe_load((SAMPLES / "tags.yaml").read_text())
    for database in DATABASES:
        with connect(cluster, database=database) as connection:
            columns: dict[str, set[str]] = {}
            for relation, column in connection.execute(
                "select nspname || '.' || relname, attname from pg_attribute"
                " join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace"
                " where attnum > 0 and relkind in ('r', 'p', 'v', 'm')"
                " and relowner = 'shop_owner'::regrole"
            ):
                columns.setdefault(str(relation), set()).add(str(column))
        named = tags[f"prod/{database}"]
        forgotten = {"public.export_2024_final"} if database == "shop" else set()
        assert columns.keys() - named.keys() == forgotten
        assert named.keys() <= columns.keys()
        for relation, classified in named.items():
            assert (classified or {}).get("columns", {}).keys() <= columns[relation], relation
