"""What is printed: tables and sentences for people, JSON for programs.

Colour only ever accompanies a word, and what comes from a server or a database is made harmless
before a terminal sees it.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# What speaks to a server as somebody: not what starts one, makes a login, or has its options.
_COMMAND: Final = re.compile(
    r"(?<![\w/.-])daypass (?=[a-z])(?!(?:serve|gateway|demo|tour|login|logout)\b)"
)
_WIDE: Final = 400
_STYLES: Final[Mapping[str, str]] = {
    "active": "green",
    "allowed": "green",
    "approved": "green",
    "applied": "green",
    "open": "green",
    "yes": "green",
    "holds": "green",
    "justified": "green",
    "pending": "yellow",
    "needs approval": "yellow",
    "waiting": "yellow",
    "scheduled": "cyan",
    "opening": "cyan",
    "revoking": "bold red",
    "closing": "bold red",
    "denied": "red",
    "fails": "red",
    "no": "red",
    "not justified": "red",
    "error": "red",
    "high": "bold red",
    "medium": "yellow",
    "low": "cyan",
    "warning": "yellow",
}


def clean(text: object) -> str:
    """Return a text without anything that steers a terminal or turns reading order around."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", str(text).expandtabs(4))


def state(word: str | None) -> Text:
    """Return a word for a state, coloured where colour helps to find it."""
    from rich.text import Text

    said = (word or "").replace("_", " ")
    return Text(said, style=_STYLES.get(said, ""))


@functools.cache
def console() -> Console:
    """Return standard output's console; a pipe gets lines as long as they are."""
    return _console(stderr=False)


@functools.cache
def error_console() -> Console:
    """Return standard error's console."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None
    if "COLUMNS" not in os.environ:
        width = shutil.get_terminal_size().columns if stream.isatty() else _WIDE
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def show_json(value: object) -> None:
    """Print a value as JSON, for programs."""
    print(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def say(*parts: str | Text) -> None:
    """Print a sentence."""
    from rich.text import Text

    line = Text()
    for part in parts:
        line.append_text(part if isinstance(part, Text) else Text(clean(part)))
    console().print(line)


def say_code(text: str) -> None:
    """Print lines to be copied: they are never wrapped."""
    from rich.text import Text

    for line in text.splitlines():
        console().print(Text(f"    {clean(line)}"), soft_wrap=True)


def as_here(text: str) -> str:
    """Write commands within a text as they have to be typed for the login and server in use here.

    The latest login may be somebody else's by the time they are copied.
    """
    from daypass.cli.connection import chosen

    words = []
    if chosen.server is not None:
        words += ["--server", chosen.server]
    if chosen.who is not None:
        words += ["--as", chosen.who]
    if not words:
        return text
    return _COMMAND.sub(lambda found: f"{found[0]}{shlex.join(words)} ", text)


def say_next(*commands: str) -> None:
    """Print what can be done now, ready to be copied."""
    from rich.text import Text

    for number, command in enumerate(map(as_here, commands)):
        lead = ("Next: ", "bold") if number == 0 else ("      ", "")
        # A wrapped command could not be copied whole.
        console().print(Text.assemble(lead, clean(command)), soft_wrap=True)


def note(text: str) -> None:
    """Print a remark to standard error, where it does not mix with a program's input."""
    from rich.text import Text

    error_console().print(Text(clean(as_here(text)), style="dim"))


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    empty: str,
    right: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> None:
    """Print a table; the columns in `keep` are never cut or wrapped, for others to give way."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=name in keep or name in right,
            overflow="fold",
        )
    count = 0
    for row in rows:
        table.add_row(*(_cell(each) for each in row))
        count += 1
    if count:
        console().print(table)
    else:
        say(empty)


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values below each other; what is empty is left out."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        if value is not False and value not in (None, "", [], {}, ()):
            table.add_row(name, _cell(value))
    console().print(table)


def _cell(value: object) -> Text:
    from rich.text import Text

    match value:
        case Text():
            return value
        case None:
            return Text("")
        case bool():
            return Text("yes" if value else "no")
        case list() | tuple() | frozenset():
            return Text(", ".join(clean(each) for each in value))
        case dict():
            return Text(", ".join(f"{clean(k)}={clean(v)}" for k, v in value.items()))
        case _:
            return Text(clean(value))


def plural(count: int, one: str, many: str = "") -> str:
    """Say a count: `1 grant`, `2 grants`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def items_of(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a page lists."""
    return list(page["items"])
