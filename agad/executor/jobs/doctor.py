"""Examine a running cluster with small tasks on each of its nodes."""

from __future__ import annotations

import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from agad.config import count_text
from agad.errors import ConfigError, StoreError
from agad.executor import check_joinable
from agad.executor.jobs.nodefacts import NodeFacts, listeners, node_facts, node_time
from agad.objects import ObjectStore, check_conditional_put, open_objects
from agad.records import new_probe_key

_TASK_S = 120.0
"""Time limit of a task on a node; the first task imports torch there."""

_SKEW_S = (2.0, 60.0)
"""Clock differences that are a warning and a fault. The end of a spot machine is announced as a
time of day. S3 refuses a request that was signed 15 minutes away."""

_HEAD = "node:__internal_head__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check."""

    check: str
    level: Literal["ok", "warning", "fault"]
    text: str
    """The state that was found and, if the state is bad, what to do."""


def _ok(check: str, text: str) -> Finding:
    return Finding(check=check, level="ok", text=text)


def _warning(check: str, text: str) -> Finding:
    return Finding(check=check, level="warning", text=text)


def _fault(check: str, text: str) -> Finding:
    return Finding(check=check, level="fault", text=text)


def examine(address: str | None, store: str, cache: str) -> Iterator[Finding]:
    """Examine a cluster, and yield the findings of all checks.

    Args:
        address: Address of the cluster; None is the cluster that runs on this machine.
        store: URI of the store that the studies will use.
        cache: Folder of each node's image cache, as the trials will use it.

    Raises:
        ConfigError: No cluster answers at ``address``, or the cluster refuses the token.
    """
    with _joined(address) as (nodes, dashboard):
        probe = new_probe_key()
        objects, finding = _opened(store, probe)
        yield finding
        facts = {}
        for name, node in nodes.items():
            found = _on_node(node, node_facts, store, probe if objects else None, cache)
            if isinstance(found, NodeFacts):
                facts[name] = found
            else:
                yield _fault(
                    "nodes",
                    f"{name} runs no task ({found}); check agad in the Python that runs "
                    "'ray start' on it.",
                )
        if objects is not None:
            objects.delete(probe)
            yield from _stores(facts)
        yield from _caches(facts)
        yield from _versions(facts)
        yield from compare_detectors({name: one.detectors for name, one in facts.items()})
        yield from _gpus(facts, nodes)
        yield _clocks({name: nodes[name] for name in facts})
        is_locked = _is_locked(dashboard)
        yield _authentication(dashboard, is_locked)
        yield _exposure(dashboard, nodes, is_locked=bool(is_locked))


@contextmanager
def _joined(address: str | None) -> Iterator[tuple[dict[str, Any], str]]:
    """Join the cluster; yield its nodes by name, and its dashboard's HOST:PORT or an empty text."""
    import ray
    from ray.exceptions import RayError

    try:
        found = check_joinable(address or "auto")
        context = ray.init(address=found, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError, RayError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"--address is {address or 'auto'}, but no Ray cluster can be joined there "
            f"({str(error).splitlines()[0]}); run this on one of its machines, or name its job "
            "server, http://HOST:8265."
        ) from error
    try:
        alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        nodes = {f"{one['NodeManagerAddress']} ({one['NodeID'][:6]})": one for one in alive}
        yield nodes, context.dashboard_url or ""
    finally:
        ray.shutdown()


