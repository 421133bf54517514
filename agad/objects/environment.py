"""What a remote store takes from the environment, checked before any request is sent."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from agad.errors import StoreError

_HIDDEN = re.compile(r"[A-Za-z0-9+/=_]{20,}")
"""What may be a key, a token or a signature; no word of a server's message is so long."""

_MAX_SAID = 200


def check_secret(name: str, value: str) -> None:
    """Refuse a credential that no request can carry; the error does not show the credential.

    Args:
        name: Where the credential comes from, such as ``AWS_SECRET_ACCESS_KEY``.
        value: The credential.
    """
    fault = next((one for one in value if not "!" <= one <= "~"), None)
    if fault is not None:
        raise StoreError(
            f"{name} holds {character_name(fault)}{_place(value, fault)}, but must hold letters, "
            "digits and signs alone; set it again, without what stands around it."
        )


def check_endpoint(name: str, url: str) -> None:
    """Refuse a text that is no address of a server.

    Args:
        name: The environment variable, such as ``AWS_ENDPOINT_URL``.
        url: Its value. The error shows no password of it.
    """
    fault = next((one for one in url if not "!" <= one <= "~"), None)
    if fault is not None:
        raise StoreError(
            f"{name} holds {character_name(fault)}{_place(url, fault)}, but must be a URL, such as "
            "http://host:9000."
        )
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port  # Raises for a port above 65535, and for one that is no number.
    except ValueError:
        is_url = False
    if not is_url:
        raise StoreError(
            f"{name} is {without_secrets(url)!r}, but must be a URL, such as http://host:9000 "
            f"(check {name})."
        )


def character_name(character: str) -> str:
    """Return a character as an error names it, such as ``a line break`` or ``'ü'``."""
    names = {" ": "a blank", "\n": "a line break", "\r": "a carriage return", "\t": "a tab"}
    return names.get(character) or (
        repr(character) if character.isprintable() else f"the character U+{ord(character):04X}"
    )


def _place(text: str, character: str) -> str:
    place = text.index(character)
    return " at its start" if not place else " at its end" if place == len(text) - 1 else ""


def without_secrets(text: str) -> str:
    """Return a text with everything before the ``@`` removed from its URLs."""
    return re.sub(r"//\S*@", "//", text)


def said(code: str, message: str) -> str:
    """Return a server's code and message on one line, without what may be a secret."""
    shown = "".join(one if one.isprintable() else " " for one in without_secrets(message))
    shown = _HIDDEN.sub("***", " ".join(shown.split())).rstrip(".")
    if len(shown) > _MAX_SAID:
        shown = f"{shown[:_MAX_SAID]}..."
    return ": ".join(filter(None, (code, shown)))
