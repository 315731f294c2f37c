"""What a session's statements leave in the journal: and what never gets there."""

import asyncio
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daypass.domain.catalog import RelationName
from daypass.domain.errors import Unavailable
from daypass.domain.ids import DatabaseId, GrantId, InstanceId, PrincipalId, SessionId
from daypass.domain.limits import Parameters, SessionLimits
from daypass.domain.permit import SessionPermit
from daypass.domain.principal import Actor, Principal, PrincipalKind
from daypass.domain.scope import Scope
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import StatementFacts
from daypass.engines.relay_contract import Ended, Refused, Started
from daypass.gateway.journal.clock import StoreClock
from daypass.gateway.journal.folders import JournalFolders
from daypass.gateway.journal.journal import Journal
from daypass.gateway.journal.statement_log import StatementLog
from daypass.operations.statement_entries import NOT_KEPT, Recording

_KEY = b"p" * 32
_TEXT = "select email from sales.customers where id = $1"
_FACTS = StatementFacts(
    text=_TEXT,
    classes=frozenset({StatementClass.SELECT}),
    read=frozenset({RelationName("sales", "customers")}),
    written=frozenset(),
    functions=frozenset({"lower"}),
    command="SELECT",
    fingerprint="f1",
)
_ADMIN = StatementFacts(
    text="", classes=frozenset({StatementClass.ADMIN}), read=frozenset(), written=frozenset(),
    functions=frozenset(), command="ALTER ROLE", fingerprint="f2",
)  # fmt: skip


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Return a new journal."""
    made = JournalFolders(tmp_path / "j", b"k" * 32, StoreClock()).begin()
    yield made
    made.close()


def log_of(
    journal: Journal, parameters: Parameters = Parameters.FULL, application: str = "psql"
) -> StatementLog:
    """Return the log of a session of ada's."""
    permit = SessionPermit(
        session_id=SessionId(17),
        grant_id=GrantId(4),
        principal_id=PrincipalId(1),
        instance_id=InstanceId(2),
        database_id=DatabaseId(3),
        database_name="shop",
        account="dp_g_4_17",
        scope=Scope(frozenset(), ()),
        deadline=datetime(2026, 1, 1, tzinfo=UTC),
        timed_by_gateway=False,
        limits=SessionLimits(),
    )
    ada = Principal(PrincipalId(1), PrincipalKind.PERSON, "Ada", "ada@example.com")
    actor = Actor(ada, frozenset(), "10.0.0.1", application)
    return StatementLog(journal, permit, actor, "on-call", Recording(parameters, _KEY))


def entries(journal: Journal) -> list[dict[str, Any]]:
    """Return every entry."""
    asyncio.run(journal.synced(journal.sequence))
    return [msgspec.json.decode(each.body) for each in journal.read(0)]


def test_a_statement_is_told_from_its_start_to_its_end(journal: Journal) -> None:
    log = log_of(journal)
    assert log.started(Started(_TEXT, (_FACTS,), ("7",), "extended")) == 1
    assert log.started(Started(_TEXT, (_FACTS,), ("8",), "extended")) == 2
    assert log.running == {1, 2}
    log.ended(1, Ended("done", rows=3, size_bytes=99, duration_us=1200, command="SELECT"))
    log.ended(1, Ended("failed"))
    log.refused(Refused("drop table x", (), "class_missing", "not in the grant"))
    log.end_all("lost")
    assert log.running == frozenset()
    start, second, end, refused, lost = entries(journal)
    assert start == {
        "version": 1, "kind": "statement.started", "at": start["at"], "actor": 1,
        "on_behalf_of": None, "address": "10.0.0.1", "application": "psql", "database": 3,
        "request": None, "grant": 4, "session": 17, "rule": "on-call",
        "content": {
            "statement": "17.1", "text": _TEXT, "parameters": ["7"], "length": len(_TEXT),
            "classes": ["select"], "read": ["sales.customers"], "written": [],
            "functions": ["lower"], "fingerprints": ["f1"], "origin": "extended",
            "journal": str(journal.id), "sequence": 1,
        },
    }  # fmt: skip
    assert second["content"]["statement"] == "17.2"
    assert end["content"] == {
        "statement": "17.1", "outcome": "done", "rows": 3, "size_bytes": 99, "duration_us": 1200,
        "sqlstate": "", "command": "SELECT", "journal": str(journal.id), "sequence": 3,
    }  # fmt: skip
    assert (refused["kind"], refused["session"]) == ("statement.denied", 17)
    assert refused["content"]["statement"] == "17.3"
    assert refused["content"]["code"] == "class_missing"
    assert lost["content"]["outcome"] == "lost"
    assert str(lost["at"]) >= str(start["at"])


