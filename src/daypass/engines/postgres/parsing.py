"""PostgreSQL's own parser as a pure function: text in, JSON tree out.

libpg_query is reached through postgast's ctypes binding. Its JSON output with a walk of our own is
several times quicker than the generic helpers over protobuf messages.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import orjson
from postgast import PgQueryError, fingerprint, scan
from postgast.native import lib
from postgast.pg_query_pb2 import ScanToken, Token

from daypass.domain.errors import Invalid

Node = dict[str, object]
"""A node's fields, or a wrapper with one key that names the node's kind (`{"SelectStmt": …}`)."""

MAX_TEXT_BYTES = 1_048_576
MAX_TREE_BYTES = 32 * 1_048_576
SHORT_TEXT_BYTES = 16_384
"""Longer texts are parsed on a stack of their own.

libpg_query writes a tree recursively and never looks at its stack: 100,000 terms in one chain ended
the process on an ordinary stack of 8 MB. What MAX_TEXT_BYTES can hold needs less than 64 MB.
"""

DEEP_STACK_BYTES = 256 * 1_048_576
COMMENTS = frozenset({Token.SQL_COMMENT, Token.C_COMMENT})

_last_parsed: tuple[bytes, bytes] = b"\0", b""
"""The short text parsed last, and its tree as JSON: one text is read for several ends at once."""

_STACK_SIZE = threading.Lock()
"""Guards the interpreter's one setting for the stacks of new threads."""


@dataclass(frozen=True, slots=True)
class RawStatement:
    """One parsed statement: its kind and fields, and where it stands, in bytes of the text."""

    kind: str
    node: Node
    start: int
    end: int


def child(node: Node, key: str) -> Node | None:
    """Return the field if it is a node."""
    value = node.get(key)
    return value if isinstance(value, dict) else None


def items(node: Node, key: str) -> list[Node]:
    """Return the nodes of a list field."""
    value = node.get(key)
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def string(node: Node, key: str) -> str:
    """Return a text field; empty when it is not set."""
    value = node.get(key)
    return value if isinstance(value, str) else ""


def integer(node: Node, key: str) -> int:
    """Return a number field; the parser leaves zeros out."""
    value = node.get(key)
    return value if isinstance(value, int) else 0


def unwrap(node: Node) -> tuple[str, Node]:
    """Split a wrapper into the node's kind and its fields."""
    for kind, fields in node.items():
        if isinstance(fields, dict):
            return kind, fields
    return "", {}


def strings(nodes: list[Node]) -> tuple[str, ...]:
    """Return the texts of a list of `String` nodes."""
    return tuple(string(s, "sval") for n in nodes if (s := child(n, "String")) is not None)


def parse_text(text: str) -> tuple[bytes, tuple[RawStatement, ...]]:
    """Parse a text of any number of statements; empty ones are not listed.

    Returns the text's bytes too, since every location in the trees counts bytes. Raises `Invalid`,
    with the position in characters, for what PostgreSQL could not parse, is larger than
    MAX_TEXT_BYTES or too deep.
    """
    source = encode_text(text)
    try:
        written = _parse(source)
    except Invalid:
        bare = _without_comments(text, source)
        if bare is None:
            raise
        written = _parse(bare)
    if len(written) > MAX_TREE_BYTES:
        raise _too_large("the statement has too many parts to be read")
    try:
        tree: object = orjson.loads(written)
    except orjson.JSONDecodeError as error:
        raise too_deep() from error
    if not isinstance(tree, dict):
        raise _unparsable("the parser returned no tree")
    return source, tuple(_raw_statement(raw, source) for raw in items(tree, "stmts"))


def encode_text(text: str) -> bytes:
    """Return the text as UTF-8. Raises `Invalid` for what no server could be sent."""
    try:
        source = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _unparsable("the text holds a lone surrogate", error.start + 1) from error
    if len(source) > MAX_TEXT_BYTES:
        raise _too_large(f"the text is larger than {MAX_TEXT_BYTES} bytes")
    if b"\0" in source:
        raise _unparsable("the text holds a NUL character", text.index("\0") + 1)
    return source


