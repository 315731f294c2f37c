"""Whoever adds an engine adds a folder: nothing above engines, nor this suite, names one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_SOURCE = _ROOT / "src" / "daypass"
_CONTRACTS = ("daypass.engines.contract", "daypass.engines.relay_contract")
_NEUTRAL = ("operations", "policy", "store", "domain", "audit", "api", "gateway", "jobs")


def _engines() -> frozenset[str]:
    """Return the engines there are and those to come, by every name they go by."""
    folders = {
        each.name for each in (_SOURCE / "engines").iterdir() if (each / "engine.py").exists()
    }
    assert folders
    return frozenset(folders | {f"{each}ql" for each in folders} | {"mariadb", "mysql"})


def _files() -> list[Path]:
    return sorted(path for part in _NEUTRAL for path in (_SOURCE / part).rglob("*.py"))


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(_SOURCE)))
def test_nothing_above_engines_names_one(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert list(_named(tree)) == []


def _named(tree: ast.Module) -> Iterator[str]:
    """Yield where code names an engine; documentation and examples of the API may."""
    names = _engines()
    documentation = _documentation(tree)
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module)) if _is_engines(module):
                yield f"line {node.lineno}: imports {module}"
            case ast.Import(names=aliases):
                for alias in aliases:
                    if _is_engines(alias.name):
                        yield f"line {node.lineno}: imports {alias.name}"
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.arg(arg=word):
                if _words(word) & names:
                    yield f"line {node.lineno}: {word}"
            case (
                ast.FunctionDef(name=word)
                | ast.AsyncFunctionDef(name=word)
                | ast.ClassDef(name=word)
            ):
                if _words(word) & names:
                    yield f"line {node.lineno}: {word}"
            case ast.Constant(value=str(text)) if id(node) not in documentation:
                if text.strip().lower() in names:
                    yield f"line {node.lineno}: {text!r}"
            case _:
                continue


def _is_engines(module: str) -> bool:
    return module.startswith("daypass.engines.") and module not in _CONTRACTS


def _words(name: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return set(spaced.lower().split("_"))


def _documentation(tree: ast.Module) -> set[int]:
    """Return the nodes of docstrings and of what is given as `examples`."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.add(id(node.value))
        if isinstance(node, ast.keyword) and node.arg in (
            "example",
            "examples",
            "openapi_examples",
        ):
            found |= {id(each) for each in ast.walk(node.value)}
    return found


def test_the_check_finds_what_it_is_for() -> None:
    engine = min(_engines())
    for code in (
        f"from daypass.engines.{engine} import x",
        f"import daypass.engines.{engine}.plan",
        f"if engine == '{engine}': pass",
        f"{engine}_only = True",
        f"class {engine.title()}Thing: pass",
        f"def f({engine}): pass",
    ):
        assert list(_named(ast.parse(code))) != [], code
    assert list(_named(ast.parse(f"'''On {engine}.'''\nx = f(examples=['{engine}'])"))) == []


def test_the_suite_itself_names_none() -> None:
    folder = Path(__file__).parent
    names = _engines() | {"psycopg", "pg_"}
    for path in (*folder.glob("test_*.py"), folder / "conftest.py", folder / "adapter.py"):
        if path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8").lower()
        assert [name for name in names if name in text] == [], path.name
