"""The command that checks the files from which a cluster is made."""

from __future__ import annotations

import argparse
from pathlib import Path

from agad.config import count_text
from agad.report import plain

FAULTY = 1
"""Exit code: a file holds a fault."""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add ``check``."""
    commands = parser.add_subparsers(dest="cluster_command", required=True, metavar="COMMAND")

    check = commands.add_parser(
        "check", help="check cluster YAMLs and KubeRay manifests, without a cloud or a cluster"
    )
    check.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="cluster YAML of `ray up`, manifests, a unit (.service), or /dev/stdin",
    )
    check.add_argument(
        "--crd",
        type=Path,
        action="append",
        metavar="FILE",
        help="KubeRay's CustomResourceDefinitions, of a release or as kubectl prints a living "
        "cluster's (default: those of KubeRay v1.6.2)",
    )
    check.set_defaults(do=_check)


def _check(arguments: argparse.Namespace) -> int:
    from agad.clusterfiles import check_file, read_crds, shipped_crds

    crds = read_crds(arguments.crd) if arguments.crd else shipped_crds()
    num_faults = 0
    for path in arguments.files:
        checked = check_file(path, crds)
        num_faults += checked.num_faults
        for fault in checked.faults:
            print(plain(str(fault)))
        num_warnings = len(checked.faults) - checked.num_faults
        print(
            plain(
                f"{checked.file}: {count_text(checked.num_faults, 'fault')}, "
                f"{count_text(num_warnings, 'warning')}; "
                f"checked as {', '.join(checked.kinds)}."
            ),
            flush=True,
        )
    return FAULTY if num_faults else 0
