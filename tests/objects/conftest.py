"""The stores on which the one suite runs: a folder, and S3 and Google servers on loopback."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from agad.objects import ObjectStore, open_objects
from tests.debian import ProgramError
from tests.objects.gcs_server import GoogleServer, running_google
from tests.objects.rgw import ACCESS_KEY, SECRET_KEY, installed_root, running_rgw

STORES = [
    pytest.param("folder"),
    pytest.param("s3_uri", id="moto"),
    pytest.param("real_s3_uri", id="real-s3", marks=pytest.mark.slow),
    pytest.param("gs_uri", id="gs"),
]


@pytest.fixture(scope="session")
def google() -> Iterator[GoogleServer]:
    with running_google() as server:
        yield server


@pytest.fixture
def gs_uri(google: GoogleServer, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    bucket = f"bucket-{uuid.uuid4().hex}"
    google.create_bucket(bucket)
    return f"gs://{bucket}/some/prefix"


@pytest.fixture(scope="session")
def rgw_url() -> Iterator[str]:
    """Yield the URL of a real S3 server that this test run started."""
    root = installed_root()
    if root is None:
        pytest.skip("no real S3 server: neither AGAD_TEST_S3_URL nor radosgw; see .ci/run")
    try:
        with running_rgw(root) as url:
            yield url
    except ProgramError as error:
        pytest.skip(f"no real S3 server: {error}")


@pytest.fixture
def real_s3(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """Point the environment at the given real S3 server, else at our own; return its URL."""
    url = os.environ.get("AGAD_TEST_S3_URL")
    if url is None:
        url = request.getfixturevalue("rgw_url")
        nowhere = str(tmp_path_factory.mktemp("aws") / "nowhere")
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {
            "AWS_CONFIG_FILE": nowhere,
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }.items():
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    return str(url)


@pytest.fixture
def real_s3_uri(real_s3: str) -> Iterator[str]:
    client = boto3.session.Session().client("s3", endpoint_url=real_s3)
    bucket = f"agad-test-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    yield f"s3://{bucket}/some/prefix"
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            client.delete_object(Bucket=bucket, Key=entry["Key"])
    client.delete_bucket(Bucket=bucket)
    client.close()


@pytest.fixture(params=STORES)
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return open_objects(str(tmp_path / "store"))
    return open_objects(request.getfixturevalue(request.param))
