"""The command that moves trials off a machine before its cloud takes the machine away."""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING, Any

from agad.errors import ConfigError

if TYPE_CHECKING:
    from agad.executor.jobs import Node, Notices

_WITHIN_S = 60.0


def add_commands(commands: Any) -> None:  # noqa: ANN401  argparse keeps its type to itself.
    """Add ``drain-watch``."""
    parser = commands.add_parser(
        "drain-watch",
        help="on a spot machine: have trials leave it when its cloud announces its end",
    )
    parser.add_argument(
        "--cloud",
        required=True,
        choices=["aws", "gcp", "kubernetes"],
        help="aws and gcp: wait for the notice; kubernetes, as a pod's preStop hook: it is here",
    )
    parser.add_argument(
        "--address", help="Ray cluster (default: $RAY_ADDRESS, else that of this machine)"
    )
    parser.add_argument("--node-id", metavar="ID", help="default: the one node of this machine")
    parser.add_argument(
        "--within",
        type=float,
        default=_WITHIN_S,
        metavar="S",
        help=f"kubernetes: seconds until the pod ends, at most its grace period (default: "
        f"{_WITHIN_S:.0f})",
    )
    parser.set_defaults(do=drain_watch)


def drain_watch(arguments: argparse.Namespace) -> int:
    """Wait for the notice and pass it to Ray; return the exit code."""
    from agad.executor.jobs import Node, Notice, wait_for_notice

    within_s: float = arguments.within
    if not 0 < within_s < 3600:
        raise ConfigError(f"--within is {within_s}, but must be above 0 and below 3600 s.")
    node = Node(arguments.address or os.environ.get("RAY_ADDRESS"), arguments.node_id)
    is_pod = arguments.cloud == "kubernetes"
    if is_pod:
        notice = Notice(reason="Kubernetes ends the pod", within_s=within_s)
    else:
        print(f"Node {node.id}: waiting for a notice of {arguments.cloud}.", flush=True)
        notice = wait_for_notice(_notices(arguments.cloud))
    node.drain(notice)
    print(f"Node {node.id} drains: {notice.reason}, in {notice.within_s:.0f} s.", flush=True)
    if is_pod:  # Kubernetes ends the pod's containers when the hook ends.
        _wait_for_end(node, within_s)
    return 0


def _notices(cloud: str) -> Notices:
    """Return the source of a cloud's notices. The environment variables are the clouds' own."""
    from agad.executor.jobs import EC2_ADDRESS, GCP_ADDRESS, Ec2Notices, GcpNotices

    if cloud == "aws":
        return Ec2Notices(os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or EC2_ADDRESS)
    host = os.environ.get("GCE_METADATA_HOST")
    return GcpNotices(f"http://{host}" if host else GCP_ADDRESS)


def _wait_for_end(node: Node, within_s: float) -> None:
    end_s = time.monotonic() + within_s
    while node.is_alive() and time.monotonic() < end_s:
        time.sleep(1.0)
