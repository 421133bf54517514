"""The errors of Google's libraries, as one line that tells the user what to do."""

from __future__ import annotations

from collections.abc import Mapping

from google.api_core.exceptions import (
    BadRequest,
    Forbidden,
    GoogleAPICallError,
    NotFound,
    PreconditionFailed,
    Unauthorized,
)
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud.storage.exceptions import DataCorruption  # type: ignore[import-untyped]
from requests import RequestException
from urllib3.exceptions import HTTPError

from agad.errors import StoreError
from agad.objects.bucket import KeyTakenError
from agad.objects.environment import said
from agad.objects.protocol import MissingObjectError
from agad.objects.retry import TransientError

_CREDENTIALS_HELP = (
    "set GOOGLE_APPLICATION_CREDENTIALS, run gcloud auth application-default login, or give this "
    "host a service account"
)
_DENIED = ("", "forbidden", "insufficientPermissions")
"""The server's reasons for a refusal by its permissions; other reasons are told as they are."""

_PASSING_REASONS = ("rateLimitExceeded", "userRateLimitExceeded")
_PASSING_STATUSES = (408, 409, 429)


def store_error(error: Exception, uri: str) -> StoreError:
    """Return the error to raise instead: transient, missing, taken, or lasting.

    Args:
        error: What Google's libraries or those below them raised. Its text is never repeated, since
            it may hold an address with its signature, or a token; the server's own message in it
            is shown without them.
        uri: The store or the object that was asked for.
    """
    if isinstance(error, GoogleAPICallError):
        return _answered(error, uri)
    if isinstance(error, DataCorruption):
        return TransientError(f"{uri} arrived damaged; check the network.")
    if isinstance(error, RequestException | HTTPError | TransportError):
        return TransientError(
            f"{uri} cannot be reached ({type(error).__name__}); check the network and "
            "STORAGE_EMULATOR_HOST."
        )
    if isinstance(error, GoogleAuthError):
        return StoreError(f"{uri} needs credentials ({type(error).__name__}); {_CREDENTIALS_HELP}.")
    return StoreError(f"{uri} cannot be used ({type(error).__name__}).")


def _answered(error: GoogleAPICallError, uri: str) -> StoreError:
    status = int(error.code or 0)
    reason, message = _reason_of(error)
    if isinstance(error, NotFound):
        if "bucket does not exist" in str(error):
            return StoreError(
                f"{uri} does not exist: no such bucket; create the bucket, or name another one."
            )
        return MissingObjectError(f"{uri} does not exist.")
    if isinstance(error, PreconditionFailed):
        return KeyTakenError(f"{uri} exists already.")
    if isinstance(error, Unauthorized):
        return StoreError(f"{uri} refuses these credentials; {_CREDENTIALS_HELP}.")
    if isinstance(error, Forbidden) and reason in _DENIED:
        return StoreError(
            f"{uri} refuses access; allow these credentials storage.objects.list, get, create and "
            "delete."
        )
    # Google answers this if the arrived bytes do not match the CRC32C beside them.
    is_damaged = isinstance(error, BadRequest) and "match" in str(error)
    line = " ".join(filter(None, (f"{uri} answers {status}", said(reason, message))))
    is_passing = status in _PASSING_STATUSES or reason in _PASSING_REASONS
    if status >= 500 or is_passing or is_damaged:
        return TransientError(f"{line}; the server is busy or failing, so try again later.")
    if reason or message:
        return StoreError(f"{line}.")
    return StoreError(f"{line}; check that the bucket is one of Google's.")


def _reason_of(error: GoogleAPICallError) -> tuple[str, str]:
    """Return the server's own reason and message; empty if its answer has none."""
    first = next((one for one in error.errors if isinstance(one, Mapping)), {})
    return str(first.get("reason") or ""), str(first.get("message") or "")
