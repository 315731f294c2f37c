"""The chapters of the tour, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from daypass.demo import tour_asking, tour_deadline, tour_deciding, tour_running
from daypass.demo.tour_stage import Stage

CHAPTERS: Final[tuple[tuple[str, Callable[[Stage], None]], ...]] = (
    ("Nobody holds a key", tour_asking.nobody_holds_a_key),
    ("Wrong turns", tour_asking.wrong_turns),
    ("An incident: on-call lets itself in", tour_asking.on_call),
    ("Around the masks", tour_asking.around_the_masks),
    ("In clear: two people say yes", tour_deciding.in_clear),
    ("Writing, contractors and agents", tour_deciding.others),
    ("More time, less time", tour_deciding.time),
    ("What stands open", tour_deadline.what_stands_open),
    ("The deadline", tour_deadline.the_deadline),
    ("Break the glass", tour_deadline.break_the_glass),
    ("Looking after it all", tour_running.policy),
    ("The end", tour_running.the_end),
)
"""Titles and what is played; each chapter counts on those before it."""
