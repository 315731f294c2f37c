"""The tour's ending of grants: an exposure mended, the deadline, and break-glass."""

from __future__ import annotations

import time
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from daypass.cli.wording import moment_of, now
from daypass.demo.tour_stage import Stage

_ENDED = {"57D01": "the view says so", "57P01": "the connection is cut"}
_VIEWS = "select user_email from page_views where user_email is not null limit 1"


def what_stands_open(stage: Stage) -> None:
    """Find what goes around Daypass, and have its owner mend it."""
    with stage.step("What would go around a grant keeps it shut"):
        ran = stage.run(
            "ben", "request", "prod/metrics", "--direct", "--for", "10m",
            "-r", "my editor needs it", expect=4,
        )  # fmt: skip
        stage.proves("the answer says what blocks it", "page_views" in ran.output)
        ran = stage.run("ben", "credential", str(stage.grant_of("ben")), expect=3)
        stage.proves("it names the relation that is open to everybody", "page_views" in ran.said)
    with stage.step("`doctor` shows all of it before anybody asks, with the SQL that mends it"):
        ran = stage.run("ben", "doctor", "prod/metrics", expect=12)
        found = stage.peek("ben", "/instances/prod/doctor")["findings"]
        (open_one,) = (
            each for each in found if each["blocks"] and each["databases"] == ["metrics"]
        )
        stage.proves("it ends with 12: something grave stands open", ran.exit_code == 12)
        stage.tell(f"the table's owner runs: {open_one['mend']}")
        stage.probe("metrics", f"set role shop_owner; {open_one['mend']}")
        stage.run("ben", "database", "sync", "prod/metrics")
        found = stage.peek("ben", "/instances/prod/doctor")["findings"]
        stage.proves("it is gone", all(each["key"] != open_one["key"] for each in found))
    with stage.step("How far is it to zero standing privilege?"):
        draft = stage.folder / "draft.yaml"
        ran = stage.run("robin", "scan", "prod", "--draft-policy", str(draft))
        stage.proves("all three standing logins are found", "3 of 3 logins to go" in ran.output)
        checked = stage.run("samira", "policy", "check", str(draft), expect=None, show=False)
        stage.proves("the policy drafted in their place passes its check", checked.exit_code == 0)


def the_deadline(stage: Stage) -> None:
    """Hold a session open beyond its deadline, and look at what is left."""
    with stage.step("A login of one's own, where a rule allows it: shown once") as step:
        number = stage.grant_of("ben")
        credential = stage.ask("ben", f"/grants/{number}/credential", {})
        stage.tell(f"ben $ daypass credential {number}  →  {credential['user']}, password hidden")
        again = stage.run("ben", "credential", str(number), expect=6)
        stage.proves("a second time there is none", "already" in again.said)
    if step.failures:
        return
    with stage.step("Three seconds to the deadline, a session held open"):
        _hold(stage, number, credential)
    with stage.step("The receipt: what was probed and found gone, and how soon"):
        stage.run("ben", "receipt", str(number), "--wait")
        receipt = stage.peek("ben", f"/grants/{number}/receipt")
        left = stage.probe(
            "postgres", f"select from pg_roles where rolname like 'dp\\_g\\_{number}\\_%'"
        )
        stage.proves(f"closed within a second: {receipt['lag_s']:.3f} s", receipt["lag_s"] < 1)
        stage.proves("its login is gone from the server", left == [])


def _hold(stage: Stage, number: int, credential: dict[str, Any]) -> None:
    conninfo = make_conninfo(
        host=credential["host"],
        port=credential["port"],
        dbname=credential["database"],
        user=credential["user"],
        password=credential["password"],
        application_name="tour",
    )
    with psycopg.connect(conninfo, autocommit=True) as session:
        (masked,) = session.execute(_VIEWS).fetchone() or ("",)
        stage.tell(f"psql as {credential['user']}: {_VIEWS}  →  {masked}")
        stage.proves("masked for a native client, too", "***" in str(masked))
        stage.run("ben", "shorten", str(number), "--to", "3s")
        deadline = moment_of(stage.peek("ben", f"/grants/{number}")["deadline"])
        state, text, ended = _until_it_ends(session)
    late_s = (ended - deadline).total_seconds()
    stage.tell(f"the session reads on and on, until: {text} (SQLSTATE {state})")
    stage.proves(
        f"it ended {late_s:+.3f} s after the deadline: {_ENDED.get(state, 'in some other way')}",
        state in _ENDED and -0.1 <= late_s < 1,
    )
    try:
        psycopg.connect(conninfo, connect_timeout=5).close()
        refused = ""
    except psycopg.OperationalError as error:
        refused = str(error).strip().splitlines()[-1]
    stage.tell(f"a new connection: {refused}")
    stage.proves("nobody gets in with it any more", bool(refused))


def _until_it_ends(session: psycopg.Connection[Any]) -> tuple[str, str, Any]:
    give_up = time.monotonic() + 15
    while time.monotonic() < give_up:
        try:
            session.execute("select count(*) from page_views")
        except psycopg.Error as error:
            ended = now()
            message = error.diag.message_primary or str(error).strip().splitlines()[0]
            return error.sqlstate or "57P01", message, ended
        time.sleep(0.002)
    return "", "nothing happened", now()


def break_the_glass(stage: Stage) -> None:
    """Open at once in an emergency, still masked, and have it judged."""
    with stage.step("Orders are stuck at night: break the glass") as step:
        ran = stage.run(
            "ada", "request", "prod/shop", "--profile", "order-fix", "--break-glass",
            "-r", "orders are stuck",
        )  # fmt: skip
        number = str(stage.grant_of("ada"))
        stage.proves("it opens at once", "opens prod/shop" in ran.said)
        stage.run(
            "ada", "query", "prod/shop", "-g", number,
            "update sales.orders set updated_at = now() "
            "where id = (select min(id) from sales.orders) returning id, status, ship_to",
        )  # fmt: skip
        unmask = stage.run(
            "ada", "request", "prod/shop", "--profile", "payroll-check", "--break-glass",
            "-r", "curious", expect=3, show=False,
        )  # fmt: skip
        stage.proves("but it never lifts a mask", "never lifts a mask" in unmask.said)
        stage.run("ada", "release", number)
    if step.failures:
        return
    with stage.step("Somebody else reviews it afterwards"):
        stage.run("samira", "grants", "--to-review")
        stage.run("ada", "review", number, "--justified", "--comment", "it was me", expect=3)
        stage.run("samira", "review", number, "--justified", "--comment", "the outage was real")
        reviewed = stage.peek("samira", f"/grants/{number}")["reviewed"]
        stage.proves("judged by security, not by whoever did it", reviewed)
