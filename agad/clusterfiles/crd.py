"""KubeRay's own schemas, from the release in this package or from a file."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import yaml

from agad.clusterfiles.schema import Schema
from agad.errors import ConfigError

_SHIPPED = "v1.6.2"
_MAX_BYTES = 50_000_000

_TOP = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "generateName": {"type": "string"},
            "namespace": {"type": "string"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
            "finalizers": {"type": "array", "items": {"type": "string"}},
            "creationTimestamp": {},
        },
    },
}
"""Keys at the top of every object; a custom resource's schema says only `object` for them."""


@dataclass(frozen=True, slots=True)
class Crds:
    """Strict schemas of custom resources: an unknown key is refused."""

    origin: str
    """Source of the schemas, in words for a person."""

    schemas: Mapping[tuple[str, str], Schema]
    """Schemas by ``apiVersion`` and ``kind``."""


def shipped_crds() -> Crds:
    """Return RayJob and RayCluster as KubeRay v1.6.2 defines them."""
    packed = files("agad.clusterfiles").joinpath(f"rayjob-{_SHIPPED}.json.gz").read_bytes()
    job: Schema = json.loads(gzip.decompress(packed))
    cluster = {"type": "object", "properties": {"spec": _spec(job)["rayClusterSpec"]}}
    schemas = {
        ("ray.io/v1", "RayJob"): _strict(_with_top(job)),
        ("ray.io/v1", "RayCluster"): _strict(_with_top(cluster)),
    }
    return Crds(f"KubeRay {_SHIPPED}", schemas)


def _spec(schema: Schema) -> Schema:
    properties: Schema = schema["properties"]["spec"]["properties"]
    return properties


def read_crds(paths: list[Path]) -> Crds:
    """Return the schemas of CustomResourceDefinitions in YAML or JSON files, plain or as .gz.

    A file may also hold a list of definitions. For example, a running cluster prints a list for
    ``kubectl get crd rayjobs.ray.io rayclusters.ray.io -o json``.

    Raises:
        ConfigError: A file cannot be read, or no file defines a resource.
    """
    schemas = {}
    for path in paths:
        for definition in _definitions(path):
            schemas.update(_versions(definition, path))
    if not schemas:
        raise ConfigError(
            f"{' '.join(map(str, paths))} holds no CustomResourceDefinition; give KubeRay's, or "
            "what kubectl get crd rayjobs.ray.io rayclusters.ray.io -o json prints."
        )
    return Crds(", ".join(map(str, paths)), schemas)


def _definitions(path: Path) -> Iterator[Schema]:
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            with gzip.open(path) as stream:
                content = stream.read(_MAX_BYTES)
        # KubeRay's files have 1 MB: libyaml's loader takes 0.4 s, Python's own ten times as long.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        documents = list(yaml.load_all(content, Loader=loader))
    except (OSError, EOFError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(
            f"--crd {path} cannot be read as YAML: {' '.join(str(error).split())}"
        ) from error
    for document in documents:
        if isinstance(document, dict):
            parts = document.get("items") if document.get("kind") == "List" else [document]
            yield from (part for part in parts or () if _is_definition(part))


def _is_definition(part: object) -> bool:
    return isinstance(part, dict) and part.get("kind") == "CustomResourceDefinition"


def _versions(definition: Schema, path: Path) -> dict[tuple[str, str], Schema]:
    try:
        spec = definition["spec"]
        return {
            (f"{spec['group']}/{version['name']}", spec["names"]["kind"]): _strict(
                _with_top(version["schema"]["openAPIV3Schema"])
            )
            for version in spec["versions"]
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"--crd {path} holds a CustomResourceDefinition without {error}; get it anew."
        ) from error


def _with_top(schema: Schema) -> Schema:
    """Return a resource's schema with the keys in ``_TOP`` and without its status."""
    properties = {key: part for key, part in schema["properties"].items() if key != "status"}
    return {**schema, "properties": {**properties, **_TOP}, "required": ["metadata", "spec"]}


def _strict(schema: Schema) -> Schema:
    """Return a schema in which every object that names its keys refuses all other keys.

    Kubernetes drops unknown keys in silence, so a misspelt key does nothing.
    """
    strict: Schema = {}
    for key, part in schema.items():
        if key == "properties":
            strict[key] = {name: _strict(inner) for name, inner in part.items()}
        elif isinstance(part, dict):
            strict[key] = _strict(part)
        elif isinstance(part, list):
            strict[key] = [_strict(inner) if isinstance(inner, dict) else inner for inner in part]
        else:
            strict[key] = part
    is_open = "additionalProperties" in strict or strict.get("x-kubernetes-preserve-unknown-fields")
    if strict.get("type") == "object" and "properties" in strict and not is_open:
        strict["additionalProperties"] = False
    return strict
