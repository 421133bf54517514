"""Telling Ray that this machine is about to be taken away, so that its trials leave in time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from agad.errors import AgadError, ConfigError
from agad.executor import check_listening
from agad.executor.jobs.notices import MetadataError, Notice, Notices

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
"""As Amazon advises; the shortest notice of any cloud is 30 s."""

_TRY_EVERY_S = 2.0

_ALIVE = 0
"""``GcsNodeInfo.ALIVE`` of Ray's protocol."""


class Node:
    """One node of a running Ray cluster."""

    def __init__(self, address: str | None, node_id: str | None) -> None:
        """Find it.

        Args:
            address: Of the cluster; None is the one that this machine belongs to.
            node_id: Ray's; None is the one node of this machine.

        Raises:
            ConfigError: No cluster answers, or the node cannot be told.
        """
        # Ray has no public name for this; its own command "ray drain-node" does the same.
        import ray
        from ray._private import services
        from ray.exceptions import RayError

        try:
            found = services.canonicalize_bootstrap_address(address or "auto")
            if found is None:
                raise ConnectionError("none is known on this machine")
            check_listening(found)
            self._client: Any = ray._raylet.GcsClient(address=found)  # type: ignore[attr-defined]
            self.id = node_id or self._local(found)
        except (ConnectionError, RayError, ValueError) as error:
            if isinstance(error, AgadError):
                raise
            raise ConfigError(
                f"--address is {address or 'auto'}, but no Ray cluster answers there "
                f"({str(error).splitlines()[0]}); start Ray on this machine first, or name its "
                "head's HOST:6379."
            ) from error

    def _local(self, address: str) -> str:
        from ray._private import services

        here: set[str] = set(services.find_node_ids())  # type: ignore[no-untyped-call]
        if len(here) != 1:
            # In a pod, Ray may run in another container, whose processes nobody sees.
            ip = services.get_node_ip_address(address)  # type: ignore[no-untyped-call]
            alive = self._alive().items()
            here = {one.hex() for one, info in alive if info.node_manager_address == ip}
        if len(here) != 1:
            raise ConfigError(
                f"this machine has {len(here)} nodes of the Ray cluster {address}, but must "
                "have one; name it with --node-id, as 'ray list nodes' shows it."
            )
        return next(iter(here))

    def _alive(self) -> dict[Any, Any]:
        nodes = self._client.get_all_node_info().items()
        return {one: info for one, info in nodes if info.state == _ALIVE}

    def drain(self, notice: Notice) -> None:
        """Have Ray place nothing more on it and tell its trials; try until the time is up.

        Raises:
            ConfigError: Ray refuses, or cannot be reached.
        """
        from ray.core.generated import autoscaler_pb2
        from ray.exceptions import RayError

        reason = autoscaler_pb2.DrainNodeReason.Value(  # type: ignore[attr-defined]
            "DRAIN_NODE_REASON_PREEMPTION"
        )
        end_s = time.time() + notice.within_s
        while True:
            try:
                is_accepted, refusal = self._client.drain_node(
                    self.id,
                    reason,
                    notice.reason,
                    int(end_s * 1000),
                )
            except RayError as error:
                is_accepted, refusal = False, str(error)
            if is_accepted:
                return
            if time.time() + _TRY_EVERY_S > end_s:
                raise ConfigError(
                    f"Ray did not drain node {self.id} ({refusal}); check --address and --node-id."
                )
            time.sleep(_TRY_EVERY_S)

    def is_alive(self) -> bool:
        """Whether it is still part of the cluster: one that drains ends when nothing runs on it."""
        from ray.exceptions import RayError

        try:
            return any(one.hex() == self.id for one in self._alive())
        except RayError:  # The head has gone, and what it knew with it.
            return False


def wait_for_notice(notices: Notices, sleep: Callable[[float], None] = time.sleep) -> Notice:
    """Look until there is a notice.

    Args:
        notices: Of the machine's cloud.
        sleep: Waits between two looks.

    Raises:
        MetadataError: The very first look fails: the machine is of another cloud, say. A service
            that has answered once is waited for.
    """
    notice = notices.look()
    is_silent = False
    while notice is None:
        sleep(LOOK_EVERY_S)
        try:
            notice = notices.look()
            is_silent = False
        except MetadataError as error:
            if not is_silent:
                logger.warning("%s", error)
            is_silent = True
    return notice
