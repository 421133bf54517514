"""The place of a study: the Ray cluster, and the resources of one trial."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import ray
from ray.exceptions import RayError
from ray.job_config import JobConfig

from agad.config import MAX_COUNT, shown_number
from agad.data import NodeCache
from agad.detectors.compute import Compilation, Compute, Precision
from agad.errors import ConfigError
from agad.executor import check_joinable, telling_start_faults
from agad.executor.private_ray import stepping_aside
from agad.executor.tune.gpu_shares import MOST_PER_GPU
from agad.executor.tune.tracking import Tracker, check_trackers
from agad.trial import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """Settings from flags and environment variables, never part of a study."""

    store: str
    """URI of the store that holds the data sets; every node must reach the store."""

    cache: NodeCache = field(default_factory=NodeCache)
    """The cache of data sets on each node."""

    is_shared: bool = False
    """Whether the user says that a store in a folder is the same folder on all nodes."""

    address: str | None = None
    """Address of a running Ray cluster; None starts one on this machine."""

    cpus_per_trial: int | None = None
    """CPU cores and threads of one trial, at least 1. Without a GPU, None is 1: many trials at once
    keep all cores busy, no trial waits for another, and results do not depend on the number of
    cores. With a GPU, None is a node's cores over the trials that its GPUs take, at least 1."""

    gpus_per_trial: float | Literal["auto"] | None = None
    """GPUs of one trial, at least 0. None is 1 if the cluster has a GPU now, else 0. If a trial
    does not fit its share of a GPU, the share doubles for later trials of the same kind. ``auto``
    learns from the first trials of each kind how many share a GPU. Without a GPU, ``auto`` is 0
    unless the cluster may grow."""

    max_concurrent_trials: int | None = None
    """The most trials at once, to which the cluster may grow; None is the cluster's room now."""

    device: str | None = None
    """A torch device; None is ``cuda`` if a trial has GPUs, else ``cpu``."""

    precision: Precision = "float32"
    channels_last: bool | None = None
    compilation: Compilation = "off"
    """``precision``, ``channels_last`` and ``compilation`` are the fields of ``Compute``."""

    log_to: tuple[Tracker, ...] = ()
    """Experiment trackers that also see every trial."""

    code_folders: tuple[str, ...] = ()
    """Folders from which workers import the modules of a user's own detectors. ``run_study`` sets
    this field, with the help of the module ``own_detectors``."""

    def __post_init__(self) -> None:
        check_trackers(self.log_to)
        for name, least in (
            ("cpus_per_trial", 1),
            ("gpus_per_trial", 0),
            ("max_concurrent_trials", 1),
        ):
            value = getattr(self, name)
            is_number = value is not None and value != "auto"
            if is_number and not least <= value <= MAX_COUNT:
                flag = "--" + name.replace("_", "-")
                raise ConfigError(
                    f"{flag} is {shown_number(value)}, but must be at least {least} and at most "
                    f"{MAX_COUNT:,}."
                )
        gpus = self.gpus_per_trial
        self._check_device()
        if isinstance(gpus, int | float) and gpus > 1 and gpus != int(gpus):
            raise ConfigError(
                f"--gpus-per-trial is {gpus}, but must be a share of one GPU or a whole number."
            )

    def _check_device(self) -> None:
        if self.device not in (None, "cpu", "cuda", "mps"):
            raise ConfigError(f"--device is {self.device!r}, but must be cpu, cuda or mps.")
        if self.gpus_per_trial and self.device in ("cpu", "mps"):
            given = self.gpus_per_trial
            shown = given if given == "auto" else f"{given:g}"
            raise ConfigError(
                f"--gpus-per-trial is {shown}, but --device is {self.device}, "
                "which would leave them idle; give one of the two."
            )
        # This checks the other settings. The number of GPUs is known only after the connection.
        gpus = self.gpus_per_trial
        self._compute(gpus if isinstance(gpus, int | float) else 1.0)

    def _compute(self, gpus: float) -> Compute:
        return Compute(
            device=self.device or ("cuda" if gpus > 0 else "cpu"),
            precision=self.precision,
            channels_last=self.channels_last,
            compilation=self.compilation,
        )

    def runtime(self, gpus: float = 0.0, num_threads: int | None = None) -> Runtime:
        """Return the runtime of a trial; ``num_threads`` counts if ``cpus_per_trial`` is None."""
        return Runtime(
            store=self.store,
            cache=self.cache,
            compute=self._compute(gpus),
            num_threads=self.cpus_per_trial or num_threads or 1,
            gpus=gpus,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """The room for trials that a connected cluster gives to a study."""

    runtime: Runtime
    """The runtime of each trial."""

    num: int
    """The most trials at once."""

    cpus_per_trial: int | None = None
    """The same as ``ClusterOptions.cpus_per_trial``."""

    learns: bool = False
    """Whether the share of a GPU is learned."""

    grows: bool = False
    """Whether the cluster may grow to ``num`` trials."""


@dataclass(frozen=True, slots=True)
class GpuNode:
    """The CPU cores and GPUs of a node with GPUs."""

    cpus: float
    gpus: float


@contextmanager
def connected(options: ClusterOptions) -> Iterator[Slots]:
    """Connect to the cluster, or start one on this machine that ends with the block.

    If the caller is connected to Ray already, that connection is used and left open.

    Raises:
        ConfigError: Ray cannot start here, no cluster answers, a cluster refuses the token, or no
            node has room for a trial.
    """
    if ray.is_initialized():
        yield _slots(options, ray.cluster_resources())  # type: ignore[no-untyped-call]
        return
    at_sigterm = signal.getsignal(signal.SIGTERM)
    if options.address in (None, "local"):
        with telling_start_faults():
            _init(options, "local")
    else:
        try:
            _init(options, check_joinable(options.address))
        except (ConnectionError, ValueError, RayError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(
                f"--address is {options.address}, but no Ray cluster can be joined there "
                f"({str(error).splitlines()[0]}); start one with 'ray start --head', or leave it "
                "out."
            ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, at_sigterm)  # Ray's own handler exits without a message.
    try:
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        yield _slots(options, resources, can_grow=options.address is not None)
    finally:
        ray.shutdown()


def _init(options: ClusterOptions, address: str) -> None:
    ray.init(
        address=address,
        # A running cluster accepts no value here: None leaves the default.
        include_dashboard=False if options.address is None else None,
        log_to_driver=False,
        logging_level=logging.ERROR,
        job_config=_importing_from(options.code_folders),
    )


def _importing_from(folders: Sequence[str]) -> JobConfig:
    """Return Ray's settings of a driver whose workers import modules from some folders, too.

    Ray's public way is a runtime environment, which would clash with that of a submitted job. If a
    job has a working directory, Ray leaves the study's folder out.
    """
    if folders:
        with stepping_aside(
            f"workers find a study's own detectors in {', '.join(folders)} only if "
            "PYTHONPATH named these folders when Ray was started"
        ):
            return JobConfig(_py_driver_sys_path=[*folders])
    return JobConfig()


def _living_nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def gpu_nodes() -> list[GpuNode]:
    """Return the connected cluster's nodes that have GPUs now."""
    found = [node["Resources"] for node in _living_nodes()]
    return [GpuNode(one.get("CPU", 0), one["GPU"]) for one in found if one.get("GPU", 0) >= 1]


def num_threads(given: int | None, gpus: float, nodes: Sequence[GpuNode]) -> int:
    """Return the CPU cores and threads of a trial that has GPUs.

    Args:
        given: The value of ``ClusterOptions.cpus_per_trial``.
        gpus: GPUs of the trial, above 0.
        nodes: Nodes that the trial may run on. The node with the fewest cores per trial counts.
    """
    if given is not None:
        return given
    fitting = [node for node in nodes if node.gpus >= gpus]
    shares = [int(node.cpus // int(node.gpus / gpus + 1e-9)) for node in fitting]
    return max(1, min(shares, default=1))


def _room(node: dict[str, float], cpus: int, gpus: float) -> int:
    """Count the trials that fit one node."""
    room = int(node.get("CPU", 0) // cpus)
    return min(room, int(node.get("GPU", 0) / gpus)) if gpus > 0 else room


def _check_reachable(options: ClusterOptions) -> None:
    """Refuse a folder as the store of several machines, unless it is said to be shared."""
    num_nodes = len(_living_nodes())
    is_bucket = options.store.startswith(("s3://", "gs://"))
    if num_nodes > 1 and not is_bucket and not options.is_shared:
        raise ConfigError(
            f"--store is the folder {options.store}, but the cluster has {num_nodes} nodes, which "
            "must all reach it; use a bucket, or say --shared-store if all of them have it mounted."
        )


def _slots(options: ClusterOptions, has: dict[str, float], *, can_grow: bool = True) -> Slots:
    _check_reachable(options)
    nodes = gpu_nodes()
    grows = can_grow and options.max_concurrent_trials is not None
    learns = options.gpus_per_trial == "auto" and (grows or bool(nodes))
    gpus = options.gpus_per_trial
    if not isinstance(gpus, int | float):
        wants_gpu = options.device in (None, "cuda")
        gpus = 1.0 if wants_gpu and (learns or has.get("GPU", 0) >= 1) else 0.0
    if gpus == 0 and options.device == "cuda":
        raise ConfigError(
            f"--device is {options.device}, but a trial gets no GPU: the cluster has "
            f"{has.get('GPU', 0):g}; name a share of one with --gpus-per-trial."
        )
    cpus = num_threads(options.cpus_per_trial, gpus, nodes) if gpus else options.cpus_per_trial or 1
    room = sum(_room(node["Resources"], cpus, gpus) for node in _living_nodes())
    if room == 0 and not grows:
        raise ConfigError(
            f"a trial asks for {cpus} CPUs and {gpus:g} GPUs, but the cluster has "
            f"{has.get('CPU', 0):g} and {has.get('GPU', 0):g}, and no node has room for one; ask "
            "for less"
            + (", or name the size it grows to with --max-concurrent-trials." if can_grow else ".")
        )
    if learns:
        room *= MOST_PER_GPU
    return Slots(
        runtime=options.runtime(gpus, cpus),
        num=options.max_concurrent_trials or room,
        cpus_per_trial=options.cpus_per_trial,
        learns=learns,
        grows=grows,
    )
