"""The upload of a large file to an S3 bucket: in parts, each repeated by itself."""

from __future__ import annotations

import hashlib
import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

from agad.errors import StoreError
from agad.objects.bucket import KeyTakenError
from agad.objects.files import errors_named
from agad.objects.protocol import MissingObjectError
from agad.objects.retry import Backoff, TransientError, retry

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_T = TypeVar("_T")
_PART_BYTES = 16 * 2**20
_MAX_PARTS = 10_000
"""S3's own limit; the parts of a file above 156 GiB are larger than 16 MiB."""

_BACKOFF = Backoff(deadline_s=120.0)
logger = logging.getLogger(__name__)


class ObjectAddress(TypedDict):
    """The object, as every request to it names it."""

    Bucket: str
    Key: str


def put_in_parts(
    client: S3Client,
    where: ObjectAddress,
    path: Path,
    sha256: str,
    errors: Callable[[], AbstractContextManager[None]],
) -> None:
    """Put a file in parts, on the condition that its key is free when the last part is there.

    If the put fails, the parts are removed. The parts of a killed writer stay until the bucket's
    own rule for incomplete uploads removes them.

    Args:
        client: The server.
        where: The object.
        path: The file.
        sha256: Digest of its bytes.
        errors: Turns botocore's errors into ours.

    Raises:
        KeyTakenError: The key has an object, which may be this one if the answer to the last
            request was lost.
        StoreError: A request failed as often as it may, or the file cannot be read.
    """

    def call(request: Callable[[], _T]) -> _T:
        def once() -> _T:
            with errors():
                return request()

        try:
            return retry(once, backoff=_BACKOFF)
        except TransientError as error:  # Lasting here, or the whole file would be sent again.
            raise StoreError(str(error)) from error

    upload = call(lambda: client.create_multipart_upload(**where, Metadata={"sha256": sha256}))[
        "UploadId"
    ]
    try:
        parts: list[CompletedPartTypeDef] = []
        for number, data in enumerate(_parts(path), start=1):
            send = partial(
                client.upload_part,
                **where,
                UploadId=upload,
                PartNumber=number,
                Body=data,
                ContentMD5=b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
            )
            parts.append({"PartNumber": number, "ETag": call(send)["ETag"]})
        try:
            call(
                lambda: client.complete_multipart_upload(
                    **where, UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
                )
            )
        except MissingObjectError as error:  # The upload is over, but its answer was lost.
            raise KeyTakenError(f"{path} is there already.") from error
    except BaseException:
        _abort(client, where, upload, errors)
        raise


def _parts(path: Path) -> Iterator[bytes]:
    with errors_named(path, "read"):
        num_bytes = path.stat().st_size
        part_bytes = max(_PART_BYTES, -(-num_bytes // _MAX_PARTS))
        with path.open("rb") as file:
            while part := file.read(part_bytes):
                yield part


def _abort(
    client: S3Client,
    where: ObjectAddress,
    upload: str,
    errors: Callable[[], AbstractContextManager[None]],
) -> None:
    """Remove the parts; an error here must not hide why the put failed."""
    try:
        with errors():
            client.abort_multipart_upload(**where, UploadId=upload)
    except MissingObjectError:
        return
    except StoreError as error:
        logger.warning("Parts of a failed upload stay in the bucket: %s", error)
