"""What tests of several layers share: rows, imported digits, and stores in folders and on S3."""

from __future__ import annotations

import functools
import itertools
import json
import os
import shutil
import tempfile
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer

from agad.objects import ObjectStore, open_objects
from agad.records import TrialRow

if TYPE_CHECKING:
    from agad.data import Library, Manifest, NodeCache

pytest_plugins = ["tests.shared_ray", "tests.simulation", "tests.tiny_encoder"]

RowBuilder = Callable[..., TrialRow]


@pytest.fixture(scope="session", autouse=True)
def own_ray_folder() -> Iterator[None]:
    """Give this process a folder of Ray's own, so that no test finds the Ray of another process.

    The folder's path is short: a path of a Unix socket has at most 107 bytes.
    """
    before = os.environ.get("RAY_TMPDIR")
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    os.environ["RAY_TMPDIR"] = folder
    yield
    if before is None:
        del os.environ["RAY_TMPDIR"]
    else:
        os.environ["RAY_TMPDIR"] = before
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def service_files_read_once() -> Iterator[None]:
    """Let all sessions of boto3 in this process share what botocore read of its own files.

    A session reads them anew, which takes 0.1 s, and most tests on S3 open several.
    """
    with pytest.MonkeyPatch.context() as patch:
        create = functools.cache(botocore.session.create_loader)
        patch.setattr(botocore.session, "create_loader", create)
        yield


@pytest.fixture
def make_row() -> RowBuilder:
    """Return a builder of finished search rows of ``digits class=0 ratio=0``."""
    numbers = itertools.count()

    def build(**changes: Any) -> TrialRow:  # noqa: ANN401
        number = next(numbers)
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        row = TrialRow(
            study="a-study",
            cell="digits class=0 ratio=0",
            phase="search",
            trial_key=f"{number:032x}",
            attempt=0,
            number=number,
            detector="agad",
            detector_version=2,
            dataset="digits",
            protocol="one-class",
            normal_class=0,
            anomalous_class=None,
            anomaly_ratio=0.0,
            pollution_ratio=0.0,
            labelled_classes="all",
            settings="{}",
            seeds=(0,),
            params=json.dumps({"lr": 0.001}),
            selection="labelled(30)",
            num_fit_normals=140,
            num_fit_hidden=0,
            num_fit_anomalies=0,
            num_val_normals=15,
            num_val_hidden=0,
            num_val_anomalies=30,
            max_epochs=27,
            state="finished",
            stop_reason="",
            error="",
            epochs=27,
            seconds=10.0,
            gpu_s=0.0,
            val_auroc=0.9,
            test_auroc=None,
            test_average_precision=None,
            data_fingerprint="ab12" * 16,
            commit="0123456789abcdef",
            is_dirty=False,
            versions=json.dumps({"python": "3.12.3", "torch": "2.13.0"}),
            hardware="a processor on a host",
            precision="float32",
            started_at=moment,
            ended_at=moment,
        )
        return replace(row, **changes)

    return build


@pytest.fixture(scope="session")
def digits_library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Import digits once, into a folder of the test session; nothing else may be put there."""
    # Imported here because torch takes a second, which tests of the outer layers do not need.
    from agad.data import Library, find_manifest

    library = Library(open_objects(str(tmp_path_factory.mktemp("digits") / "store")))
    find_manifest(library, "digits")
    return library


@pytest.fixture(scope="session")
def digits(digits_library: Library) -> Manifest:
    """Return what is known of the imported digits."""
    return digits_library.manifest("digits")


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> NodeCache:
    """Return a node's cache for the whole session, never the user's own."""
    from agad.data import NodeCache

    return NodeCache(folder=str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: for tiny networks several cost more than they give."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Response, "put_object", _in_turn(S3Response.put_object))
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


def _in_turn(put: Callable[[S3Response], Any]) -> Callable[[S3Response], Any]:
    """Let one request at a time put: moto's check for an object and its put are two steps."""
    lock = threading.Lock()

    def put_in_turn(response: S3Response) -> Any:  # noqa: ANN401  The library's own type.
        with lock:
            return put(response)

    return put_in_turn


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
def s3_uri(s3_endpoint: str, aws_environment: None) -> str:  # noqa: ARG001
    bucket = f"bucket-{uuid.uuid4().hex}"
    # Not by boto3, whose client takes 0.1 s to build; the server asks for no signature.
    create = urllib.request.Request(f"{s3_endpoint}/{bucket}", method="PUT")
    urllib.request.urlopen(create, timeout=10).close()
    return f"s3://{bucket}/some/prefix"


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    uri = str(tmp_path / "store")
    if request.param == "s3":
        uri = request.getfixturevalue("s3_uri")
    return open_objects(uri)
