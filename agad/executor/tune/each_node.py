"""A question to every node of the connected cluster, and whether each has this driver's agad."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from agad.errors import ConfigError
from agad.version import __version__

logger = logging.getLogger(__name__)

_ANSWER_S = 120.0
"""Time limit for a node's answer; the first import of agad there loads torch."""


def ask_each_node(question: Callable[..., str], *arguments: object) -> Iterator[tuple[str, str]]:
    """Run a function on every living node; yield each node's address and the function's answer.

    A node that gives no answer is left out with a warning: the node may be about to leave, and the
    trials on the node tell what is wrong there.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    task = ray.remote(question)
    asked = {
        node["NodeManagerAddress"]: task.options(
            num_cpus=0,
            max_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        ).remote(*arguments)
        for node in nodes
    }
    for address, answer in asked.items():
        try:
            yield address, ray.get(answer, timeout=_ANSWER_S)
        except (RayError, GetTimeoutError) as raised:
            logger.warning(
                "Whether the node %s can run trials is not known (%s).",
                address,
                " ".join(str(raised).split())[-300:],
            )


def check_agad_on_nodes() -> None:
    """Have every node import agad, and compare its version with this driver's.

    Raises:
        ConfigError: A node has no agad, lacks a package that agad needs, or has another version.
    """
    for address, answer in ask_each_node(_question()):
        kind, _, text = answer.partition(": ")
        if kind == "version" and text == __version__:
            continue
        found = f"has agad {text}" if kind == "version" else f"cannot import agad ({text})"
        raise ConfigError(
            f"the node {address} {found}, but this driver has agad {__version__}; install this "
            "version in the Python that runs 'ray start' there, and start Ray again."
        )


def _question() -> Callable[[], str]:
    """Return a function that Ray sends as code, so that a node without agad can run it."""

    def question() -> str:
        import importlib
        import sys

        try:
            # The command line, the worker, and what both import only when they need it.
            for module in ("agad.cli", "agad.executor.tune.worker", "msgspec", "PIL", "sklearn"):
                importlib.import_module(module)
            version = importlib.import_module("agad.version").__version__
        except ImportError as error:
            return f"error: {error.__cause__ or error}, {sys.executable}"
        return f"version: {version}"

    return question
