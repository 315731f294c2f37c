"""The answering half of the protocol: it obeys PostgreSQL's rules of order, by a few known texts.

It runs nothing. Names, portals, transactions, copies and skipping to Sync are kept as the server
keeps them, so that what a client is answered directly can be held against what a relay makes of it.
"""

from __future__ import annotations

from daypass.engines.postgres.wire.client_messages import (
    Bind,
    Close,
    Describe,
    Execute,
    Parse,
    Query,
)
from tests.unit.engines.postgres.relay.talk import (
    BIND_COMPLETE,
    CLOSE_COMPLETE,
    EMPTY_QUERY,
    NO_DATA,
    PARSE_COMPLETE,
    PORTAL_SUSPENDED,
    complete,
    copy_in,
    error,
    ready,
    row,
)

SELECT = "SELECT 1"
OTHER = "SELECT 'other'"
DIVIDE = "SELECT 1/0"
NOPE = "SELECT nope"
DENIED = "SELECT * FROM sales.secret"
COPY = "COPY sales.orders FROM STDIN"
PREPARE = "PREPARE a AS SELECT 1"
EXECUTE = "EXECUTE a"
DEALLOCATE = "DEALLOCATE a"
TEXTS = (
    SELECT, OTHER, DIVIDE, NOPE, DENIED, COPY, PREPARE, EXECUTE, DEALLOCATE, "BEGIN", "COMMIT",
    "ROLLBACK", "INSERT INTO orders VALUES (1)", "",
)  # fmt: skip
_EXITS = {"COMMIT", "ROLLBACK"}
_ROWS = 3


