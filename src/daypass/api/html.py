"""The few pages Daypass serves itself: HTML without scripts, under a policy that allows none."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}label{display:block;margin-top:1rem;font-weight:600}"
    "input{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;border:1px solid #555;"
    "border-radius:4px}button{font:inherit;margin-top:1.5rem;padding:.6rem 1.2rem;border:0;"
    "border-radius:4px;color:#fff;background:#1f4b99}:focus-visible{outline:3px solid #b35900;"
    "outline-offset:2px}.problem{color:#a40000}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#181818}"
    "input{color:#eee;background:#222;border-color:#999}.problem{color:#ff9c9c}}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
"""The content security policy of these pages."""


@dataclass(frozen=True, slots=True)
class Field:
    """One input of a form: `kind` and `autocomplete` are those of HTML."""

    name: str
    label: str
    kind: str
    autocomplete: str


@dataclass(frozen=True, slots=True)
class PageForm:
    """A page with one form."""

    title: str
    intro: str
    action: str
    button: str
    fields: tuple[Field, ...]


def form_page(
    form: PageForm, token: str, values: Mapping[str, str], problems: Sequence[tuple[str, str]]
) -> str:
    """Return a page with a form, what was filled in already, and what was wrong with it."""
    wrong = dict(problems)
    listed = "".join(f"<li>{escape(problem)}</li>" for _, problem in problems)
    summary = f'<ul class="problem" role="alert">{listed}</ul>' if problems else ""
    inputs = "".join(_input(each, values.get(each.name, ""), wrong) for each in form.fields)
    return _page(
        form.title,
        f"<p>{escape(form.intro)}</p>{summary}"
        f'<form method="post" action="{escape(form.action)}">'
        f'<input type="hidden" name="token" value="{escape(token)}">'
        f'{inputs}<button type="submit">{escape(form.button)}</button></form>',
    )


def message_page(title: str, text: str) -> str:
    """Return a page that says something."""
    return _page(title, f"<p>{escape(text)}</p>")


def _input(field: Field, value: str, wrong: Mapping[str, str]) -> str:
    invalid = ' aria-invalid="true"' if field.name in wrong else ""
    return (
        f'<label for="{field.name}">{escape(field.label)}</label>'
        f'<input id="{field.name}" name="{field.name}" type="{field.kind}"'
        f' autocomplete="{field.autocomplete}" value="{escape(value)}" required{invalid}>'
    )


def _page(title: str, content: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)} · Daypass</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{content}</main></body></html>"
    )
