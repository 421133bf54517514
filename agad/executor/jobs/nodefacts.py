"""Facts about a node of a cluster, collected by a task on that node."""

from __future__ import annotations

import importlib.metadata
import ipaddress
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from agad.config import detector_versions, registered
from agad.errors import AgadError
from agad.objects import open_objects
from agad.records import new_probe_key
from agad.version import __version__

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_COUNT_GPUS = "import torch; print(torch.cuda.device_count())"
_COUNT_S = 90.0

_LISTENS = "0A"
"""State of a listening socket in ``/proc/net/tcp``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """Facts about a node."""

    versions: dict[str, str]
    """Versions of ``python``, ``agad``, ``ray`` and ``torch``; ``none`` if not installed."""

    num_gpus: int
    """GPUs that torch sees, whether in use or free."""

    store_error: str
    """Why a worker cannot use the store; empty if a worker can."""

    cache_error: str
    """Why a worker cannot write the cache's folder; empty if a worker can."""

    detectors: dict[str, str]
    """Version and package of each registered detector, by the detector's name. A detector that
    cannot be imported is left out."""


def node_facts(store: str, probe: str | None, cache: str) -> NodeFacts:
    """Examine the node on which this function runs.

    Args:
        store: URI of the store.
        probe: Key of an object that another node has put into the store; None skips the store.
        cache: Folder of the node's image cache, which is created; ``~`` is the home on the node.
    """
    versions = {library: _version(library) for library in ("ray", "torch")}
    return NodeFacts(
        versions={"python": platform.python_version(), "agad": __version__} | versions,
        num_gpus=_num_gpus(),
        store_error="" if probe is None else _store_error(store, probe),
        cache_error=_cache_error(cache),
        detectors=_detectors(),
    )


def node_time() -> float:
    """Return the node's clock, in seconds."""
    return time.time()


def listeners(port: int) -> tuple[Address, ...]:
    """Return the addresses on which this node listens to a port; empty if Linux does not say."""
    found: set[Address] = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            found |= listening(Path(f"/proc/net/{table}").read_text(), port)
    return tuple(sorted(found, key=str))


def listening(table: str, port: int) -> set[Address]:
    """Return the addresses that listen to a port in a table, ``/proc/net/tcp`` or ``tcp6``."""
    found = set()
    for line in table.splitlines()[1:]:
        local, state = line.split()[1], line.split()[3]
        host, _, number = local.partition(":")
        if state == _LISTENS and int(number, 16) == port:
            found.add(_address(host))
    return found


def _address(text: str) -> Address:
    """Read an address of ``/proc/net/tcp``: words of 4 bytes, each in the host's order."""
    words = (text[start : start + 8] for start in range(0, len(text), 8))
    data = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    found = ipaddress.ip_address(data)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _detectors() -> dict[str, str]:
    versions, providers = detector_versions(), registered()
    return {
        name: f"version {version} of {providers[name].provider}"
        for name, version in versions.items()
        if name in providers
    }


def _num_gpus() -> int:
    """Count the GPUs in a new process: Ray hides all of them from a task without a GPU."""
    visible = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _COUNT_GPUS],
            env=visible,
            capture_output=True,
            text=True,
            timeout=_COUNT_S,
            check=True,
        )
        return int(done.stdout)
    except (subprocess.SubprocessError, OSError, ValueError):
        return 0


def _store_error(store: str, probe: str) -> str:
    """Read an object that another node has put; put, read and delete an object of this node."""
    key = new_probe_key()
    try:
        objects = open_objects(store)
        objects.get(probe)
        try:
            if not objects.put_if_absent(key, b"agad") or objects.get(key) != b"agad":
                return f"{objects.uri} does not keep what a worker puts; use another store."
        finally:
            objects.delete(key)
    except AgadError as error:
        return str(error)
    return ""


def _cache_error(cache: str) -> str:
    """Create the folder as a trial would, and write a temporary file there."""
    try:
        folder = Path(cache).expanduser()
    except RuntimeError:  # Raised for "~nobody".
        return f"the home of {cache} is not known"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"agad")
    except OSError as error:
        return f"{folder} cannot be written as uid {os.getuid()} ({error.strerror or error})"
    return ""
