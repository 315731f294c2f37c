"""Which passwords are accepted: long ones that are nobody's first guess."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from daypass.domain.errors import Invalid
from daypass.domain.secret import Secret

MIN_LENGTH: Final = 12
MAX_LENGTH: Final = 256
_MIN_DISTINCT = 5

_COMMON_WORDS: Final = """
    password passwort motdepasse contrasena parola senha letmein welcome welcometo iloveyou qwerty
    qwertyuiop qwertz qwertzuiop azerty azertyuiop asdfghjkl zxcvbnm yxcvbnm abcdef abcdefgh
    abcdefghijkl abcabcabc admin administrator root superuser changeme changeit default secret
    topsecret database postgres postgresql mysql daypass football baseball basketball superman
    batman dragon monkey master sunshine princess shadow trustno login access company summer winter
    spring autumn qazwsx qazwsxedc onetwothree correcthorsebatterystaple
"""
_COMMON: Final = frozenset(_COMMON_WORDS.split())
_LEET: Final = str.maketrans("0134578@$!", "oieastbasi")
_ROWS: Final = ("0123456789012345", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")


def check_password(password: Secret, *, email: str, name: str) -> None:
    """Raise `Invalid` for a password that is too short, too common, or the person's own name."""
    text = unicodedata.normalize("NFKC", password.reveal())
    problem = _problem(text, email, name)
    if problem:
        raise Invalid(
            f"this password is not accepted: {problem}",
            problems=(("password", problem),),
            next_step=f"choose {MIN_LENGTH} characters or more; several unrelated words do well",
            code="weak_password",
        )


def _problem(text: str, email: str, name: str) -> str:
    if len(text) < MIN_LENGTH:
        return f"it has fewer than {MIN_LENGTH} characters"
    if len(text) > MAX_LENGTH:
        return f"it has more than {MAX_LENGTH} characters"
    if "\0" in text:
        return "it holds a null character"
    if len(set(text)) < _MIN_DISTINCT:
        return f"it has fewer than {_MIN_DISTINCT} different characters"
    lowered = text.lower()
    if any(lowered in row * 2 or lowered in row[::-1] * 2 for row in _ROWS):
        return "it is a row of the keyboard or the alphabet"
    # What is left without the digits and signs people add at the ends: twice read, since a digit
    # may stand for a letter.
    for read in (lowered, lowered.translate(_LEET)):
        for core in (re.sub(r"[^a-z]", "", read), re.sub(r"^[\W\d_]+|[\W\d_]+$", "", read)):
            if core in _COMMON or _repeats_common(core):
                return "it is one of those tried first"
    own = {email.lower(), email.lower().partition("@")[0], *name.lower().split()}
    rest = lowered
    for part in sorted((each for each in own if len(each) > 3), key=len, reverse=True):
        rest = rest.replace(part, "")
    if len(rest) < MIN_LENGTH // 2:
        return "it is little more than your name or e-mail address"
    return ""


def _repeats_common(core: str) -> bool:
    return any(
        len(core) % size == 0
        and core[:size] * (len(core) // size) == core
        and core[:size] in _COMMON
        for size in range(4, len(core) // 2 + 1)
    )
