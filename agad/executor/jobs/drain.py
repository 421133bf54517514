"""Tell Ray that this machine will be taken away soon, so that its trials leave in time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from agad.config import count_text
from agad.errors import AgadError, ConfigError
from agad.executor import check_joinable
from agad.executor.jobs.notices import MetadataError, Notice, Notices
from agad.executor.private_ray import refusing_without

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
"""Amazon's advice; the shortest notice of any cloud is 30 s."""

_TRY_EVERY_S = 2.0

_WITHOUT = "agad cannot drain a node; call 'ray drain-node' in time"

_ALIVE = 0
"""``GcsNodeInfo.ALIVE`` of Ray's protocol."""


class Node:
    """A node of a running Ray cluster."""

    def __init__(self, address: str | None, node_id: str | None) -> None:
        """Find the node.

        Args:
            address: Address of the cluster; None is the cluster that this machine belongs to.
            node_id: Ray's ID of the node; None is the only node of this machine.

        Raises:
            ConfigError: No cluster answers, the cluster refuses the token, this machine has no
                node or several nodes in it, or this version of Ray drains a node in another way.
        """
        # Ray has no public function for this; its own command "ray drain-node" does the same.
        from ray.exceptions import RayError

        try:
            found = check_joinable(address or "auto")
            with refusing_without(_WITHOUT):
                self._reason = _preemption()
                self._client = _client(found)
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
            # In a pod, Ray may run in another container, whose processes are not visible here.
            ip = services.get_node_ip_address(address)  # type: ignore[no-untyped-call]
            alive = self._alive().items()
            here = {one.hex() for one, info in alive if info.node_manager_address == ip}
        if len(here) != 1:
            raise ConfigError(
                f"this machine has {count_text(len(here), 'node')} of the Ray cluster {address}, "
                "but must have one; name it with --node-id, as 'ray list nodes' shows it."
            )
        return next(iter(here))

    def _alive(self) -> dict[Any, Any]:
        nodes = self._client.get_all_node_info().items()
        return {one: info for one, info in nodes if info.state == _ALIVE}

    def drain(self, notice: Notice) -> None:
        """Let Ray place nothing more on the node and warn its trials; try until the time is up.

        Raises:
            ConfigError: Ray refuses, or cannot be reached.
        """
        from ray.exceptions import RayError

        end_s = time.time() + notice.within_s
        while True:
            try:
                with refusing_without(_WITHOUT):
                    is_accepted, refusal = self._client.drain_node(
                        self.id,
                        self._reason,
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
        """Whether the node is in the cluster; a draining node leaves when nothing runs on it."""
        from ray.exceptions import RayError

        try:
            return any(one.hex() == self.id for one in self._alive())
        except RayError:  # The head has gone, with all that it knew about nodes.
            return False


def _client(address: str) -> Any:  # noqa: ANN401  Ray has no types for it.
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    return GcsClient(address=address)


def _preemption() -> int:
    """Return Ray's number for the reason that a machine is taken away."""
    from ray.core.generated import autoscaler_pb2

    reasons: Any = autoscaler_pb2.DrainNodeReason  # type: ignore[attr-defined]
    number: int = reasons.Value("DRAIN_NODE_REASON_PREEMPTION")
    return number


def wait_for_notice(notices: Notices, sleep: Callable[[float], None] = time.sleep) -> Notice:
    """Look for a notice until there is one.

    Args:
        notices: The notices of the machine's cloud.
        sleep: Waits between two looks.

    Raises:
        MetadataError: The first look fails, for example because the machine is of another cloud. If
            a service has answered once, later failures only make this function wait.
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
