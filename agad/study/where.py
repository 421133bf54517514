"""Where a study runs: the Ray cluster, and what one trial takes of it."""

from __future__ import annotations

import logging
import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import ray

from agad.data import NodeCache
from agad.detectors import Compilation, Compute, Precision
from agad.errors import ConfigError
from agad.study.tracking import Tracker, check_trackers
from agad.trial import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A flag or an environment variable each, never part of a study."""

    store: str
    """URI of the store that holds the data sets; every node reaches it."""

    cache: NodeCache = field(default_factory=NodeCache)
    """Each node's cache of them."""

    is_shared: bool = False
    """Whether a store in a folder is said to be one and the same on all nodes."""

    address: str | None = None
    """Address of a running Ray cluster; None starts one on this machine."""

    cpus_per_trial: int = 1
    """CPU cores and threads of one trial, at least 1."""

    gpus_per_trial: float | None = None
    """GPUs of one trial, at least 0; None is one where the cluster has any now, else none. A share
    of one doubles for the trials that follow one that did not fit."""

    max_concurrent_trials: int | None = None
    """The most trials at once; None is what the cluster has room for now."""

    device: str | None = None
    """A torch device; None is ``cuda`` where a trial has GPUs, else ``cpu``."""

    precision: Precision = "float32"
    channels_last: bool | None = None
    compilation: Compilation = "off"
    """The three as ``Compute`` has them."""

    log_to: tuple[Tracker, ...] = ()
    """Experiment trackers that see every trial too."""

    def __post_init__(self) -> None:
        check_trackers(self.log_to)
        for name, least in (
            ("cpus_per_trial", 1),
            ("gpus_per_trial", 0),
            ("max_concurrent_trials", 1),
        ):
            value = getattr(self, name)
            if value is not None and not (value >= least and math.isfinite(value)):
                flag = "--" + name.replace("_", "-")
                raise ConfigError(f"{flag} is {value}, but must be at least {least}.")
        gpus = self.gpus_per_trial
        self._check_device()
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise ConfigError(
                f"--gpus-per-trial is {gpus}, but must be a share of one GPU or a whole number."
            )

    def _check_device(self) -> None:
        if self.device not in (None, "cpu", "cuda", "mps"):
            raise ConfigError(f"--device is {self.device!r}, but must be cpu, cuda or mps.")
        if self.gpus_per_trial and self.device in ("cpu", "mps"):
            raise ConfigError(
                f"--gpus-per-trial is {self.gpus_per_trial:g}, but --device is {self.device}, "
                "which would leave them idle; give one of the two."
            )
        # Checks the other settings; whether there are GPUs is known once connected.
        self._compute(1.0 if self.gpus_per_trial is None else self.gpus_per_trial)

    def _compute(self, gpus: float) -> Compute:
        return Compute(
            device=self.device or ("cuda" if gpus > 0 else "cpu"),
            precision=self.precision,
            channels_last=self.channels_last,
            compilation=self.compilation,
        )

    def runtime(self, gpus: float = 0.0) -> Runtime:
        """Return where each trial runs, with so many GPUs."""
        return Runtime(
            store=self.store,
            cache=self.cache,
            compute=self._compute(gpus),
            num_threads=self.cpus_per_trial,
            gpus=gpus,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """What a connected cluster gives to a study."""

    runtime: Runtime
    """Where each trial runs."""

    num: int
    """Trials at once."""


@contextmanager
def connected(where: Where) -> Iterator[Slots]:
    """Connect to the cluster, or start one on this machine that ends with the block.

    Where the caller is connected to Ray already, that connection is used and left open.

    Raises:
        ConfigError: No cluster answers, or a trial fits nowhere in it.
    """
    if ray.is_initialized():
        yield _slots(where, ray.cluster_resources())  # type: ignore[no-untyped-call]
        return
    at_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=where.address or "local",
            # None leaves the default, which a running cluster does not take.
            include_dashboard=False if where.address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError) as error:
        raise ConfigError(
            f"--address is {where.address}, but no Ray cluster can be joined there "
            f"({str(error).splitlines()[0]}); start one with 'ray start --head', or leave it out."
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, at_sigterm)  # Ray's own exits without a word.
    try:
        yield _slots(where, ray.cluster_resources())  # type: ignore[no-untyped-call]
    finally:
        ray.shutdown()


def _living_nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _room(node: dict[str, float], cpus: int, gpus: float) -> int:
    """Count the trials that fit one node."""
    room = int(node.get("CPU", 0) // cpus)
    return min(room, int(node.get("GPU", 0) / gpus)) if gpus > 0 else room


def _check_reachable(where: Where) -> None:
    """Refuse a folder as the store of several machines, unless it is said to be shared."""
    num_nodes = len(_living_nodes())
    is_bucket = where.store.startswith(("s3://", "gs://"))
    if num_nodes > 1 and not is_bucket and not where.is_shared:
        raise ConfigError(
            f"--store is the folder {where.store}, but the cluster has {num_nodes} nodes, which "
            "must all reach it; use a bucket, or say --shared-store if all of them have it mounted."
        )


def _slots(where: Where, has: dict[str, float]) -> Slots:
    _check_reachable(where)
    gpus = where.gpus_per_trial
    if gpus is None:
        wants_gpu = where.device in (None, "cuda")
        gpus = 1.0 if wants_gpu and has.get("GPU", 0) >= 1 else 0.0
    if gpus == 0 and where.device == "cuda":
        raise ConfigError(
            f"--device is {where.device}, but a trial gets no GPU: the cluster has "
            f"{has.get('GPU', 0):g}; name a share of one with --gpus-per-trial."
        )
    room = sum(_room(node["Resources"], where.cpus_per_trial, gpus) for node in _living_nodes())
    if room == 0 and where.max_concurrent_trials is None:
        raise ConfigError(
            f"a trial asks for {where.cpus_per_trial} CPUs and {gpus:g} GPUs, but the cluster has "
            f"{has.get('CPU', 0):g} and {has.get('GPU', 0):g}, and no node has room for one; ask "
            "for less, or name the size it grows to with --max-concurrent-trials."
        )
    return Slots(runtime=where.runtime(gpus), num=where.max_concurrent_trials or room)
