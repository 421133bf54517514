"""Objects in an S3 bucket, or in any server that speaks its protocol."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody

from agad.errors import StoreError
from agad.objects.files import CHUNK_BYTES, errors_named, holds, replaced, write_synced
from agad.objects.protocol import MissingObjectError, check_key, check_prefix, is_key
from agad.objects.ranged import ranged_file
from agad.objects.retry import Backoff, TransientError, retry
from agad.objects.s3_errors import KeyTakenError, store_error, without_secrets

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef

_T = TypeVar("_T")
_CONNECT_TIMEOUT_S = 5
_READ_TIMEOUT_S = 30
_OPEN_READ_TIMEOUT_S = 5
_OPEN_BACKOFF = Backoff(attempts=2)
"""With the timeouts above, a server that is not there is reported within about 10 s."""

_NUM_CONNECTIONS = 32
_PART_LIMIT_BYTES = 5 * 2**30
"""S3's own limit for one request; a larger object would have to be put in several."""


class S3Objects:
    """Objects in a bucket under a prefix, which may be empty.

    Endpoint, region and credentials are those of the usual AWS environment (``AWS_ENDPOINT_URL``,
    ``AWS_PROFILE`` and so on). Building one sends no request; ``check_reachable`` does.
    """

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = self._connected(_READ_TIMEOUT_S)

    @property
    def uri(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def check_reachable(self) -> None:
        """Refuse a bucket that cannot be listed, within about 10 s.

        Raises:
            StoreError: Nothing answers, the bucket is missing, or it may not be listed.
        """
        client = self._connected(_OPEN_READ_TIMEOUT_S)
        self._call(
            lambda: client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1),
            backoff=_OPEN_BACKOFF,
        )

    def get(self, key: str) -> bytes:
        check_key(key)
        return self._call(lambda: self._read(key), key)

    def open(self, key: str) -> BinaryIO:
        check_key(key)
        head = self._call(
            lambda: self._client.head_object(Bucket=self._bucket, Key=self._prefix + key), key
        )
        return ranged_file(
            head["ContentLength"],
            lambda start, end: self._call(lambda: self._read_range(key, start, end), key),
        )

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See ``ObjectStore``. One conditional request, in a single part."""
        check_key(key)
        return self._put(key, lambda: self._send(key, data), lambda: self._read(key) == data)

    def get_file(self, key: str, path: Path) -> None:
        check_key(key)
        self._call(lambda: self._read_to(key, path), key)

    def put_file_if_absent(self, key: str, path: Path) -> bool:
        """See ``ObjectStore``. One conditional request, in a single part of at most 5 GiB."""
        check_key(key)
        with errors_named(path, "read"):
            num_bytes = path.stat().st_size
        if num_bytes > _PART_LIMIT_BYTES:
            raise StoreError(
                f"{path} is {num_bytes} bytes, but must be at most {_PART_LIMIT_BYTES} (5 GiB) to "
                f"be one object of {self.uri}; import at a smaller --size."
            )
        return self._put(
            key, lambda: self._send_file(key, path), lambda: self._holds_file(key, path)
        )

    def _connected(self, read_timeout_s: int) -> S3Client:
        # Where an endpoint is set, botocore already addresses buckets by path.
        config = Config(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=read_timeout_s,
            max_pool_connections=_NUM_CONNECTIONS,
            retries={"total_max_attempts": 1},  # `retry` alone repeats, or the two multiply.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        try:
            return boto3.session.Session().client("s3", config=config)
        except BotoCoreError as error:
            raise store_error(error, self.uri, "") from error
        except ValueError as error:  # What botocore raises for a malformed endpoint or region.
            raise StoreError(
                f"{self.uri} cannot be opened: {without_secrets(str(error))}; check "
                "AWS_ENDPOINT_URL and AWS_DEFAULT_REGION."
            ) from error

    def _call(
        self,
        action: Callable[[], _T],
        key: str = "",
        *,
        on: type[StoreError] | tuple[type[StoreError], ...] = TransientError,
        backoff: Backoff = Backoff(),  # noqa: B008  A frozen value.
    ) -> _T:
        """Run a request, repeated while that may help, its errors as one line for the user."""

        def request() -> _T:
            with self._errors_named(key):
                return action()

        return retry(request, on, backoff=backoff)

    @contextmanager
    def _errors_named(self, key: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            where = f"{self.uri}/{key}" if key else self.uri
            raise store_error(error, where, self._client.meta.endpoint_url) from error

    def _put(self, key: str, send: Callable[[], object], is_there: Callable[[], bool]) -> bool:
        """Send an object, and see whether it is this one that is there where the key is taken."""
        try:
            self._call(send, key)
        except KeyTakenError:
            # It was taken, so that it cannot be read yet passes as well.
            return self._call(is_there, key, on=(TransientError, MissingObjectError))
        return True

    def _send(self, key: str, body: bytes | BinaryIO) -> None:
        # Named here, because botocore's time-out is an OSError and would pass for the file's.
        with self._errors_named(key):
            self._client.put_object(
                Bucket=self._bucket, Key=self._prefix + key, Body=body, IfNoneMatch="*"
            )

    def _send_file(self, key: str, path: Path) -> None:
        with errors_named(path, "read"), path.open("rb") as file:
            self._send(key, file)

    def _body(self, key: str) -> closing[StreamingBody]:
        # Not its own ``with``, which gives urllib3's stream, whose errors are not botocore's.
        answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
        return closing(answer["Body"])

    def _read(self, key: str) -> bytes:
        with self._body(key) as body:
            return body.read()

    def _read_range(self, key: str, start: int, end: int) -> bytes:
        answer = self._client.get_object(
            Bucket=self._bucket, Key=self._prefix + key, Range=f"bytes={start}-{end - 1}"
        )
        with closing(answer["Body"]) as body:
            return body.read()

    def _chunks(self, key: str) -> Generator[bytes]:
        with self._errors_named(key), self._body(key) as body:
            yield from body.iter_chunks(CHUNK_BYTES)

    def _read_to(self, key: str, path: Path) -> None:
        with closing(self._chunks(key)) as chunks, replaced(path):
            write_synced(path, chunks)

    def _holds_file(self, key: str, path: Path) -> bool:
        with (
            closing(self._chunks(key)) as chunks,
            errors_named(path, "read"),
            path.open("rb") as file,
        ):
            return holds(file, chunks)

    def _pages(self, prefix: str, delimiter: str = "") -> Iterator[ListObjectsV2OutputTypeDef]:
        """Yield the pages of a listing, each requested by itself, so that each can be repeated."""
        request: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + prefix}
        if delimiter:
            request["Delimiter"] = delimiter
        while True:
            page = self._call(partial(self._client.list_objects_v2, **request))
            yield page
            if not page["IsTruncated"]:
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def delete(self, key: str) -> None:
        check_key(key)
        self._call(
            lambda: self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key), key
        )

    def list_folders(self) -> list[str]:
        return sorted(
            folder
            for page in self._pages("", "/")
            for entry in page.get("CommonPrefixes", [])
            if is_key(folder := entry["Prefix"].removeprefix(self._prefix).rstrip("/"))
        )

    def sizes(self, prefix: str) -> dict[str, int]:
        check_prefix(prefix)
        sizes = {
            key: entry["Size"]
            for page in self._pages(prefix)
            for entry in page.get("Contents", [])
            if is_key(key := entry["Key"].removeprefix(self._prefix))
        }
        return dict(sorted(sizes.items()))

    def list(self, prefix: str) -> list[str]:
        return list(self.sizes(prefix))
