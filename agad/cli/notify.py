"""A message to a webhook when a study is done or has failed."""

from __future__ import annotations

import ipaddress
import json
import sys
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import IO
from urllib.parse import urlsplit

from agad.errors import ConfigError

_TIMEOUT_S = 10.0


class Webhook:
    """A webhook. Its address is a secret, so no message, error or row contains the address."""

    def __init__(self, url: str) -> None:
        """Take an address, without sending anything.

        Raises:
            ConfigError: The address is neither ``https://`` nor on this host.
        """
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            parts = urlsplit("")
        is_allowed = parts.scheme == "https" or (
            parts.scheme == "http" and _is_loopback(parts.hostname or "")
        )
        if not is_allowed or not parts.hostname or not url.isprintable() or " " in url:
            raise ConfigError(
                "--notify, or $AGAD_WEBHOOK, is not an address that may be told: it must be an "
                "https:// URL, or an http:// one of this host such as http://127.0.0.1:8000/."
            )
        self._url = url

    def tell(self, study: str, state: str, text: str) -> None:
        """Post a JSON object with ``text``, ``study`` and ``state``; warn if that fails."""
        body = json.dumps({"text": text, "study": study, "state": state}).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "agad"}
        request = urllib.request.Request(self._url, body, headers, method="POST")
        # No proxy is used for this host.
        proxies: dict[str, str] | None = None if self._url.startswith("https:") else {}
        opener = urllib.request.build_opener(_NoRedirects(), urllib.request.ProxyHandler(proxies))
        try:
            with opener.open(request, timeout=_TIMEOUT_S):
                pass
        except urllib.error.HTTPError as error:
            error.close()
            _warn(f"it answered {error.code}")
        except (OSError, HTTPException, ValueError) as error:
            # The error's text is left out, since it may hold the address.
            _warn(type(error).__name__)


def _warn(reason: str) -> None:
    print(f"agad: the webhook was not told: {reason}.", file=sys.stderr)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: they could lead to an address that is not allowed."""

    def redirect_request(  # noqa: PLR0913  The library's own signature.
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: object,
        newurl: str,
    ) -> None:
        """Follow nothing."""
