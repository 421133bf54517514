"""The way into a Ray cluster: the token, one quiet question to the head, and faults of a start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agad.errors import ConfigError
from agad.executor.listening import check_listening
from agad.executor.private_ray import stepping_aside

_MODE = "RAY_AUTH_MODE"
_HOW = (
    "Ray reads RAY_AUTH_TOKEN, then the file at RAY_AUTH_TOKEN_PATH, then ~/.ray/auth_token; "
    "give the token that the cluster was started with"
)
_ANSWER_S = 10.0


def find_token() -> bool:
    """Have Ray send the token that Ray itself finds; return whether there is a token.

    Ray looks for a token by itself only if it starts a cluster or finds a cluster on its machine.
    ``RAY_AUTH_MODE`` wins: with ``disabled``, no token is sent. If this version of Ray has another
    loader of tokens, the user sets ``RAY_AUTH_MODE``.

    Raises:
        ConfigError: ``RAY_AUTH_MODE`` is no mode, or the file of the token cannot be read.
    """
    mode = _mode()
    if mode == "disabled":
        return False
    # Ray's own loader knows all the places. Ray has no public function for this.
    with stepping_aside(f"no token is looked for: set {_MODE}=token if the cluster has a token"):
        from ray._raylet import (  # type: ignore[attr-defined]
            AuthenticationTokenLoader,
            Config,
        )
        from ray.exceptions import AuthenticationError

        try:
            is_known: bool = AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True)
        except AuthenticationError as error:
            raise ConfigError(f"Ray's token cannot be read ({_reason(error)}); {_HOW}.") from error
        if is_known:
            os.environ[_MODE] = "token"
            Config.initialize("")  # Ray has read the mode when it was imported.
        return is_known
    return mode is not None


def _mode() -> str | None:
    mode = os.environ.get(_MODE)
    if mode is not None and mode.lower() not in ("token", "disabled"):
        raise ConfigError(f"{_MODE} is {mode!r}, but must be token or disabled.")
    return None if mode is None else mode.lower()


def check_joinable(address: str) -> str:
    """Return the HOST:PORT of a Ray head that lets this process in.

    ``ray.init`` would ask for 20 seconds, with a line of gRPC on stderr for each second. Ray sends
    a token only if the head asks for a token: a process in the mode ``token`` refuses every call of
    a cluster without a token, so that no trial would ever start.

    Args:
        address: HOST:PORT, or ``auto`` for the cluster of this machine. The address of Ray's
            client, ``ray://HOST:PORT``, is returned unchecked.

    Raises:
        ConfigError: The head asks for a token, and this process has none or another one; or the
            head asks for no token, and ``RAY_AUTH_MODE`` is ``token``.
        ConnectionError: No Ray head answers.
        ValueError: The address is none.
    """
    if "://" in address:
        return address  # Of Ray's client, which asks in its own way.
    found: str | None = address
    with stepping_aside("ray.init alone looks for the address of a cluster"):
        from ray._private import services

        found = services.canonicalize_bootstrap_address(address)
    if found is None:
        raise ConnectionError("no Ray runs on this machine")
    asked = found if address == "auto" else address
    check_listening(asked)
    if asked == "auto" or os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        find_token()  # Ray alone knows the address, or the certificates.
    else:
        _be_let_in(asked)
    return found


def _be_let_in(address: str) -> None:
    """Have Ray send the token if the head asks for a token."""
    mode = _mode()
    is_open = _lets_in(address, has_token=False)
    if is_open is None:
        find_token()
    elif is_open and mode == "token":
        raise ConfigError(
            f"the Ray cluster at {address} was started without a token, but {_MODE} is token here; "
            f"unset {_MODE}, or start the cluster with the token."
        )
    elif not is_open:
        has_token = find_token()
        if not has_token or _lets_in(address, has_token=True) is False:
            raise ConfigError(refused(address, has_token=has_token))


def _lets_in(address: str, *, has_token: bool) -> bool | None:
    """Ask the head for the ID of its cluster; return None if Ray alone knows how to ask."""
    import grpc  # type: ignore[import-untyped]

    # A proxy of the environment is for the web, and never for the cluster.
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            with stepping_aside("ray.init alone finds out whether a cluster lets agad in"):
                _ask_for_id(channel, has_token=has_token)
                return True
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                return False
            raise ConnectionError(
                f"what listens at {address} does not answer as a Ray head: "
                f"{error.code().name.lower()}"
            ) from None
    return None


def _ask_for_id(channel: Any, *, has_token: bool) -> None:  # noqa: ANN401  grpc has no types.
    from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]
    from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

    loader = AuthenticationTokenLoader.instance()
    headers = loader.get_token_for_http_header() if has_token else {}
    service = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel)  # type: ignore[no-untyped-call]
    service.GetClusterId(
        gcs_service_pb2.GetClusterIdRequest(),  # type: ignore[attr-defined]
        metadata=[(name.lower(), value) for name, value in headers.items()],
        timeout=_ANSWER_S,
    )


def refused(address: str, *, has_token: bool) -> str:
    """Return the text of an error: a cluster lets nobody in without its token."""
    if os.environ.get(_MODE, "").lower() == "disabled":
        return (
            f"the Ray cluster at {address} asks for a token, but {_MODE} is disabled here; unset "
            f"{_MODE}. {_HOW}."
        )
    if has_token:
        return (
            f"the Ray cluster at {address} refuses the token that is known here; the cluster may "
            f"be another user's. {_HOW}."
        )
    return f"the Ray cluster at {address} asks for a token, but none is known here. {_HOW}."


@contextmanager
def telling_start_faults() -> Iterator[None]:
    """Turn what Ray raises while it starts on this machine into an error of one line.

    Raises:
        ConfigError: Ray cannot start; the error says what to set.
    """
    try:
        yield
    # Ray raises a plain Exception if it does not start in time.
    except Exception as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"Ray cannot start on this machine ({_reason(error)}); {_advice(error)}."
        ) from error


def _reason(error: BaseException) -> str:
    """Return the first sentence of Ray's text, without its help that fits another situation."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].partition(". Ensure that")[0].partition(". Note: ")[0]


def _advice(error: BaseException) -> str:
    text = str(error)
    if "timed out" in text:
        return "if the machine was busy, run the same command again when it is less so"
    if "AF_UNIX" in text:
        return "set RAY_TMPDIR to a folder with a short path, such as /tmp"
    if "token" in text.lower() and not isinstance(error, OSError):
        return _HOW
    path = getattr(error, "filename", None)
    if isinstance(error, OSError) and path is not None:
        token = Path.home() / ".ray/auth_token"
        if Path(path) in (token, *token.parents[:2]):
            return (
                f"Ray writes its token to {path}: set HOME to a folder that can be written, or set "
                "RAY_AUTH_TOKEN"
            )
        return "set RAY_TMPDIR to a folder that exists and can be written"
    if "port" in text.lower() or "address already in use" in text.lower():
        return "end what takes the port, or join a running cluster with --address"
    return (
        "see the newest folder under RAY_TMPDIR, TMPDIR or /tmp, ray/session_latest/logs, and "
        "whether the disk, the memory or the number of processes is used up"
    )
