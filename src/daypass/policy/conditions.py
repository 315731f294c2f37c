"""Conditions in CEL: declared names, compiled once when policy is loaded, evaluated fail-closed.

A condition answers yes, no, or that it cannot be evaluated; the last is never taken for either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cel_expr_python import cel

from daypass.policy.document import Place, Problems, Scalar
from daypass.policy.fields import did_you_mean

MAX_CONDITION_CHARACTERS: Final = 4096

_STRINGS: Final = cel.Type.List(cel.Type.STRING)
_LABELS: Final = cel.Type.Map(cel.Type.STRING, cel.Type.STRING)

_SUBJECT_NAMES: Final = {
    "requester.id": cel.Type.INT,
    "requester.name": cel.Type.STRING,
    "requester.email": cel.Type.STRING,
    "requester.kind": cel.Type.STRING,
    "requester.groups": _STRINGS,
    "requester.attributes": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "requester.manager": cel.Type.STRING,
    "database.name": cel.Type.STRING,
    "database.instance": cel.Type.STRING,
    "database.engine": cel.Type.STRING,
    "database.labels": _LABELS,
    "database.owners": _STRINGS,
    "instance.name": cel.Type.STRING,
    "instance.labels": _LABELS,
    "request.classes": _STRINGS,
}
_REQUEST_NAMES: Final = {
    "request.relations": _STRINGS,
    "request.unmask": _STRINGS,
    "request.settings": _LABELS,
    "request.profile": cel.Type.STRING,
    "request.native_role": cel.Type.STRING,
    "request.statements": _STRINGS,
    "request.break_glass": cel.Type.BOOL,
    "request.direct_credentials": cel.Type.BOOL,
    "request.duration": cel.Type.DURATION,
    "request.reason": cel.Type.STRING,
    "request.ticket": cel.Type.STRING,
    "request.starts_later": cel.Type.BOOL,
    "now": cel.Type.TIMESTAMP,
}
_RELATION_NAMES: Final = {
    "relation.schema": cel.Type.STRING,
    "relation.name": cel.Type.STRING,
    "relation.kind": cel.Type.STRING,
    "relation.tags": _STRINGS,
}
_COLUMN_NAMES: Final = {
    "column.name": cel.Type.STRING,
    "column.type": cel.Type.STRING,
    "column.type_family": cel.Type.STRING,
    "column.tags": _STRINGS,
}


class Subject(StrEnum):
    """What a condition is about, which decides the names it may use."""

    ACCESS = "access"
    RELATION = "row"
    COLUMN = "masking"


NAMES: Final[Mapping[Subject, Mapping[str, cel.Type]]] = {
    Subject.ACCESS: _SUBJECT_NAMES | _REQUEST_NAMES,
    Subject.RELATION: _SUBJECT_NAMES | _RELATION_NAMES,
    Subject.COLUMN: _SUBJECT_NAMES | _RELATION_NAMES | _COLUMN_NAMES,
}
"""Names by subject. Masks and filters must not change while a grant lives, so what they depend on
may not either: neither the clock nor the request's duration, reason or columns to unmask."""

_ENVIRONMENTS: Final = {s: cel.NewEnv(variables=dict(names)) for s, names in NAMES.items()}
_TICKET_ENVIRONMENT: Final = cel.NewEnv(variables={"ticket": cel.Type.STRING})
_CONSTANTS_ENVIRONMENT: Final = cel.NewEnv()


class Truth(StrEnum):
    """What a condition said."""

    YES = "yes"
    NO = "no"
    ERROR = "error"


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(map(_holds_nul, value)) or any(map(_holds_nul, value.values()))
    return isinstance(value, list) and any(map(_holds_nul, value))


