"""A store that breaks its promise is refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import pytest

from agad.errors import StoreError
from agad.objects import check_conditional_put


class _Overwriting:
    """What a server that ignores If-None-Match looks like."""

    uri = "s3://careless/prefix"

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}

    def get(self, key: str) -> bytes:
        return self._data[key]

    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self._data[key])

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._data[key] = data
        return True

    def get_file(self, key: str, path: Path) -> None:
        path.write_bytes(self._data[key])

    def put_file_if_absent(self, key: str, path: Path) -> bool:
        return self.put_if_absent(key, path.read_bytes())

    def delete(self, key: str) -> None:
        self._data.pop(key, None)

    def sizes(self, prefix: str) -> dict[str, int]:
        return {key: len(self._data[key]) for key in self.list(prefix)}

    def list_folders(self) -> list[str]:
        return []

    def list(self, prefix: str) -> list[str]:
        return sorted(key for key in self._data if key.startswith(prefix))


@pytest.mark.parametrize("num_starts_before", [0, 1])
def test_check_conditional_put_refuses_a_store_that_overwrites(num_starts_before: int) -> None:
    objects = _Overwriting()
    for _ in range(num_starts_before):
        objects.put_if_absent("_probe", b"of an earlier start")
    with pytest.raises(StoreError, match=r"s3://careless/prefix .* ignores If-None-Match"):
        check_conditional_put(objects)
