"""The command that lists detectors, shows one, and checks one of a user's own."""

from __future__ import annotations

import argparse

from agad.cli.screen import screen
from agad.config import detector_class, import_class, known_names, registered
from agad.errors import ConfigError
from agad.report import InstalledDetector, count_text, detector_details, detector_table, plain

FAILED = 1
"""Exit code: a check of a detector failed."""

_CHECK = "check"


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``detectors``."""
    parser = commands.add_parser(
        "detectors",
        help="list detectors, show one, check one of your own",
        usage="agad detectors [-h] [NAME | MODULE_OR_FILE:CLASS | check MODULE_OR_FILE:CLASS]",
    )
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="a detector to show: a name of the list, or a class such as my_detector.py:MyDetector",
    )
    parser.add_argument(
        "target",
        nargs="?",
        metavar="MODULE_OR_FILE:CLASS",
        help="after the word check: the class to check",
    )
    parser.set_defaults(do=_detectors)


def _detectors(arguments: argparse.Namespace) -> int:
    name, target = arguments.name, arguments.target
    if name == _CHECK:
        if target is None:
            raise ConfigError(
                "the class to check is missing; name it, as in agad detectors check "
                "my_detector.py:MyDetector."
            )
        return _check(target)
    if target is not None:
        raise ConfigError(f"{target!r} is given beside {name!r}, but one detector is shown alone.")
    if name is None:
        return _list()
    screen().print(detector_details(_own(name) if ":" in name else _installed(name)))
    return 0


def _list() -> int:
    usable, broken = [], {}
    for name in known_names():
        try:
            usable.append(_installed(name))
        except ConfigError as error:
            broken[name] = str(error)
    screen().print(detector_table(usable, broken))
    return 0


def _installed(name: str) -> InstalledDetector:
    if name not in known_names():
        raise ConfigError(
            f"the detector is {name!r}, but must be one of: {', '.join(known_names())}; or name a "
            "class of your own, as my_detector.py:MyDetector."
        )
    return InstalledDetector(config=detector_class(name)(), provider=registered()[name].provider)


def _own(target: str) -> InstalledDetector:
    return InstalledDetector(config=import_class(target)(), provider=target.rpartition(":")[0])


def _check(target: str) -> int:
    """Print each check of a class as it ends; return the exit code."""
    found = import_class(target)
    # Torch takes seconds to import, which a wrong name does not wait for.
    from agad.trial import check_contract, check_names

    num_ended = num_failed = 0
    width = max(map(len, check_names()))
    for result in check_contract(found):
        num_ended += 1
        num_failed += bool(result.failure)
        print(f"{result.check:{width}}  {plain(result.failure) or 'ok'}", flush=True)
    num_left = len(check_names()) - num_ended
    if num_left:
        print(f"{count_text(num_left, 'check')} left out: mend the last one first.")
    if num_failed:
        print(f"{target}: {count_text(num_failed, 'check')} failed.")
        return FAILED
    print(f"{target}: all {count_text(num_ended, 'check')} passed.")
    return 0
