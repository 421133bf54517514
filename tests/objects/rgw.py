"""A real S3 server on loopback, for tests: Ceph's gateway over one monitor and one disk in memory.

``python -m tests.objects.rgw`` unpacks Debian's packages into $RGW_HOME (else ~/.cache/rgw), which
takes some 250 MB and no rights; where they are installed, it does nothing. It needs no package of
the project. ``running_rgw`` starts the server, and stops what it started.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.debian import ProgramError, run, unpack

_PACKAGES = ("radosgw", "ceph-mon", "ceph-osd", "ceph-common")
_START_LIMIT_S = 60.0
ACCESS_KEY = "test"
SECRET_KEY = "test-secret"


def installed_root() -> Path | None:
    """Return the folder below which the server's programs are, None where they are not."""
    if shutil.which("radosgw") and shutil.which("ceph-mon") and shutil.which("ceph-osd"):
        return Path("/")
    root = _home() / "root"
    return root if (root / "usr/bin/radosgw").exists() else None


def _home() -> Path:
    return Path(os.environ.get("RGW_HOME") or Path.home() / ".cache" / "rgw")


def fetch() -> None:
    """Unpack the server's packages, unless they are there.

    Raises:
        ProgramError: This is no Debian, or its packages cannot be downloaded.
    """
    if installed_root() is None:
        unpack(_PACKAGES, _home())


@contextmanager
def running_rgw(root: Path) -> Iterator[str]:
    """Run the server, and yield its URL; ``ACCESS_KEY`` and ``SECRET_KEY`` open it.

    Raises:
        ProgramError: It does not start within a minute.
    """
    with tempfile.TemporaryDirectory(prefix="rgw-", ignore_cleanup_errors=True) as folder:
        server = _Server(root, Path(folder))
        try:
            yield server.start()
        finally:
            server.stop()


class _Server:
    def __init__(self, root: Path, folder: Path) -> None:
        self._folder = folder
        self._bin = root / "usr/bin"
        libs = next(iter((root / "usr/lib").glob("*-linux-gnu")), root / "usr/lib")
        self._conf = folder / "ceph.conf"
        self._keys = folder / "keyring"
        self._port = _free_port()
        self._monitor = f"127.0.0.1:{_free_port()}"
        self._cluster = str(uuid.uuid4())
        self._running: list[subprocess.Popen[bytes]] = []
        self._environment = dict(os.environ)
        if root != Path("/"):
            parts = (libs, root / "lib" / libs.name, libs / "ceph", root / "usr/lib/ceph")
            self._environment |= {
                "LD_LIBRARY_PATH": ":".join(map(str, parts)),
                "PYTHONPATH": str(root / "usr/lib/python3/dist-packages"),
                "PATH": f"{self._bin}:{os.environ['PATH']}",
            }
        self._environment["CEPH_CONF"] = str(self._conf)
        self._conf.write_text(
            f"""[global]
fsid = {self._cluster}
mon host = v2:{self._monitor}/0
ms bind msgr1 = false
keyring = {self._keys}
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
pid file = {folder}/$name.pid
plugin dir = {libs}/ceph
erasure code dir = {libs}/ceph/erasure-code
osd class dir = {libs}/rados-classes
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth allow insecure global id reclaim = false
mon allow pool size one = true
mon pg warn min per osd = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd crush chooseleaf type = 0
[mon.a]
mon data = {folder}/mon
[osd.0]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
[client.rgw]
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{self._port}
"""
        )

    def start(self) -> str:
        for name in ("mon", "osd", "rgw"):
            (self._folder / name).mkdir()
        everything = ["--cap", "osd", "allow *", "--cap", "mgr", "allow *"]
        self._call("ceph-authtool", "--create-keyring", self._keys, "--gen-key", "-n", "mon.",
                   "--cap", "mon", "allow *")  # fmt: skip
        for who, monitor in (
            ("client.admin", "allow *"),
            ("client.rgw", "allow *"),
            ("osd.0", "allow profile osd"),
        ):
            self._call("ceph-authtool", self._keys, "--gen-key", "-n", who, "--cap", "mon",
                       monitor, *everything)  # fmt: skip
        monmap = self._folder / "monmap"
        self._call("monmaptool", "--create", "--fsid", self._cluster, "--addv", "a",
                   f"[v2:{self._monitor}]", monmap)  # fmt: skip
        self._call("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", self._keys)
        self._daemon("ceph-mon", "-i", "a")
        self._wait_for(lambda: self._call("ceph", "-s"))
        disk = str(uuid.uuid4())
        self._call("ceph", "osd", "new", disk)
        self._call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
        self._daemon("ceph-osd", "-i", "0")
        self._wait_for(self._check_disk)
        self._daemon("radosgw", "-n", "client.rgw", "--keyring", self._keys)
        url = f"http://127.0.0.1:{self._port}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._wait_for(lambda: opener.open(url, timeout=2.0).close())
        self._call("radosgw-admin", "-n", "client.rgw", "user", "create", "--uid=tester",
                   "--display-name=tester", f"--access-key={ACCESS_KEY}",
                   f"--secret-key={SECRET_KEY}")  # fmt: skip
        return url

    def stop(self) -> None:
        for process in reversed(self._running):
            process.kill()
            process.wait()

    def _check_disk(self) -> None:
        if "1 up" not in self._call("ceph", "osd", "stat"):
            raise ProgramError("the disk is not up")

    def _call(self, program: str, *arguments: str | Path) -> str:
        command = [str(self._bin / program), *map(str, arguments)]
        return run(command, str(self._folder), self._environment)

    def _daemon(self, program: str, *arguments: str | Path) -> None:
        with (self._folder / f"{program}.out").open("wb") as out:
            self._running.append(
                subprocess.Popen(
                    [str(self._bin / program), *map(str, arguments), "-f"],
                    env=self._environment,
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                )
            )

    def _wait_for(self, check: Callable[[], object]) -> None:
        end_s = time.monotonic() + _START_LIMIT_S
        while True:
            try:
                check()
            except (ProgramError, OSError) as error:
                if time.monotonic() > end_s:
                    raise ProgramError(f"it did not start within a minute: {error}") from error
                time.sleep(0.2)
            else:
                return


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


if __name__ == "__main__":
    try:
        fetch()
    except ProgramError as reason:
        sys.exit(f"No real S3 server for the tests: {reason}; they are skipped.")
