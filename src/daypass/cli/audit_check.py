"""Check the audit log, trusting neither whoever runs it nor Daypass."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daypass.cli.client import Client, Json
from daypass.cli.connection import connect
from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure, usage
from daypass.cli.files import read_text
from daypass.cli.options import AsJson
from daypass.cli.output import say, say_next, show_facts, show_json

if TYPE_CHECKING:
    from daypass.audit.note import VerifierKey

Fetch = Callable[[str], bytes | None]
Folder = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FOLDER]", help="Where the log's parts are; without it they come by the API."
    ),
]
Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--key", metavar="KEY", help="Public key of the log, kept by you; else the server's word."
    ),
]


def verify(
    folder: Folder = None,
    key: Keys = None,
    since: Annotated[
        Path | None,
        typer.Option("--since", metavar="FILE", help="Older checkpoint it has to have grown from."),
    ] = None,
    rows: Annotated[
        bool, typer.Option("--rows", help="Check the store's rows against the log too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read all of the log and verify it; name the first entry or part that is wrong."""
    from daypass.checking import check_log

    fetch, keys = _source(folder, key, quiet=as_json)
    with _failures():
        started = time.monotonic()
        found = check_log(fetch, keys, since=read_text(since) if since else None)
    if as_json:
        checked = _check_rows() if rows else None
        show_json(
            {
                "origin": keys[0].name,
                "size": found.checkpoint.size,
                "root": found.checkpoint.root.hex(),
                "journals": len(found.journals),
                "rows": checked,
            }
        )
        return
    say(
        f"The log of {keys[0].name} is whole: {found.checkpoint.size} entries,"
        f" {len(found.journals)} journals without gaps ({time.monotonic() - started:.1f} s)."
    )
    show_facts([("size", found.checkpoint.size), ("root", found.checkpoint.root.hex())])
    if rows:
        say(f"The store's {_check_rows()} rows are those that were published.")
    if since is None:
        say_next("keep this checkpoint elsewhere, and verify --since it: daypass audit checkpoint")


def _check_rows() -> int:
    client, first, checked = connect(), 0, 0
    while True:
        found = client.get("/log/rows", first=first)
        checked += found["checked"]
        if found["problems"]:
            raise Failure(
                "the store is not what was published",
                why=[_problem(each) for each in found["problems"]],
                next_steps=["keep log, store and checkpoints as they are: they are evidence"],
            )
        if found["next"] is None:
            break
        first = found["next"]
    return int(checked)


def _problem(each: Json) -> str:
    entry = "" if each["entry"] is None else f"entry {each['entry']}, "
    leaf = "" if each["index"] is None else f"leaf {each['index']}: "
    return f"{entry}{leaf}{each['what']}"


def public_key(as_json: AsJson = False) -> None:
    """Print the log's public keys, one a line, to keep elsewhere: what is signed is checked by it.

    Taken over a line you trust, once: whoever checks must not ask the one who is checked.
    """
    found = connect().get("/log")
    if as_json:
        show_json(found)
        return
    for each in found["keys"]:
        sys.stdout.write(f"{each}\n")


def checkpoint(folder: Folder = None) -> None:
    """Print the newest checkpoint, to keep it elsewhere."""
    fetch, _ = _parts(folder)
    sys.stdout.write((fetch("checkpoint") or b"").decode())


def prove(
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="As in `audit list`.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where the proof goes.")
    ] = None,
) -> None:
    """Get the proof that an entry is in the log, which anybody with the log's key can check."""
    document = json.dumps(connect().get(f"/entries/{number}/proof"), indent=1) + "\n"
    if out is None:
        sys.stdout.write(document)
        return
    out.write_text(document, encoding="utf-8")
    say(f"The proof of entry {number} is in {out}. It opens this entry to whoever has it.")
    say_next("daypass audit key", f"daypass audit verify-proof {out} --key KEY")


