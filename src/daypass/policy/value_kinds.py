"""What sampled values are by themselves: forms, checksums, embedded addresses: pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from daypass.policy.checksums import NATIONAL_IDS, is_card, is_iban
from daypass.policy.given_names import GIVEN_NAMES

_EMAIL_TEXT: Final = r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.)+[A-Za-z]{2,24}"
_EMAIL: Final = re.compile(_EMAIL_TEXT)
_PHONE: Final = re.compile(r"\+\d{1,3}[\s.\-/()]*(?:\d[\s.\-/()]*){6,12}|00[1-9]\d{7,13}")
_LOCAL_PHONE: Final = re.compile(
    r"\(?0\d{1,4}\)?[\s\-/.](?:\d[\s\-/.]*){5,9}|\(\d{3}\) ?\d{3}-\d{4}"
)
_DATE: Final = re.compile(r"(\d{4})-\d{2}-\d{2}(?:[ T].*)?")
_MAC: Final = re.compile(r"(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}")
_SECRET: Final = re.compile(
    r"eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*|(?:sk|pk|rk)_(?:live|test)_\w{8,}|AKIA[0-9A-Z]{16}"
    r"|gh[pousr]_\w{20,}|xox[abprs]-[\w-]{10,}|AIza[\w-]{30,}|glpat-[\w-]{15,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*|\$2[aby]\$\d{2}\$.{53}|\$argon2(?:id|i|d)\$.+"
    r"|\$(?:5|6|y|scrypt|pbkdf2[\w-]*)\$.+|SCRAM-SHA-256\$.+|postgres(?:ql)?://[^:\s]+:[^@\s]+@.+"
)
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019.-][^\W\d_]*)*")
_STREET: Final = re.compile(
    r"\b(?:street|st\.|road|rd\.|avenue|ave\.|lane|drive|square|boulevard|rue|via|viale|piazza"
    r"|calle|plaza|avenida|rua|ul\.|ulica|aleja)\s|(?:stra(?:ss|ß)e|str\.|straat|gasse|platz|weg"
    r"|allee|laan|plein|gracht|kade|gatan?|vägen|katu|tie|veien?|vej|gade)\s+\d|\d+\s+\w+\s+"
    r"(?:street|st|road|rd|avenue|ave|lane|drive|square|close|court)\b",
    re.IGNORECASE,
)
_CARD_INSIDE: Final = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
_IBAN_INSIDE: Final = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}\b")
_PHONE_INSIDE: Final = re.compile(r"(?<![\w+])\+\d{1,3}[\s.\-/()]{0,2}(?:\d[\s.\-/()]{0,2}){6,12}")


@dataclass(frozen=True, slots=True)
class ValueKind:
    """A kind most values are of: `share` of the `count` seen; `chance` that one is by accident."""

    tag: str
    says: str
    share: float
    count: int
    chance: float


def is_email(value: str) -> bool:
    """Recognize one e-mail address and nothing else."""
    return bool(_EMAIL.fullmatch(value))


def is_phone(value: str) -> bool:
    """Recognize a telephone number written with its country."""
    return bool(_PHONE.fullmatch(value)) and 8 <= sum(c.isdigit() for c in value) <= 15


def is_local_phone(value: str) -> bool:
    """Recognize a telephone number written with its area code."""
    return bool(_LOCAL_PHONE.fullmatch(value)) and 7 <= sum(c.isdigit() for c in value) <= 12


def is_ip(value: str) -> bool:
    """Recognize an IP address, with or without its network's length."""
    if "." not in value and ":" not in value:
        return False
    try:
        ipaddress.ip_interface(value)
    except ValueError:
        return False
    return True


def is_secret(value: str) -> bool:
    """Recognize keys, tokens and password hashes that say what they are."""
    return bool(_SECRET.fullmatch(value))


def is_person(value: str) -> bool:
    """Recognize a person's name: two to four words, one of them a given name."""
    words = value.split()
    if not 2 <= len(words) <= 4 or not all(_WORD.fullmatch(word) for word in words):
        return False
    return any(word.lower().strip(".,") in GIVEN_NAMES for word in words)


def is_given_name(value: str) -> bool:
    """Recognize a given name by itself."""
    return value.lower() in GIVEN_NAMES


def is_address(value: str) -> bool:
    """Recognize a line of a postal address: a street and a number."""
    return any(c.isdigit() for c in value) and len(value) < 200 and bool(_STREET.search(value))


_KINDS: Final[tuple[tuple[str, str, Callable[[str], bool], float], ...]] = (
    ("secret", "keys, tokens or password hashes", is_secret, 0.0),
    ("pii.email", "e-mail addresses", is_email, 0.0),
    ("pii.iban", "valid IBANs", is_iban, 0.0),
    ("pii.card", "valid card numbers (checksum)", is_card, 0.03),
    *(("pii.national_id", f"valid {what}", test, 0.1) for what, test in NATIONAL_IDS.items()),
    ("pii.phone", "telephone numbers", is_phone, 0.0),
    ("pii.ip", "IP addresses", is_ip, 0.0),
    ("pii.device", "MAC addresses", lambda value: bool(_MAC.fullmatch(value)), 0.0),
    ("pii.phone", "telephone numbers", is_local_phone, 0.05),
    ("pii.name", "people's names", is_person, 0.02),
    ("pii.name", "given names", is_given_name, 0.02),
    ("pii.address", "lines of postal addresses", is_address, 0.02),
)
_LEAST: Final = 3
_LEAST_BY_CHANCE: Final = 5
# A list of given names knows but a part of all people.
_ENOUGH: Final = {"people's names": 0.3, "given names": 0.5, "lines of postal addresses": 0.5}


def kind_of_values(values: Sequence[str]) -> ValueKind | None:
    """Return the kind that most of the distinct values are of, the surest first."""
    distinct = list(dict.fromkeys(value.strip() for value in values if value.strip()))
    if len(distinct) < _LEAST:
        return None
    best: ValueKind | None = None
    for tag, says, test, chance in _KINDS:
        hits = sum(map(test, distinct))
        share = hits / len(distinct)
        enough = _ENOUGH.get(says, 0.9 if chance >= 0.03 else 0.6)
        if share < enough or (chance >= 0.03 and hits < _LEAST_BY_CHANCE):
            continue
        found = ValueKind(tag, says, share, len(distinct), chance)
        if best is None or (found.share - found.chance) > (best.share - best.chance):
            best = found
    return best


def birth_years(values: Sequence[str]) -> bool:
    """Say whether dates are spread as those of births are: over decades, none of this one."""
    years = [int(m[1]) for value in values if (m := _DATE.fullmatch(value.strip()))]
    if len(years) < 10 or len(years) < len([v for v in values if v.strip()]):
        return False
    return min(years) >= 1900 and max(years) <= 2016 and max(years) - min(years) >= 25


def is_prose(values: Sequence[str]) -> bool:
    """Say whether values are texts people write: several words on the average."""
    words = [len(value.split()) for value in values if value.strip()]
    return len(words) >= _LEAST and sum(words) / len(words) >= 4


def personal_inside(value: str) -> str | None:
    """Return what of a person's a text contains, in words, or None."""
    if _EMAIL.search(value):
        return "e-mail addresses"
    if any(is_card(match[0]) for match in _CARD_INSIDE.finditer(value)):
        return "card numbers"
    if any(is_iban(match[0]) for match in _IBAN_INSIDE.finditer(value)):
        return "IBANs"
    return "telephone numbers" if _PHONE_INSIDE.search(value) else None
