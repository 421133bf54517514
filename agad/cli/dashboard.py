"""The command that shows stored searches in Optuna's dashboard."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from agad.cli.flags import add_store_flag
from agad.errors import ConfigError
from agad.reading import store_uri, stored_searches
from agad.report import count_text

_LOOPBACK = "127.0.0.1"


def add_dashboard_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags for the searches that the dashboard shows and for its address."""
    add_store_flag(parser)
    parser.add_argument("--study", metavar="NAME", help="only this study")
    parser.add_argument(
        "--host",
        default=_LOOPBACK,
        metavar="ADDRESS",
        help=f"address to listen on (default: {_LOOPBACK}, this machine alone); it asks nobody who "
        "they are",
    )
    parser.add_argument(
        "--port", type=int, default=8080, metavar="N", help="0 takes a free one (default: 8080)"
    )


def dashboard(arguments: argparse.Namespace) -> int:
    """Serve the dashboard until Ctrl-C; return the exit code."""
    _check_flags(arguments)
    # Optuna takes half a second to import; a wrong flag is refused before that.
    from agad.search import dashboard_app

    searches = stored_searches(arguments.store, arguments.study)
    if not searches:
        raise ConfigError(
            f"{store_uri(arguments.store)} holds no search trial that has ended, so there is "
            "nothing to show; run a study first."
        )
    app = dashboard_app(searches)
    with _server(arguments.host, arguments.port, app) as server:
        shown = count_text(len(searches), "search", "searches")
        print(
            f"Optuna's dashboard of {shown}: http://{arguments.host}:{server.server_port} "
            "(Ctrl-C ends it; what is changed there is not kept)",
            flush=True,
        )
        # Ctrl-C reaches this thread alone: wsgiref would take it for an error of a request.
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            serving.join()
        except KeyboardInterrupt:
            server.shutdown()
            serving.join()
    return 0


def _check_flags(arguments: argparse.Namespace) -> None:
    if not 0 <= arguments.port < 2**16:
        raise ConfigError(f"--port is {arguments.port}, but must be from 0 to 65535.")
    try:
        IPv4Address(arguments.host)
    except ValueError as error:
        raise ConfigError(
            f"--host is {arguments.host!r}, but must be an IPv4 address, such as {_LOOPBACK}."
        ) from error


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing for a request."""


def _server(host: str, port: int, app: Callable[..., Iterable[bytes]]) -> WSGIServer:
    try:
        return make_server(host, port, app, WSGIServer, _Silent)
    except OSError as error:
        raise ConfigError(
            f"--port is {port}, but nothing can listen there on {host} ({error.strerror}); name "
            "another, or 0 for a free one."
        ) from error
