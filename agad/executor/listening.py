"""Check that a server listens at an address, before Ray tries the address for a minute."""

from __future__ import annotations

import re
import socket

_LIMIT_S = 5.0


def check_listening(address: str) -> None:
    """Return if a server takes connections at HOST:PORT; ignore an address of another form.

    Raises:
        ConnectionError: No server takes connections, or the host has no address.
    """
    match = re.fullmatch(r"([^:/\s]+):(\d{1,5})", address)
    if match is None:
        return
    try:
        socket.create_connection((match[1], int(match[2])), timeout=_LIMIT_S).close()
    except (OSError, OverflowError) as error:
        raise ConnectionError(f"nothing listens there: {error}") from error
