"""Run the contract suite on every engine that has a module in `engines/`."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daypass.domain.masks import Mask
from daypass.domain.scope import RowFilter, Scope, ScopedColumn, ScopedRelation
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import Plan, Session, SessionSpec, Target
from tests.contract.adapter import EngineUnderTest, Place, Why

C = StatementClass
READS = frozenset({C.SELECT, C.EXPLAIN})
CUSTOMERS = ("id", "name", "email", "region", "born", "salary")
NOTES = ("id", "customer", "body")

# Found once: a server is shared by the tests whose parameter is the same object.
_places: list[Place] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for an engine once for each kind and version of server."""
    if "place" in metafunc.fixturenames:
        if not _places:
            for module in sorted((Path(__file__).parent / "engines").glob("*.py")):
                name = f"tests.contract.engines.{module.stem}"
                _places.extend(importlib.import_module(name).places(metafunc.config))
        ids = [each.name for each in _places]
        metafunc.parametrize("place", _places, ids=ids, scope="session", indirect=True)


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Start a server."""
    chosen: Place = request.param
    with chosen.start() as started:
        yield started


@pytest.fixture
def engine_under_test(place: Place) -> Iterator[EngineUnderTest]:
    """Return an engine with a fresh database of the samples."""
    with place.fresh() as found:
        yield found


class World:
    """A target with what tests of it say again and again."""

    def __init__(self, under_test: EngineUnderTest, target: Target) -> None:
        self.under_test = under_test
        self.engine = under_test.engine
        self.target = target
        self.database = under_test.database
        self._sessions: list[Session] = []

    def customers(
        self,
        *classes: StatementClass,
        filters: tuple[RowFilter, ...] = (),
        **masks: Mask,
    ) -> ScopedRelation:
        """Return the customers as a scope has them; without classes, for reading."""
        return ScopedRelation(
            self.under_test.relation("customers"),
            frozenset(classes) or READS,
            tuple(ScopedColumn(name, masks.get(name), "a rule") for name in CUSTOMERS),
            filters,
        )

    def notes(self, *classes: StatementClass) -> ScopedRelation:
        """Return the notes as a scope has them; without classes, for reading."""
        return ScopedRelation(
            self.under_test.relation("notes"),
            frozenset(classes) or READS,
            tuple(ScopedColumn(name) for name in NOTES),
        )

    async def plan(self, *relations: ScopedRelation) -> Plan:
        """Compile a scope against the catalog as it is."""
        classes = frozenset[StatementClass]().union(*(each.classes for each in relations))
        catalog = await self.target.read_catalog(self.database)
        return self.engine.compile(Scope(classes, relations), catalog, self.database)

    async def applied(self, *relations: ScopedRelation) -> Plan:
        """Compile a scope and make it."""
        plan = await self.plan(*relations)
        await self.target.apply(plan)
        return plan

    def spec(self, lasts: timedelta = timedelta(minutes=5), **more: object) -> SessionSpec:
        """Return a session to open, under an account of its own unless one is named."""
        given = {"account": self.under_test.account(), "deadline": datetime.now(UTC) + lasts}
        return SessionSpec(**{**given, **more})  # type: ignore[arg-type]

    async def open(self, plan: Plan, spec: SessionSpec | None = None) -> Session:
        """Open a session; it is closed with the test."""
        session = await self.target.open_session(plan, spec or self.spec())
        self._sessions.append(session)
        return session

    async def rows(self, session: Session, statement: str) -> list[tuple[str | None, ...]]:
        """Run a statement that must succeed; return its rows."""
        result = await session.execute(statement)
        assert result.sqlstate == "", (statement, result.error)
        return list(result.rows)

    async def why(self, session: Session, statement: str) -> Why | None:
        """Run a statement that must fail; return why it did."""
        result = await session.execute(statement)
        assert result.sqlstate != "", statement
        return self.under_test.why(result.sqlstate)

    async def hang_up(self) -> None:
        """Close every session's client."""
        for session in self._sessions:
            await session.aclose()


@pytest.fixture
async def targets(
    engine_under_test: EngineUnderTest,
) -> AsyncIterator[Callable[[str], Target]]:
    """Return a function that connects as an installation of Daypass; all are closed at the end."""
    made: list[Target] = []

    def connect(installation: str = "test") -> Target:
        made.append(engine_under_test.engine.connect(engine_under_test.address(installation)))
        return made[-1]

    yield connect
    for target in made:
        await target.aclose()


@pytest.fixture
async def here(
    engine_under_test: EngineUnderTest, targets: Callable[[str], Target]
) -> AsyncIterator[World]:
    """Return a target on a fresh database."""
    world = World(engine_under_test, targets("test"))
    yield world
    await world.hang_up()
