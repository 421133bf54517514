"""Writing the figures of studies as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agad.cli.files import write_file
from agad.errors import ConfigError
from agad.reading import stored_figure_data
from agad.report import check_renderer, count_text, plain, png, svg
from agad.report import figures as study_figures

if TYPE_CHECKING:
    from agad.objects import ObjectStore

FORMATS = ("svg", "png")
"""The file formats of a figure."""


def write_figures(
    folder: Path, objects: ObjectStore, studies: Sequence[str], only: str | None = None
) -> None:
    """Write every figure of some studies as ``<study>-<figure>.svg`` and ``.png``.

    Args:
        folder: The folder, made if it does not exist; files of the same names are replaced.
        objects: The store.
        studies: The names of the studies.
        only: One of ``FORMATS``; None writes both.

    Raises:
        ConfigError: The folder cannot be made, or the renderer is not installed.
        StoreError: The store cannot be reached, or an object is damaged.
    """
    check_renderer()
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--figures is {folder}, which cannot be made ({error.strerror}); name a folder in one "
            "that exists."
        ) from error
    for study in studies:
        found = study_figures(*stored_figure_data(objects, study))
        for one in found:
            if only in (None, "svg"):
                write_file(folder / f"{study}-{one.name}.svg", svg(one).encode())
            if only in (None, "png"):
                write_file(folder / f"{study}-{one.name}.png", png(one))
        drawn = count_text(len(found), "figure") if found else "none, since no trial has ended"
        print(f"Figures of {study}: {drawn}, in {plain(str(folder))}")
