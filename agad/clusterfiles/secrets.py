"""Secrets that are written in a file, instead of a reference to the place that keeps them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agad.clusterfiles.document import Document, Place, spelled
from agad.clusterfiles.fault import Fault

_WORDS = (
    r"(?:token|secret|password|passwd|access_?key(?:_?id)?|api_?key|private_?key|credentials"
    r"|webhook(?:_?ur[il])?)"
)

_NAME = re.compile(rf"{_WORDS}$", re.IGNORECASE)

_ASSIGNED = re.compile(rf"{_WORDS}[\"']?\s*(?:=|:\s)\s*[\"']?([^\s\"';|&]+)", re.IGNORECASE)
"""``NAME=value`` in a command, and ``name: value`` in a YAML text inside the file."""

_SHAPES = {
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a Google API key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"),
    "a service account's key": re.compile(r"\"private_key_id\"\s*:"),
    "a URL with a password": re.compile(
        r"\b[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@$<{*][^/\s@]*@", re.I
    ),
    "a webhook's address": re.compile(r"--notify[= ]\s*[\"']?https?://", re.I),
}

_FIX = "name a file, a role or a Secret instead, and replace this one, which others may have read"

_PATHS = {"ssh_private_key", "ssh_public_key"}
"""Ray's keys that sound like secrets but hold a path."""


def names_a_secret(name: str) -> bool:
    """Return whether a key or an environment variable of this name holds a secret."""
    return name not in _PATHS and _NAME.search(name) is not None


def secret_faults(document: Document) -> Iterator[Fault]:
    """Yield a fault for each secret in the document; its text never repeats the secret."""
    for place, value in document.scalars():
        if isinstance(value, str):
            found = _secret(document, place, value)
            if found is not None:
                yield document.fault(place, f"{spelled(place)} holds {found} in plain; {_FIX}.")
    if document.get(("kind",)) == "Secret":
        for key in ("data", "stringData"):
            if document.mapping((key,)):
                yield document.fault(
                    (key,),
                    f"{key} of this Secret holds its values in plain; make it with kubectl create "
                    "secret, or an operator for external secrets, and keep it out of files.",
                )


def _secret(document: Document, place: Place, value: str) -> str | None:
    """Return the kind of secret that a text holds, or None."""
    for kind, shape in _SHAPES.items():
        if shape.search(value):
            return kind
    if any(_is_plain(found.group(1)) for found in _ASSIGNED.finditer(value)):
        return "a secret"
    name = place[-1] if place else ""
    if name == "value":  # In an item {name: X, value: Y} of env, or in redisPassword.
        name = document.get((*place[:-1], "name")) or place[-2]
    return "a secret" if names_a_secret(str(name)) and _is_plain(value) else None


def _is_plain(value: str) -> bool:
    """Return whether a value is the secret itself, not a variable or a command that gives it."""
    return bool(value) and not value.startswith(("$", "<", "{", "/", "~", "*"))