class _Failed(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


class _Portal:
    def __init__(self, text: str, written: str) -> None:
        self.text = text
        self.written = written
        self.sent = 0
        self.ran = False
        self.done = False


class ScriptServer:
    """Takes whole messages one by one; `ran` lists what it ran, EXECUTE by what it stands for."""

    def __init__(self) -> None:
        self.status = "I"
        self.skipping = False
        self.copying = False
        self.extended_copy = False
        self.statements: dict[str, tuple[str, str]] = {}
        self.portals: dict[str, _Portal] = {}
        self.ran: list[tuple[str, str]] = []
        self.dead = False

    def take(self, raw: bytes) -> bytes:
        """Take one message and return the answer to it."""
        kind = raw[:1]
        if self.dead:
            return b""
        if self.copying:
            return self._copy(kind, raw)
        if kind in b"dcf":
            return b""
        if kind == b"S":
            self.skipping = False
            return self._sync()
        if self.skipping or kind == b"H":
            return b""
        if kind == b"X":
            self.dead = True
            return b""
        if kind == b"Q":
            return self._query(Query.read(raw).text)
        try:
            return self._extended(kind, raw)
        except _Failed as failed:
            self.skipping = True
            return self._abort(failed.sqlstate)

    def _abort(self, sqlstate: str) -> bytes:
        if self.status == "T":
            self.status = "E"
        self.portals.clear()
        return error(sqlstate)

    def _sync(self) -> bytes:
        if self.status == "I":
            self.portals.clear()
        return ready(self.status)

    def _query(self, text: str) -> bytes:
        self.statements.pop("", None)
        self.portals.pop("", None)
        try:
            self._readable(text)
            if text == "":
                return EMPTY_QUERY + self._sync()
            self._allowed_now(text)
            self._known(text)
            if text == COPY:
                self.copying, self.extended_copy = True, False
                self.ran.append((text, ""))
                return copy_in()
            return self._run(text, _Portal(text, text), 0) + self._sync()
        except _Failed as failed:
            return self._abort(failed.sqlstate) + self._sync()

    def _extended(self, kind: bytes, raw: bytes) -> bytes:
        match kind:
            case b"P":
                return self._parse(Parse.read(raw))
            case b"B":
                return self._bind(Bind.read(raw))
            case b"E":
                execute = Execute.read(raw)
                portal = self.portals.get(execute.portal)
                if portal is None:
                    raise _Failed("34000")
                if portal.text == "":
                    return EMPTY_QUERY
                self._allowed_now(portal.text)
                if portal.text == COPY:
                    if portal.done:
                        raise _Failed("55000")
                    portal.done = True
                    self.ran.append((COPY, ""))
                    self.copying = self.extended_copy = True
                    return copy_in()
                return self._run(portal.text, portal, execute.max_rows)
            case b"D":
                describe = Describe.read(raw)
                known = self.statements if describe.what == "S" else self.portals
                if describe.name not in known:
                    raise _Failed("26000" if describe.what == "S" else "34000")
                return (b"t\0\0\0\6\0\0" if describe.what == "S" else b"") + NO_DATA
            case _:
                close = Close.read(raw)
                if close.what == "S":
                    self.statements.pop(close.name, None)
                else:
                    self.portals.pop(close.name, None)
                return CLOSE_COMPLETE

    def _parse(self, parse: Parse) -> bytes:
        if parse.name == "":
            self.statements.pop("", None)
        self._readable(parse.text)
        self._allowed_now(parse.text)
        self._known(parse.text)
        if parse.name in self.statements:
            raise _Failed("42P05")
        self.statements[parse.name] = parse.text, parse.text
        return PARSE_COMPLETE

    def _bind(self, bind: Bind) -> bytes:
        found = self.statements.get(bind.statement)
        if found is None:
            raise _Failed("26000")
        self._allowed_now(found[0])
        if bind.portal and bind.portal in self.portals:
            raise _Failed("42P03")
        self.portals[bind.portal] = _Portal(*found)
        return BIND_COMPLETE

    def _copy(self, kind: bytes, raw: bytes) -> bytes:
        if kind in b"SH":
            return b""
        if kind == b"d" and b"bad" not in raw:
            return b""
        self.copying = False
        if kind == b"c":
            done = complete("COPY 1")
            return done if self.extended_copy else done + self._sync()
        failed = self._abort("22P04" if kind == b"d" else "57014")
        self.skipping = self.extended_copy
        return failed if self.extended_copy else failed + self._sync()

    def _readable(self, text: str) -> None:
        if text == DENIED:
            raise _Failed("42501")
        if text not in TEXTS:
            raise _Failed("42601")

    def _allowed_now(self, text: str) -> None:
        if self.status == "E" and text not in _EXITS:
            raise _Failed("25P02")

    def _known(self, text: str) -> None:
        if text == NOPE:
            raise _Failed("42703")

    def _run(self, text: str, portal: _Portal, limit: int) -> bytes:
        if portal.done and text not in (SELECT, OTHER):
            raise _Failed("55000")
        stands_for = ""
        if text == EXECUTE:
            runs, stands_for = self.statements.get("a", ("", ""))
            if not runs:
                raise _Failed("26000")
            divides = runs == DIVIDE
        else:
            divides = text == DIVIDE
        if text == PREPARE:
            if "a" in self.statements:
                raise _Failed("42P05")
            self.statements["a"] = SELECT, PREPARE
        if text == DEALLOCATE and self.statements.pop("a", None) is None:
            raise _Failed("26000")
        if not portal.ran:
            self.ran.append((portal.written, stands_for))
            portal.ran = True
        if divides:
            raise _Failed("22012")
        if text == "BEGIN":
            self.status = "T" if self.status == "I" else self.status
        if text in _EXITS:
            self.status = "I"
            keep = portal
            self.portals = {n: p for n, p in self.portals.items() if p is keep}
        if text not in (SELECT, OTHER):
            portal.done = True
            return complete(text.split(maxsplit=1)[0])
        left = _ROWS - portal.sent
        now = min(left, limit) if limit else left
        portal.sent += now
        if limit and portal.sent < _ROWS:
            return row("x") * now + PORTAL_SUSPENDED
        if limit and now == limit:
            # Whether there is more is found out by asking once more.
            return row("x") * now + PORTAL_SUSPENDED
        portal.done = True
        return row("x") * now + complete(f"SELECT {now}")