class Situation:
    """The values conditions of one subject are evaluated over; prepare once, ask often."""

    def __init__(self, subject: Subject, values: Mapping[str, object]) -> None:
        # The library ends a text at NUL, so that "dba\0x" would be the group "dba".
        self._whole = not _holds_nul(values)
        self._activation = _ENVIRONMENTS[subject].Activation(dict(values) if self._whole else {})

    def ask(self, condition: Condition) -> Truth:
        """Evaluate a condition of the same subject."""
        if not self._whole:
            return Truth.ERROR
        try:
            value = condition.program.eval(self._activation).value()
        except RuntimeError:
            return Truth.ERROR
        if value is True:
            return Truth.YES
        return Truth.NO if value is False else Truth.ERROR

    def why_not(self, condition: Condition) -> str:
        """Say why a condition cannot be evaluated here, and how to write it so that it can."""
        if not self._whole:
            return "a text among the facts contains the character NUL"
        try:
            said = str(condition.program.eval(self._activation).value())
        except RuntimeError as error:
            said = str(error)
        missing = _MISSING_KEY.search(said)
        if missing is None:
            return _STATUS.sub("", said).strip()
        for access in _MAP_ACCESS.finditer(condition.text):
            name, key = access[1].replace(" ", ""), access[2] or access[3] or ""
            if key == missing[1]:
                whole = f"{name}.{key}" if access[2] else f'{name}["{key}"]'
                ask = f"has({name}.{key})" if access[2] else f'"{key}" in {name}'
                return f"{whole} is missing here; where it may be, write {ask} && …"
        return f"the key {missing[1]!r} is missing here"


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked CEL expression; two are equal when their texts are.

    `uses` holds at least the names it reads, so that answers may be kept by their values.
    """

    text: str
    subject: Subject
    place: Place = field(compare=False)
    uses: frozenset[str] = field(compare=False)
    program: cel.Expression = field(compare=False, repr=False)


NEVER: Final = Condition(
    "false",
    Subject.ACCESS,
    Place("", 1, 1),
    frozenset(),
    _ENVIRONMENTS[Subject.ACCESS].compile("false"),
)
"""Stands in for a condition that could not be read, while problems are still being gathered."""


@dataclass(frozen=True, slots=True)
class TicketPattern:
    """A regular expression (RE2, so never slow) that a ticket must match."""

    text: str
    program: cel.Expression = field(compare=False, repr=False)

    def matches(self, ticket: str) -> bool:
        """Say whether the ticket fits."""
        if "\0" in ticket:
            return False
        try:
            return self.program.eval(data={"ticket": ticket}).value() is True
        except RuntimeError:
            return False


_CEL_ERROR = re.compile(
    r"ERROR: <input>:(-?\d+):(-?\d+): (.*?)(?=\n \| |\nERROR: | \[[A-Z_]+\]\s*\Z|\Z)", re.DOTALL
)
_STATUS = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]\s*$")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_MISSING_KEY = re.compile(r'Key not found in map : "(.*)"')
_MAP_ACCESS = re.compile(
    r"\b(database\s*\.\s*labels|instance\s*\.\s*labels|requester\s*\.\s*attributes)\s*"
    r"""(?:\.\s*(\w+)|\[\s*["']([^"']*)["']\s*\])"""
)
_CONSTANT_CALL = re.compile(r"""\b(?:duration|timestamp)\s*\(\s*("[^"\\]*"|'[^'\\]*')\s*\)""")
_CONSTANT_PATTERN = re.compile(r"""\.\s*matches\s*\(\s*(r?(?:"[^"]*"|'[^']*'))\s*\)""")
_HARD_TEXTS = re.compile(r"""\\|\"{3}|'{3}|//""")
_LITERAL = re.compile(r"""r?("([^"\\\n]|\\.)*"|'([^'\\\n]|\\.)*')""")


def compile_condition(scalar: Scalar, subject: Subject, problems: Problems) -> Condition | None:
    """Check and compile an expression; what is wrong is noted at its place in the file."""
    text = scalar.value
    if len(text) > MAX_CONDITION_CHARACTERS:
        problems.add(scalar.place, f"longer than {MAX_CONDITION_CHARACTERS} characters")
        return None
    if not text.strip():
        problems.add(scalar.place, "an empty condition; write true if it always holds")
        return None
    try:
        program = _ENVIRONMENTS[subject].compile(text)
    except RuntimeError as error:
        _note_errors(str(error), scalar, subject, problems)
        return None
    if program.return_type() != cel.Type.BOOL:
        problems.add(
            scalar.place_at(len(text) - len(text.lstrip())),
            f"a condition must be true or false; this is of type {_type_name(program)}",
        )
        return None
    if not _constants_hold(scalar, problems):
        return None
    return Condition(text, subject, scalar.place, _names_used(text, subject), program)


