"""The study that a command line asks for: a file's, on another data set, or reduced."""

from __future__ import annotations

import argparse

from agad.cli.warnings import warn
from agad.config import ClassGiven, Study
from agad.errors import ConfigError
from agad.reading import store_uri


def add_question_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``--dataset``, ``--normal-class`` and ``--reduced``."""
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="ask the question of this imported data set instead, as study STUDY-NAME",
    )
    parser.add_argument(
        "--normal-class",
        action="append",
        default=[],
        metavar="CLASS",
        help="with --dataset, a class that is normal, by name or label; may be repeated (default: "
        "good, normal or ok if the data set has such a class, else every class in turn)",
    )
    parser.add_argument(
        "--reduced",
        action="store_true",
        help="the same question at a laptop's budget, as study NAME-reduced",
    )


def asked_study(study: Study, arguments: argparse.Namespace) -> Study:
    """Return the study that the flags make of a file's study.

    Args:
        study: The study of the file.
        arguments: The flags of ``add_question_flags``, and the store that holds the data set.

    Raises:
        ConfigError: The store has no such data set, the data set no such class, or the study names
            classes or images of its own data set.
        StoreError: The store cannot be reached.
    """
    study = _on_dataset(study, arguments)
    return study.reduced() if arguments.reduced else study


def asked_name(study: Study, arguments: argparse.Namespace) -> str:
    """Return the name of ``asked_study``, without the store."""
    if arguments.dataset is not None:
        study = study.on_dataset(arguments.dataset, study.cells.classes)
    return (study.reduced() if arguments.reduced else study).name


def _on_dataset(study: Study, arguments: argparse.Namespace) -> Study:
    if arguments.dataset is None:
        if arguments.normal_class:
            raise ConfigError(
                f"--normal-class is {arguments.normal_class[0]!r}, but --dataset is not given; the "
                "study file names the classes of its own data set."
            )
        return study
    is_leave_one_out = study.cells.anomalous_class is not None
    if is_leave_one_out and arguments.normal_class:
        raise ConfigError(
            f"--normal-class is {arguments.normal_class[0]!r}, but study {study.name} is "
            "leave-one-out: each class in turn is anomalous and all others are normal; leave "
            "--normal-class out."
        )
    # The data sets need pyarrow, which a wrong flag does without.
    from agad.cli.fitting import fitted_to
    from agad.data import Library, find_manifest
    from agad.objects import open_objects

    manifest = find_manifest(Library(open_objects(store_uri(arguments.store))), arguments.dataset)
    classes: list[ClassGiven] = [_class_given(one) for one in arguments.normal_class]
    for one in classes:
        manifest.label_of("--normal-class", one)
    every = manifest.trained_classes if is_leave_one_out else manifest.normal_classes
    asked = study.on_dataset(arguments.dataset, classes or every)
    asked, left_out = fitted_to(asked, manifest)
    for text in left_out:
        warn(text)
    return asked


def _class_given(text: str) -> ClassGiven:
    return int(text) if text.isascii() and text.isdigit() else text
