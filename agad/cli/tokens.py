"""The token that lets a client into a cluster."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path


def choose_token_mode(environment: MutableMapping[str, str]) -> None:
    """Have Ray's client send a known token. The client, unlike Ray's servers, must be told to."""
    is_known = (
        "RAY_AUTH_TOKEN" in environment
        or "RAY_AUTH_TOKEN_PATH" in environment
        or (Path.home() / ".ray/auth_token").exists()
    )
    if is_known:
        environment.setdefault("RAY_AUTH_MODE", "token")
