"""The tour's middle: approvals by distinct people, other askers, and time."""

from __future__ import annotations

from datetime import datetime, timedelta

from daypass.cli.wording import moment_of, now
from daypass.demo.tour_stage import Stage

_READ = "select id, email, phone from sales.customers where phone is not null order by id limit 3"


def in_clear(stage: Stage) -> None:
    """Let a developer see e-mail addresses, on two people's word."""
    with stage.step("A developer asks to see e-mail addresses in clear"):
        ran = stage.run(
            "ben", "request", "prod/shop", "--relation", "sales.customers",
            "--unmask", "sales.customers.email", "-r", "mails bounce, SHOP-118", expect=4,
        )  # fmt: skip
        stage.proves(
            "it takes a database administrator, then security",
            "group:dba" in ran.said and "group:security" in ran.said,
        )
    with stage.step("Nobody approves their own request, and nobody counts twice"):
        number = str(stage.newest_request("ben")["id"])
        ran = stage.run("ben", "approve", number, expect=3)
        stage.proves("self-approval is denied", "own request" in ran.said)
        stage.run("dmitri", "requests", "--to-decide")
        stage.run("dmitri", "approve", number, "--comment", "fine with me")
        ran = stage.run("dmitri", "approve", number, expect=3)
        stage.proves("the second step takes another person", "group:security" in ran.said)
        stage.run("samira", "approve", number, "--for", "30m")
        stage.run("ben", "show", number)
        shown = stage.peek("ben", f"/requests/{number}")
        people = {given["approver"] for given in shown["approvals"]}
        stage.proves(
            "approved by two distinct people, neither of them Ben",
            shown["state"] == "approved" and len(people - {"ben@example.com"}) == 2,
        )
    with stage.step("E-mail in clear, telephone numbers still masked"):
        stage.run("ben", "query", "prod/shop", _READ)
        seen = stage.ask("ben", "/query", {"database": "prod/shop", "text": _READ})
        real = stage.probe("shop", _READ)
        stage.proves(
            "exactly what was approved: the addresses are real, the numbers are not",
            [row[1] for row in seen["rows"]] == [str(row[1]) for row in real]
            and all(row[2] != str(r[2]) for row, r in zip(seen["rows"], real, strict=True))
            and seen["masked"] == ["phone"],
        )


def others(stage: Stage) -> None:
    """Play what writers, contractors and agents meet."""
    with stage.step("A read grant does not write, and the denial says how to ask"):
        ran = stage.run(
            "ben", "query", "prod/shop", "update sales.orders set total = 0 where id = 1", expect=3
        )
        stage.proves(
            "a command to ask for it", "daypass request prod/shop --class update" in ran.said
        )
    with stage.step("A contractor sees one region, in office hours alone"):
        _contractor(stage)
    with stage.step("An AI agent's service account: short, read-only, one person's yes"):
        stage.run(
            "agent", "request", "prod/shop", "--profile", "triage", "-r", "sort INC-42", expect=4
        )
        number = str(stage.newest_request("agent")["id"])
        ran = stage.run("ada", "approve", number, expect=3)
        stage.proves("not of the one who answers for it", "service account" in ran.said)
        stage.run("ben", "approve", number, "--for", "5m")
        stage.run(
            "agent", "query", "prod/shop",
            "select status, count(*) from sales.orders group by status order by 2 desc",
        )  # fmt: skip
        grant = stage.peek("agent", f"/grants/{stage.grant_of('agent')}")
        lasts = moment_of(grant["deadline"]) - moment_of(grant["starts_at"])
        stage.proves("five minutes, as Ben said, not the ten it asked for", lasts <= _MINUTES_5)
        ran = stage.run(
            "agent", "request", "prod/metrics", "--class", "update", "-r", "tidy up", expect=3
        )
        stage.proves("and it may do nothing else", "'agents do nothing else'" in ran.said)


_MINUTES_5 = timedelta(minutes=5, seconds=1)


def time(stage: Stage) -> None:
    """Extend and shorten a grant."""
    with stage.step("More time is a new decision, less time is not"):
        number = str(stage.grant_of("ada"))
        before = moment_of(stage.peek("ada", f"/grants/{number}")["deadline"])
        stage.run(
            "ada", "extend", number, "--for", "30m", "--ticket", "INC-42", "-r", "still at it"
        )
        longer = moment_of(stage.peek("ada", f"/grants/{number}")["deadline"])
        stage.proves("half an hour more", longer - before == timedelta(minutes=30))
        stage.run("ada", "shorten", number, "--to", "20m")
        shorter = moment_of(stage.peek("ada", f"/grants/{number}")["deadline"])
        stage.proves("now it ends in twenty minutes", shorter - now() <= timedelta(minutes=20))
        stage.run("ada", "extend", number, "--for", "4h", "--ticket", "INC-42", "-r", "x", expect=3)


def _contractor(stage: Stage) -> None:
    ask = ("prod/shop", "--profile", "contractor", "--ticket", "SHOP-118", "-r", "order pages")
    ran = stage.run("cleo", "request", *ask, expect=None)
    if ran.exit_code == 4:
        number = str(stage.newest_request("cleo")["id"])
        stage.run("lena", "approve", number)
        regions = "select region, count(*) from sales.customers group by region"
        stage.run("cleo", "query", "prod/shop", regions)
        seen = stage.ask("cleo", "/query", {"database": "prod/shop", "text": regions})["rows"]
        real = dict(stage.probe("shop", regions))
        stage.proves(
            f"all {real['EU']} customers of her region, and none of any other",
            seen == [["EU", str(real["EU"])]],
        )
        return
    stage.proves("outside office hours the rule says no, and when", "weekdays" in ran.said)
    monday = _next_monday_noon(now())
    stage.tell("what if it were Monday?")
    ran = stage.run(
        "samira", "policy", "explain", *ask, "--person", "cleo@example.com",
        "--at", monday.isoformat(timespec="minutes"), expect=4,
    )  # fmt: skip
    stage.proves("then her manager would be asked", "requester.manager" in ran.said)
    body = {
        "database": "prod/shop",
        "profile": "contractor",
        "ticket": "SHOP-118",
        "reason": "order pages",
        "person": "cleo@example.com",
        "at": monday.isoformat(),
    }
    seen = stage.ask("samira", "/what-if", body)["relations"]
    filtered = {each["name"]: each["filters"] for each in seen}
    stage.proves(
        "and of customers and orders she would see her own region's alone",
        bool(filtered["sales.customers"] and filtered["sales.orders"])
        and not filtered["sales.products"],
    )


def _next_monday_noon(today: datetime) -> datetime:
    monday = today + timedelta(days=7 - today.weekday())
    # 11:00 UTC is noon or one o'clock in Amsterdam.
    return moment_of(f"{monday:%Y-%m-%d}T11:00:00+00:00")
