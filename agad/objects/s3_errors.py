"""The errors of botocore, as one line that tells the user what to do."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)

from agad.errors import StoreError
from agad.objects.bucket import KeyTakenError
from agad.objects.environment import said, without_secrets
from agad.objects.protocol import MissingObjectError
from agad.objects.retry import TransientError

_CREDENTIALS_HELP = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this host a role"
)
_HELP = {
    "NoSuchBucket": "does not exist: no such bucket; create the bucket, or name another one",
    "AccessDenied": "refuses access; allow these credentials s3:ListBucket, s3:GetObject and "
    "s3:PutObject",
    "PermanentRedirect": "is in another region; set AWS_DEFAULT_REGION to it",
    "NotImplemented": "does not know a request that agad needs; use a server with conditional "
    "puts (If-None-Match)",
    "RequestTimeTooSkewed": "refuses this host's clock; set the clock",
    **dict.fromkeys(
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"),
        f"refuses these credentials; {_CREDENTIALS_HELP}",
    ),
}
_NO_REGION = "AuthorizationHeaderMalformed"
"""A code that is said of a wrong region, and of credentials that no server understands."""

# Servers that answer without a body leave the status as the only code.
_CODE_OF_STATUS = {301: "PermanentRedirect", 403: "AccessDenied", 501: "NotImplemented"}
_TRANSIENT_CODES = {
    "BadDigest",
    "ConditionalRequestConflict",
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
}
_CONNECTION_ERRORS = (ConnectionError, HTTPClientError, IncompleteReadError)
_CREDENTIAL_ERRORS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)


def store_error(error: BotoCoreError | ClientError, uri: str, endpoint: str) -> StoreError:
    """Return the error to raise instead: transient, missing, taken, or lasting.

    Args:
        error: What botocore raised.
        uri: The store or the object that was asked for.
        endpoint: URL of the server.
    """
    if isinstance(error, ClientError):
        return _answered(error, uri)
    if isinstance(error, _CONNECTION_ERRORS):
        return TransientError(
            f"{uri} cannot be reached at {without_secrets(endpoint)} ({type(error).__name__}); "
            f"{_connection_help(error)}."
        )
    if isinstance(error, _CREDENTIAL_ERRORS):
        return StoreError(f"{uri} needs credentials, but has none; {_CREDENTIALS_HELP}.")
    if isinstance(error, ProfileNotFound):
        return StoreError(f"{uri} cannot be opened: {error}; check AWS_PROFILE.")
    return StoreError(f"{uri} cannot be used: {without_secrets(str(error))}.")


def _answered(error: ClientError, uri: str) -> StoreError:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    answer = error.response.get("Error", {})
    code, message = str(answer.get("Code") or ""), str(answer.get("Message") or "")
    if code in ("NoSuchKey", "NoSuchUpload", "404"):  # A HEAD has no body, only the 404.
        return MissingObjectError(f"{uri} does not exist.")
    if status == 412:
        return KeyTakenError(f"{uri} exists already.")
    has_code = code not in ("", str(status))
    if code == _NO_REGION and "region" in message:
        code = "PermanentRedirect"
    known = _HELP.get(code if has_code else _CODE_OF_STATUS.get(status, ""))
    if known:
        return StoreError(f"{uri} {known}.")
    line = (
        f"{uri} answers {status} {said(code, message)}" if has_code else f"{uri} answers {status}"
    )
    if status >= 500 or status == 429 or code in _TRANSIENT_CODES:
        return TransientError(f"{line}; the server is busy or failing, so try again later.")
    if has_code:
        return StoreError(f"{line}.")
    return StoreError(f"{line}; check that the endpoint is an S3 server.")


def _connection_help(error: Exception) -> str:
    if isinstance(error, SSLError):
        return (
            "its certificate is not trusted here, or it speaks no TLS; check AWS_CA_BUNDLE and "
            "AWS_ENDPOINT_URL"
        )
    if isinstance(error, ProxyConnectionError):
        return "the proxy does not answer; check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
    return "check the network, AWS_ENDPOINT_URL and AWS_DEFAULT_REGION"
