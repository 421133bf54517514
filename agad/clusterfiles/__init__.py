"""Offline checks of cluster files: Ray's cluster YAMLs and KubeRay's manifests."""

from agad.clusterfiles.check import Checked, check_file
from agad.clusterfiles.crd import Crds, read_crds, shipped_crds
from agad.clusterfiles.fault import Fault
