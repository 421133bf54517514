"""The flags that several commands share, and the environment variables behind them."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agad.config import import_class
from agad.errors import ConfigError

if TYPE_CHECKING:
    from agad.data import NodeCache

_STORE_HELP = "folder or s3://bucket/prefix (default: $AGAD_STORE, else ~/.agad/store)"


def add_store_flag(parser: argparse.ArgumentParser) -> None:
    """Add the store, which every command takes as ``--store STORE`` and as ``STORE`` alone."""
    parser.add_argument("store", nargs="?", action=_Store, metavar="STORE", help=_STORE_HELP)
    parser.add_argument("--store", action=_Store, metavar="STORE", help="the same, as a flag")


class _Store(argparse.Action):
    """Takes a store from its flag or its place, and refuses two."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,  # noqa: ANN401  The library's own signature.
        option_string: str | None = None,  # noqa: ARG002  As above.
    ) -> None:
        """Keep the store; None means that none stands at its place."""
        if values is None:
            return
        if getattr(namespace, "store", None) not in (None, values):
            parser.error(
                f"the stores {namespace.store} and {values} are given, but a command takes one; "
                "leave one out"
            )
        namespace.store = values


def parsed(
    parser: argparse.ArgumentParser, words: Sequence[str] | None = None
) -> argparse.Namespace:
    """Return the parsed words of a command line, with a store that stands after other flags.

    argparse fills ``STORE`` with nothing at the first chance, so ``run FILE --reduced STORE`` would
    be refused.
    """
    arguments, rest = parser.parse_known_args(words)
    if len(rest) == 1 and not rest[0].startswith("-") and vars(arguments).get("store", "") is None:
        arguments.store = rest.pop()
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return arguments


def add_detector_flag(parser: argparse.ArgumentParser) -> None:
    """Add ``--detector``."""
    parser.add_argument(
        "--detector",
        action="append",
        default=[],
        metavar="MODULE_OR_FILE:CLASS",
        help="a detector of your own that the model or study has; may be repeated",
    )


def import_detectors(arguments: argparse.Namespace) -> None:
    """Make the classes that ``--detector`` names known by their detectors' names.

    Raises:
        ConfigError: A class cannot be imported, or is no detector.
    """
    for target in arguments.detector:
        import_class(target)


def add_cache_flag(parser: argparse.ArgumentParser) -> None:
    """Add ``--cache``."""
    parser.add_argument(
        "--cache",
        metavar="DIR",
        help="cache of images, on every node (default: $AGAD_CACHE, else ~/.agad/cache)",
    )


def add_cache_flags(parser: argparse.ArgumentParser) -> None:
    """Add the folder and the size of a node's cache of images."""
    add_cache_flag(parser)
    parser.add_argument(
        "--cache-gib", type=float, default=20.0, metavar="X", help="its most size (default: 20)"
    )


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags for where and how a study runs."""
    add_store_flag(parser)
    parser.add_argument(
        "--shared-store",
        action="store_true",
        help="the store is a folder that every node of the cluster has mounted",
    )
    parser.add_argument(
        "--address", help="Ray cluster to join (default: $RAY_ADDRESS, else one on this machine)"
    )
    parser.add_argument(
        "--gpus-per-trial",
        type=_gpus,
        metavar="X",
        help="a share or a number, or auto: learnt from the first trials how many share a GPU "
        "(default: 1 where there are GPUs, else 0)",
    )
    parser.add_argument(
        "--log-to",
        action="append",
        default=[],
        metavar="NAME",
        help="mlflow or wandb, which must be installed: a run a trial there too; may be repeated",
    )
    parser.add_argument(
        "--notify",
        metavar="URL",
        help="webhook to tell, as Slack takes it, when the study is done or has failed (default: "
        "$AGAD_WEBHOOK, which keeps it out of lists of processes)",
    )
    add_trial_flags(parser)


def _gpus(text: str) -> float | str:
    try:
        return text if text == "auto" else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number, and not auto") from error


def add_trial_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags for the resources of a trial."""
    add_cache_flags(parser)
    parser.add_argument(
        "--cpus-per-trial",
        type=int,
        metavar="N",
        help="CPU cores a trial (default: 1, and on GPUs a node's cores over its trials)",
    )
    parser.add_argument(
        "--max-concurrent-trials",
        type=int,
        metavar="N",
        help="the most trials at once, to which a cluster may grow (default: what there is room "
        "for)",
    )
    parser.add_argument(
        "--device", help="cpu, cuda or mps (default: cuda where a trial has a GPU, else cpu)"
    )
    parser.add_argument(
        "--precision", default="float32", metavar="P", help="float32 (default) or bfloat16"
    )
    parser.add_argument(
        "--channels-last",
        action=argparse.BooleanOptionalAction,
        help="lay images out with the channels last (default: on the CPU alone)",
    )
    parser.add_argument(
        "--compile",
        default="off",
        metavar="HOW",
        help="off (default), or for trials of many minutes default, or cuda-graphs on CUDA",
    )
    parser.add_argument(
        "--reduced",
        action="store_true",
        help="the same question at a laptop's budget, as study NAME-reduced",
    )


def add_price_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``--price-per-hour`` and ``--price-per-gpu-hour``."""
    parser.add_argument(
        "--price-per-hour",
        type=float,
        metavar="X",
        help="show the cost of the wall time, where all machines together cost X an hour",
    )
    parser.add_argument(
        "--price-per-gpu-hour", type=float, metavar="X", help="show the cost of the GPU time"
    )


def checked_prices(arguments: argparse.Namespace) -> dict[str, float | None]:
    """Return the prices that the flags name, by the names of the flags.

    Raises:
        ConfigError: A price is negative or not finite, or both prices are given.
    """
    names = ("price_per_hour", "price_per_gpu_hour")
    prices: dict[str, float | None] = {name: getattr(arguments, name) for name in names}
    for name, price in prices.items():
        if price is not None and not (math.isfinite(price) and price >= 0):
            flag = name.replace("_", "-")
            raise ConfigError(f"--{flag} is {price}, but must be a number from 0 up.")
    if None not in prices.values():
        raise ConfigError(
            "--price-per-hour and --price-per-gpu-hour are given, but the first holds the GPUs of "
            "the machines too; leave one out."
        )
    return prices


def spool_folder() -> Path:
    """Return the folder on this host's disk for rows that the store cannot take at the moment.

    Raises:
        ConfigError: The folder is in a home that is unknown.
    """
    folder = os.environ.get("AGAD_SPOOL") or "~/.agad/spool"
    try:
        return Path(folder).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigError(
            f"AGAD_SPOOL is {folder!r}, but must be in a home that is known; name it in full."
        ) from error


def cache_folder(arguments: argparse.Namespace) -> str:
    """Return the cache's folder, as the flag or the environment names it.

    Raises:
        ConfigError: The folder is in a home that is unknown.
    """
    folder = arguments.cache or os.environ.get("AGAD_CACHE") or "~/.agad/cache"
    try:
        Path(folder).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"--cache is {folder!r}, but must be in a home that is known; name it in full."
        ) from error
    # A relative folder is meant on this machine; ``~`` is the home on each node.
    return folder if folder.startswith("~") else str(Path(folder).absolute())


def node_cache(arguments: argparse.Namespace) -> NodeCache:
    """Return the cache that the flags name.

    Raises:
        ConfigError: Its size or its folder is not allowed.
    """
    from agad.data import NodeCache

    return NodeCache(folder=cache_folder(arguments), max_gib=arguments.cache_gib)