def test_an_end_is_written_with_the_next_start_or_soon(journal: Journal) -> None:
    log = log_of(journal)
    for number in range(1, 4):
        assert log.started(Started(_TEXT, (_FACTS,), (str(number),), "extended")) == number
        log.ended(number, Ended("done", command="100% \u2713"))
    found = entries(journal)
    assert [each["content"]["sequence"] for each in found] == [1, 2, 3, 4, 5, 6]
    assert [each["content"]["statement"] for each in found] == [
        *("17.1", "17.1", "17.2", "17.2", "17.3", "17.3")
    ]
    assert found[1]["content"]["command"] == "100% \u2713"
    assert [each["at"] for each in found] == sorted(each["at"] for each in found)
    assert journal.open_statements == ()


def test_a_text_whose_facts_have_changed_is_told_with_the_new_ones(journal: Journal) -> None:
    log = log_of(journal)
    log.started(Started("select '%d' % 7", (_FACTS,), (), "simple"))
    log.started(Started("select '%d' % 7", (_ADMIN,), (), "simple"))
    first, second = entries(journal)
    assert first["content"]["text"] == second["content"]["text"] == "select '%d' % 7"
    assert (first["content"]["classes"], second["content"]["classes"]) == (["select"], ["admin"])


@pytest.mark.parametrize("mode", list(Parameters))
def test_parameters_are_kept_as_the_rule_says(journal: Journal, mode: Parameters) -> None:
    log_of(journal, mode).started(Started(_TEXT, (_FACTS,), ("secret-7", None, "secret-7")))
    (entry,) = entries(journal)
    digest = hmac.digest(_KEY, b"secret-7", "sha256")[:16].hex()
    hashed = f"hmac-sha256:{digest}"
    assert (
        entry["content"]["parameters"]
        == {
            Parameters.FULL: ["secret-7", None, "secret-7"],
            Parameters.HASH: [hashed, None, hashed],
            Parameters.NONE: [],
        }[mode]
    )
    whole = b"".join(path.read_bytes() for path in journal.folder.iterdir())
    assert (b"secret-7" in whole) == (mode is Parameters.FULL)


@pytest.mark.parametrize("facts", [(_ADMIN,), ()])
def test_what_may_set_a_password_is_not_on_the_disk(
    journal: Journal, facts: tuple[StatementFacts, ...]
) -> None:
    log = log_of(journal)
    text = "alter role x password 'hunter22'"
    log.started(Started(text, facts, ("hunter22",)))
    log.refused(Refused(text, facts, "denied", "no"))
    assert [each["content"]["text"] for each in entries(journal)] == [NOT_KEPT, NOT_KEPT]
    assert all(b"hunter22" not in path.read_bytes() for path in journal.folder.iterdir())


def test_nothing_a_client_sends_makes_what_the_store_cannot_hold(journal: Journal) -> None:
    """Else one client could hold up everybody's entries behind its own."""
    log = log_of(journal, application="a\0b\udc80")
    log.started(Started("select 'a\0b\udc80'", (_FACTS,), ("\0", "\ud800")))
    log.refused(Refused("\0\udfff", (), "syntax", "near \0\udfff"))
    for each in entries(journal):
        text = str(each)
        assert "\0" not in text
        text.encode()


def test_one_statement_cannot_fill_the_disk(journal: Journal) -> None:
    log = log_of(journal)
    log.refused(Refused("x" * 30_000_000, (), "too_long", "no"))
    log.started(Started(_TEXT, (_FACTS,), ("y" * 20_000_000, "z", "y" * 20_000_000)))
    refused, start = entries(journal)
    assert refused["content"]["length"] == 30_000_000
    assert str(refused["content"]["hash"]).startswith("hmac-sha256:")
    assert len(refused["content"]["text"]) == 2**20
    first, second, third = start["content"]["parameters"]
    assert (first, second) == (third, "z")
    assert first.startswith("hmac-sha256:")


def test_facts_that_changed_for_a_text_are_not_those_of_before(journal: Journal) -> None:
    log = log_of(journal)
    log.started(Started(_TEXT, (_FACTS,)))
    log.started(Started(_TEXT, (_ADMIN,)))
    first, second = entries(journal)
    assert first["content"]["classes"] == ["select"]
    assert second["content"]["classes"] == ["admin"]


def test_nothing_is_started_that_cannot_be_written_down(journal: Journal) -> None:
    log = log_of(journal)
    log.started(Started(_TEXT, (_FACTS,)))
    journal._break("the disk is gone")
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            log.started(Started(_TEXT, (_FACTS,)))
        assert caught.value.detail_code == "journal_broken"
    log.refused(Refused("x", (), "a", "b"))
    log.ended(1, Ended("done"))
    assert journal.recover()
    # Its end was kept; the numbers of what was not sent are not used up.
    assert log.started(Started(_TEXT, (_FACTS,))) == 3
    kinds = [(each["kind"], each["content"]["statement"]) for each in entries(journal)]
    assert kinds == [
        ("statement.started", "17.1"), ("statement.ended", "17.1"), ("statement.started", "17.3"),
    ]  # fmt: skip
