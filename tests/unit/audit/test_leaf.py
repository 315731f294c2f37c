"""Leaves: what is sealed, what is not, and that every part comes back with its key alone."""

import hashlib
from dataclasses import astuple
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daypass.audit.entry import Entry, EntryKind, Json, canonical
from daypass.audit.leaf import (
    CLEAR,
    NOBODY,
    Leaf,
    LeafError,
    Subjects,
    detached_path,
    detached_paths,
    make_leaf,
    open_leaf,
    read_entry,
    read_leaf,
    seal_keys,
    subjects_of,
)
from daypass.audit.tiles import MAX_LEAF
from daypass.domain.ids import PrincipalId, RequestId, SessionId

GOLDEN_HASH = "891840baa74d88bc2ad6c6c0514f1c11c25cef1c3ddd742082b4fe746b73a291"
AT = datetime(2026, 11, 21, 12, 0, 0, 5, tzinfo=UTC)


def key_of(subject: str) -> bytes:
    return hashlib.sha256(subject.encode()).digest()


KEYS = {
    subject: key_of(subject)
    for subject in (
        NOBODY,
        *(f"{kind}:{n}" for kind in ("principal", "session", "request") for n in range(-9, 10)),
    )
}


def statement(**content: Json) -> str:
    return canonical(
        Entry(
            EntryKind.STATEMENT_STARTED,
            actor_id=PrincipalId(7),
            address="192.0.2.9",
            application="psql",
            session_id=SessionId(3),
            content={"text": "select 'Erika Mustermann'", "sequence": 4, **content},
        ),
        AT,
    )


def leaf_of(text: str, number: int = 12) -> Leaf:
    return make_leaf(number, text.encode(), read_entry(text), KEYS)


def test_the_form_of_version_1_never_changes() -> None:
    data = leaf_of(statement(parameters=["1"], read=["app.people"])).data
    assert hashlib.sha256(data).hexdigest() == GOLDEN_HASH
    assert list(orjson.loads(data)) == sorted(orjson.loads(data))


def test_nothing_personal_is_in_clear() -> None:
    leaf = leaf_of(statement(unheard_of="Erika", read=["app.people"]))
    for personal in (b"Erika", b"192.0.2.9", b"psql", b"unheard_of"):
        assert personal not in leaf.data
    shown = read_leaf(leaf.data)
    assert shown["content"] == {"read": ["app.people"], "sequence": 4}
    assert (shown["actor"], shown["entry"], shown["leaf"]) == (7, 12, 1)


def test_whose_keys_seal_what() -> None:
    text = statement()
    assert subjects_of(read_entry(text)) == Subjects("principal:7", "session:3")
    cases: list[tuple[Entry, Subjects]] = [
        (Entry(EntryKind.RECONCILED, content={"orphans": 1}), Subjects(None, NOBODY)),
        (Entry(EntryKind.LOGIN_FAILED, address="x"), Subjects(NOBODY, None)),
        (
            Entry(EntryKind.LOGIN_FAILED, address="x", content={"principal": 5}),
            Subjects("principal:5", None),
        ),
        (
            Entry(EntryKind.PRINCIPAL_ADDED, PrincipalId(1), content={"principal": 5, "x": "y"}),
            Subjects(None, "principal:5"),
        ),
        (
            Entry(
                EntryKind.REQUEST_FILED, PrincipalId(1), request_id=RequestId(9), content={"x": 1}
            ),
            Subjects(None, "request:9"),
        ),
        (
            Entry(EntryKind.LOGIN_STARTED, PrincipalId(1), content={"login": 5}),
            Subjects(None, None),
        ),
    ]
    for entry, wanted in cases:
        assert subjects_of(read_entry(canonical(entry, AT))) == wanted


def test_the_same_entry_is_the_same_leaf_and_another_shares_no_key_with_it() -> None:
    text = statement()
    assert leaf_of(text) == leaf_of(text)
    keys = seal_keys(read_leaf(leaf_of(text).data), KEYS)
    for other in (leaf_of(text, 13), leaf_of(statement(text="select 2"))):
        assert not set(keys) & set(seal_keys(read_leaf(other.data), KEYS))


