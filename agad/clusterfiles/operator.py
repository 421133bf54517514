"""Rules of KubeRay's operator that its schema does not contain.

Source: KubeRay v1.6.2, ray-operator/controllers/ray/utils/validation.go. Feature gates have their
default values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from agad.clusterfiles.document import Document, Place, spelled
from agad.clusterfiles.fault import Fault

_MAX_NAME = {"RayCluster": 53, "RayJob": 47}
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_FIRST_WITH_TOKEN = (2, 52)
_START_RESOURCES = ("num-cpus", "num-gpus", "memory", "resources")
_MODES = ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")


def cluster_place(document: Document) -> Place:
    """Return the place of the cluster's description in a manifest."""
    return ("spec", "rayClusterSpec") if document.get(("kind",)) == "RayJob" else ("spec",)


def groups(document: Document) -> list[Place]:
    """Return the places of a cluster's head and of its groups of workers."""
    at = cluster_place(document)
    workers = document.items((*at, "workerGroupSpecs"))
    head = [(*at, "headGroupSpec")] if document.mapping((*at, "headGroupSpec")) else []
    return [*head, *((*at, "workerGroupSpecs", index) for index in range(len(workers)))]


def operator_faults(document: Document) -> Iterator[Fault]:
    """Yield what the operator refuses in a RayJob or RayCluster although the schema allows it."""
    yield from _name_faults(document)
    if document.get(("kind",)) == "RayJob":
        yield from _job_faults(document)
        yield from _runtime_env_faults(document)
        yield from _deletion_faults(document)
    if document.mapping(cluster_place(document)):
        yield from _token_faults(document)
        yield from _autoscaler_faults(document)
        yield from _redis_faults(document)
        for place in groups(document):
            yield from _group_faults(document, place)


def _name_faults(document: Document) -> Iterator[Fault]:
    name = document.get(("metadata", "name"))
    limit = _MAX_NAME[str(document.get(("kind",)))]
    if isinstance(name, str) and (len(name) > limit or not _DNS_1035.fullmatch(name)):
        yield document.fault(
            ("metadata", "name"),
            f"metadata.name is {name!r}, but must be lower-case letters, digits and -, begin with "
            f"a letter and have at most {limit} characters.",
        )


def _job_faults(document: Document) -> Iterator[Fault]:
    spec = document.mapping(("spec",))
    mode = spec.get("submissionMode", "K8sJobMode")
    by_selector = bool(spec.get("clusterSelector"))
    retries = _above(spec.get("backoffLimit"), 0)
    shuts_down = spec.get("shutdownAfterJobFinishes") is True
    suspends = spec.get("suspend") is True
    expires = bool(spec.get("ttlSecondsAfterFinished"))
    refused = [
        (mode not in _MODES, "submissionMode", f"must be one of {', '.join(_MODES)}"),
        (suspends and not shuts_down, "suspend", "needs shutdownAfterJobFinishes: true"),
        (suspends and by_selector, "suspend", "does not go with clusterSelector; leave one out"),
        (
            expires and not shuts_down,
            "ttlSecondsAfterFinished",
            "needs shutdownAfterJobFinishes: true",
        ),
        (retries and by_selector, "backoffLimit", "does not go with clusterSelector; use 0"),
        (retries and mode == "InteractiveMode", "backoffLimit", "must be 0 in InteractiveMode"),
        (_above(0, spec.get("backoffLimit")), "backoffLimit", "must be at least 0"),
        (_above(1, spec.get("activeDeadlineSeconds")), "activeDeadlineSeconds", "must be above 0"),
    ]
    refused += [
        (mode == "SidecarMode" and bool(spec.get(key)), key, "does not go with SidecarMode")
        for key in ("clusterSelector", "submitterPodTemplate", "submitterConfig")
    ]
    for is_so, key, why in refused:
        if is_so:
            yield document.fault(("spec", key), f"spec.{key} {why}.")
    if not by_selector and "rayClusterSpec" not in spec:
        text = "spec has neither rayClusterSpec nor clusterSelector; add one."
        yield document.fault(("spec",), text)


def _above(value: object, other: object) -> bool:
    return isinstance(value, int) and isinstance(other, int) and value > other


def _runtime_env_faults(document: Document) -> Iterator[Fault]:
    text = document.get(("spec", "runtimeEnvYAML"))
    if isinstance(text, str):
        try:
            yaml.safe_load(text)
        except yaml.YAMLError:
            place = ("spec", "runtimeEnvYAML")
            yield document.fault(place, "spec.runtimeEnvYAML is no YAML; mend it.")


