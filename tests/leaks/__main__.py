"""Run the leak suite against one session: `python -m tests.leaks --help`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.leaks.attack import Attack
from tests.leaks.attacks import ATTACKS
from tests.leaks.attacks.anywhere import attacks_anywhere, names_nothing
from tests.leaks.run import Outcome, Stage, Verdict, lacking, names_of, run_all
from tests.leaks.truth import Truth, read_truth
from tests.leaks.wire import Wire

_ABOUT = """
Try to see what a grant hides. Hostile statements run as the session's account, straight on the
database; what reaches the session is compared with the hidden values themselves, which a superuser
reads beforehand. On the sample company every attack there is runs; on any other database, those
made for the columns and rows this grant hides, and those on the server. Exit status: 0 when nothing
hidden was seen, 1 when something was, 2 when the suite could not run.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says; return the exit status."""
    given = _parser().parse_args(arguments)
    account = given.account or str(conninfo_to_dict(given.session).get("user", ""))
    try:
        truth = read_truth(given.superuser, account, _settings(given.session), given.also)
        stage = Stage(
            open=lambda: Wire.open(given.session),
            superuser=given.superuser,
            conninfo=given.session,
            names=names_of(truth, account),
            owner=given.owner,
            lacks=lacking(given.superuser),
        )
        attacks = [each for each in attacks_for(truth) if given.only in each.name]
        outcomes: list[Outcome] = []
        counts = run_all(attacks, stage, truth, outcomes.append)
    except (LookupError, ConnectionError, psycopg.Error) as error:
        sys.stderr.write(f"cannot run: {error}\n")
        return 2
    leaked = [each for each in outcomes if each.verdict is Verdict.LEAKED]
    if given.json:
        _print_json(outcomes, truth)
    else:
        _print_text(outcomes, truth, verbose=given.verbose)
        kinds = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict)
        _say(f"{sum(counts.values())} attacks: {kinds}")
    return 1 if leaked or truth.problems else 0


def attacks_for(truth: Truth) -> tuple[Attack, ...]:
    """Return the attacks that mean something under a grant."""
    sample = "sales" in truth.view_schemas and "sales.customers" in truth.shown
    written = ATTACKS if sample else tuple(each for each in ATTACKS if names_nothing(each))
    return (*written, *attacks_anywhere(truth))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.leaks", description=_ABOUT)
    parser.add_argument(
        "--session",
        required=True,
        metavar="CONNINFO",
        help="how a session of the grant connects: a direct credential",
    )
    parser.add_argument(
        "--superuser",
        required=True,
        metavar="CONNINFO",
        help="a superuser's connection to the same database, for the truth",
    )
    parser.add_argument("--account", default="", help="the session's account, if not `user`")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="CONNINFO",
        help="a superuser's connection to another database of the server, of which"
        " nothing may be seen either; may be repeated",
    )
    parser.add_argument("--owner", default="shop_owner", help="who owns the relations")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="attacks with this in their name"
    )
    parser.add_argument("--verbose", action="store_true", help="tell of every attack")
    parser.add_argument("--json", action="store_true", help="print outcomes as JSON")
    return parser


def _settings(session: str) -> tuple[tuple[str, str], ...]:
    """Return the settings that a connection string gives, such as a tenant."""
    options = str(conninfo_to_dict(session).get("options", ""))
    found = []
    for part in options.split("-c ")[1:]:
        name, _, value = part.strip().partition("=")
        found.append((name, value.replace("\\ ", " ")))
    return tuple(found)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _print_text(outcomes: Sequence[Outcome], truth: Truth, *, verbose: bool) -> None:
    _say(
        f"{len(truth.secrets)} hidden values of {len(truth.secrets.places())} columns;"
        f" rows hidden in {', '.join(sorted(truth.filtered)) or 'no relation'}"
    )
    for problem in truth.problems:
        _say(f"LEAKED  {problem}")
    for each in outcomes:
        if each.verdict is Verdict.LEAKED or verbose:
            _say(f"{each.verdict.value.upper():10} {each.attack.name} ({each.manner})")
            for seen in each.seen[:5]:
                _say(f"           showed {seen}")


def _print_json(outcomes: Sequence[Outcome], truth: Truth) -> None:
    _say(
        json.dumps(
            {
                "hidden_values": len(truth.secrets),
                "filtered": sorted(truth.filtered),
                "problems": list(truth.problems),
                "attacks": [
                    {
                        "name": e.attack.name,
                        "verdict": e.verdict.value,
                        "manner": e.manner,
                        "showed": list(e.seen),
                    }
                    for e in outcomes
                ],
            }
        )
    )


if __name__ == "__main__":
    sys.exit(main())
