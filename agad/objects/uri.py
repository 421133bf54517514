"""From a URI to the objects that it names."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from agad.errors import ConfigError
from agad.objects.bucket import Bucket
from agad.objects.environment import character_name
from agad.objects.local import LocalObjects
from agad.objects.protocol import ObjectStore
from agad.objects.remote import RemoteObjects
from agad.records import is_key

_ALLOWED = "a folder, file:///folder, s3://bucket/prefix or gs://bucket/prefix"
# S3's own rule for bucket names, plus the capitals and "_" that other servers take. Google's names
# fit too, except the longer names of domains.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")


def check_uri(uri: str) -> str:
    """Return a URI for ``open_objects``, a folder as an absolute path, without asking for a bucket.

    Raises:
        ConfigError: ``uri`` names no store.
    """
    if uri.startswith(("s3://", "gs://")):
        scheme, bucket, prefix = _parts(uri)
        return f"{scheme}://{bucket}/{prefix}".rstrip("/")
    return open_objects(uri).uri


def open_objects(uri: str) -> ObjectStore:
    """Open a folder (``~`` is the home, a relative path starts here), an S3 or a Google bucket.

    A folder need not exist. A bucket must exist, and is asked for before this function returns.

    Raises:
        ConfigError: ``uri`` is neither a folder, ``file:///folder``, ``s3://bucket/prefix`` nor
            ``gs://bucket/prefix``; or the extra ``agad[gs]``, which ``gs://`` needs, is missing.
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
    if uri.startswith(("s3://", "gs://")):
        return _remote(uri)
    raise _not_allowed(uri)


def _local(path: str, uri: str) -> ObjectStore:
    if not path or "\0" in path:
        raise _not_allowed(uri)
    try:
        return LocalObjects(Path(path))
    except RuntimeError as error:  # Path.expanduser raises this for "~nobody".
        raise ConfigError(
            f"store is {uri!r}, but must be in a home that is known; name it in full."
        ) from error


def _remote(uri: str) -> ObjectStore:
    scheme, bucket, prefix = _parts(uri)
    objects = RemoteObjects(_s3(bucket, prefix) if scheme == "s3" else _gs(bucket, prefix))
    objects.check_reachable()
    return objects


def _parts(uri: str) -> tuple[str, str, str]:
    """Return scheme, bucket and prefix.

    Raises:
        ConfigError: The bucket or the prefix is not allowed.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.rstrip("/")
    # Text before an "@" may be a credential, so nothing of such a URI is looked at or shown.
    if "@" in uri or not bucket:
        raise _not_allowed(uri)
    if not _BUCKET.fullmatch(bucket):
        raise ConfigError(f"store is {uri!r}, but {_bucket_fault(bucket)}.")
    if prefix and not is_key(prefix):
        raise ConfigError(f"store is {uri!r}, but {_prefix_fault(prefix)}.")
    return scheme, bucket, prefix


def _bucket_fault(bucket: str) -> str:
    fault = re.search(r"[^A-Za-z0-9._-]", bucket)
    if fault:
        return (
            f"its bucket {bucket!r} holds {character_name(fault[0])}, and may hold letters, "
            "digits, '.', '_' and '-' alone"
        )
    if not 3 <= len(bucket) <= 63:
        return f"its bucket {bucket!r} has {len(bucket)} characters, and must have 3 to 63"
    return f"its bucket {bucket!r} must start and end with a letter or digit"


def _prefix_fault(prefix: str) -> str:
    fault = re.search(r"[^A-Za-z0-9._=/-]", prefix)
    if fault:
        return (
            f"its prefix {prefix!r} holds {character_name(fault[0])}, and may hold letters, "
            "digits, '.', '_', '=', '-' and '/' alone"
        )
    segment = next(one for one in prefix.split("/") if not is_key(one))
    if not segment:
        return f"its prefix {prefix!r} has nothing between two '/'; leave one of them out"
    if segment[0] in ".-=":
        return f"its prefix {prefix!r} has a part that starts with {segment[0]!r}; rename the part"
    return (
        f"its prefix {prefix[:40]!r}... has a part of {len(segment)} characters, and may have 200"
    )


def _s3(bucket: str, prefix: str) -> Bucket:
    # Imported here because boto3 takes a quarter of a second and a folder does not need it.
    from agad.objects.s3 import S3Bucket

    return S3Bucket(bucket, prefix)


def _gs(bucket: str, prefix: str) -> Bucket:
    try:  # An extra, which only this function needs.
        from agad.objects.gs import GoogleBucket
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("google"):
            raise
        raise ConfigError(
            f"store is 'gs://{bucket}/{prefix}', which needs google-cloud-storage, but that is not "
            "installed; run pip install 'agad[gs]'."
        ) from error
    return GoogleBucket(bucket, prefix)


def _not_allowed(uri: str) -> ConfigError:
    # A secret key may hold "/", so all before the last "@" goes.
    shown = re.sub(r"//.*@", "//***@", uri, flags=re.DOTALL)
    usual = "Google" if uri.startswith("gs:") else "AWS"
    reason = f"; credentials come from the {usual} environment." if shown != uri else "."
    return ConfigError(f"store is {shown!r}, but must be {_ALLOWED}{reason}")
