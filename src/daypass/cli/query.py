"""Run statements under a grant."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from daypass.cli.client import Client, Json
from daypass.cli.connection import connect
from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure, usage
from daypass.cli.options import AsJson, DatabaseName
from daypass.cli.output import clean, console, note, plural, say, show_json
from daypass.cli.request import with_command

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

MASKED: Final = "▒"
_READABLE: Final = 20


def query(
    database: DatabaseName,
    text: Annotated[
        str | None,
        typer.Argument(metavar="STATEMENT", help="SQL; from standard input if left out."),
    ] = None,
    grant: Annotated[
        int | None, typer.Option("--grant", "-g", min=1, help="Under this grant and no other.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    max_rows: Annotated[
        int, typer.Option("--max-rows", min=0, max=10_000, help="How many rows at most.")
    ] = 1000,
    as_json: AsJson = False,
) -> None:
    """Run a statement under your live grant, the most specific one that allows it.

    Columns marked with ▒ are masked. Ends with 1 when the database refuses the statement, 3 when it
    is denied.
    """
    if as_csv and as_json:
        raise usage("--csv and --json exclude each other")
    statement = text if text is not None else _from_stdin()
    client = connect()
    body: Json = {"database": database, "text": statement, "max_rows": max_rows}
    if grant is not None:
        body["grant_id"] = grant
    try:
        answer = client.post("/query", body, so="the statement did not run")
    except Failure as failure:
        if failure.code == "unparsable":
            raise unreadable(failure, statement) from None
        raise with_command(failure) from None
    for each in answer["notices"]:
        note(each)
    if as_json:
        show_json(answer)
    if answer["error"]:
        if not as_json:
            raise _server_error(answer, statement)
        raise typer.Exit(ExitCode.FAILED)
    if as_json:
        return
    if as_csv:
        _write_csv(answer)
    else:
        _show(client, answer)


def _from_stdin() -> str:
    if sys.stdin.isatty():
        note("the statement, then Ctrl-D:")
    statement = sys.stdin.read()
    if not statement.strip():
        raise usage("there is no statement", next_step='daypass query DATABASE "select 1"')
    return statement


def _write_csv(answer: Json) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([column["name"] for column in answer["columns"]])
    writer.writerows(answer["rows"])
    if answer["truncated"]:
        note(cut_text(answer))


def _show(client: Client, answer: Json) -> None:
    columns, rows, masked = answer["columns"], answer["rows"], set(answer["masked"])
    if columns:
        if rows and not _fits(columns, rows):
            _show_records(columns, rows, masked)
        else:
            console().print(_table(columns, rows, masked))
    took = f"{answer['duration_s'] * 1000:.1f} ms"
    done = plural(len(rows), "row") if columns else f"{answer['command'] or 'done'}"
    count = answer["row_count"]
    affected = f", {plural(count, 'row')}" if not columns and count > 0 else ""
    say(f"{done}{affected} in {took}, under grant {answer['grant_id']}")
    if answer["truncated"]:
        note(cut_text(answer))
    if masked:
        _show_legend(client, answer)


def _table(
    columns: Sequence[Json], rows: Sequence[Sequence[str | None]], masked: set[str]
) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(
            _header(column["name"], masked), justify=_justify(column["type"]), overflow="fold"
        )
    for row in rows:
        table.add_row(
            *(_value(v, masked=c["name"] in masked) for c, v in zip(columns, row, strict=True))
        )
    return table


def _fits(columns: Sequence[Json], rows: Sequence[Sequence[str | None]]) -> bool:
    """Say whether a table can be read: long values may go on below, short ones must not."""
    widths = [
        min(_READABLE, max(len(column["name"]) + 2, *(len(row[i] or "NULL") for row in rows), 1))
        for i, column in enumerate(columns)
    ]
    return sum(widths) + 3 * len(widths) <= console().width


def _show_records(
    columns: Sequence[Json], rows: Sequence[Sequence[str | None]], masked: set[str]
) -> None:
    """Print each row as a block of its own, for results wider than the terminal."""
    from rich.table import Table

    for number, row in enumerate(rows, start=1):
        say(f"── row {number} " + "─" * 20)
        block = Table.grid(padding=(0, 2, 0, 0))
        block.add_column(no_wrap=True)
        block.add_column(overflow="fold")
        for column, value in zip(columns, row, strict=True):
            name = column["name"]
            block.add_row(_header(name, masked), _value(value, masked=name in masked))
        console().print(block)


def _header(name: str, masked: set[str]) -> Text:
    from rich.text import Text

    if name in masked:
        return Text(f"{MASKED} {clean(name)}", style="dim")
    return Text(clean(name), style="bold")


def _value(value: str | None, *, masked: bool) -> Text:
    from rich.text import Text

    if value is None:
        return Text("NULL", style="dim italic")
    return Text(clean(value), style="dim" if masked else "")


def _justify(type_name: str) -> Literal["left", "right"]:
    numbers = ("int", "numeric", "float", "double", "real", "money", "serial")
    return "right" if any(each in type_name for each in numbers) else "left"


def _show_legend(client: Client, answer: Json) -> None:
    """Say which rule masks what; silently less where the grant cannot be looked at."""
    try:
        scope = client.get(f"/grants/{answer['grant_id']}").get("scope") or {}
    except Failure:
        scope = {}
    said: dict[str, list[str]] = {}
    for name in answer["masked"]:
        found = {
            f"{column['mask']} by rule '{column['rule']}'"
            for relation in scope.get("relations", ())
            for column in relation["columns"]
            if column["name"] == name and column["mask"]
        }
        # The same name in several relations, each masked in its way: which of them, it cannot say.
        said.setdefault(found.pop() if len(found) == 1 else "masked", []).append(name)
    for how, names in said.items():
        note(f"{MASKED} {', '.join(names)}: {how}")


def cut_text(answer: Json) -> str:
    """Say how much of a result is shown, and what shows more of it."""
    shown = len(answer["rows"])
    few = "no row is" if shown == 0 else "only the first row is"
    text = few if shown < 2 else f"only the first {shown} rows are"
    match answer["cut_by"]:
        case "size":
            return f"{text} shown: the next one would make it too large; select less of each row"
        case "rule_rows":
            return f"{text} shown: the grant's rule allows no more"
        case "most_rows":
            return f"{text} shown: a query shows no more; connect through the gateway for all"
        case _:
            return f"{text} shown; --max-rows shows more"


def _server_error(answer: Json, statement: str) -> Failure:
    """Return the failure of a statement that the database refused, pointing at the place."""
    where = _caret(statement, answer["error_position"])
    ended = answer["sqlstate"] == "57D01" or "grant ended" in answer["error"]
    return Failure(
        f"{answer['error']} (SQLSTATE {answer['sqlstate']})",
        why=[*where, answer["hint"] and f"hint: {answer['hint']}"],
        next_steps=["daypass grants --all shows when it ended"] if ended else [],
        exit_code=ExitCode.FAILED,
        document={"code": "statement_failed", "detail": answer["error"]},
    )


def unreadable(failure: Failure, statement: str) -> Failure:
    """Return the failure of a statement that is no SQL of the engine, pointing at the place."""
    said = failure.why[0] if failure.why else failure.what
    message, _, place = said.rpartition(" (character ")
    position = int(place.removesuffix(")")) if place.removesuffix(")").isdigit() else None
    return Failure(
        f"the statement cannot be read: {message if position is not None else said}",
        why=_caret(statement, position),
        exit_code=ExitCode.USAGE,
        document=failure.document,
    )


def _caret(statement: str, position: int | None) -> list[str]:
    if position is None or not 1 <= position <= len(statement) + 1:
        return []
    before = statement[: position - 1]
    line = before.count("\n")
    column = len(before) - (before.rfind("\n") + 1)
    lead = f"line {line + 1}: "
    text = statement.split("\n")[line]
    # Long lines are cut around the place, so that the caret stays below it.
    start = max(0, column - 40)
    return [lead + text[start : start + 100], " " * (len(lead) + column - start) + "^"]
