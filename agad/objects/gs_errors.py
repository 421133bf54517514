"""The errors of Google's libraries, as one line that tells the user what to do."""

from __future__ import annotations

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
from agad.objects.protocol import MissingObjectError
from agad.objects.retry import TransientError

_CREDENTIALS_HELP = (
    "set GOOGLE_APPLICATION_CREDENTIALS, run gcloud auth application-default login, or give this "
    "host a service account"
)
_PASSING_STATUSES = (408, 409, 429)


def store_error(error: Exception, uri: str) -> StoreError:
    """Return the error to raise instead: transient, missing, taken, or lasting.

    Args:
        error: What Google's libraries or those below them raised. Its text is never repeated, since
            it may hold an address with its signature, or a token.
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
    if isinstance(error, Forbidden):
        return StoreError(
            f"{uri} refuses access; allow these credentials storage.objects.list, get, create and "
            "delete."
        )
    # Google answers this if the arrived bytes do not match the CRC32C beside them.
    is_damaged = isinstance(error, BadRequest) and "match" in str(error)
    if status >= 500 or status in _PASSING_STATUSES or is_damaged:
        return TransientError(
            f"{uri} answers {status}; the server is busy or failing, so try again later."
        )
    return StoreError(f"{uri} answers {status}; check that the bucket is one of Google's.")
