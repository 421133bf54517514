"""The policy that is handed out allows what the S3 code asks for, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from agad.errors import StoreError
from agad.objects import check_conditional_put, open_objects

_POLICY = Path(__file__).parents[2] / "cluster" / "iam-s3-policy.json"
_ACTION_OF = {
    "ListObjectsV2": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObject": "s3:DeleteObject",
}
"""Source: Amazon S3's Service Authorization Reference, and "Multipart upload and permissions"."""


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return a set to which every request's operation is added."""
    names: set[str] = set()
    real: Any = BaseClient._make_api_call  # type: ignore[attr-defined]

    def record(client: BaseClient, name: str, values: dict[str, Any]) -> object:
        names.add(name)
        return real(client, name, values)

    monkeypatch.setattr(BaseClient, "_make_api_call", record)
    return names


def _allowed() -> set[str]:
    statements = json.loads(_POLICY.read_text())["Statement"]
    assert {statement["Effect"] for statement in statements} == {"Allow"}
    actions = [statement["Action"] for statement in statements]
    return {action for some in actions for action in ([some] if isinstance(some, str) else some)}


def test_the_policy_allows_exactly_what_the_code_asks_for(
    s3_uri: str, operations: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("agad.objects.s3._LARGE_BYTES", 5 * 2**20)
    operations.clear()  # Of the fixture, which made the bucket.
    objects = open_objects(s3_uri)
    check_conditional_put(objects)
    objects.put_if_absent("a/key", b"data")
    objects.put_if_absent("a/key", b"other")
    (tmp_path / "small").write_bytes(b"data")
    objects.put_file_if_absent("a/small", tmp_path / "small")
    (tmp_path / "large").write_bytes(bytes(6 * 2**20))
    objects.put_file_if_absent("a/large", tmp_path / "large")
    objects.get_file("a/large", tmp_path / "copy")
    with objects.open("a/key") as file:
        assert file.read() == b"data"
    objects.list("a/")
    objects.sizes("")
    objects.list_folders()
    objects.delete("a/key")
    monkeypatch.setattr("agad.objects.s3_parts._parts", _fail)
    with pytest.raises(StoreError, match="the disk is gone"):
        objects.put_file_if_absent("a/other", tmp_path / "large")
    assert {_ACTION_OF[name] for name in operations} == _allowed()
    assert operations == set(_ACTION_OF)


def _fail(_path: Path) -> None:
    raise StoreError("the disk is gone")


def test_the_policy_names_nothing_but_the_store() -> None:
    resources = [entry["Resource"] for entry in json.loads(_POLICY.read_text())["Statement"]]
    assert resources == ["arn:aws:s3:::BUCKET", "arn:aws:s3:::BUCKET/PREFIX/*"]
