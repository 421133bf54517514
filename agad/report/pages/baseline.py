"""A leaderboard read back from the CSV that an earlier report wrote."""

from __future__ import annotations

import csv as csv_format
import io
import json
import math
from typing import Any

from agad.errors import ConfigError
from agad.report.numbers.results import CellResult
from agad.report.pages.csv_files import text_of_csv

_TEXTS = (
    *("study", "cell", "dataset", "detector", "variant", "task", "method", "selection"),
    "data_fingerprint",
)
_COUNTS = ("num_trials", "num_confirmed", "num_confirm_planned")
_NUMBERS = ("anomaly_ratio", "total_s", "gpu_s")
_SCORES = ("test_auroc", "test_auroc_sd", "cost")
_LISTS = ("test_aurocs", "seeds")
_NEEDED = {*_TEXTS, *_COUNTS, *_NUMBERS, *_SCORES, *_LISTS, "given_class"}


def baseline_cells(text: str, name: str, study: str) -> list[CellResult]:
    """Read the cells of a study from a CSV file of ``csv``, with the fields that are compared.

    Args:
        text: The content of the file.
        name: The file's name in errors.
        study: The study's name; rows of other studies are left out.

    Raises:
        ConfigError: The file is no such CSV file, or holds no cell of the study.
    """
    reader = csv_format.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = reader.fieldnames or ()
        missing = sorted(_NEEDED - set(header))
        if missing:
            raise ConfigError(
                f"baseline {name} lacks the columns {', '.join(missing)}; write one with agad "
                "report --csv of this version."
            )
        rows = list(reader)
    except csv_format.Error as error:
        raise ConfigError(f"baseline {name} is not CSV ({error}); write one anew.") from error
    cells = []
    for line, row in enumerate(rows, start=2):
        if text_of_csv(row["study"] or "") == study:
            cells.append(_cell(row, f"baseline {name}, row {line}"))
    labels = [cell.cell for cell in cells]
    if not cells or len(labels) > len(set(labels)):
        studies = ", ".join(sorted({text_of_csv(row["study"] or "") for row in rows})) or "none"
        held = "no cell" if not cells else "a cell twice"
        raise ConfigError(
            f"baseline {name} holds {held} of the study {study!r}, but must hold each once; its "
            f"studies: {studies}."
        )
    return cells


def _cell(row: dict[str, str], place: str) -> CellResult:
    try:
        given: dict[str, Any] = {name: text_of_csv(row[name]) for name in _TEXTS}
        given |= {name: int(row[name]) for name in _COUNTS}
        given |= {name: float(row[name]) for name in _NUMBERS}
        given |= {name: float(row[name]) if row[name] else None for name in _SCORES}
        given["policy"] = row.get("policy") or _policy(given["task"])
        # A file of a study of one detector that runs every cell has no such column.
        given["stands_for"] = text_of_csv(row.get("stands_for") or "")
        # In files of earlier versions, every cell searched for itself.
        given["is_search"] = row.get("is_search") == "True"
        given["given_class"] = text_of_csv(row["given_class"])
        given["test_aurocs"] = tuple(float(score) for score in json.loads(row["test_aurocs"]))
        given["seeds"] = tuple(int(seed) for seed in json.loads(row["seeds"]))
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"{place} cannot be read ({error}); write the file anew.") from error
    scores = given["test_aurocs"]
    numbers = [*(given[name] for name in (*_NUMBERS, *_SCORES) if given[name] is not None)]
    if not (all(0 <= score <= 1 for score in scores) and all(map(math.isfinite, numbers))):
        raise ConfigError(f"{place} has a number out of its range; write the file anew.")
    if (given["test_auroc"] is None) != (not scores):
        raise ConfigError(
            f"{place} has a mean without its scores, or the other way; write it anew."
        )
    return CellResult(**given)


def _policy(task: str) -> str:
    """Return the policy that a task names, as in files of earlier versions."""
    words = dict(word.partition("=")[::2] for word in task.split())
    return words.get("selection", "")
