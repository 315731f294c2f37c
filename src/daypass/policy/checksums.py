"""Numbers that carry a checksum or a date, so that chance seldom makes one: pure.

Each function takes a value without surrounding blanks and says whether it is a valid one of its
kind; separators people write are allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

_SEPARATORS: Final = re.compile(r"[\s.\-/]")
_IBAN: Final = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_IBAN_LENGTHS: Final[Mapping[str, int]] = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "BA": 20, "BE": 16, "BG": 22, "BR": 29, "CH": 21,
    "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20, "ES": 24, "FI": 18, "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26,
    "IT": 27, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27,
    "MD": 24, "ME": 22, "MK": 19, "MT": 31, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PT": 25,
    "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24,
    "TR": 26, "UA": 29, "XK": 20,
}  # fmt: skip
_CARD: Final = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12,15}|35\d{14}|62\d{14,17}|(?:50|5[6-8]|6\d)\d{10,17}"
)
_FINNISH_CHECK: Final = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_SPANISH_CHECK: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_NORWEGIAN: Final = ((3, 7, 6, 1, 8, 9, 4, 5, 2, 1), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1))
_ITALIAN_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10,
                       22, 25, 24, 23)  # fmt: skip
_ITALIAN: Final = re.compile(
    r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]"
)
_FRENCH: Final = re.compile(
    r"[12378]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)(?:\d{2}|2[AB])\d{3}(?:00[1-9]|0[1-9]\d|[1-9]\d{2})\d{2}"
)
_BRITISH: Final = re.compile(
    r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]"
)
_AMERICAN: Final = re.compile(r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")


def _digits(value: str, *lengths: int) -> str:
    compact = _SEPARATORS.sub("", value)
    return compact if compact.isascii() and compact.isdigit() and len(compact) in lengths else ""


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(d) * w for d, w in zip(digits, weights, strict=False))


def _is_day(day: int, month: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= (
        29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31
    )


def luhn(digits: str) -> bool:
    """Say whether a string of digits passes the Luhn checksum (ISO/IEC 7812-1)."""
    total = 0
    for at, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if at % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def is_card(value: str) -> bool:
    """Recognize a payment card's number: an issuer's range and the Luhn checksum."""
    compact = re.sub(r"[\s\-]", "", value)
    return bool(_CARD.fullmatch(compact)) and compact.isascii() and luhn(compact)


def is_iban(value: str) -> bool:
    """Recognize an IBAN (ISO 13616): its country's length and mod 97."""
    compact = re.sub(r"[\s\-]", "", value).upper()
    if not compact.isascii() or not _IBAN.fullmatch(compact):
        return False
    if _IBAN_LENGTHS.get(compact[:2]) != len(compact):
        return False
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def is_dutch(value: str) -> bool:
    """Recognize a burgerservicenummer: nine digits and the eleven-test."""
    digits = _digits(value, 9)
    return (
        bool(digits)
        and int(digits) > 0
        and _weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0
    )


def is_polish(value: str) -> bool:
    """Recognize a PESEL: a date, whose month tells the century, and a checksum."""
    digits = _digits(value, 11)
    if not digits or not _is_day(int(digits[4:6]), int(digits[2:4]) % 20):
        return False
    return (_weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) + int(digits[10])) % 10 == 0


def is_swedish(value: str) -> bool:
    """Recognize a personnummer or samordningsnummer: a date and the Luhn checksum."""
    compact = re.sub(r"[\s+\-]", "", value)
    if not compact.isascii() or not re.fullmatch(r"(?:1[89]|20)?\d{10}", compact):
        return False
    digits = compact[-10:]
    return _is_day(int(digits[4:6]) % 60, int(digits[2:4])) and luhn(digits)


def is_danish(value: str) -> bool:
    """Recognize a CPR number: a date and four digits; it has had no checksum since 2007."""
    return bool(re.fullmatch(r"\d{6}-?\d{4}", value, re.ASCII)) and _is_day(
        int(value[:2]), int(value[2:4])
    )


def is_finnish(value: str) -> bool:
    """Recognize a henkilötunnus: a date, the century's sign and a checksum."""
    if not re.fullmatch(r"\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]", value, re.ASCII):
        return False
    number = int(value[:6] + value[7:10])
    return _is_day(int(value[:2]), int(value[2:4])) and value[10] == _FINNISH_CHECK[number % 31]


