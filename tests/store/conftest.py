"""A folder and an S3 server on loopback, empty for every test, and builders of rows."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from agad.objects import ObjectStore, open_objects
from agad.records import Claim, EpochRow, TrialRow

Build = Callable[..., Any]

_TRIAL = TrialRow(
    study="study",
    cell="digits class=0 ratio=0.05",
    phase="search",
    trial_key="0" * 32,
    attempt=0,
    number=3,
    detector="agad",
    detector_version=1,
    dataset="digits",
    normal_class=0,
    anomaly_ratio=0.05,
    settings='{"backbone": "unet++"}',
    seeds=(1, 2**62),
    params='{"lr": 0.0002}',
    selection="labelled(30)",
    num_fit_normals=100,
    num_fit_anomalies=5,
    num_val_normals=10,
    num_val_anomalies=30,
    max_epochs=27,
    state="finished",
    stop_reason="",
    error="Traceback:\n  naïve\0",
    epochs=2,
    seconds=1.5,
    gpu_s=0.1 + 0.2,
    val_auroc=1 / 3,
    test_auroc=None,
    test_average_precision=None,
    data_fingerprint="f" * 64,
    commit="",
    is_dirty=True,
    versions="{}",
    hardware="cpu",
    started_at=datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
    ended_at=datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC),
)
_EPOCH = EpochRow(
    study="study",
    cell="digits class=0 ratio=0.05",
    phase="search",
    trial_key="0" * 32,
    attempt=0,
    epoch=0,
    val_auroc=0.25,
    train_s=0.75,
    losses={"con": 1e-300, "adv": float("inf")},
)
_CLAIM = Claim(
    trial_key="0" * 32,
    attempt=0,
    cell="digits class=0 ratio=0.05",
    phase="search",
    number=3,
    params={"lr": 2e-4, "backbone": "unet++", "flag": True},
    seeds=(1, 2),
)


@pytest.fixture
def trial_row() -> Build:
    """A builder of trial rows: what is not named is filled in."""
    return partial(replace, _TRIAL)


@pytest.fixture
def epoch_row() -> Build:
    return partial(replace, _EPOCH)


@pytest.fixture
def claim() -> Build:
    return partial(replace, _CLAIM)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws_environment(
    s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Point everything at the loopback server, whatever the user's own configuration says."""
    nowhere = str(tmp_path_factory.mktemp("aws") / "nowhere")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": s3_endpoint,
        "no_proxy": "127.0.0.1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test-secret",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def s3_uri(aws_environment: None) -> str:  # noqa: ARG001
    bucket = f"bucket-{uuid.uuid4().hex}"
    boto3.session.Session().client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/some/prefix"


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    uri = str(tmp_path / "store")
    if request.param == "s3":
        uri = request.getfixturevalue("s3_uri")
    return open_objects(uri)
