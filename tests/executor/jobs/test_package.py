"""What of a project a job is given, and what never leaves."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from agad.errors import ConfigError
from agad.executor.jobs import find_project, pack, secrets_of
from tests.repositories import committed

SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYplantedkey99"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    write(folder, "studies/a.py", "STUDY = 1\n")
    write(folder, "mine/detector.py", "import torch\n")
    write(folder, "pyproject.toml", "[project]\n")
    return folder


def write(folder: Path, name: str, text: str = "x\n") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def packed(project: Path, **known: str) -> tuple[str, ...]:
    return pack(project, project / "studies/a.py", known_secrets=tuple(known.items())).files


def test_a_project_is_packed_with_its_folders(project: Path) -> None:
    package = pack(project, project / "studies/a.py", known_secrets=())
    assert package.files == ("mine/detector.py", "pyproject.toml", "studies/a.py")
    with zipfile.ZipFile(io.BytesIO(package.archive)) as archive:
        assert tuple(archive.namelist()) == package.files
        assert archive.read("studies/a.py") == b"STUDY = 1\n"
    assert package.num_bytes == len("STUDY = 1\n" + "import torch\n" + "[project]\n")


def test_a_package_knows_the_commit_of_its_project(project: Path) -> None:
    assert pack(project, project / "studies/a.py", known_secrets=()).commit is None
    digest = committed(project)
    (project / "mine/detector.py").write_text("import numpy\n")
    commit = pack(project, project / "studies/a.py", known_secrets=()).commit
    assert str(commit) == f"{digest}-dirty"


def test_the_same_files_are_the_same_package_at_another_time(project: Path) -> None:
    first = pack(project, project / "studies/a.py", known_secrets=())
    os.utime(project / "mine/detector.py", (1e9, 1e9))
    assert pack(project, project / "studies/a.py", known_secrets=()).digest == first.digest
    write(project, "mine/detector.py", "import numpy\n")
    assert pack(project, project / "studies/a.py", known_secrets=()).digest != first.digest


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        ".venv/lib/a.py",
        "my-env/pyvenv.cfg",
        "mine/__pycache__/detector.cpython-311.pyc",
        ".mypy_cache/a.json",
        "mine.egg-info/PKG-INFO",
    ],
)
def test_what_every_project_has_and_no_job_needs_is_left_out(project: Path, name: str) -> None:
    before = packed(project)
    write(project, name)
    assert packed(project) == before


def test_gitignore_is_obeyed_at_every_depth(project: Path) -> None:
    write(project, ".gitignore", "runs/\n*.log\n!keep.log\n/only-here.txt\n")
    write(project, "mine/.gitignore", "local.py\n!again.log\n")
    hidden = ["runs/a.txt", "mine/runs/a.txt", "a.log", "only-here.txt", "mine/local.py"]
    kept = ["keep.log", "mine/only-here.txt", "local.py", "mine/again.log"]
    for name in hidden + kept:
        write(project, name)
    files = packed(project)
    assert set(kept) <= set(files)
    assert not set(hidden) & set(files)


def test_the_gitignore_of_the_repository_around_a_project_is_obeyed(project: Path) -> None:
    (project.parent / ".git").mkdir()
    write(project.parent, ".gitignore", "scratch.py\n")
    write(project, "mine/scratch.py")
    assert "mine/scratch.py" not in packed(project)


def test_data_is_left_out_and_named_but_a_package_called_data_is_not(project: Path) -> None:
    left_out = {"data/", "rows.parquet", "mine/weights.pt", "mine/link.py"}
    write(project, "data/labels.csv")
    write(project, "rows.parquet")
    write(project, "mine/weights.pt")
    (project / "mine/link.py").symlink_to("/etc/hostname")
    write(project, "mine/data/read.py")
    package = pack(project, project / "studies/a.py", known_secrets=())
    assert set(package.data) == left_out
    assert "mine/data/read.py" in package.files


@pytest.mark.parametrize(
    "name",
    [".env", ".env.local", "server.pem", "mine/tls.key", "id_rsa", ".aws/config", "credentials"],
)
def test_a_file_whose_name_says_secret_is_left_out_and_named(project: Path, name: str) -> None:
    before = packed(project)
    write(project, name, "harmless\n")
    package = pack(project, project / "studies/a.py", known_secrets=())
    assert package.files == before
    assert [name.startswith(secret) for secret in package.secrets] == [True]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("-----BEGIN RSA " + "PRIVATE KEY-----\n", "a private key"),
        (f"aws_secret_access_key = '{SECRET}'\n", "an AWS secret key"),
        ("export RAY_AUTH_TOKEN=" + "0123456789abcdef" * 4, "a token of Ray"),
    ],
    ids=["key", "aws", "ray"],
)
def test_a_file_that_holds_a_secret_is_refused_without_its_value(
    project: Path, text: str, what: str
) -> None:
    write(project, "mine/settings.py", text)
    with pytest.raises(ConfigError, match=rf"mine/settings.py holds {what}, .*gitignore") as raised:
        packed(project)
    assert SECRET not in str(raised.value)


def test_a_file_that_holds_the_value_of_a_secret_variable_is_refused(project: Path) -> None:
    environment = {"WANDB_API_KEY": SECRET, "RAY_AUTH_TOKEN_PATH": "/run/token", "TOKEN": "short"}
    known = dict(secrets_of(environment))
    assert known == {"$WANDB_API_KEY": SECRET}
    write(project, "mine/settings.py", f"KEY = '{SECRET}'\n")
    with pytest.raises(ConfigError, match=r"holds the value of \$WANDB_API_KEY") as raised:
        packed(project, **known)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AGAD_WEBHOOK", "https://hooks.slack.com/services/T0/B0/planted"),
        ("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/T0/B0/planted"),
        ("MLFLOW_TRACKING_URI", f"https://me:{SECRET}@mlflow.example"),
        ("HISTORY", f"postgresql://me:{SECRET}@host/base"),
    ],
)
def test_an_address_that_is_a_secret_is_refused_where_it_stands(
    project: Path, name: str, value: str
) -> None:
    known = dict(secrets_of({name: value}))
    write(project, "run.sh", f"export {name}={value}\n")
    with pytest.raises(ConfigError, match=rf"run.sh holds the value of \${name}, ") as raised:
        packed(project, **known)
    assert value not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RAY_AUTH_TOKEN_PATH", "/home/me/.agad/auth/token"),
        ("MLFLOW_TRACKING_URI", "https://mlflow.example:5000/a:b@c"),
        ("AGAD_STORE", "s3://my-bucket/agad"),
        ("GIT_URL", "ssh://git@host.example/agad"),
    ],
)
def test_an_address_without_a_password_is_no_secret(name: str, value: str) -> None:
    assert dict(secrets_of({name: value})) == {}


def test_a_project_that_is_too_large_is_refused_with_its_largest_files(project: Path) -> None:
    write(project, "mine/small.txt", "x" * 1024)
    write(project, "mine/large.txt", "x" * 8 * 1024**2)
    write(project, "larger.txt", "x" * 9 * 1024**2)
    with pytest.raises(
        ConfigError,
        match=r"17\.0 MiB in 6 files, but must be at most 10 MiB; the largest are larger\.txt "
        r"\(9\.0 MiB\), mine/large\.txt \(8\.0 MiB\), .*\.gitignore",
    ):
        packed(project)


def test_a_study_file_that_is_ignored_is_refused(project: Path) -> None:
    write(project, ".gitignore", "studies/\n")
    with pytest.raises(ConfigError, match=r"a\.py is not among the files that are packed"):
        packed(project)


def test_a_project_is_the_nearest_folder_with_a_mark(project: Path, tmp_path: Path) -> None:
    alone = write(tmp_path, "alone/b.py")
    assert find_project(project / "studies/a.py") == project.resolve()
    assert find_project(alone) == alone.parent.resolve()


def test_a_home_is_never_packed(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, ".git/config")
    below = write(tmp_path, "studies/b.py")
    assert find_project(below) == below.parent.resolve()
    assert find_project(project / "studies/a.py") == project.resolve()
    with pytest.raises(ConfigError, match="a folder of its own, or name one with --project"):
        find_project(write(tmp_path, "c.py"))
