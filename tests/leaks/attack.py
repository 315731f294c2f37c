"""What an attack is: statements of an insider with a valid account, and how they should end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

MASKED: Final = "masked"
"""The statements run, and show nothing that is hidden."""

DOCUMENTED: Final = "documented"
"""They show something, and the documentation says that they do; see `why`."""


@dataclass(frozen=True, slots=True)
class By:
    """A step of somebody else meanwhile: `owner`, `superuser`, or the name of a standing login."""

    who: str
    sql: str


@dataclass(frozen=True, slots=True)
class Again:
    """A step in a further connection as the session's own account.

    `password` and `database` are those of the session unless given.
    """

    sql: str
    password: str | None = None
    database: str | None = None
    options: str | None = None
    replication: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """A statement of the extended protocol, with parameters; results come in binary if asked."""

    sql: str
    parameters: tuple[str, ...] = ()
    binary: bool = False


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call by the protocol's own message (F), which names a function by its oid, never by name.

    `function` is a `regprocedure`; `arguments` are sent as text.
    """

    function: str
    arguments: tuple[str, ...] = ()


Step: TypeAlias = str | By | Again | Bound | FunctionCall
"""Text alone is one message of the simple protocol."""


@dataclass(frozen=True, slots=True)
class Attack:
    """Statements in order, on one connection of the session.

    In texts, `<sales>` stands for where a session finds the schema `sales`, `<guess>` for a guess
    at a value, `<account>` for the session's account, `<other>` for another scope's views.

    `expect` is MASKED, DOCUMENTED or the SQLSTATEs of which the first error must have one; it is
    what happens under the scope `home`. Whatever happens, nothing hidden may be seen.

    `answer` is the question asked of the truth, as superuser: getting the same rows is a leak, if
    all of `about` (columns, or relations with hidden rows) is hidden. `guess` names a column: if a
    right and a wrong guess at its values are answered differently, that is a leak. `tells` is an
    SQLSTATE that only what is hidden can bring about.

    `control` says as whom the same statements do leak: `owner`, `superuser`, `here` (the superuser
    in the session's own database rather than in a copy), or `none`, and `why`.
    """

    name: str
    steps: tuple[Step, ...]
    expect: str = MASKED
    home: str = "read"
    answer: str = ""
    about: tuple[str, ...] = ()
    guess: str = ""
    tells: str = ""
    control: str = "owner"
    """A role's name, for whoever sees what the owner does not."""
    why: str = ""
    commits: bool = False
    """Control runs outside of a transaction, since something waits for a commit."""
    undo: tuple[str, ...] = ()
    """As superuser, afterwards, in the database of the session."""
    lasting: bool = False
    """Something of the account is changed that outlives the connection."""
    feature: str = ""
    """What the server may have been built without: `xml`. Then everybody gets 0A000."""
    since: int = 0
    until: int = 99

    def applies(self, major: int) -> bool:
        """Say whether the server's major version knows what the attack uses."""
        return self.since <= major <= self.until

    @property
    def text(self) -> str:
        """Return everything it says, with placeholders."""
        return "\n".join(str(step) for step in self.steps)


def attack(name: str, *steps: Step, expect: str = MASKED, **more: object) -> Attack:
    """Return an attack; see `Attack` for the rest."""
    return Attack(name, steps, expect, **more)  # type: ignore[arg-type]
