"""Definitions of resources from files, as a release has them and as kubectl prints them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from agad.clusterfiles import Crds, check_file, read_crds
from agad.errors import ConfigError
from tests.clusterfiles.conftest import SHIPPED

DEFINITION: dict[str, Any] = {
    "kind": "CustomResourceDefinition",
    "spec": {
        "group": "ray.io",
        "names": {"kind": "RayCluster"},
        "versions": [
            {
                "name": "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "rayVersion": {"type": "string"},
                                    "free": {
                                        "type": "object",
                                        "properties": {"a": {"type": "string"}},
                                        "x-kubernetes-preserve-unknown-fields": True,
                                    },
                                },
                            },
                            "status": {"type": "object"},
                        },
                    }
                },
            }
        ],
    },
}

MANIFEST = """\
apiVersion: ray.io/v1
kind: RayCluster
metadata:
  name: a
spec:
  free: {b: 1}
  rayVersion: 2.60
"""


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_a_list_of_kubectls_is_read_and_obeyed(tmp_path: Path, packed: bool) -> None:
    content = json.dumps({"kind": "List", "items": [DEFINITION, {"kind": "Other"}]}).encode()
    definitions = tmp_path / "crds"
    definitions.write_bytes(gzip.compress(content) if packed else content)
    manifest = tmp_path / "a.yaml"
    manifest.write_text(MANIFEST)
    faults = check_file(manifest, read_crds([definitions])).faults
    said = [fault.text for fault in faults if fault.line == 7]
    assert any("spec.rayVersion is 2.6, but must be of type string" in text for text in said)
    assert not [fault for fault in faults if "free" in fault.text]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"kind: Other\n", "holds no CustomResourceDefinition"),
        (b"a: [", "cannot be read as YAML"),
        (b"\x1f\x8bnothing", "cannot be read as YAML"),
        (b"kind: CustomResourceDefinition\n", "without 'spec'"),
    ],
    ids=["another kind", "no yaml", "no gzip", "no spec"],
)
def test_what_defines_nothing_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "crds"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        read_crds([path])


def test_every_object_of_the_shipped_definitions_is_strict(crds: Crds) -> None:
    def loose(part: object) -> int:
        if isinstance(part, list):
            return sum(map(loose, part))
        if not isinstance(part, dict):
            return 0
        own = part.get("type") == "object" and "properties" in part
        return (own and "additionalProperties" not in part) + sum(map(loose, part.values()))

    specs = [schema["properties"]["spec"] for schema in crds.schemas.values()]
    assert [loose(spec) for spec in specs] == [0, 0]


def test_a_kind_without_a_definition_is_a_fault(tmp_path: Path) -> None:
    definitions = tmp_path / "crds"
    definitions.write_text(json.dumps(DEFINITION))
    job = SHIPPED / "kubernetes" / "job" / "rayjob.yaml"
    (fault,) = check_file(job, read_crds([definitions])).faults
    assert "apiVersion ray.io/v1 of kind RayJob is not in" in fault.text
