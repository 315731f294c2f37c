"""The tour's first chapters: asking, wrong turns, masked reading, and trying to get around it."""

from __future__ import annotations

import shutil
from typing import Final

from daypass.cli.failure import Failure
from daypass.demo.tour_stage import Ran, Stage

SESSION_LOGINS: Final = (
    r"select rolname from pg_roles where rolname like 'dp\_g\_%' and rolcanlogin"
)
_CLEAR: Final = """
    select array[email, full_name, phone, national_id] from sales.customers
    where phone is not null and national_id is not null order by id limit 50
"""


def nobody_holds_a_key(stage: Stage) -> None:
    """Show that there is nothing to use without a grant."""
    with stage.step("Nobody has any right, on-call included") as _:
        ran = stage.run("ada", "query", "prod/shop", "select 1", expect=3)
        stage.proves("the denial says how to ask", "daypass request prod/shop" in ran.said)
        stage.run("robin", "grants")
        stage.proves(
            "on the target there is no login of Daypass's sessions at all",
            stage.probe("postgres", SESSION_LOGINS) == [],
        )
    with stage.step("Everybody sees what they could ask for"):
        ran = stage.run("ada", "databases")
        stage.proves("the company's databases are there", "prod/shop" in ran.output)


def wrong_turns(stage: Stage) -> None:
    """Make the mistakes people make, and read the answers."""
    with stage.step("A database that is not there"):
        ran = stage.run("ada", "request", "prod/shopp", "-r", "checkout is slow", expect=3)
        other = stage.run("robin", "request", "prod/metrics", "-r", "curious", expect=3, show=False)
        stage.proves(
            "unknown and forbidden look the same",
            ran.said.replace("prod/shopp", "…") == other.said.replace("prod/metrics", "…"),
        )
    with stage.step("A typo in a relation"):
        ran = stage.run(
            "ada", "request", "prod/shop", "--relation", "sales.custmers", "--ticket", "INC-42",
            "-r", "checkout is slow", expect=2,
        )  # fmt: skip
        stage.proves(
            "it says what was meant, as a command to copy",
            "did you mean sales.customers" in ran.said and "--relation sales.customers" in ran.said,
        )
    with stage.step("Too long, and without the ticket"):
        ran = stage.run(
            "ada", "request", "prod/shop", "--profile", "oncall-read", "--for", "9h",
            "-r", "checkout is slow", expect=3,
        )  # fmt: skip
        stage.proves(
            "the rule is named, and the command that it would allow",
            "'on-call reads production by itself'" in ran.said
            and "--for 2h --ticket INC-42" in ran.said,
        )
    with stage.step("What would policy say? Asking costs nothing"):
        stage.run(
            "ada", "request", "prod/shop", "--relation", "sales.orders", "--ticket", "INC-42",
            "-r", "checkout is slow", "--dry-run",
        )  # fmt: skip
        stage.proves("nothing was filed", stage.peek("ada", "/requests", mine=True)["items"] == [])


def on_call(stage: Stage) -> None:
    """Let on-call read production by a rule, masked."""
    with stage.step("An incident, with a ticket: the rule lets on-call in at once"):
        ran = stage.run(
            "ada", "request", "prod/shop", "--profile", "oncall-read", "--ticket", "INC-42",
            "-r", "checkout is slow",
        )  # fmt: skip
        stage.proves("a grant with a deadline, and nobody was asked", "opens prod/shop" in ran.said)
    with stage.step("Reading customers: personal data is masked by the database itself"):
        what = "select id, full_name, email, phone, region from sales.customers order by id limit 4"
        ran = stage.run("ada", "query", "prod/shop", what)
        clear = _clear_values(stage)
        stage.proves(
            "the first customers' real names and addresses are nowhere in it",
            _shows_none(ran, clear) and "***" in ran.output,
        )
    if shutil.which("psql") is not None:
        with stage.step("The same with psql, through the gateway: no password, no other grant"):
            ran = stage.run("ada", "connect", "prod/shop", "--", "-c", what)
            stage.proves(
                "masked there too; psql was told until when and what is masked",
                _shows_none(ran, clear) and "***" in ran.output and "NOTICE: grant" in ran.said,
            )
            text = "delete from sales.orders"
            ran = stage.run("ada", "connect", "prod/shop", "--", "-c", text, expect=1)
            stage.proves("what the grant has not is denied inside of psql", "HINT" in ran.said)
    with stage.step("Between two statements there is no login to steal"):
        found = stage.probe("postgres", SESSION_LOGINS)
        stage.tell(f"superuser: {SESSION_LOGINS}  →  {len(found)} rows")
        stage.proves("a session's login lives as long as the session, unused ones never", not found)


def around_the_masks(stage: Stage) -> None:
    """Try to see a masked value some other way."""
    clear = _clear_values(stage)
    known = str(clear[0])
    attacks = (
        ("as a whole row", "select c from sales.customers c order by id limit 50"),
        ("as JSON", "select row_to_json(c) from sales.customers c order by id limit 50"),
        ("through the shop's own view", "select * from sales.customer_contacts limit 50"),
        (
            "out of an error",
            "select cast(email as int) from sales.customers order by id limit 1",
        ),
        (
            "from the planner's statistics",
            "select most_common_vals from pg_stats where tablename = 'customers'",
        ),
        ("by asking the function that tells", "select app.customer_email(1)"),
    )
    with stage.step(f"{len(attacks)} ways to ask for the same values") as step:
        for how, statement in attacks:
            answer = _answer(stage, statement)
            stage.tell(f"{how}: {statement}  →  {answer.partition(': ')[0]}")
            if any(value in answer for value in clear):
                step.failures.append(f"{how}: a clear value came out")
        stage.proves("no clear value came out of any of them", not step.failures)
    with stage.step("Guessing: is this customer's address among them?"):
        guess = known.replace("'", "''")
        statement = f"select count(*) from sales.customers where email = '{guess}'"  # noqa: S608
        rows = stage.ask("ada", "/query", {"database": "prod/shop", "text": statement})["rows"]
        real = stage.probe("shop", statement)[0][0]
        stage.tell(f"{statement}  →  {rows[0][0]} for Ada, {real} for a superuser")
        stage.proves(
            "a predicate sees the mask, too, so guesses are worth nothing",
            rows == [["0"]] and real == 1,
        )


def _answer(stage: Stage, statement: str) -> str:
    """Return everything that comes back for a statement, after a word for how it went."""
    try:
        answer = stage.ask("ada", "/query", {"database": "prod/shop", "text": statement})
    except Failure as failure:
        return f"denied: {failure.document}"
    if answer["error"]:
        return f"the database refuses: {answer['error']} {answer['hint']}"
    return f"answered, masked: {answer['rows']}"


def _clear_values(stage: Stage) -> list[str]:
    rows = stage.probe("shop", _CLEAR)
    return [str(value) for (values,) in rows for value in values]


def _shows_none(ran: Ran, clear: list[str]) -> bool:
    everything = ran.output + ran.errors
    return not any(value in everything for value in clear)
