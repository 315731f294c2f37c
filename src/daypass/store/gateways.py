"""Where gateways are, for those who want to connect."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """A gateway as clients see it; `certificate` is the PEM text to trust, or empty."""

    engine: str
    host: str
    port: int
    tls: str
    certificate: str
    started_at: datetime


async def note_gateway(
    tx: Tx,
    process_id: uuid.UUID,
    *,
    engine: str,
    host: str,
    port: int,
    tls: str,
    certificate: str,
) -> None:
    """Say where a process takes clients in."""
    # Those of processes that were killed are told by nobody else.
    await tx.execute("delete from gateway g where process_id not in (select id from process)")
    await tx.execute(
        """
        insert into gateway (process_id, engine, host, port, tls, certificate)
        values (%s, %s, %s, %s, %s, %s)
        on conflict (process_id) do update
        set host = excluded.host, port = excluded.port, tls = excluded.tls,
          certificate = excluded.certificate
        """,
        (process_id, engine, host, port, tls, certificate),
    )


async def forget_gateway(tx: Tx, process_id: uuid.UUID) -> None:
    """Say that a process takes nobody in any more."""
    await tx.execute("delete from gateway where process_id = %s", (process_id,))


async def list_gateways(tx: Tx, silent_s: float) -> tuple[GatewayRow, ...]:
    """List the gateways whose process was seen so lately, each address once."""
    async with tx.cursor(row_factory=class_row(GatewayRow)) as cursor:
        await cursor.execute(
            """
            select distinct on (g.engine, g.host, g.port)
              g.engine, g.host, g.port, g.tls, g.certificate, g.started_at
            from gateway g join process p on p.id = g.process_id
            where p.seen_at > clock_timestamp() - make_interval(secs => %s)
            order by g.engine, g.host, g.port, g.started_at desc
            """,
            (silent_s,),
        )
        return tuple(await cursor.fetchall())