def _deletion_faults(document: Document) -> Iterator[Fault]:
    at: Place = ("spec", "deletionStrategy")
    shuts_down = document.get(("spec", "shutdownAfterJobFinishes")) is True
    if document.items((*at, "deletionRules")) and shuts_down:
        yield document.fault(
            (*at, "deletionRules"),
            "spec.deletionStrategy.deletionRules does not go with shutdownAfterJobFinishes: true; "
            "leave one out.",
        )
    scales = document.get(("spec", "rayClusterSpec", "enableInTreeAutoscaling")) is True
    for place, value in document.scalars():
        if place[:2] == at and place[-1] == "policy" and value == "DeleteWorkers" and scales:
            yield document.fault(
                place,
                f"{spelled(place)} is DeleteWorkers, which does not go with "
                "enableInTreeAutoscaling; use DeleteCluster.",
            )


def _token_faults(document: Document) -> Iterator[Fault]:
    at = cluster_place(document)
    if document.get((*at, "authOptions", "mode")) == "token":
        version = document.get((*at, "rayVersion"))
        found = re.match(r"(\d+)\.(\d+)", str(version))
        if found is None or tuple(map(int, found.groups())) < _FIRST_WITH_TOKEN:
            yield document.fault(
                (*at, "rayVersion"),
                f"{spelled((*at, 'rayVersion'))} is {version!r}, but must be 2.52.0 or newer for "
                "authOptions.mode: token.",
            )
    by_kubernetes = (*at, "authOptions", "enableK8sTokenAuth")
    if document.get(("kind",)) == "RayJob" and document.get(by_kubernetes) is True:
        yield document.fault(
            by_kubernetes, f"{spelled(by_kubernetes)} does not go with a RayJob; leave it out."
        )


def _autoscaler_faults(document: Document) -> Iterator[Fault]:
    at = cluster_place(document)
    scales = document.get((*at, "enableInTreeAutoscaling")) is True
    version = document.get((*at, "autoscalerOptions", "version"))
    by_env = "RAY_enable_autoscaler_v2" in _head_env(document)
    if by_env and (version is not None or not scales):
        yield document.fault(
            (*at, "headGroupSpec"),
            "The head's environment has RAY_enable_autoscaler_v2; say autoscalerOptions.version: "
            "v2 with enableInTreeAutoscaling: true instead.",
        )
    for place in groups(document):
        policy = (*place, "template", "spec", "restartPolicy")
        if scales and version == "v2" and document.get(policy) not in (None, "", "Never"):
            yield document.fault(
                policy,
                f"{spelled(policy)} is {document.get(policy)!r}, but must be Never under "
                "autoscaler v2.",
            )
        if scales and document.get((*place, "suspend")) is True:
            yield document.fault(
                (*place, "suspend"),
                f"{spelled(place)}.suspend does not go with enableInTreeAutoscaling; leave it out.",
            )


def _redis_faults(document: Document) -> Iterator[Fault]:
    at = cluster_place(document)
    start = (*at, "headGroupSpec", "rayStartParams")
    keeps_state = bool(document.mapping((*at, "gcsFaultToleranceOptions")))
    if keeps_state and document.get((*start, "redis-password")):
        yield document.fault(
            (*start, "redis-password"),
            f"{spelled(start)}.redis-password does not go with gcsFaultToleranceOptions; use its "
            "redisPassword.valueFrom.",
        )
    if document.get((*start, "redis-username")):
        yield document.fault(
            (*start, "redis-username"),
            f"{spelled(start)}.redis-username is refused; use "
            "gcsFaultToleranceOptions.redisUsername.",
        )
    for name in ("REDIS_PASSWORD", "RAY_REDIS_ADDRESS"):
        if (name in _head_env(document)) and (keeps_state or name == "RAY_REDIS_ADDRESS"):
            yield document.fault(
                (*at, "headGroupSpec"),
                f"The head's environment has {name}; use gcsFaultToleranceOptions instead.",
            )


def _head_env(document: Document) -> set[str]:
    """Return the names of the variables of the head's first container, which runs Ray."""
    at = (*cluster_place(document), "headGroupSpec", "template", "spec", "containers", 0, "env")
    return {str(document.get((*at, index, "name"))) for index in range(len(document.items(at)))}


def _group_faults(document: Document, place: Place) -> Iterator[Fault]:
    start = (*place, "rayStartParams")
    doubled = [key for key in _START_RESOURCES if document.get((*start, key))]
    if doubled and document.mapping((*place, "resources")):
        yield document.fault(
            (*place, "resources"),
            f"{spelled(place)} has resources, and {doubled[0]} in rayStartParams too; keep one.",
        )
    if "labels" in document.mapping(start):
        yield document.fault(
            (*start, "labels"), f"{spelled(start)}.labels is refused; use {spelled(place)}.labels."
        )
    if not document.items((*place, "template", "spec", "containers")):
        yield document.fault(
            (*place, "template"), f"{spelled(place)}.template has no container; add one."
        )