def test_each_seal_opens_by_its_own_key_alone() -> None:
    text = statement()
    leaf = read_leaf(leaf_of(text).data)
    person, content = seal_keys(leaf, KEYS)
    assert open_leaf(leaf, [person, content]) == read_entry(text)
    assert open_leaf(leaf, [person, None])["content"] == {"sequence": 4}
    assert open_leaf(leaf, [None, content])["address"] == ""
    with pytest.raises(LeafError, match="not the one the seal was made with"):
        open_leaf(leaf, [content, person])
    assert seal_keys(leaf, {"session:3": KEYS["session:3"]})[0] is None


def test_a_sealed_text_that_was_changed_does_not_open() -> None:
    leaf = read_leaf(leaf_of(statement()).data)
    keys = seal_keys(leaf, KEYS)
    seals = leaf["sealed"]
    assert isinstance(seals, list)
    person, content = seals
    seal = {**content, "text": "AAAA" + str(content["text"])[4:]}
    with pytest.raises(LeafError, match="does not open"):
        open_leaf({**leaf, "sealed": [person, seal]}, keys)


def test_long_texts_are_kept_beside_the_log() -> None:
    text = statement(text="select 1 -- " + "x" * 2**20, read=[f"app.t{n}" for n in range(5000)])
    made = leaf_of(text)
    assert len(made.data) < 3000
    (beside,) = made.detached
    leaf = read_leaf(made.data)
    keys = seal_keys(leaf, KEYS)
    assert open_leaf(leaf, keys, made.detached) == read_entry(text)
    assert detached_paths(leaf) == [detached_path(beside)]
    for other in ([], [beside + b"x"]):
        with pytest.raises(LeafError, match="missing, or another one"):
            open_leaf(leaf, keys, other)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
NAMES = st.text(max_size=9) | st.sampled_from(["read", "rows", "principal", "journal", "code"])


def test_no_length_of_anything_is_too_much() -> None:
    entry = Entry(
        EntryKind.STATEMENT_DENIED,
        actor_id=PrincipalId(7),
        address="a" * 70_000,
        application="b" * 70_000,
        rule="r" * 70_000,
        content={**dict.fromkeys(CLEAR, "x" * 1022), "text": "t" * 70_000},
    )
    text = canonical(entry, AT)
    made = leaf_of(text)
    assert len(made.data) <= MAX_LEAF
    assert len(made.detached) == 2
    leaf = read_leaf(made.data)
    assert open_leaf(leaf, seal_keys(leaf, KEYS), made.detached) == read_entry(text)


@given(st.dictionaries(NAMES, JSON, max_size=6), st.text(max_size=20), st.booleans())
def test_every_entry_comes_back_whole(
    content: dict[str, Json], address: str, has_actor: bool
) -> None:
    entry = Entry(
        EntryKind.RECONCILED,
        actor_id=PrincipalId(2) if has_actor else None,
        address=address,
        content=content,
    )
    text = canonical(entry, AT)
    document = read_entry(text)
    keys = {each: key_of(each) for each in astuple(subjects_of(document)) if each}
    made = make_leaf(12, text.encode(), document, keys)
    assert len(made.data) <= MAX_LEAF
    leaf = read_leaf(made.data)
    assert open_leaf(leaf, seal_keys(leaf, keys), made.detached) == document


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"leaf":2}', b'{"leaf":1}', b"{", b"\xff", b"nan"]
)
def test_what_is_no_leaf_is_refused(data: bytes) -> None:
    with pytest.raises(LeafError):
        read_leaf(data)


def test_a_leaf_has_one_form() -> None:
    data = leaf_of(statement()).data
    for other in (data.replace(b'"leaf":1', b'"leaf": 1'), data + b" ", data[:-1] + b',"z":1} '):
        with pytest.raises(LeafError, match="canonical"):
            read_leaf(other)
