"""From a URI to the objects that it names."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from agad.errors import ConfigError
from agad.objects.local import LocalObjects
from agad.objects.protocol import ObjectStore, is_key

_ALLOWED = "a folder, file:///folder or s3://bucket/prefix"
# S3's own rule for the names of buckets, and the capitals and "_" that other servers take.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")


def open_objects(uri: str) -> ObjectStore:
    """Open a folder (``~`` is the home, a relative path starts here) or an S3 bucket.

    A folder need not exist. A bucket must, and is asked for before this returns.

    Raises:
        ConfigError: ``uri`` is neither a folder, ``file:///folder`` nor ``s3://bucket/prefix``.
        StoreError: The bucket cannot be reached or listed.
    """
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)", uri)
    if scheme is None:
        return _local(uri, uri)
    if uri.startswith("file://"):
        host, path = re.fullmatch(r"file://([^/]*)(.*)", uri, re.DOTALL).groups()  # type: ignore[union-attr]
        if host not in ("", "localhost") or not path:
            raise _not_allowed(uri)
        return _local(unquote(path), uri)
    if uri.startswith("s3://"):
        return _s3(uri)
    raise _not_allowed(uri)


def _local(path: str, uri: str) -> ObjectStore:
    if not path or "\0" in path:
        raise _not_allowed(uri)
    try:
        return LocalObjects(Path(path))
    except RuntimeError as error:  # What Path.expanduser raises for "~nobody".
        raise ConfigError(
            f"store is {uri!r}, but must be in a home that is known; name it in full."
        ) from error


def _s3(uri: str) -> ObjectStore:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    prefix = prefix.rstrip("/")
    if not _BUCKET.fullmatch(bucket) or (prefix and not is_key(prefix)):
        raise _not_allowed(uri)
    # Imported here because boto3 takes a quarter of a second and a folder does not need it.
    from agad.objects.s3 import S3Objects

    objects = S3Objects(bucket, prefix)
    objects.check_reachable()
    return objects


def _not_allowed(uri: str) -> ConfigError:
    # A secret key may hold "/", so all before the last "@" goes.
    shown = re.sub(r"//.*@", "//***@", uri, flags=re.DOTALL)
    reason = "; credentials come from the AWS environment." if shown != uri else "."
    return ConfigError(f"store is {shown!r}, but must be {_ALLOWED}{reason}")
