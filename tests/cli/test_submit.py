"""A study sent to a cluster: submitted, joined, stopped, its driver killed, and finished."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agad.objects import open_objects
from agad.store import StudyReader
from tests.cli import heads

if TYPE_CHECKING:
    from tests.cli.conftest import RunAgad, WriteStudy

STUDY = '''"""Does a study on a cluster survive?"""

from agad import Agad, Asha, Confirm, Grid, LogUniform, Search, Study

from mine import WIDTH

STUDY = Study(
    name="sent",
    cells=Grid(dataset="digits", normal_class=0),
    detector=Agad(base_width=WIDTH, discriminator_width=4, batch_size=32, min_batch_anomalies=16),
    search=Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=18),
    scheduler=Asha(max_epochs=4, grace_period=1, reduction_factor=2),
    confirm=Confirm(seeds=1),
)
'''
NUM_TRIALS = 19
PLANTED = "planted-0123456789abcdef0123456789abcdef"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def head() -> Iterator[dict[str, str]]:
    with heads.ray_head() as variables:
        yield variables


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "studies").mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    (folder / "mine.py").write_text("WIDTH = 2\n")
    (folder / ".env").write_text(f"AWS_SECRET_ACCESS_KEY={PLANTED}\n")
    (folder / "studies/sent.py").write_text(STUDY)
    return folder


def submit_command(project: Path, *flags: str) -> list[str]:
    store = project.with_name("store")
    command = [str(BIN / "agad"), "submit", str(project / "studies/sent.py"), f"--store={store}"]
    return [*command, "--max-concurrent-trials=2", *flags]


def submit(
    project: Path, variables: dict[str, str], *flags: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        submit_command(project, *flags),
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def rows_of(project: Path) -> list[Path]:
    return list(project.with_name("store").glob("sent/trials/*/*.parquet"))


def wait_until(is_so: Callable[[], object], what: str, limit_s: float = 120.0) -> None:
    end_s = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < end_s, f"{what} did not come within {limit_s:.0f} s"
        time.sleep(0.1)


def processes_of(variables: dict[str, str], *words: str) -> list[int]:
    """Return the processes of a head whose command has these words in a row."""
    pids = []
    wanted = b"\0".join(word.encode() for word in words)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            marked = variables["AGAD_TEST_MARKER"].encode() in (folder / "environ").read_bytes()
        except OSError:
            continue
        if marked and wanted in command:
            pids.append(int(folder.name))
    return pids


def drivers_of(variables: dict[str, str]) -> list[int]:
    """Return the processes of a head that drive a study."""
    return processes_of(variables, "-m", "agad", "run")


def ray_job(variables: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        ["ray", "job", *arguments],
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout + done.stderr


@pytest.mark.cluster
@pytest.mark.slow
def test_a_submitted_study_ends_in_its_leaderboard_and_shows_no_secret(
    project: Path, head: dict[str, str]
) -> None:
    few = STUDY.replace("trials_per_cell=18", "trials_per_cell=2").replace('"sent"', '"few"')
    (project / "studies/sent.py").write_text(few)
    done = submit(project, head | {"AWS_SECRET_ACCESS_KEY": PLANTED})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Left out as secrets: .env." in done.stdout
    assert "(n=1)" in done.stdout
    rows = StudyReader(open_objects(str(project.with_name("store"))), "few").trials()
    assert Counter(row.phase for row in rows) == {"search": 2, "confirm": 1}
    shown = done.stdout + done.stderr + ray_job(head, "list")
    assert PLANTED not in shown
    assert head["RAY_AUTH_TOKEN"] not in shown


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.nightly
def test_a_study_that_is_stopped_and_whose_driver_is_killed_is_finished_by_submitting_it_again(
    project: Path, head: dict[str, str]
) -> None:
    sent = submit(project, head | {"AWS_SECRET_ACCESS_KEY": PLANTED}, "--no-wait")
    assert sent.returncode == 0, sent.stderr
    assert "Packed 3 files" in sent.stdout
    assert "Left out as secrets: .env." in sent.stdout
    assert "Submitted sent-1" in sent.stdout

    with subprocess.Popen(
        submit_command(project),
        env=head,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts these tests in the background has them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as joined:
        wait_until(lambda: len(rows_of(project)) >= 2, "a second row")
        joined.send_signal(signal.SIGINT)
        out, errors = joined.communicate(timeout=60)
    assert joined.returncode == 130
    assert "Runs already, joined: sent-1" in out
    assert re.search(r"^sent-1 goes on\.\n  follow .*\n  stop .*ray job stop sent-1", errors, re.M)

    (driver,) = drivers_of(head)
    os.kill(driver, signal.SIGKILL)
    wait_until(lambda: set(drivers_of(head)) - {driver}, "another driver")
    num_rows = len(rows_of(project))
    wait_until(lambda: len(rows_of(project)) > num_rows, "a row of the second driver")
    other = submit(project, head, "--no-wait", "--cpus-per-trial=2")
    assert "submitted with other files or flags, which it keeps" in other.stderr
    ray_job(head, "stop", "sent-1")
    wait_until(lambda: not drivers_of(head), "the end of the driver", 30)
    log = ray_job(head, "logs", "sent-1")
    assert "ended with exit code 137; it is started again in 5 s (1 of 5" in log
    assert len(rows_of(project)) < NUM_TRIALS

    done = submit(project, head)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Submitted sent-2" in done.stdout
    assert "(n=1)" in done.stdout
    rows = StudyReader(open_objects(str(project.with_name("store"))), "sent").trials()
    assert Counter(row.phase for row in rows) == {"search": NUM_TRIALS - 1, "confirm": 1}
    assert len({row.trial_key for row in rows}) == NUM_TRIALS
    assert not {row.state for row in rows} - {"finished", "pruned"}

    listed = ray_job(head, "list")
    assert "sent-1" in listed
    uploaded = list(Path(head["HOME"]).parent.rglob("mine.py"))
    assert uploaded
    everything = [*Path(head["HOME"]).parent.rglob("*"), *project.with_name("store").rglob("*")]
    files = [path for path in everything if path.is_file() and not path.is_symlink()]
    for secret in (PLANTED, head["RAY_AUTH_TOKEN"]):
        assert secret not in listed + log + done.stdout + done.stderr + sent.stdout
        assert [path for path in files if secret.encode() in path.read_bytes()] == []


@pytest.mark.cluster
@pytest.mark.nightly
@pytest.mark.slow
def test_a_study_whose_cluster_dies_is_finished_on_another_from_the_store_alone(
    project: Path,
) -> None:
    with heads.ray_head(RAY_gcs_rpc_server_reconnect_timeout_s="5") as first:
        assert submit(project, first, "--no-wait").returncode == 0
        wait_until(lambda: len(rows_of(project)) >= 2, "a second row")
        for pid in processes_of(first, "gcs_server"):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not drivers_of(first), "the end of the driver")
    stored = {path.parent.name for path in rows_of(project)}
    assert len(stored) < NUM_TRIALS
    with heads.ray_head() as second:
        done = submit(project, second)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = StudyReader(open_objects(str(project.with_name("store"))), "sent").trials()
    assert len(rows) == NUM_TRIALS
    assert stored <= {row.trial_key for row in rows}


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("header", "status"),
    [({}, 401), ({"Authorization": "Bearer " + "0" * 64}, 403)],
    ids=["none", "wrong"],
)
def test_the_job_server_refuses_a_request_without_the_token(
    head: dict[str, str], header: dict[str, str], status: int
) -> None:
    url = head["RAY_API_SERVER_ADDRESS"] + "/api/jobs/"
    for method, data in (("GET", None), ("POST", b'{"entrypoint": "touch /tmp/never"}')):
        request = urllib.request.Request(url, data=data, headers=header, method=method)
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(request, timeout=30)
        assert raised.value.code == status
        raised.value.close()


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("", "asks for a token, but none is known here. Ray reads RAY_AUTH_TOKEN"),
        ("0" * 64, "refuses the token that is known here"),
    ],
    ids=["none", "wrong"],
)
def test_submit_says_on_one_line_that_its_token_does_not_do(
    project: Path, head: dict[str, str], tmp_path: Path, token: str, message: str
) -> None:
    others = {name: value for name, value in head.items() if not name.startswith("RAY_AUTH")}
    variables = others | {"HOME": str(tmp_path)} | ({"RAY_AUTH_TOKEN": token} if token else {})
    done = submit(project, variables)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert message in line


def test_submit_refuses_what_it_cannot_send(run_agad: RunAgad, write_study: WriteStudy) -> None:
    study = write_study()
    server = "--address=http://127.0.0.1:1"
    cases = {
        ("--address=127.0.0.1:6379",): "--address is '127.0.0.1:6379', but must be the job server",
        (): "--address is not given, but must be the cluster's job server",
        (server, "--store=s3://key:word@bucket/x"): r"store is 's3://***@bucket/x', but must be",
        (server, "--notify=https://hooks.example/secret"): "set AGAD_WEBHOOK on the nodes instead",
        (
            server,
            "--restarts=-1",
        ): "--restarts is -1, but must be a whole number, at least 0 and at",
        (server,): "the job server http://127.0.0.1:1 does not answer",
    }
    for flags, message in cases.items():
        ended = run_agad("submit", study, *flags)
        assert ended.code == 2
        (line,) = ended.err.splitlines()
        assert message in line
