"""The same text through a gateway, and its splice as a session's role: byte for byte the same.

What others wrote comes from PostgreSQL's regression scripts, see `material`; what is written by
hand from tests/corpus/postgres. Equal is every message of the answer: rows, their description,
command tags, states of the transaction; of errors all but the place.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from daypass.domain.catalog import RelationName
from daypass.embedded import Cluster
from daypass.engines.postgres.parsing import fingerprint_of
from tests import servers as pg
from tests.conftest import lacking
from tests.splices.compared import Compared, begin, compare
from tests.splices.material import pieces, scripts
from tests.splices.place import SCRIPTS, make_database, qualified, relations
from tests.splices.ways import Ways, both_ways
from tests.world import company_server

_CORPUS = Path(__file__).parents[1] / "corpus" / "postgres"
_FEW = ("box", "returning", "select_implicit", "union")
_ASKS = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "CopyStmt"})
_MAJOR = 17
"""The newest with TLS and contrib, as the sample company wants."""


@contextlib.asynccontextmanager
async def _opened(
    store_cluster: Cluster, state_dir: Path, names: Sequence[str]
) -> AsyncIterator[tuple[Ways, frozenset[RelationName]]]:
    binaries = pg.binaries_of(_MAJOR)
    if binaries is None:
        lacking(f"PostgreSQL {_MAJOR} is not installed")
    if not scripts():
        lacking("the regression scripts were not fetched: scripts/corpora.sh")
    with company_server(binaries, customers=100) as company:
        make_database(company, names)
        async with both_ways(store_cluster, company, state_dir) as ways:
            await begin(ways)
            yield ways, relations(company)


def _theirs(names: Sequence[str], known: frozenset[RelationName]) -> Iterator[tuple[str, str]]:
    for name in ("test_setup", *names):
        for piece in pieces(name):
            if piece.parsed.kind in _ASKS and "intoClause" not in piece.parsed.node:
                text = qualified(piece, known)
                if text is not None:
                    yield text, fingerprint_of(piece.text)


def _ours() -> Iterator[tuple[str, str]]:
    lines = (_CORPUS / "splices.sql").read_text(encoding="utf-8").splitlines()
    texts = [re.sub("[«»]", "", line) for line in lines if line and not line.startswith("--")]
    texts = [each for each in texts if not each.startswith("EXPLAIN")]
    text = (_CORPUS / "hostile.yaml").read_text(encoding="utf-8")
    texts += yaml.load(text, Loader=yaml.CSafeLoader)
    texts += _large()
    for each in texts:
        # Each is about its characters: they count, and not only its fingerprint.
        yield each, each


def _large() -> Iterator[str]:
    """Texts of up to a megabyte, with something to splice at both ends."""
    ends = "SELECT sales.orders.id, {} FROM sales.orders WHERE sales.orders.id = 1"
    yield ends.format("'" + "x" * 1_000_000 + "'")
    yield ends.format("/* " + "sales.orders " * 70_000 + "*/ 5")
    yield ends.format("$x$" + "sales.orders'\"" * 60_000 + "$x$")
    yield ends.format("'" + "ü€😀" * 100_000 + "'")
    yield ends.format("1") + " AND sales.orders.id IN (" + "7, " * 20_000 + "1)"
    yield ends.format("1") + " -- " + "sales.orders" * 80_000
    yield ends.format("'" + "x" * 1_100_000 + "'")


@pytest.mark.timeout(400)
async def test_some_of_theirs_and_all_of_ours(store_cluster: Cluster, tmp_path: Path) -> None:
    found = Compared()
    async with _opened(store_cluster, tmp_path, _FEW) as (ways, known):
        await compare(ways, _theirs(_FEW, known), found)
        theirs = len(found.equal)
        await compare(ways, _ours(), found)
    print(f"few: {theirs} of others; {found.summary()}")  # noqa: T201 - for whoever reads the run
    assert found.wrong == []
    assert theirs >= 120
    assert found.counts["equal, spliced"] >= 250


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_all_of_theirs(store_cluster: Cluster, tmp_path: Path) -> None:
    found = Compared()
    async with _opened(store_cluster, tmp_path, SCRIPTS) as (ways, known):
        await compare(ways, _theirs(SCRIPTS, known), found)
    print(f"all: {found.summary()}")  # noqa: T201 - for whoever reads the run
    assert found.wrong == []
    assert len(found.equal) >= 2_000
    assert found.counts["equal, spliced"] >= 1_000
