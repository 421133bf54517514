"""Requests to an S3 bucket, or to any server that speaks its protocol."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from agad.errors import StoreError
from agad.objects.bucket import Head, KeyTakenError, ListingPage
from agad.objects.environment import check_endpoint, check_secret, without_secrets
from agad.objects.files import CHUNK_BYTES, errors_named, read_chunks
from agad.objects.protocol import MissingObjectError
from agad.objects.s3_errors import store_error
from agad.objects.s3_parts import put_in_parts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONNECT_TIMEOUT_S = 5
_OPEN_READ_TIMEOUT_S = 5
_NUM_CONNECTIONS = 32
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_GIVEN_IN = {
    "env": "",
    "explicit": "",
    "shared-credentials-file": "~/.aws/credentials",
    "config-file": "~/.aws/config",
}
"""The sources of credentials that a person typed, by botocore's name; "" is the environment."""

_LARGE_BYTES = 64 * 2**20
"""A larger file goes up in parts: a failure costs one part, and S3's 5 GiB limit is gone."""


class S3Bucket:
    """A bucket and a prefix in it, which may be empty.

    Endpoint, region and credentials are those of the usual AWS environment (``AWS_ENDPOINT_URL``,
    ``AWS_PROFILE`` and so on). Building an ``S3Bucket`` sends no request.

    Every put but ``overwrite`` is conditional (``If-None-Match: *``). The put carries the MD5 of
    its bytes, so that the server refuses bytes damaged on the way.

    A file above 64 MiB goes up in parts, and the condition is on the last request. Some servers do
    not check this condition (Ceph's gateway, for example), so the key is looked at first. If
    several writers start within the same moment, the last one may win on such a server. The key of
    a large file must therefore name its content, so that all writers' files are equal.
    """

    def __init__(self, bucket: str, prefix: str, *, read_timeout_s: float = 30.0) -> None:
        self._name = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        # A single session for both clients: its reading of botocore's data takes 0.1 s.
        for name in _ENDPOINT_VARIABLES:
            if os.environ.get(name):
                check_endpoint(name, os.environ[name])
        with self._environment_errors_named():
            self._session = boto3.session.Session()
            self._check_credentials()
        self._client = self._connected(read_timeout_s)

    def _check_credentials(self) -> None:
        """Refuse given credentials that no request can carry, such as a key with a line break."""
        found = self._session.get_credentials()
        # Credentials of other kinds are fetched and renewed, at the price of a request.
        if found is None or found.method not in _GIVEN_IN:
            return
        for variable, value in (
            ("AWS_ACCESS_KEY_ID", found.access_key),
            ("AWS_SECRET_ACCESS_KEY", found.secret_key),
            ("AWS_SESSION_TOKEN", found.token),
        ):
            place = _GIVEN_IN[found.method]
            check_secret(f"{variable.lower()} of {place}" if place else variable, value or "")

    @property
    def uri(self) -> str:
        return f"s3://{self._name}/{self._prefix}".rstrip("/")

    @property
    def identity(self) -> str:
        host = urlsplit(self._client.meta.endpoint_url).netloc.rpartition("@")[2]
        return f"{self.uri} {host}"

    def check_reachable(self) -> None:
        client = self._connected(_OPEN_READ_TIMEOUT_S)
        with self._errors_named():
            client.list_objects_v2(Bucket=self._name, Prefix=self._prefix, MaxKeys=1)

    def head(self, key: str) -> Head:
        with self._errors_named(key):
            answer = self._client.head_object(Bucket=self._name, Key=self._prefix + key)
        return Head(
            num_bytes=answer["ContentLength"], sha256=answer.get("Metadata", {}).get("sha256", "")
        )

    def read(self, key: str, write: Callable[[bytes], object]) -> str:
        with self._errors_named(key):
            answer = self._client.get_object(Bucket=self._name, Key=self._prefix + key)
            # Not the body's own ``with``, whose stream raises urllib3's errors, not botocore's.
            with closing(answer["Body"]) as body:
                for chunk in body.iter_chunks(CHUNK_BYTES):
                    write(chunk)
        return answer.get("Metadata", {}).get("sha256", "")

    def read_range(self, key: str, start: int, end: int) -> bytes:
        with self._errors_named(key):
            answer = self._client.get_object(
                Bucket=self._name, Key=self._prefix + key, Range=f"bytes={start}-{end - 1}"
            )
            with closing(answer["Body"]) as body:
                return body.read()

    def send(self, key: str, data: bytes, sha256: str) -> None:
        with self._errors_named(key):
            self._client.put_object(
                Bucket=self._name,
                Key=self._prefix + key,
                Body=data,
                ContentMD5=_md5((data,)),
                Metadata={"sha256": sha256},
                IfNoneMatch="*",
            )

    def overwrite(self, key: str, data: bytes, sha256: str) -> None:
        with self._errors_named(key):
            self._client.put_object(
                Bucket=self._name,
                Key=self._prefix + key,
                Body=data,
                ContentMD5=_md5((data,)),
                Metadata={"sha256": sha256},
            )

    def send_file(self, key: str, path: Path, sha256: str) -> None:
        with errors_named(path, "read"):
            num_bytes = path.stat().st_size
        if num_bytes > _LARGE_BYTES:
            self._send_large(key, path, sha256)
            return
        with errors_named(path, "read"), path.open("rb") as file, self._errors_named(key):
            self._client.put_object(
                Bucket=self._name,
                Key=self._prefix + key,
                Body=file,
                ContentMD5=_md5(read_chunks(path)),
                Metadata={"sha256": sha256},
                IfNoneMatch="*",
            )

    def _send_large(self, key: str, path: Path, sha256: str) -> None:
        try:
            self.head(key)
        except MissingObjectError:
            put_in_parts(
                self._client,
                {"Bucket": self._name, "Key": self._prefix + key},
                path,
                sha256,
                lambda: self._errors_named(key),
            )
        else:
            raise KeyTakenError(f"{self.uri}/{key} exists already.")

    def remove(self, key: str) -> None:
        with self._errors_named(key):
            self._client.delete_object(Bucket=self._name, Key=self._prefix + key)

    def page(self, prefix: str, delimiter: str, page: str) -> ListingPage:
        request: dict[str, Any] = {"Bucket": self._name, "Prefix": self._prefix + prefix}
        if delimiter:
            request["Delimiter"] = delimiter
        if page:
            request["ContinuationToken"] = page
        with self._errors_named():
            answer = self._client.list_objects_v2(**request)
        return ListingPage(
            sizes={
                entry["Key"].removeprefix(self._prefix): entry["Size"]
                for entry in answer.get("Contents", [])
            },
            folders=tuple(
                entry["Prefix"].removeprefix(self._prefix).removesuffix("/")
                for entry in answer.get("CommonPrefixes", [])
            ),
            next_page=answer["NextContinuationToken"] if answer["IsTruncated"] else "",
        )

    def _connected(self, read_timeout_s: float) -> S3Client:
        # If an endpoint is set, botocore already addresses buckets by path.
        config = Config(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=read_timeout_s,
            max_pool_connections=_NUM_CONNECTIONS,
            retries={"total_max_attempts": 1},  # Only `retry` repeats, or both would multiply.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        with self._environment_errors_named():
            return self._session.client("s3", config=config)

    @contextmanager
    def _environment_errors_named(self) -> Iterator[None]:
        try:
            yield
        except BotoCoreError as error:
            raise store_error(error, self.uri, "") from None
        except ValueError as error:  # Raised by botocore for a malformed endpoint or region.
            raise StoreError(
                f"{self.uri} cannot be opened: {without_secrets(str(error))}; check "
                "AWS_ENDPOINT_URL and AWS_DEFAULT_REGION."
            ) from None

    @contextmanager
    def _errors_named(self, key: str = "") -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            where = f"{self.uri}/{key}" if key else self.uri
            # Not `from error`: a traceback would show its text, which may hold an endpoint's
            # password.
            raise store_error(error, where, self._client.meta.endpoint_url) from None


def _md5(chunks: Iterable[bytes]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in chunks:
        digest.update(chunk)
    return b64encode(digest.digest()).decode()
