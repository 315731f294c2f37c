"""From the client to the server: messages are gathered, held where they must wait, and sent on.

`relay_steps` says what each of them comes to. All that one chunk brings goes out in one piece.
"""

from __future__ import annotations

from collections import deque
from struct import Struct
from typing import Final

from daypass.engines.postgres.plan import PostgresPlan
from daypass.engines.postgres.relay_conversation import SYNC, Conversation, Entry
from daypass.engines.postgres.relay_judge import ReadsApart
from daypass.engines.postgres.relay_steps import Steps
from daypass.engines.postgres.wire.client_messages import SYNC as SYNC_MESSAGE
from daypass.engines.postgres.wire.framing import (
    HEADER_BYTES,
    SMALL_BYTES,
    ClientReader,
    FromClient,
    kind_name,
)
from daypass.engines.postgres.wire.violation import ProtocolViolation

_header = Struct(">BI").unpack_from

_COPY_DATA: Final = ord("d")
_COPY_ENDS: Final = frozenset(b"cf")
_SYNC: Final = ord("S")
_FLUSH: Final = ord("H")
_TERMINATE: Final = ord("X")

MOST_AHEAD: Final = 20_000
"""So many messages of a client wait for their answers at most, before no more are taken.

It is more than a server keeps to itself until it is asked for: 8 kB of answers.
"""


class ClientSide:
    """One direction; `receive` and `go_on` return an error the session has to end with, if any.

    While `held`, messages are kept and nothing is sent: for an answer of the server that decides
    what they are, or because `holding` was set from outside.
    """

    __slots__ = (
        "_behind",
        "_clean",
        "_reader",
        "_small",
        "_steps",
        "_talk",
        "_waiting",
        "holding",
    )

    def __init__(
        self, talk: Conversation, plan: PostgresPlan, apart: ReadsApart | None = None
    ) -> None:
        self._talk = talk
        self._steps = Steps(talk, plan, apart)
        self._reader = ClientReader(talk.limits.message_bytes)
        self._waiting: deque[FromClient] = deque()
        self._behind = 0
        """Bytes of a message that is not whole yet."""
        self._clean = True
        """A chunk begins with a message."""
        self._small = min(SMALL_BYTES, talk.limits.message_bytes)
        self.holding = False

    @property
    def held(self) -> bool:
        """Say whether messages wait here: nothing more should be read of the client."""
        return bool(self._waiting) or self.holding or self._steps.aside

    @property
    def between(self) -> bool:
        """Say whether what was sent ends with a whole message."""
        return self._reader.between

    def receive(self, chunk: bytes) -> ProtocolViolation | None:
        """Take the client's next bytes."""
        talk = self._talk
        steps = self._steps
        at = 0
        stop = len(chunk)
        steps.spent_s = 0.0
        blocked = self.held or talk.awaiting_copy is not None or len(talk.queue) > MOST_AHEAD
        if self._clean and not blocked:
            # What nearly every chunk consists of; `_take` would do the same.
            out, handlers, small = steps.out, steps.handlers, self._small
            try:
                while stop - at >= HEADER_BYTES and talk.copying is None:
                    kind, length = _header(chunk, at)
                    after = at + 1 + length
                    if after > stop or length < 4 or length >= small:
                        break
                    if kind == _SYNC and length == 4:
                        talk.skipping = False
                        talk.queue.append(Entry(SYNC))
                        talk.epoch += 1
                        out.append(SYNC_MESSAGE)
                    else:
                        handle = handlers.get(kind)
                        if handle is None:
                            break
                        whole = at == 0 and after == stop
                        if not talk.skipping and not handle(chunk if whole else chunk[at:after]):
                            break
                    at = after
                    if talk.awaiting_copy is not None:
                        break
            except ProtocolViolation as error:
                self._flush()
                return error
            except ValueError:
                self._flush()
                return ProtocolViolation("a message of the client is cut off")
            if at == stop:
                self._flush()
                return None
            if at:
                chunk = chunk[at:]
            blocked = steps.aside or talk.awaiting_copy is not None
        found = self._reader.receive(chunk)
        talk.client_between = self._reader.between
        self._behind += len(chunk) - sum([len(each.raw) for each in found])
        self._clean = not self._behind and self._reader.between
        if blocked:
            self._flush()
            self._waiting.extend(found)
            return None
        return self._take(found)

    def _flush(self) -> None:
        out = self._steps.out
        if out:
            self._talk.ports.to_server(out[0] if len(out) == 1 else b"".join(out))
            out.clear()

    def go_on(self) -> ProtocolViolation | None:
        """Send what waited, as far as it may go now."""
        if not self._waiting or self._blocked:
            return None
        self._steps.spent_s = 0.0
        found = list(self._waiting)
        self._waiting.clear()
        return self._take(found)

    def taken_up(self) -> None:
        """Note that what was set aside is done."""
        self._steps.aside = False

    @property
    def _blocked(self) -> bool:
        talk = self._talk
        return (
            self.holding
            or self._steps.aside
            or talk.awaiting_copy is not None
            or len(talk.queue) > MOST_AHEAD
        )

    def _take(self, found: list[FromClient]) -> ProtocolViolation | None:
        talk = self._talk
        trouble = None
        for place, each in enumerate(found):
            if self._blocked:
                self._waiting.extend(found[place:])
                break
            try:
                if not self._message(each.kind, each.raw):
                    self._waiting.extend(found[place:])
                    break
            except ProtocolViolation as error:
                trouble = error
                break
            if talk.leaving:
                break
        self._flush()
        if trouble is None and not self._waiting:
            trouble = self._reader.violation
        return trouble

    def _message(self, kind: int, raw: bytes) -> bool:
        """Deal with one message; return whether that could be done now."""
        talk = self._talk
        if kind == _COPY_DATA:
            # Where no copy is under way the server takes no notice of it.
            self._steps.out.append(raw)
            return True
        if kind in _COPY_ENDS:
            self._copy_ends(raw)
            return True
        if kind == _TERMINATE:
            self._steps.out.append(raw)
            talk.leaving = True
            return True
        if talk.copying is not None:
            if kind in (_SYNC, _FLUSH):
                # As the server would: drivers send them before they know that it is a copy.
                return True
            raise ProtocolViolation(f"{kind_name(kind)} while rows are copied in")
        if kind == _SYNC:
            talk.skipping = False
            talk.queue.append(Entry(SYNC))
            talk.epoch += 1
            self._steps.out.append(raw)
            return True
        if talk.skipping:
            return True
        if kind == _FLUSH:
            self._steps.out.append(raw)
            return True
        try:
            return self._steps.handlers[kind](raw)
        except ValueError:
            raise ProtocolViolation(f"a message of kind {kind_name(kind)} is cut off") from None

    def _copy_ends(self, raw: bytes) -> None:
        talk = self._talk
        entry = talk.copying
        self._steps.out.append(raw)
        if entry is not None:
            talk.copying = None
            entry.copies_left -= 1
            if entry.copies_left > 0:
                talk.awaiting_copy = entry