def verify_proof(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="From `audit prove`.")],
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="Public key of the log: `daypass audit key`."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Of the log, for texts too long for a proof.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a proof, offline, and show the entry."""
    from daypass.checking import check_proof, folder_of

    if not key:
        raise _unknown_log()
    keys = _keys(key)
    with _failures():
        found = check_proof(read_text(file).encode(), keys, folder_of(folder) if folder else None)
    if as_json:
        show_json(
            {
                "origin": found.checkpoint.origin,
                "size": found.checkpoint.size,
                "index": found.index,
                "closed": found.closed,
                "entry": found.entry,
            }
        )
        return
    say(
        f"This entry is leaf {found.index} of the log of {found.checkpoint.origin},"
        f" which had {found.checkpoint.size} entries."
    )
    show_facts(
        [
            (name.replace("_", " "), json.dumps(it, ensure_ascii=False) if it else it)
            for name, it in found.entry.items()
        ]
    )
    if found.closed:
        say(f"{found.closed} sealed parts stay closed: erased, or too long for the proof.")


def consistency(
    older: Annotated[Path, typer.Argument(metavar="OLDER", help="File with a checkpoint.")],
    folder: Folder = None,
    key: Keys = None,
    as_json: AsJson = False,
) -> None:
    """Check that the log only grew since an older checkpoint, and print the proof."""
    from daypass.audit.verify import read_checkpoint
    from daypass.checking import check_growth

    fetch, keys = _source(folder, key, quiet=as_json)
    with _failures():
        now = read_checkpoint(fetch, keys, keys[0].name)
        old, proof = check_growth(fetch, keys, read_text(older), now)
    if as_json:
        steps = [each.hex() for each in proof]
        show_json({"older": old.size, "newer": now.size, "proof": steps})
        return
    say(f"The log grew from {old.size} to {now.size} entries, and the first are the same.")
    for each in proof:
        say(each.hex())


def new_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as example.com/daypass.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes.")],
    witness: Annotated[bool, typer.Option("--witness", help="For a witness, not a log.")] = False,
) -> None:
    """Make a key for a log or a witness, and print its public half."""
    from daypass.checking import make_key

    with _failures():
        public = make_key(name, file, witness=witness)
    say(f"The private key is in {file}. Whoever checks needs the public one:")
    say(str(public))


def witness(
    state: Annotated[Path, typer.Option("--state", help="Folder that remembers what was seen.")],
    own: Annotated[Path, typer.Option("--own-key", metavar="FILE", help="From `new-key`.")],
    key: Annotated[list[str], typer.Option("--key", metavar="KEY", help="Public key of the log.")],
    folder: Folder = None,
    every_s: Annotated[float, typer.Option("--every", min=1, metavar="SECONDS")] = 30,
    once: Annotated[bool, typer.Option("--once", help="Look once, print, and end.")] = False,
) -> None:
    """Follow the log from elsewhere: sign that it only grows, and refuse a rewritten history."""
    from daypass.checking import read_witness_key, witness_once

    fetch, _ = _parts(folder)
    keys = _keys(key)
    with _failures():
        signer = read_witness_key(own)
        while True:
            try:
                found = witness_once(fetch, keys, signer, state)
            except Failure as failure:
                if once or failure.exit_code is not ExitCode.UNAVAILABLE:
                    raise
                say(f"{failure.what}; tried again")
            else:
                if once:
                    sys.stdout.write(found.note)
                    return
                if found.size != found.before:
                    say(f"grew from {found.before} to {found.size} entries: signed")
            time.sleep(every_s)


def _source(
    folder: Path | None, given: list[str] | None, *, quiet: bool = False
) -> tuple[Fetch, list[VerifierKey]]:
    fetch, client = _parts(folder)
    if given:
        return fetch, _keys(given)
    if client is None:
        raise _unknown_log()
    keys = client.get("/log")["keys"]
    if not quiet:
        say("No --key is given: this server's own word is taken for who signs.")
    return fetch, _keys(keys)


def _unknown_log() -> Failure:
    return usage(
        "whose log this has to be is not known",
        next_step="--key KEY: an admin or auditor prints it, daypass audit key",
    )


def _parts(folder: Path | None) -> tuple[Fetch, Client | None]:
    if folder is not None:
        from daypass.checking import folder_of

        return folder_of(folder), None
    client = connect()

    def fetch(path: str) -> bytes | None:
        return client.get_bytes("/log/part", path=path)

    return fetch, client


def _keys(texts: list[str]) -> list[VerifierKey]:
    from daypass.checking import read_keys

    with _failures():
        return read_keys(texts)


@contextmanager
def _failures() -> Iterator[None]:
    from daypass.audit.verify import LogBroken
    from daypass.domain.errors import Error, Invalid

    try:
        yield
    except LogBroken as broken:
        raise Failure(
            f"the log is broken: {broken.what}",
            why=[
                "" if broken.index is None else f"the first entry concerned is leaf {broken.index}",
                f"seen in {broken.path}" if broken.path else "",
            ],
            next_steps=["keep log, store and checkpoints as they are: they are evidence"],
        ) from broken
    except Error as error:
        exit_code = ExitCode.USAGE if isinstance(error, Invalid) else ExitCode.FAILED
        raise Failure(error.message, next_steps=[error.next_step], exit_code=exit_code) from error
