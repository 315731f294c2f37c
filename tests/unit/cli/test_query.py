"""What is said of a result that is not shown whole."""

import pytest

from daypass.cli.query import cut_text


@pytest.mark.parametrize(
    ("rows", "cut_by", "said"),
    [
        (1, "asked", "only the first row is shown; --max-rows shows more"),
        (0, "asked", "no row is shown; --max-rows shows more"),
        (7, "asked", "only the first 7 rows are shown; --max-rows shows more"),
        (3, "rule_rows", "only the first 3 rows are shown: the grant's rule allows no more"),
        (
            0,
            "size",
            "no row is shown: the next one would make it too large; select less of each row",
        ),
    ],
)
def test_what_is_cut_says_what_shows_more(rows: int, cut_by: str, said: str) -> None:
    answer = {"rows": [["x"]] * rows, "truncated": True, "cut_by": cut_by}
    assert cut_text(answer) == said