def _names_used(text: str, subject: Subject) -> frozenset[str]:
    """Return at least the names the expression reads: those whose last word stands in it."""
    # Texts are taken away only where none is of a kind that could be mistaken for its end.
    bare = text if _HARD_TEXTS.search(text) else _LITERAL.sub('""', text)
    words = set(re.findall(r"\w+", bare))
    return frozenset(name for name in NAMES[subject] if name.rpartition(".")[2] in words)


def compile_ticket_pattern(scalar: Scalar, problems: Problems) -> TicketPattern | None:
    """Check and compile the pattern of tickets."""
    literal = json.dumps(scalar.value, ensure_ascii=False)  # CEL's escapes include JSON's
    program = _TICKET_ENVIRONMENT.compile(f"ticket.matches({literal})")
    answer = program.eval(data={"ticket": ""}).value()
    if not isinstance(answer, bool):
        problems.add(scalar.place, f"not a regular expression: {_STATUS.sub('', str(answer))}")
        return None
    return TicketPattern(scalar.value, program)


def _type_name(program: cel.Expression) -> str:
    name = str(program.return_type().name()).lower()
    return "dyn: compare it, as in x == true" if name == "dyn" else name


def _note_errors(said: str, scalar: Scalar, subject: Subject, problems: Problems) -> None:
    lines = scalar.value.split("\n")
    noted = False
    for match in _CEL_ERROR.finditer(said):
        line, column, text = int(match[1]), int(match[2]), " ".join(match[3].split())
        if line < 1 or line > len(lines) or (noted and "*error*" in text):
            continue  # no place, or only a consequence of what is noted already
        offset = sum(len(each) + 1 for each in lines[: line - 1]) + max(column - 1, 0)
        text = text.replace(" (in container '')", "")
        if unknown := _UNDECLARED.search(text):
            name = unknown[1]
            # CEL points at the last dot of a dotted name: go back to where the name begins.
            begin = offset - len(name.rpartition(".")[0])
            if scalar.value[begin:].startswith(name):
                offset = begin
            text = f"unknown name {name!r}{_hint(name, subject)}"
        problems.add(scalar.place_at(offset), text)
        noted = True
    if not noted:
        problems.add(scalar.place, " ".join(_STATUS.sub("", said).split()))


def _hint(name: str, subject: Subject) -> str:
    if subject is not Subject.ACCESS and name in _REQUEST_NAMES:
        return "; a mask or filter may not depend on it, since it must hold while the grant lives"
    for other, names in NAMES.items():
        if name in names and other is not subject:
            return f"; it can be used in {other.value} rules only"
    below = [n.rpartition(".")[2] for n in NAMES[subject] if n.startswith(f"{name}.")]
    if below:
        return f"; name one of its attributes: {', '.join(below)}"
    return did_you_mean(name, NAMES[subject])


def _constants_hold(scalar: Scalar, problems: Problems) -> bool:
    """Try constant durations, times and patterns now: at run time they would deny everybody."""
    text = scalar.value
    quoted = [m.span() for m in _LITERAL.finditer(text)]
    calls = [(m, m[0]) for m in _CONSTANT_CALL.finditer(text)]
    calls += [(m, f'"".matches({m[1]})') for m in _CONSTANT_PATTERN.finditer(text)]
    good = True
    for match, expression in calls:
        if any(begin < match.start() < end for begin, end in quoted):
            continue
        try:
            program = _CONSTANTS_ENVIRONMENT.compile(expression)
            result = program.eval()
        except RuntimeError:
            continue  # not the call it looked like; the whole expression compiled
        if result.type() == cel.Type.ERROR:
            said = _STATUS.sub("", str(result.value()))
            problems.add(scalar.place_at(match.start(1)), f"{match[1]}: {said}")
            good = False
    return good