def _on_node(node: Any, function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
    """Run a function on a node; return its result, or the error as a text."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
    task = ray.remote(function).options(num_cpus=0, max_retries=0, scheduling_strategy=here)
    try:
        return ray.get(task.remote(*arguments), timeout=_TASK_S)
    except RayError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return lines[-1].strip()[-300:]


def _opened(store: str, probe: str) -> tuple[ObjectStore | None, Finding]:
    """Open the store from this driver, and put the object there that the nodes must find."""
    try:
        objects = open_objects(store)
        check_conditional_put(objects)
        objects.put_if_absent(probe, b"agad")
    except StoreError as error:
        return None, _fault("store", str(error))
    return objects, _ok("store", f"{objects.uri} takes conditional puts from this driver")


def _stores(facts: dict[str, NodeFacts]) -> Iterator[Finding]:
    bad = {name: one.store_error for name, one in facts.items() if one.store_error}
    for name, error in bad.items():
        yield _fault("store", f"on {name}: {error}")
    if facts and not bad:
        yield _ok("store", f"read, written and deleted by a worker on {_nodes(len(facts))}")


def _caches(facts: dict[str, NodeFacts]) -> Iterator[Finding]:
    bad = {name: one.cache_error for name, one in facts.items() if one.cache_error}
    for name, error in bad.items():
        yield _fault(
            "cache",
            f"on {name}: {error}, so that no trial gets images there; give its folder to the user "
            "who runs Ray, or name another with --cache, to agad run and submit too.",
        )
    if facts and not bad:
        yield _ok("cache", f"written by a worker on {_nodes(len(facts))}")


def _versions(facts: dict[str, NodeFacts]) -> Iterator[Finding]:
    for library in ("python", "agad", "ray", "torch"):
        found = {name: one.versions[library] for name, one in facts.items()}
        distinct = sorted(set(found.values()))
        if len(distinct) > 1:
            each = ", ".join(f"{version} on {name}" for name, version in found.items())
            yield _fault(library, f"{each}; install one version on all nodes.")
        elif distinct:
            yield _ok(library, f"{distinct[0]} on {_nodes(len(found))}")


def compare_detectors(nodes: dict[str, dict[str, str]]) -> Iterator[Finding]:
    """Compare the registered detectors of all nodes.

    Args:
        nodes: ``NodeFacts.detectors`` of each node, by the node's name.
    """
    check = "detectors"
    names = sorted({name for detectors in nodes.values() for name in detectors})
    different = [name for name in names if len({one.get(name) for one in nodes.values()}) > 1]
    for name in different:
        each = ", ".join(f"{one.get(name, 'none')} on {node}" for node, one in nodes.items())
        yield _fault(check, f"{name}: {each}; install the same packages on all nodes.")
    if names and not different:
        yield _ok(check, f"{', '.join(names)} in one version on {_nodes(len(nodes))}")


def _gpus(facts: dict[str, NodeFacts], nodes: dict[str, Any]) -> Iterator[Finding]:
    for name, one in facts.items():
        declared = int(nodes[name]["Resources"].get("GPU", 0))
        if one.num_gpus < declared:
            yield _fault(
                "gpu",
                f"Ray counts {declared} GPUs on {name}, but torch sees {one.num_gpus}; check the "
                "driver, the container's access to the GPU, and that torch is its CUDA build.",
            )
        elif declared:
            yield _ok("gpu", f"torch sees {one.num_gpus} on {name}")
        elif one.num_gpus:
            yield _warning(
                "gpu", f"torch sees {one.num_gpus} on {name}, which Ray does not use; start it anew"
            )


def _clocks(nodes: dict[str, Any]) -> Finding:
    skews = {name: skew_s for name, node in nodes.items() if (skew_s := _skew_s(node)) is not None}
    if not skews:
        return _warning("clock", "no node told its time")
    name, skew_s = max(skews.items(), key=lambda item: item[1])
    text = f"at most {skew_s:.1f} s away from this driver's, on {name}"
    advice = "; run a time service, such as chrony, on all nodes."
    if skew_s >= _SKEW_S[1]:
        return _fault("clock", text + advice)
    return _warning("clock", text + advice) if skew_s >= _SKEW_S[0] else _ok("clock", text)


def _skew_s(node: Any) -> float | None:  # noqa: ANN401
    """Return the least error of a node's clock in seconds; None if the node tells no time."""
    found = []
    for _ in range(3):
        before_s = time.time()
        there_s = _on_node(node, node_time)
        after_s = time.time()
        if isinstance(there_s, float):
            found.append(max(0.0, before_s - there_s, there_s - after_s))
    return min(found) if found else None


def _is_locked(dashboard: str) -> bool | None:
    """Whether the job server refuses a request without a token; None if no server answers."""
    if not dashboard:
        return None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{dashboard}/api/jobs/", timeout=10):
            return False
    except urllib.error.HTTPError as error:
        with error:
            return error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    except OSError:
        return None


def _authentication(dashboard: str, is_locked: bool | None) -> Finding:
    check = "authentication"
    if is_locked is None:
        return _warning(check, "no job server answers, so it cannot be tried; start the dashboard")
    if not is_locked:
        return _fault(
            check,
            f"the job server {dashboard} takes requests without a token: whoever reaches it runs "
            "what he likes; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN on all nodes, start Ray "
            "anew.",
        )
    return _ok(check, f"the job server {dashboard} refuses a request without a token")


def _exposure(dashboard: str, nodes: dict[str, Any], *, is_locked: bool) -> Finding:
    check = "dashboard"
    port = dashboard.rpartition(":")[2]
    head = next((node for node in nodes.values() if _HEAD in node["Resources"]), None)
    found = _on_node(head, listeners, int(port)) if head and port.isdecimal() else ()
    if not isinstance(found, tuple) or not found:
        return _warning(check, "no dashboard is found to listen on the head")
    open_to = [one for one in found if not one.is_loopback]
    if not open_to:
        return _ok(check, f"listens on loopback alone, port {port}")
    text = (
        f"listens on {', '.join(map(str, open_to))}, port {port}; start the head with "
        "--dashboard-host=127.0.0.1, and reach it through a tunnel."
    )
    return _warning(check, text) if is_locked else _fault(check, text)


def _nodes(count: int) -> str:
    return "the only node" if count == 1 else f"each of {count_text(count, 'node')}"
