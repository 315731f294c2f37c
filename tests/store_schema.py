"""Write the store's schema down as its migrations make it: `python -m tests.store_schema`."""

import re
import subprocess
from pathlib import Path
from typing import Final

from daypass.domain.secret import Secret
from daypass.embedded import Binaries, find_binaries
from daypass.store.migrate import migrate
from tests.servers import make_database, running_server

SCHEMA_FILE: Final = Path(__file__).parent.parent / "src" / "daypass" / "store" / "schema.sql"
# The queue's own objects are its library's: their version is locked, not their text.
_OBJECT = re.compile(r"^--\n-- Name: ", re.MULTILINE)
_QUEUE = "procrastinate"
# What differs between releases of pg_dump, or each time.
_NOISE = re.compile(r"^(--|SET |SELECT pg_catalog|\\(un)?restrict).*$\n?", re.MULTILINE)


def schema_of(conninfo: str, binaries: Binaries) -> str:
    """Return a store's schema as text that is equal for equal schemas."""
    dumped = subprocess.run(
        [str(binaries.program("pg_dump")), "--schema-only", "--no-owner", "--no-acl", conninfo],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    ours = [part for part in _OBJECT.split(dumped) if _QUEUE not in part]
    text = _NOISE.sub("", "\n--\n-- Name: ".join(ours))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def main() -> None:
    """Write the file anew."""
    binaries = find_binaries()
    with running_server(binaries, tcp=False) as cluster:
        conninfo = make_database(cluster)
        migrate(Secret(conninfo))
        SCHEMA_FILE.write_text(schema_of(conninfo, binaries), encoding="utf-8")


if __name__ == "__main__":
    main()
