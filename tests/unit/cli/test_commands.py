"""The table of commands, and how quickly the command line starts."""

import subprocess
import sys
from typing import Any

import pytest
import typer

from daypass.cli.commands import COMMANDS, Commands
from daypass.cli.main import app

ALL = [name for section in COMMANDS.values() for name in section]
_LOADS_NOT = (
    "fastapi",
    "psycopg",
    "pydantic",
    "httpx",
    "asyncio",
    "rich",
    "uvicorn",
    "cryptography",
)


# What runs until it is stopped, rather than answer.
OWN_FORM = ("audit checkpoint", "audit prove", "audit new-key", "audit witness")
"""Print documents of a standard's form, for programs as they are."""
FOREGROUND = ("serve", "gateway", "demo", "tour", "proxy")


def group() -> Any:
    found = typer.main.get_command(app)
    assert isinstance(found, Commands)
    return found


@pytest.mark.parametrize("name", ALL)
def test_every_command_loads_and_says_what_it_does(name: str) -> None:
    command = group().get_command(None, name)
    assert command.name == name
    subcommands = getattr(command, "commands", {})
    for each in (command, *subcommands.values()):
        assert each.help
        assert each.help.split("\n\n")[0].rstrip().endswith(".")


@pytest.mark.parametrize("name", [n for n in ALL if n not in FOREGROUND])
def test_every_command_of_a_server_prints_json(name: str) -> None:
    command = group().get_command(None, name)
    subcommands = getattr(command, "commands", {})
    for each in subcommands.values() or [command]:
        if f"{name} {each.name}" in OWN_FORM:
            continue
        assert "--json" in [option for param in each.params for option in param.opts], each.name


def test_names_are_unique() -> None:
    assert len(ALL) == len(set(ALL))


def test_unknown_commands_are_not_loaded() -> None:
    assert group().get_command(None, "no-such") is None


def test_a_misspelt_command_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(Exception, match=r"No such command 'qery'\. Did you mean 'query'"):
        group().main(["qery", "prod/shop"], standalone_mode=False)
    with pytest.raises(Exception, match=r"No such command 'xyzzy'\.$"):
        group().main(["xyzzy"], standalone_mode=False)


@pytest.mark.parametrize("words", [["--help"], ["request", "--help"], ["--version"]])
def test_help_loads_nothing_it_does_not_need(words: list[str]) -> None:
    code = (
        f"import sys\nsys.argv = ['daypass', *{words!r}]\nfrom daypass.cli.main import app\n"
        "try:\n    app()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        f"print('loaded:', *sorted(loaded & set({_LOADS_NOT!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "loaded: ".rstrip()
