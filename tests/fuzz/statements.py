"""Fuzz what is found out about texts: `python -m tests.fuzz.statements FOLDER`.

The folder keeps what was found to reach new code; it begins with the corpus. It stops at the first
text that raises, takes long, hides a write from an independent look at its tree, is spliced into
another statement, or is judged differently when it is filled into the shape of another one.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

import atheris
import yaml

from daypass.domain.errors import Invalid
from daypass.domain.statement_class import StatementClass

with atheris.instrument_imports(
    include=[
        "daypass.engines.postgres.relay_judge",
        "daypass.engines.postgres.relay_parameters",
        "daypass.engines.postgres.relay_shapes",
        "daypass.engines.postgres.session_guards",
        "daypass.engines.postgres.splice",
        "daypass.engines.postgres.statement",
        "daypass.engines.postgres.statements",
    ]
):
    from daypass.engines.postgres import relay_shapes
    from daypass.engines.postgres.parsing import Node, parse_text
    from daypass.engines.postgres.relay_judge import Judge, read_text
    from daypass.engines.postgres.relay_names import PreparedNames
    from daypass.engines.postgres.splice import same_tree, splice
    from daypass.engines.postgres.statements import statement_facts
    from tests.unit.engines.postgres.relay.talk import plan

LONGEST: Final = 4096
_CORPUS: Final = Path(__file__).parents[1] / "corpus" / "postgres"
_WRITES: Final = {
    "DeleteStmt": {StatementClass.DELETE},
    "InsertStmt": {StatementClass.INSERT},
    "UpdateStmt": {StatementClass.UPDATE},
    "TruncateStmt": {StatementClass.TRUNCATE},
    "DropStmt": {StatementClass.DDL, StatementClass.ADMIN},
    "GrantStmt": {StatementClass.ADMIN},
    "DoStmt": {StatementClass.CALL},
    "CallStmt": {StatementClass.CALL},
}
"""A tree with such a node anywhere in it needs one of these, unless an EXPLAIN runs nothing."""

_FUNCTIONS: Final = {
    "nextval": StatementClass.INSERT,
    "lo_unlink": StatementClass.DELETE,
    "pg_read_file": StatementClass.ADMIN,
    "query_to_xml": StatementClass.CALL,
}


class Wrong(Exception):
    """What must not happen did."""


def one(data: bytes) -> None:
    """Try one text."""
    text = data.decode("utf-8", "replace")
    if len(text.encode()) > LONGEST:
        return
    _facts(text)
    _judged(text)


def _facts(text: str) -> None:
    try:
        facts = statement_facts(text)
        statements = parse_text(text)[1]
    except Invalid:
        return
    for each, statement in zip(facts, statements, strict=True):
        explains = statement.kind == "ExplainStmt" and each.classes == {StatementClass.EXPLAIN}
        if explains:
            continue
        for kind in _kinds({statement.kind: statement.node}):
            needed = _WRITES.get(kind)
            if needed is not None and not needed & each.classes:
                raise Wrong(f"{kind} with {each.classes}: {text!r}")
        for name in _called(statement.node) & _FUNCTIONS.keys():
            if _FUNCTIONS[name] not in each.classes:
                raise Wrong(f"{name} with {each.classes}: {text!r}")


def _kinds(tree: object) -> set[str]:
    found: set[str] = set()
    stack = [tree]
    while stack:
        each = stack.pop()
        if isinstance(each, dict):
            found.update(each)
            stack.extend(each.values())
        elif isinstance(each, list):
            stack.extend(each)
    return found


def _called(tree: Node) -> set[str]:
    """Return the names of built-in functions a tree calls, apart from any walk of the product."""
    found: set[str] = set()
    stack: list[object] = [tree]
    while stack:
        each = stack.pop()
        if isinstance(each, list):
            stack.extend(each)
        elif isinstance(each, dict):
            stack.extend(each.values())
            call = each.get("FuncCall")
            name = call.get("funcname") if isinstance(call, dict) else None
            if isinstance(name, list):
                parts = [part["String"].get("sval", "") for part in name if "String" in part]
                if len(parts) == 1 or parts[-2] == "pg_catalog":
                    found.add(parts[-1])
    return found


_PLAN = plan()
_SHARED = Judge(_PLAN, PreparedNames())


def _judged(text: str) -> None:
    """Compare a text's reading with one that is filled into what was read before."""
    scope = _PLAN.session_scope
    fresh = read_text(text, plan().session_scope, _PLAN)
    filled = relay_shapes.find(scope.shapes, text)
    if filled is not None and filled != fresh:
        raise Wrong(f"filled differently: {text!r}: {filled} {fresh}")
    _SHARED.read(text)
    if fresh.refusal is not None or fresh.spliced is None:
        return
    sent = fresh.spliced[5:-1].decode()
    views = scope.view_schema_of
    back = {view: schema for schema, view in views.items()}
    names = frozenset(type(name)(views[name.schema], name.name) for name in scope.relation_classes)
    if any(each.kind == "CopyStmt" for each in parse_text(text)[1]):
        return
    try:
        again = splice(sent, back, names).text
    except Invalid as error:
        raise Wrong(f"cannot be taken back: {text!r}") from error
    one_tree, other = ([{s.kind: s.node} for s in parse_text(t)[1]] for t in (text, again))
    if not same_tree(one_tree, other) and not any(view in text for view in back):
        raise Wrong(f"another statement: {text!r} became {sent!r}")


def begin(folder: Path) -> None:
    """Put the corpus where the fuzzer begins from, with names that lead into the scope."""
    folder.mkdir(parents=True, exist_ok=True)
    texts: list[str] = []
    for name in ("statements.yaml", "hidden.yaml"):
        cases = yaml.load((_CORPUS / name).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        texts += [str(case["sql"]) for case in cases]
    lines = (_CORPUS / "splices.sql").read_text(encoding="utf-8").splitlines()
    texts += [re.sub("[«»]", "", line) for line in lines]
    for number, text in enumerate(texts):
        (folder / f"corpus-{number}").write_text(text, encoding="utf-8")
    words = {word for text in texts for word in re.findall(r"[A-Za-z_]{3,}|[^\w\s]+", text)}
    plain = [each for each in words if each.isascii() and each.isprintable()]
    dictionary = "".join(f'"{each}"\n' for each in plain if not set(each) & {'"', "\\"})
    (folder.parent / f"{folder.name}.dict").write_text(dictionary, encoding="utf-8")


if __name__ == "__main__":
    place = Path(next(each for each in sys.argv[1:] if not each.startswith("-")))
    begin(place)
    options = [f"-dict={place.parent / f'{place.name}.dict'}", f"-max_len={LONGEST}"]
    atheris.Setup([*sys.argv, *options], one)
    atheris.Fuzz()
