"""A count agrees with its noun."""

from __future__ import annotations

import pytest

from agad.config import count_text


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        (0, ("fault",), "0 faults"),
        (1, ("fault",), "1 fault"),
        (1200, ("trial",), "1,200 trials"),
        (1, ("copy", "copies"), "1 copy"),
        (16, ("copy", "copies"), "16 copies"),
    ],
)
def test_count_text_agrees_with_its_noun(count: int, words: tuple[str, ...], text: str) -> None:
    assert count_text(count, *words) == text