def tokens_of(text: str) -> list[ScanToken]:
    """Return the text's tokens without comments; offsets count bytes. Raises `Invalid`."""
    try:
        return [token for token in scan(text).tokens if token.token not in COMMENTS]
    except PgQueryError as error:
        raise _unparsable(error.message, error.cursorpos) from error


def fingerprint_of(text: str) -> str:
    """Return a hash that is equal for statements that differ in literals only."""
    try:
        return fingerprint(text).hex
    except PgQueryError:
        bare = _without_comments(text, text.encode("utf-8"))
        return "" if bare is None else fingerprint(bare.decode("utf-8")).hex


def _raw_statement(raw: Node, source: bytes) -> RawStatement:
    start = integer(raw, "stmt_location")
    end = start + integer(raw, "stmt_len") if raw.get("stmt_len") else len(source)
    piece = source[start:end]
    start += len(piece) - len(piece.lstrip())
    end -= len(piece) - len(piece.rstrip())
    kind, node = unwrap(child(raw, "stmt") or {})
    return RawStatement(kind, node, start, end)


def _without_comments(text: str, source: bytes) -> bytes | None:
    """Return the text with blanks for comments, or None when it has none.

    libpg_query stumbles over a comment after a word that it looks ahead from (`NOT /* … */ IN`),
    where the server does not. Offsets stay as they are.
    """
    try:
        tokens = scan(text).tokens
    except PgQueryError:
        return None
    bare = bytearray(source)
    for token in tokens:
        if token.token in COMMENTS:
            bare[token.start : token.end] = b" " * (token.end - token.start)
    return bytes(bare) if bare != source else None


def _parse(source: bytes) -> bytes:
    """Return the tree as JSON, on a stack that is deep enough for it."""
    global _last_parsed  # noqa: PLW0603  # replaced whole, so that threads see one or the other
    if len(source) > SHORT_TEXT_BYTES:
        return _parse_apart(source)
    before, written = _last_parsed
    if before != source:
        written = _parse_here(source)
        _last_parsed = source, written
    return written


def _parse_here(source: bytes) -> bytes:
    result = lib.pg_query_parse(source)
    try:
        if result.error:
            error = result.error.contents
            raise _unparsable(error.message.decode("utf-8", "replace"), error.cursorpos)
        written: bytes = result.parse_tree
        return written
    finally:
        lib.pg_query_free_parse_result(result)


def _parse_apart(source: bytes) -> bytes:
    """Parse in a thread made for it; memory for the stack is taken only as far as it grows."""
    outcome: list[bytes | Invalid] = []

    def run() -> None:
        try:
            outcome.append(_parse_here(source))
        except Invalid as error:
            outcome.append(error)

    with _STACK_SIZE:
        usual = threading.stack_size(DEEP_STACK_BYTES)
        try:
            thread = threading.Thread(target=run, name="parse a long text")
            thread.start()
        except RuntimeError as error:
            raise _too_large("there is no memory to read a text as long as this") from error
        finally:
            threading.stack_size(usual)
    thread.join()
    written = outcome[0]
    if isinstance(written, Invalid):
        raise written
    return written


def too_deep() -> Invalid:
    """Return the error for a statement nested deeper than can be read."""
    message = "the statement is nested too deeply to be read"
    return Invalid(message, problems=(("text", message),), code="too_deep")


def _too_large(message: str) -> Invalid:
    return Invalid(message, problems=(("text", message),), code="too_large")


def _unparsable(message: str, position: int = 0) -> Invalid:
    """Return the error for a text; the parser counts positions in characters, from 1."""
    where = f"character {position}" if position > 0 else "text"
    return Invalid(
        f"{message} ({where})" if position > 0 else message,
        problems=((where, message),),
        code="unparsable",
    )
