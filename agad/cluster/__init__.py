"""Checking what a cluster is made from: Ray's cluster YAMLs and KubeRay's manifests, offline."""

from agad.cluster.check import Checked, check_file
from agad.cluster.crd import Crds, read_crds, shipped_crds
from agad.cluster.fault import Fault

__all__ = ["Checked", "Crds", "Fault", "check_file", "read_crds", "shipped_crds"]