def is_norwegian(value: str) -> bool:
    """Recognize a fødselsnummer or D-number: a date and two check digits."""
    digits = _digits(value, 11)
    if not digits or not _is_day(int(digits[:2]) % 40, int(digits[2:4])):
        return False
    return all(_weighted(digits, weights) % 11 == 0 for weights in _NORWEGIAN)


def is_spanish(value: str) -> bool:
    """Recognize a DNI or NIE: a number and its letter."""
    compact = _SEPARATORS.sub("", value).upper()
    if not re.fullmatch(r"[XYZ\d]\d{7}[A-Z]", compact, re.ASCII):
        return False
    first = {"X": "0", "Y": "1", "Z": "2"}.get(compact[0], compact[0])
    return compact[8] == _SPANISH_CHECK[int(first + compact[1:8]) % 23]


def is_italian(value: str) -> bool:
    """Recognize a codice fiscale of a person, by its check letter."""
    compact = value.upper()
    if not _ITALIAN.fullmatch(compact):
        return False
    total = 0
    for at, sign in enumerate(compact[:15]):
        rank = int(sign) if sign.isdigit() else ord(sign) - ord("A")
        total += _ITALIAN_ODD[rank] if at % 2 == 0 else rank
    return compact[15] == chr(ord("A") + total % 26)


def is_french(value: str) -> bool:
    """Recognize a numéro de sécurité sociale (NIR) with its key."""
    compact = _SEPARATORS.sub("", value).upper()
    if not compact.isascii() or not _FRENCH.fullmatch(compact):
        return False
    number = int(compact[:13].replace("2A", "19", 1).replace("2B", "18", 1))
    return 97 - number % 97 == int(compact[13:])


def is_belgian(value: str) -> bool:
    """Recognize a rijksregisternummer: a date and mod 97, for births before and from 2000."""
    digits = _digits(value, 11)
    if not digits or not _is_day(int(digits[4:6]), int(digits[2:4]) % 20):
        return False
    check = int(digits[9:])
    return check in (97 - int(digits[:9]) % 97, 97 - int("2" + digits[:9]) % 97)


def is_german(value: str) -> bool:
    """Recognize a Steuer-Identifikationsnummer: one digit repeated, and ISO 7064 mod 11, 10."""
    digits = _digits(value, 11)
    if not digits or digits[0] == "0":
        return False
    counts = sorted(digits[:10].count(d) for d in set(digits[:10]))
    if counts[-1] not in (2, 3) or (len(counts) > 1 and counts[-2] > 1):
        return False
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def is_british(value: str) -> bool:
    """Recognize the form of a National Insurance number; it has no checksum."""
    return bool(_BRITISH.fullmatch(re.sub(r"\s", "", value).upper()))


def is_american(value: str) -> bool:
    """Recognize the form of a Social Security number, with its dashes; it has no checksum."""
    return value.isascii() and bool(_AMERICAN.fullmatch(value))


def is_swiss(value: str) -> bool:
    """Recognize an AHV number: 756 and the EAN-13 checksum."""
    digits = _digits(value, 13)
    if not digits.startswith("756"):
        return False
    return _weighted(digits, (1, 3) * 6 + (1,)) % 10 == 0


NATIONAL_IDS: Final[Mapping[str, Callable[[str], bool]]] = {
    "Dutch BSNs": is_dutch,
    "Polish PESELs": is_polish,
    "Swedish personnummer": is_swedish,
    "Danish CPR numbers": is_danish,
    "Finnish henkilötunnus": is_finnish,
    "Norwegian fødselsnummer": is_norwegian,
    "Spanish DNIs or NIEs": is_spanish,
    "Italian codici fiscali": is_italian,
    "French NIRs": is_french,
    "Belgian rijksregister numbers": is_belgian,
    "German Steuer-IDs": is_german,
    "UK National Insurance numbers": is_british,
    "US Social Security numbers": is_american,
    "Swiss AHV numbers": is_swiss,
}
"""Recognizers by what they recognize, in the plural."""
