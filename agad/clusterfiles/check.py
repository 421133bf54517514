"""Check one file: find the kind of each document, and apply every rule for that kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agad.clusterfiles.crd import Crds
from agad.clusterfiles.document import Document, read_documents
from agad.clusterfiles.fault import Fault
from agad.clusterfiles.launcher import launcher_faults, provider
from agad.clusterfiles.operator import operator_faults
from agad.clusterfiles.pods import pod_faults
from agad.clusterfiles.schema import schema_faults
from agad.clusterfiles.secrets import secret_faults
from agad.clusterfiles.unit import read_unit, unit_faults
from agad.errors import ConfigError

_KUBERAY = ("RayCluster", "RayJob")


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of checking a file: the kinds of its documents, and the faults by line."""

    file: str
    kinds: tuple[str, ...]
    faults: tuple[Fault, ...]

    @property
    def num_faults(self) -> int:
        """Number of faults that are no warnings."""
        return sum(not fault.is_warning for fault in self.faults)


def check_file(path: Path, crds: Crds) -> Checked:
    """Check a cluster YAML of ``ray up``, the manifests in a file, or a systemd unit (.service).

    Raises:
        ConfigError: The file cannot be read, is no YAML, or is of none of these kinds.
    """
    if path.suffix == ".service":
        unit = read_unit(path)
        return _checked(path, ["systemd unit"], [*secret_faults(unit), *unit_faults(unit)])
    kinds = []
    faults = []
    for document in read_documents(path):
        faults += [*document.faults, *secret_faults(document)]
        kind, found = _of_kind(document, crds)
        kinds.append(kind)
        faults += found
    return _checked(path, kinds, faults)


def _checked(path: Path, kinds: list[str], faults: list[Fault]) -> Checked:
    ordered = sorted(set(faults), key=lambda fault: (fault.line, fault.text))
    return Checked(str(path), tuple(kinds), tuple(ordered))


def _of_kind(document: Document, crds: Crds) -> tuple[str, list[Fault]]:
    """Return the kind of a document, and its faults other than secrets."""
    kind, version = document.get(("kind",)), document.get(("apiVersion",))
    if kind in _KUBERAY:
        schema = crds.schemas.get((str(version), str(kind)))
        if schema is None:
            known = ", ".join(sorted(f"{api} {name}" for api, name in crds.schemas))
            text = f"apiVersion {version} of kind {kind} is not in {crds.origin}; it has {known}."
            return f"{kind}", [document.fault(("apiVersion",), text)]
        faults = [*schema_faults(document, schema)]
        faults += [*operator_faults(document), *pod_faults(document)]
        return f"{kind} of {crds.origin}", faults
    if isinstance(kind, str) and isinstance(version, str):
        return f"{kind} (for secrets only)", []
    if document.mapping(("provider",)) or "cluster_name" in document.mapping(()):
        return f"Ray cluster of provider {provider(document)}", launcher_faults(document)
    raise ConfigError(
        f"{document.file}:{document.line(())}: neither a cluster YAML of ray up (cluster_name, "
        "provider) nor a manifest (apiVersion, kind); give one of these."
    )
