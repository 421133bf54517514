"""Many reads at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")
_Item = TypeVar("_Item")

_NUM_THREADS = 16
"""A read from S3 is nearly all waiting."""


def in_parallel(function: Callable[[_Item], _T], items: Iterable[_Item]) -> list[_T]:
    """Return a function's values in the order of its arguments."""
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        return list(pool.map(function, items))
