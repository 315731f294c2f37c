"""Get a direct credential."""

from __future__ import annotations

import shlex

from daypass.cli.connection import connect
from daypass.cli.options import AsJson, GrantNumber
from daypass.cli.output import say, say_next, show_facts, show_json
from daypass.cli.wording import say_left, say_moment


def credential(number: GrantNumber, as_json: AsJson = False) -> None:
    """Get host, user and password of a login of your own, shown this once.

    Only for grants that were asked for with --direct and a rule lets have it. It ends with the
    grant, whether Daypass runs or not.
    """
    client = connect()
    found = client.post(f"/grants/{number}/credential", so=f"grant {number} gives no login")
    if as_json:
        show_json(found)
        return
    deadline = client.get(f"/grants/{number}")["deadline"]
    say(
        f"Good until {say_moment(deadline)} ({say_left(deadline)}), shown this once, for you alone:"
    )
    show_facts((name, found[name]) for name in ("host", "port", "database", "user", "password"))
    where = f"host={found['host']} port={found['port']} dbname={found['database']}"
    say_next(
        f"PGPASSWORD={shlex.quote(found['password'])} psql {shlex.quote(where)} "
        f"-U {shlex.quote(found['user'])}"
    )
