"""Rules of the house that no other tool checks."""

import ast
import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_PURE = ("domain", "policy", "audit")
_CLOCKS = {"now", "utcnow", "today", "monotonic", "perf_counter"}


@pytest.mark.parametrize("package", _PURE)
def test_pure_packages_read_no_clock_and_open_no_file(package: str) -> None:
    found = []
    for path in sorted((_ROOT / "src/daypass" / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            match node.func:
                case ast.Name(id="open") | ast.Name(id="input") | ast.Name(id="print"):
                    found.append(f"{path.name}:{node.lineno} {node.func.id}()")
                # `facts.now` is a value and welcome; a call of it on the datetime types is not.
                case ast.Attribute(
                    value=ast.Name(id="datetime" | "date" | "time"), attr=attribute
                ) if attribute in _CLOCKS:
                    found.append(f"{path.name}:{node.lineno} {attribute}()")
    assert not found


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt", "newer.txt", "corpora.txt"])
def test_locks_pin_by_hash_and_name_no_registry(name: str) -> None:
    text = (_ROOT / "requirements" / name).read_text()
    assert not re.search(r"://|^\s*--(?!hash=)|^-|\s/", text, re.MULTILINE)
    pins = re.findall(r"^[a-z0-9][a-z0-9._-]*(?:\[[a-z,]+\])?==\S+", text, re.MULTILINE)
    entries = re.findall(r"^\S", text, re.MULTILINE)
    assert pins
    assert len(pins) == len(entries)
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in entry


def test_everything_that_runs_is_locked_the_same_for_developers() -> None:
    def pins(name: str) -> set[str]:
        text = (_ROOT / "requirements" / name).read_text()
        return set(re.findall(r"^[^\s;\\]+==[^\s;\\]+", text, re.MULTILINE))

    assert pins("runtime.txt") <= pins("dev.txt")


def test_every_source_file_says_what_it_is() -> None:
    bare = [
        str(path.relative_to(_ROOT))
        for path in sorted((_ROOT / "src").rglob("*.py"))
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not bare
