"""Addresses are tried before Ray tries them for a minute."""

from __future__ import annotations

import socket

import pytest

from agad.executor.listening import check_listening


def test_a_server_that_takes_connections_is_fine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_listening(f"127.0.0.1:{server.getsockname()[1]}")


def test_a_port_that_nothing_listens_to_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionError, match="nothing listens there"):
        check_listening(f"127.0.0.1:{port}")
    with pytest.raises(ConnectionError, match="nothing listens there"):
        check_listening("127.0.0.1:99999")


@pytest.mark.parametrize("address", ["auto", "local", "ray://host:10001", "http://host:8265"])
def test_what_is_no_host_and_port_is_left_to_ray(address: str) -> None:
    check_listening(address)
