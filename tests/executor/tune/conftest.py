"""What tests of studies on a Ray share."""

from __future__ import annotations

from pathlib import Path

import pytest

from agad.data import NodeCache
from agad.executor.tune import ClusterOptions


@pytest.fixture
def options(tmp_path: Path) -> ClusterOptions:
    """A store and a cache for one test alone."""
    cache = NodeCache(folder=str(tmp_path / "cache"))
    return ClusterOptions(store=str(tmp_path / "store"), cache=cache)
