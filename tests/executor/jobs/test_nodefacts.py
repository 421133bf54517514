"""What a node tells of itself."""

from __future__ import annotations

import os
import socket
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

import agad
from agad.config import registered
from agad.executor.jobs.nodefacts import listeners, listening, node_facts

TABLE = """\
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:2049 00000000000000000000000000000000:0000 0A 0
   1: 00000000000000000000000001000000:2049 00000000000000000000000000000000:0000 0A 0
   2: 0000000000000000FFFF00000100007F:2049 00000000000000000000000000000000:0000 0A 0
   3: 0000000000000000FFFF00000200007F:2049 00000000000000000000000000000000:0000 01 0
   4: 0000000000000000FFFF00000300007F:204A 00000000000000000000000000000000:0000 0A 0
"""


@pytest.mark.skipif(sys.byteorder != "little", reason="the table is a little-endian machine's")
def test_all_addresses_that_listen_to_a_port_are_told() -> None:
    found = listening(TABLE, 0x2049)
    assert found == {ip_address(text) for text in ("::", "::1", "127.0.0.1")}
    assert [one.is_loopback for one in sorted(found, key=str)] == [True, False, True]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_socket_of_this_machine_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert listeners(port) == (ip_address("127.0.0.1"),)
    assert listeners(port) == ()


def test_a_node_tells_its_versions_and_leaves_no_probe_behind(tmp_path: Path) -> None:
    (tmp_path / "_probes").mkdir()
    (tmp_path / "_probes/there").write_bytes(b"agad")
    facts = node_facts(str(tmp_path), "_probes/there", str(tmp_path / "cache"))
    assert facts.store_error == ""
    assert facts.versions["agad"] == agad.__version__
    assert facts.versions["python"].startswith("3.")
    assert facts.detectors["pca"] == "version 1 of agad"
    assert set(facts.detectors) == set(registered())
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["there"]


def test_a_node_that_does_not_see_what_another_has_put_says_so(tmp_path: Path) -> None:
    facts = node_facts(str(tmp_path), "_probes/elsewhere", str(tmp_path / "cache"))
    assert "_probes/elsewhere" in facts.store_error


def test_a_node_whose_cache_can_be_written_makes_its_folder_and_leaves_it_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert node_facts(str(tmp_path), None, "~/.agad/cache").cache_error == ""
    assert list((tmp_path / ".agad/cache").iterdir()) == []


def test_a_node_whose_cache_cannot_be_written_says_where_and_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = node_facts(str(tmp_path), None, str(tmp_path / "file/cache")).cache_error
    assert (
        error == f"{tmp_path}/file/cache cannot be written as uid {os.getuid()} (Not a directory)"
    )
    assert node_facts(str(tmp_path), None, "~nobody-here/cache").cache_error == (
        "the home of ~nobody-here/cache is not known"
    )
