"""A systemd unit read as systemd reads it, and checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from agad.clusterfiles import Crds, check_file
from agad.clusterfiles.unit import read_unit
from tests.clusterfiles.conftest import SHIPPED

TOKEN = "[Service]\nEnvironment=RAY_AUTH_MODE=token\n"


@pytest.mark.parametrize(
    ("start", "line"),
    [
        ("ExecStart=ray start --head \\\n  --dashboard-host=0.0.0.0\n", 3),
        ("ExecStart=ray start \\\n# a note\n --head --dashboard-host 0.0.0.0", 3),
        ("\nExecStart=ray start --dashboard-host=127.0.0.1 --dashboard-host=0.0.0.0\n", 4),
    ],
    ids=["on the next line", "beyond a comment", "given twice"],
)
def test_an_open_dashboard_is_found_wherever_its_flag_stands(
    start: str, line: int, tmp_path: Path, crds: Crds
) -> None:
    path = tmp_path / "a.service"
    path.write_text(TOKEN + start)
    (fault,) = check_file(path, crds).faults
    assert fault.line == line
    assert fault.text.startswith("--dashboard-host is 0.0.0.0")


def test_a_job_on_the_workstation_runs_the_python_that_ray_runs_with() -> None:
    unit = read_unit(SHIPPED / "workstation.service")
    (start,) = unit.items(("Service", "ExecStart"))
    folder = str(start).rpartition("/bin/ray start")[0] + "/bin"
    (path,) = (one for one in unit.items(("Service", "Environment")) if "PATH=" in str(one)[:5])
    assert str(path).removeprefix("PATH=").split(":")[0] == folder
