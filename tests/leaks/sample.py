"""Sessions of several scopes on the sample company, and rows planted to be recognised."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from daypass.domain.scope import AskedScope
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import Plan, SessionSpec, Target
from daypass.engines.postgres.admin import startup_options
from daypass.engines.postgres.session import PostgresSession
from daypass.operations.database_facts import load_facts
from daypass.operations.open_target import open_target
from daypass.operations.plan_grant import compile_scope
from daypass.operations.policy_in_force import hold_policy
from tests.leaks.run import Stage, lacking, names_of, owner_names
from tests.leaks.truth import Truth, Values, read_truth, read_values
from tests.leaks.wire import Wire
from tests.world import CompanyServer, World

OWNER: Final = "shop_owner"
COPY: Final = "shop_copy"
"""A copy of the shop, in which the owner shows that attacks do leak."""

C = StatementClass
_READS: Final = frozenset({C.SELECT, C.EXPLAIN})
_WRITES: Final = _READS | {C.INSERT, C.UPDATE, C.DELETE}
_OUTSIDE: Final = (
    "sales.customers",
    "sales.orders",
    "sales.order_lines",
    "sales.products",
    "sales.stores",
)

SCOPES: Final[Mapping[str, tuple[str, AskedScope]]] = {
    "read": ("ada", AskedScope(_READS)),
    "contractor": ("cleo", AskedScope(_READS, _OUTSIDE)),
    "writes": ("cleo", AskedScope(_WRITES, ("sales.*", "billing.*"))),
    "unmask": ("ben", AskedScope(_READS, unmask=("sales.customers.email",))),
    "explain": ("ben", AskedScope(frozenset({C.EXPLAIN}))),
    "fraud": ("fay", AskedScope(_READS, ("sales.customers", "sales.orders", "billing.payments"))),
    "agent": ("agent-triage", AskedScope(_READS, ("sales.orders", "sales.order_lines"))),
    "tenant": ("ada", AskedScope(_READS, ("billing.invoices",), settings={"app.tenant": "acme"})),
}
"""Who, and what they ask for; whether a rule would allow it is another question."""

# Rows whose keys and words are found nowhere else, where the contractor's region hides them.
_PLANTED: Final = (
    """
    insert into sales.customers (id, full_name, email, phone, national_id, card_number,
      card_expires, birth_date, region, country, credit_limit, notes, profile, created_at)
    select 77007700770000 + n, 'Hidden Person ' || n, 'hidden.person' || n || '@far.example',
      '+1-202-555-01' || 60 + n, '99887700' || n, '510510510510510' || n, '2031-01-31',
      date '1971-02-01' + n, 'US', (select code from public.countries where region = 'US' limit 1),
      7770 + n, 'A note on a hidden person ' || n,
      '{"contact": {"email": "hidden.person@far.example"}}',
      timestamptz '2001-09-01 01:02:03+00' + n * interval '1 day'
    from generate_series(1, 5) as n
    """,
    """
    insert into sales.orders (id, customer_id, region, status, ordered_at, total, ship_to)
    select 88008800880010 + n, 77007700770000 + n, 'US', 'placed',
      timestamptz '2002-03-01 04:05:06+00' + n * interval '1 day',
      76543.10 + n, 'Hidden Lane ' || n || ', Faraway'
    from generate_series(1, 5) as n
    """,
    """
    insert into sales.stores (id, name, region, address, opened_on, manager_email)
    overriding system value
    values (1900190019, 'Hidden Harbour', 'US', row('Hidden Quay 1', 'Faraway', '99999', 'US'),
      '2003-04-05', 'hidden.manager@stores.example')
    """,
    # Values that several rows share, so that statistics keep them.
    "create statistics sales.consent (mcv) on region, marketing_consent from sales.customers",
    "create statistics hr.health (mcv) on days, reason from hr.absences",
    "create statistics hr.pay on (salary::text || department) from hr.employees",
    "create index customers_in_capitals on sales.customers (upper(full_name))",
    "analyze sales.customers, hr.employees, hr.absences, sales.orders, sales.stores",
)


def plant(company: CompanyServer) -> Values:
    """Plant recognisable rows and copy the shop, before anybody is connected; return all values."""
    for statement in _PLANTED:
        company.sql(statement)
    # Else no direct credential is handed out: the other database shows everybody something.
    company.sql("revoke connect on database metrics from public", "postgres")
    values = read_values(company.cluster.conninfo("shop"))
    company.sql(f"create database {COPY} template shop owner {OWNER}", "postgres")
    # Attacks on files of the server find there what has been written out.
    company.sql("checkpoint", "postgres")
    return values


@dataclass(frozen=True, slots=True)
class Probe:
    """A session to attack, and what it must not see."""

    name: str
    stage: Stage
    truth: Truth
    account: str


@dataclass(slots=True)
class Sample:
    """Sessions of the sample company's people, each opened once and closed with the sample."""

    world: World
    target: Target
    values: Values
    accounts: list[str]
    scopes: list[Plan]

    async def plan(self, name: str) -> Plan:
        """Compile, apply and verify the scope of that name."""
        person, asked = SCOPES[name]
        ctx = self.world.ctx
        actor = await self.world.actor(person)
        async with ctx.store.transaction() as tx:
            policy = await hold_policy(tx)
            facts = await load_facts(tx, self.world.shop)
        _, plan = await compile_scope(ctx, policy, facts, actor.principal, asked)
        await self.target.apply(plan)
        assert (await self.target.verify(plan)).problems == ()
        self.scopes.append(plan)
        return plan

    async def probe(self, name: str, other: str = "") -> Probe:
        """Open a way in under a scope; `other` is the scope of somebody else to look into."""
        plan = await self.plan(name)
        account = f"dp_g_leak_{name.replace('-', '_')}_{secrets.token_hex(3)}"
        spec = SessionSpec(
            account,
            datetime.now(UTC) + timedelta(hours=1),
            settings=(("statement_timeout", "20s"),),
            connection_limit=20,
        )
        if name == "explain":
            return await self._gateway_probe(name, plan, spec)
        credential = await self.target.issue_credential(plan, spec)
        self.accounts.append(account)
        conninfo = make_conninfo(
            host=credential.host,
            port=credential.port,
            dbname=credential.database,
            user=credential.user,
            password=credential.password.reveal(),
            options=startup_options(credential.settings),
        )
        truth = await self._truth(account, dict(credential.settings))
        names = names_of(truth, account)
        if other:
            seen = await self.plan(other)
            names["other"] = f"dp_v_{seen.scope_hash}_sales"
        names["scope"] = f"dp_s_{plan.scope_hash}"
        stage = Stage(
            open=lambda: Wire.open(conninfo),
            superuser=self.world.company.cluster.conninfo("shop"),
            conninfo=conninfo,
            names=names,
            owner=OWNER,
            lacks=lacking(self.world.company.cluster.conninfo("shop")),
        )
        return Probe(name, stage, truth, account)

    async def _gateway_probe(self, name: str, plan: Plan, spec: SessionSpec) -> Probe:
        """Go in as the gateway does: each connection is an account of its own without a login."""
        loop = asyncio.get_running_loop()
        first = await self.target.open_session(plan, spec)
        self.accounts.append(first.account)
        truth = await self._truth(first.account, {})
        await first.aclose()

        async def dial() -> Wire:
            account = f"{spec.account}_{len(self.accounts)}"
            session = await self.target.open_session(plan, replace(spec, account=account))
            self.accounts.append(account)
            assert isinstance(session, PostgresSession)
            return Wire(session._connection.pgconn, session)

        def again() -> Wire | str:
            return asyncio.run_coroutine_threadsafe(dial(), loop).result(30)

        superuser = self.world.company.cluster.conninfo("shop")
        known = conninfo_to_dict(superuser)
        stage = Stage(
            open=again,
            superuser=superuser,
            conninfo=make_conninfo(
                host="127.0.0.1",
                port=str(known["port"]),
                dbname="shop",
                user=first.account,
                password="unknown to anybody",
            ),
            names={**names_of(truth, first.account), "scope": f"dp_s_{plan.scope_hash}"},
            owner=OWNER,
            lacks=lacking(superuser),
        )
        return Probe(name, stage, truth, first.account)

    async def _truth(self, account: str, settings: Mapping[str, str]) -> Truth:
        company = self.world.company
        return await asyncio.to_thread(
            read_truth,
            company.cluster.conninfo("shop"),
            account,
            tuple(settings.items()),
            (company.cluster.conninfo("metrics"),),
            self.values,
        )


def control_stage(company: CompanyServer, control: str) -> Stage:
    """Return where an attack is shown to leak: as the owner or a superuser, in a copy."""
    superuser = company.cluster.conninfo("shop" if control == "here" else COPY)

    def open_control() -> Wire | str:
        wire = Wire.open(superuser)
        if isinstance(wire, Wire) and control not in ("superuser", "here"):
            wire.send(f"set session authorization {OWNER if control == 'owner' else control}")
        return wire

    return Stage(
        open=open_control,
        superuser=superuser,
        conninfo=superuser,
        names=owner_names(OWNER),
        owner=OWNER,
        transaction=True,
    )


@contextlib.asynccontextmanager
async def sample(world: World, values: Values) -> AsyncIterator[Sample]:
    """Open the sample's sessions within a world; they are closed with the block."""
    target = await open_target(world.ctx, world.instance_id)
    found = Sample(world, target, values, [], [])
    try:
        yield found
    finally:
        closure = await target.close(tuple(found.accounts))
        assert closure.missing == ()


def drop_copy(company: CompanyServer) -> None:
    """Drop the copy, for whoever keeps the server."""
    with contextlib.suppress(psycopg.Error):
        company.sql(f"drop database {COPY} with (force)", "postgres")
