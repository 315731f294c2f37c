"""The documents: links lead somewhere, commands exist, tables are up to date."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from daypass.cli.main import app

_ROOT = Path(__file__).parents[3]
_DOCUMENTS = [
    _ROOT / "README.md",
    _ROOT / "CHANGELOG.md",
    *sorted((_ROOT / "docs").rglob("*.md")),
]
_IDS = [str(path.relative_to(_ROOT)) for path in _DOCUMENTS]
_EVERY = pytest.mark.parametrize("document", _DOCUMENTS, ids=_IDS)

_FENCE = re.compile(r"^(```+)(\S*)[^\n]*\n(.*?)^\1\s*$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_SHELLS = ("", "sh", "bash", "shell", "console")
_ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=.*")
# What ends a command, and words that stand for something.
_ENDS = frozenset({"|", "||", "&&", "&", ";", ">", ">>", "<", "2>"})
_PLACEHOLDER = re.compile(r".*….*|<.*>|\[.*\]|[A-Z][A-Z_/]*")


def _prose(text: str) -> str:
    """Return a document without its fenced blocks."""
    return _FENCE.sub("", text)


@cache
def _anchors(document: Path) -> frozenset[str]:
    """Return the anchors of a document's headings, as forges make them."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", _prose(document.read_text()), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        anchor, number = slug, 0
        while anchor in found:
            number += 1
            anchor = f"{slug}-{number}"
        found.add(anchor)
    return frozenset(found)


def _links(document: Path) -> Iterator[tuple[str, str]]:
    for text, target in _LINK.findall(_prose(document.read_text())):
        if not re.match(r"[a-z][a-z0-9+.-]*:", target):
            yield text, target


@_EVERY
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for _, target in _links(document):
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        there = path.exists() and path.is_relative_to(_ROOT)
        if not there or (anchor and (path.suffix != ".md" or anchor not in _anchors(path))):
            broken.append(target)
    assert not broken


@_EVERY
def test_tests_that_are_named_exist(document: Path) -> None:
    gone = []
    for text, target in _links(document):
        name = text.strip("`")
        if name.startswith("test_") and target.endswith(".py"):
            tree = ast.parse((document.parent / target).read_text())
            names = {
                node.name
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            if name not in names:
                gone.append(f"{name} in {target}")
    assert not gone


def _commands(text: str) -> Iterator[str]:
    """Yield every command line of `daypass` in a document."""
    for _, language, block in _FENCE.findall(text):
        if language in _SHELLS:
            for line in re.sub(r"\\\n\s*", "", block).splitlines():
                yield from _of_line(line.removeprefix("$ "))
    for span in _SPAN.findall(_prose(text)):
        if re.match(r"daypass( |$)", span):
            yield span


def _of_line(line: str) -> Iterator[str]:
    words = line.strip().split(" ")
    while words and (_ASSIGNMENT.fullmatch(words[0]) or words[0] == "sudo"):
        del words[0]
    if words and words[0].rpartition("/")[2] == "daypass":
        yield " ".join(words)
    elif "| daypass " in line:
        yield "daypass " + line.split("| daypass ", 1)[1]


def _words(command: str) -> list[str]:
    """Split a command into its words, up to where it ends for a shell."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word in _ENDS:
            break
        words.append(word)
    return words[1:]


def _problem(command: str) -> str | None:
    """Say what the command line does not know of a command, or None."""
    here: Any = typer.main.get_command(app)
    words = _words(command)
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word.startswith("-") and word != "-":
            name, has_value, _ = word.partition("=")
            option = _option(here, name)
            if option is None:
                return f"{here.name} has no option {name}"
            position += 0 if option.is_flag or has_value else 1
        elif hasattr(here, "list_commands") and not _PLACEHOLDER.fullmatch(word):
            inner = here.get_command(None, word)
            if inner is None:
                return f"{here.name} has no command {word}"
            here = inner
    return None


def _option(command: Any, name: str) -> Any:
    for option in command.params:
        if name in (*option.opts, *option.secondary_opts):
            return option
    if name in ("--help", "-h"):
        return SimpleNamespace(is_flag=True)
    return None


@_EVERY
def test_commands_exist(document: Path) -> None:
    problems = [
        f"{command}: {problem}"
        for command in _commands(document.read_text())
        if (problem := _problem(command)) is not None
    ]
    assert not problems


def test_the_reader_of_commands_sees_what_is_wrong() -> None:
    assert _problem("daypass --as ada request prod/shop --for 1h -r 'a b' | cat --nonsense") is None
    assert _problem("daypass policy apply policy.yaml") is None
    assert _problem("daypass reqest prod/shop") == "daypass has no command reqest"
    assert _problem("daypass policy aply x") == "policy has no command aply"
    assert _problem("daypass request prod/shop --wen 1h") == "request has no option --wen"
    block = "```sh\nA=1 daypass show 1\necho | daypass grants\nls\n```\nand `daypass doctor prod`\n"
    assert list(_commands(block)) == ["daypass show 1", "daypass grants", "daypass doctor prod"]


def _reference() -> Any:
    path = _ROOT / "scripts/settings_reference.py"
    spec = importlib.util.spec_from_file_location("settings_reference", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_of_settings_is_up_to_date() -> None:
    reference = _reference()
    text = reference.DOCUMENT.read_text(encoding="utf-8")
    assert reference.with_table(text) == text, "run scripts/settings_reference.py"


def test_every_event_is_described() -> None:
    told: set[str] = set()
    for path in sorted((_ROOT / "src/daypass/operations").glob("*.py")):
        tree = ast.parse(path.read_text())
        texts = {
            node.targets[0].id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            # Whatever makes a message is told its event, its subject and its text.
            if not isinstance(node, ast.Call) or {"subject", "text"} - {
                keyword.arg for keyword in node.keywords
            }:
                continue
            for argument in node.args:
                match argument:
                    case ast.Constant(value=str(event)):
                        told.add(event)
                    case ast.Name(id=name) if name in texts:
                        told.add(str(texts[name]))
    text = (_ROOT / "docs/webhooks.md").read_text()
    described = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", text, re.MULTILINE)
    assert told
    assert sorted(described) == sorted(told)


def test_decisions_are_short_and_have_their_parts() -> None:
    for path in sorted((_ROOT / "docs/adr").glob("*.md")):
        text = path.read_text()
        assert re.match(rf"# {int(path.name[:4])}\. \S", text), path.name
        parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences"], path.name
        assert len(text.splitlines()) <= 40, path.name
