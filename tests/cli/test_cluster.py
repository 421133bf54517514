"""`agad cluster check`: what it prints, and its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import RunAgad

SHIPPED = Path(__file__).parents[2] / "cluster"


def test_clean_files_end_with_0(run_agad: RunAgad) -> None:
    files = [SHIPPED / "aws.yaml", SHIPPED / "kubernetes" / "job" / "rayjob.yaml"]
    ended = run_agad("cluster", "check", *map(str, files))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        f"{files[0]}: 0 faults, 0 warnings; checked as Ray cluster of provider aws.\n"
        f"{files[1]}: 0 faults, 0 warnings; checked as RayJob of KubeRay v1.6.2.\n"
    )


def test_faults_end_with_1_each_with_its_file_and_line(run_agad: RunAgad, tmp_path: Path) -> None:
    path = tmp_path / "aws.yaml"
    path.write_text((SHIPPED / "aws.yaml").read_text().replace("VolumeType:", "VolumTyp:", 1))
    ended = run_agad("cluster", "check", str(path))
    line = 1 + path.read_text()[: path.read_text().index("VolumTyp:")].count("\n")
    assert ended.code == 1
    where = "available_node_types.head.node_config.BlockDeviceMappings[0].Ebs.VolumTyp"
    assert ended.out == (
        f"{path}:{line}: {where} is not known; VolumeType, perhaps.\n"
        f"{path}: 1 fault, 0 warnings; checked as Ray cluster of provider aws.\n"
    )


def test_a_warning_alone_ends_with_0(run_agad: RunAgad, tmp_path: Path) -> None:
    path = tmp_path / "gcp.yaml"
    text = (SHIPPED / "gcp.yaml").read_text()
    path.write_text(text.replace("idle_timeout_minutes: 5", "idle_timeout_minutes: 90"))
    ended = run_agad("cluster", "check", str(path))
    assert ended.code == 0
    assert ": warning: idle_timeout_minutes is 90" in ended.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "no YAML"),
        ("a: 1", "neither a cluster YAML of ray up (cluster_name, provider) nor a manifest"),
        ("- 1", "neither a cluster YAML"),
        ("", "is empty"),
    ],
    ids=["syntax", "another", "list", "empty"],
)
def test_bad_input_ends_with_2(run_agad: RunAgad, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    ended = run_agad("cluster", "check", str(path))
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_definitions_that_are_none_end_with_2(run_agad: RunAgad) -> None:
    manifest = str(SHIPPED / "kubernetes" / "job" / "rayjob.yaml")
    ended = run_agad("cluster", "check", manifest, "--crd", str(SHIPPED / "aws.yaml"))
    assert ended.code == 2
    assert "holds no CustomResourceDefinition" in ended.err
