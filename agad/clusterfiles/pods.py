"""This project's rules for a RayJob or a RayCluster: access, rights of the pods, cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agad.clusterfiles.document import Document, Place, spelled
from agad.clusterfiles.fault import Fault
from agad.clusterfiles.nodes import floating_text, is_floating
from agad.clusterfiles.operator import cluster_place, groups

_DRAIN = "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"
_DRAIN_S = 30.0
"""Ray's default of ``_DRAIN``."""

_KUBERNETES_GRACE_S = 30


def pod_faults(document: Document) -> Iterator[Fault]:
    """Yield the faults of a KubeRay manifest under this project's rules."""
    if document.mapping(cluster_place(document)):
        yield from _access_faults(document)
        yield from _cost_faults(document)
        for place in groups(document):
            yield from _pod_faults(document, (*place, "template", "spec"))
    submitter: Place = ("spec", "submitterPodTemplate", "spec")
    if document.mapping(submitter):
        yield from _pod_faults(document, submitter)


def _access_faults(document: Document) -> Iterator[Fault]:
    at = cluster_place(document)
    mode = (*at, "authOptions", "mode")
    if document.get(mode) != "token":
        yield document.fault(
            mode,
            f"{spelled(mode)} is not token, so every pod that reaches the head may run code on it; "
            "set authOptions: {mode: token}.",
        )
    service = (*at, "headGroupSpec", "headService", "spec", "type")
    kinds = {service, (*at, "headGroupSpec", "serviceType")}
    for place in sorted(kinds, key=len):
        if document.get(place) in ("LoadBalancer", "NodePort"):
            yield document.fault(
                place,
                f"{spelled(place)} is {document.get(place)}, which opens the dashboard and its "
                "jobs to others; leave it out and use kubectl port-forward.",
            )
    ingress = (*at, "headGroupSpec", "enableIngress")
    if document.get(ingress) is True:
        yield document.fault(
            ingress, f"{spelled(ingress)} is true, which opens the dashboard; leave it out."
        )


def _cost_faults(document: Document) -> Iterator[Fault]:
    at = cluster_place(document)
    head = (*at, "headGroupSpec")
    given = (
        document.get((*head, "rayStartParams", "num-cpus")),
        document.get((*head, "resources", "CPU")),
    )
    if not any(str(value) == "0" for value in given):
        yield document.fault(
            (*head, "rayStartParams", "num-cpus"),
            f"{spelled(head)} gives its cores to trials, which then share them with the driver; "
            'set rayStartParams: {num-cpus: "0"}.',
        )
    scales = document.get((*at, "enableInTreeAutoscaling")) is True
    queue = ("metadata", "labels", "kueue.x-k8s.io/queue-name")
    if scales and document.get(queue):
        yield document.fault(
            queue,
            "A cluster in a Kueue queue has enableInTreeAutoscaling: true, and Kueue admits none "
            "that scales, unless its elastic jobs are on; fix the number of workers.",
            is_warning=True,
        )
    if scales and document.get((*at, "autoscalerOptions", "version")) != "v2":
        yield document.fault(
            (*at, "autoscalerOptions", "version"),
            f"{spelled((*at, 'autoscalerOptions', 'version'))} is not v2; set it: the older "
            "autoscaler does not drain a node before it removes it.",
        )
    for place in groups(document)[1:]:
        replicas = document.get((*place, "minReplicas"))
        if scales and isinstance(replicas, int) and replicas > 0:
            yield document.fault(
                (*place, "minReplicas"),
                f"{spelled(place)}.minReplicas is {replicas}: so many are paid for also while no "
                "trial waits; 0 starts them when they are needed.",
                is_warning=True,
            )
        yield from _grace_faults(document, (*place, "template", "spec"))


def _grace_faults(document: Document, pod: Place) -> Iterator[Fault]:
    """Yield a fault if Kubernetes kills a worker before Ray has drained its node."""
    grace = document.get((*pod, "terminationGracePeriodSeconds"))
    grace_s = grace if isinstance(grace, int) else _KUBERNETES_GRACE_S
    drain_s = _drain_s(document, pod)
    if grace_s <= drain_s:
        yield document.fault(
            (*pod, "terminationGracePeriodSeconds"),
            f"{spelled(pod)}.terminationGracePeriodSeconds is {grace_s}, but must be above the "
            f"{drain_s:g} s that Ray takes to drain a node; set {int(2 * drain_s)}.",
        )


def _drain_s(document: Document, pod: Place) -> float:
    for item in document.items((*pod, "containers", 0, "env")):
        if isinstance(item, Mapping) and item.get("name") == _DRAIN:
            try:
                return float(item.get("value", _DRAIN_S))
            except (TypeError, ValueError):
                return _DRAIN_S
    return _DRAIN_S


def _pod_faults(document: Document, pod: Place) -> Iterator[Fault]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if document.get((*pod, key)) is True:
            text = f"{spelled((*pod, key))} is true, which opens the node to the pod; leave it out."
            yield document.fault((*pod, key), text)
    for index, container in enumerate(document.items((*pod, "containers"))):
        place = (*pod, "containers", index)
        security = document.mapping((*place, "securityContext"))
        if security.get("privileged") is True:
            yield document.fault(
                (*place, "securityContext", "privileged"),
                f"{spelled(place)}.securityContext.privileged is true; leave it out.",
            )
        may_be_root = security.get(
            "runAsNonRoot", document.get((*pod, "securityContext", "runAsNonRoot"))
        )
        if may_be_root is not True:
            yield document.fault(
                place,
                f"{spelled(place)} may run as root; set securityContext: {{runAsNonRoot: true}} "
                "for the pod.",
            )
        image = container.get("image") if isinstance(container, Mapping) else None
        if isinstance(image, str) and is_floating(image):
            text = floating_text(f"{spelled(place)}.image")
            yield document.fault((*place, "image"), text, is_warning=True)
