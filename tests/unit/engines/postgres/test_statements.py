"""Facts of statements: the corpus, hostile sizes, the cache."""

import threading
from pathlib import Path

import pytest
import yaml

from daypass.domain.catalog import RelationName
from daypass.domain.errors import Invalid
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import StatementFacts
from daypass.engines.postgres.statements import statement_facts
from daypass.engines.postgres.text_cache import TextCache

_CORPUS = Path(__file__).parents[3] / "corpus" / "postgres"
_CASES: list[dict[str, object]] = [
    case
    for name in ("statements.yaml", "hidden.yaml")
    for case in yaml.load((_CORPUS / name).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
]


def _relations(words: object) -> frozenset[RelationName]:
    """Read relations: words, or a list of one schema and name that have dots or spaces."""
    if isinstance(words, list):
        schema, name = words
        return frozenset({RelationName(schema, name)})
    return frozenset(RelationName.parse(word) for word in str(words or "").split())


def _check(facts: StatementFacts, expected: dict[str, object]) -> None:
    classes = frozenset(StatementClass(word) for word in str(expected["classes"]).split())
    assert facts.classes == classes
    assert facts.read == _relations(expected.get("read"))
    assert facts.written == _relations(expected.get("written"))
    if "functions" in expected:
        assert facts.functions == frozenset(str(expected["functions"]).split())
    if "command" in expected:
        assert facts.command == expected["command"]
    if "unsafe" in expected:
        assert str(expected["unsafe"]) in facts.unsafe
    else:
        assert facts.unsafe == ""
    assert facts.fingerprint


@pytest.mark.parametrize("case", _CASES, ids=[str(case["sql"])[:60] for case in _CASES])
def test_corpus(case: dict[str, object]) -> None:
    sql = str(case["sql"])
    if "error" in case:
        with pytest.raises(Invalid) as caught:
            statement_facts(sql)
        assert str(case["error"]) in caught.value.message
        assert caught.value.detail_code == "unparsable"
        if "at" in case:
            assert caught.value.problems[0][0] == f"character {case['at']}"
        return
    found = statement_facts(sql)
    expected = case.get("statements", [case])
    assert isinstance(expected, list)
    assert len(found) == len(expected)
    for facts, each in zip(found, expected, strict=True):
        assert facts.text in sql
        _check(facts, each)


def test_texts_of_statements_are_what_was_written() -> None:
    text = " SELECT 'ü;' ;\n-- a comment\n DELETE FROM é ; ;TABLE x -- end\n"
    assert [f.text for f in statement_facts(text)] == [
        "SELECT 'ü;'",
        "DELETE FROM é",
        "TABLE x -- end",
    ]


def test_fingerprints_are_equal_for_other_literals_only() -> None:
    one, other, third = (
        statement_facts(text)[0].fingerprint
        for text in (
            "SELECT * FROM t WHERE id = 1",
            "select *  from t where id = 275",
            "SELECT * FROM t WHERE name = 1",
        )
    )
    assert one == other != third


@pytest.mark.parametrize(
    "text",
    [
        "SELECT " + "1+" * 520_000 + "1",
        "SELECT 1" + "::x" * 340_000,
        "SELECT" + " UNION SELECT" * 80_000,
        "SELECT FROM a" + " CROSS JOIN a" * 80_000,
        "SELECT " + "- " * 3_000 + "x",
        "SELECT " + "f(" * 900 + "1" + ")" * 900,
        "SELECT " + "(SELECT " * 500 + "1" + ")" * 500,
        "SELECT * FROM " + "(SELECT * FROM " * 400 + "t" + ") x" * 400,
        "WITH a AS (" * 300 + "SELECT 1" + ") SELECT 1" * 300,
        "EXPLAIN SELECT 1 IN (" + "2 + " * 9_000 + "1)",
    ],
    ids=lambda text: text[:30],
)
def test_too_deep_is_invalid_and_never_the_end_of_the_process(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        statement_facts(text)
    assert caught.value.detail_code in {"too_deep", "too_large"}


@pytest.mark.parametrize(
    "text", ["SELECT " + "(" * 50_000 + "1" + ")" * 50_000, "SELECT " + "not " * 60_000 + "true"]
)
def test_a_full_parser_stack_is_invalid(text: str) -> None:
    with pytest.raises(Invalid, match="memory exhausted"):
        statement_facts(text)


def test_more_than_a_megabyte_is_invalid() -> None:
    with pytest.raises(Invalid) as caught:
        statement_facts("SELECT '" + "x" * 1_048_576 + "'")
    assert caught.value.detail_code == "too_large"


def test_lone_surrogates_are_invalid() -> None:
    with pytest.raises(Invalid, match="surrogate"):
        statement_facts("SELECT '\ud800'")


def test_long_but_flat_statements_are_read() -> None:
    rows = ", ".join(f"({n}, 'name {n}')" for n in range(10_000))
    facts = statement_facts(f"INSERT INTO sales.orders (id, name) VALUES {rows}")[0]
    assert facts.written == {RelationName("sales", "orders")}
    terms = " OR ".join(f"id = {n}" for n in range(10_000))
    assert statement_facts(f"SELECT 1 FROM t WHERE {terms}")[0].read == {RelationName("", "t")}


def test_deep_texts_in_many_threads_at_once() -> None:
    outcomes: list[str] = []

    def read() -> None:
        try:
            statement_facts("SELECT " + "1+" * 100_000 + "1")
        except Invalid as error:
            outcomes.append(error.detail_code)

    usual = threading.stack_size()
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == ["too_deep"] * 4
    assert threading.stack_size() == usual


def test_a_text_is_read_once() -> None:
    text = "SELECT 'read once' FROM t"
    assert statement_facts(text) is statement_facts(str.join("", list(text)))


def test_cache_forgets_the_least_recently_used_beyond_its_bytes() -> None:
    cache: TextCache[int] = TextCache(30_000)
    for number in range(10):
        cache.put(f"text {number}", number)
    assert cache.get("text 0") == 0
    for number in range(10, 15):
        cache.put(f"text {number}", number)
    assert cache.get("text 0") == 0
    assert cache.get("text 1") is None
    assert cache.size_bytes <= 30_000
    cache.put("x" * 20_000, 1)
    assert cache.get("x" * 20_000) is None
    assert len(cache) > 5
