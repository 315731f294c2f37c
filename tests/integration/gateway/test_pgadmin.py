"""pgAdmin's questions to the catalog: answered through the gateway as without it."""

from __future__ import annotations

import asyncio
from collections import Counter

import psycopg
import pytest
from psycopg import sql

from tests.client_desk import Desk
from tests.clients.pgadmin import package, questions
from tests.conftest import lacking

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]

_FACTS = """
select jsonb_build_object(
  'did', (select oid from pg_database where datname = current_database()),
  'scid', 'sales'::regnamespace::oid, 'parent_id', 'sales'::regnamespace::oid,
  'tid', 'sales.customers'::regclass::oid, 'vid', 'sales.vip_contacts'::regclass::oid,
  'seid', 'sales.customers_id_seq'::regclass::oid, 'foid', 0,
  'doid', 'sales.email_address'::regtype::oid,
  'cid', (select oid from pg_constraint where conname = 'customers_email_key'),
  'idx', 'sales.customers_pkey'::regclass::oid, 'exid', 0, 'coid', 0, 'rid', 0, 'subid', 0,
  'fnid', 'sales.order_total'::regproc::oid, 'trid', (select oid from pg_trigger
    where tgname = 'customers_audit'),
  'lid', (select oid from pg_language where lanname = 'plpgsql'),
  'plid', 0, 'etid', 0, 'fsid', 0, 'umid', 0, 'pbid', 0, 'cfgid', 0, 'clid', 3, 'tsid', 1663,
  'eid', (select oid from pg_extension where extname = 'plpgsql'),
  'typid', 'sales.region'::regtype::oid, 'tyid', 'sales.region'::regtype::oid,
  'datlastsysoid', 16383, 'last_system_oid', 16383, 'db_restrictions', null,
  'show_sysobj', false, 'show_system_objects', false,
  'schema_name', 'sales', 'schema', 'sales', 'table_name', 'customers', 'table', 'customers',
  'nspname', 'sales', 'seqname', 'customers_id_seq', 'name', 'customers',
  'constraint_type', jsonb_build_array('p', 'u'), 'schema_names', '''sales''',
  'node_id', 'sales.customers'::regclass::oid, 'obj_id', 'sales.customers'::regclass::oid,
  'oid', 'sales.customers'::regclass::oid, 'pid', 0,
  'where', '', 'data', jsonb_build_object('name', 'customers', 'schema', 'sales'),
  'kind_list', jsonb_build_array('r'), 'type_where', '')
"""

_DIFFERENT = {
    "tables/sql/default/get_table_row_count.sql": "the gateway puts the grant's view in: it works",
    "tables/sql/default/locks.sql": "each backend has its own locks and number",
    "trigger_functions/pg/sql/default/variables.sql": "the grant's views have loaded PL/pgSQL",
    "user_mappings/sql/default/properties.sql": "user mappings are a sensitive catalog",
}
_MOVING = ("stats.sql", "dashboard/")
"""What changes from one question to the next."""


async def test_every_question_is_answered_as_without_the_gateway(desk: Desk) -> None:
    file = await asyncio.to_thread(package)
    if file is None:
        lacking("pgAdmin's package cannot be had")
    [(facts,)] = desk.world.company.sql(_FACTS)
    assert isinstance(facts, dict)
    asked = await asyncio.to_thread(lambda: list(questions(file, 15, facts)))
    problems: list[str] = []
    outcomes: Counter[str] = Counter()
    different: set[str] = set()
    async with (
        await psycopg.AsyncConnection.connect(desk.conninfo("read"), autocommit=True) as through,
        await psycopg.AsyncConnection.connect(
            desk.world.company.cluster.conninfo("shop"), autocommit=True
        ) as direct,
    ):
        for setting in ("session_authorization", "search_path"):
            [value] = await _row(through, f"show {setting}")
            await direct.execute(sql.SQL("select set_config({}, {}, false)").format(setting, value))
        for each in asked:
            got, wanted = await _said(through, each.text), await _said(direct, each.text)
            outcomes[got[0] or "answered"] += 1
            if got == wanted or any(part in each.template for part in _MOVING):
                continue
            different.add(each.template)
            if each.template not in _DIFFERENT:
                problems.append(f"{each.template}: {str(got)[:200]} != {str(wanted)[:200]}")
    assert not problems, "\n".join([*problems, str(outcomes)])
    assert different >= set(_DIFFERENT) - {"trigger_functions/pg/sql/default/variables.sql"}
    assert outcomes["answered"] > 250, outcomes


async def _row(
    connection: psycopg.AsyncConnection[tuple[object, ...]], text: str
) -> tuple[object, ...]:
    row = await (await connection.execute(text.encode())).fetchone()
    assert row is not None
    return row


async def _said(
    connection: psycopg.AsyncConnection[tuple[object, ...]], text: str
) -> tuple[str, list[list[bytes | None]]]:
    """Return the SQLSTATE, or every value as the server sent it."""
    try:
        cursor = await connection.execute(text.encode())
    except psycopg.Error as error:
        return error.sqlstate or "lost", []
    rows: list[list[bytes | None]] = []
    while True:
        result = cursor.pgresult
        assert result is not None
        rows += [
            [result.get_value(at, column) for column in range(result.nfields)]
            for at in range(result.ntuples)
        ]
        if not cursor.nextset():
            return "", rows
