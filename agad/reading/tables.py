"""Reading the tables of a store from a script or a notebook."""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from agad.errors import ConfigError

if TYPE_CHECKING:
    from agad.objects import ObjectStore

_FORMS = ("arrow", "pandas", "polars")


def store_uri(given: str | None) -> str:
    """Return the given store, else ``$AGAD_STORE``, else the default."""
    return os.environ.get("AGAD_STORE") or "~/.agad/store" if given is None else given


def chosen_studies(objects: ObjectStore, given: str | None, flag: str = "--study") -> list[str]:
    """Return the given study, else all studies of a store.

    Args:
        objects: The store.
        given: Name of a study.
        flag: The flag or argument that named the study.

    Raises:
        ConfigError: The store has no study, or no study of this name.
    """
    from agad.store import list_studies

    studies = list_studies(objects)
    if not studies:
        raise ConfigError(
            f"store {objects.uri} holds no study; run one with --store, or name another."
        )
    if given is not None and given not in studies:
        raise ConfigError(f"{flag} is {given!r}, but {objects.uri} holds: {', '.join(studies)}.")
    return studies if given is None else [given]


def opened(
    store: str | os.PathLike[str] | None, study: str | None
) -> tuple[ObjectStore, list[str]]:
    """Return a store and the given study, or all studies of the store.

    Raises:
        ConfigError, StoreError: As in ``chosen_studies``.
    """
    from agad.objects import open_objects

    objects = open_objects(store_uri(None if store is None else os.fspath(store)))
    return objects, chosen_studies(objects, study, "study")


def read(  # noqa: PLR0913  A keyword each, for notebooks.
    store: str | os.PathLike[str] | None = None,
    table: str = "trials",
    *,
    study: str | None = None,
    cells: Collection[str] | None = None,
    columns: Sequence[str] | None = None,
    as_: str = "arrow",
) -> Any:  # noqa: ANN401  Its type is a choice, of libraries that are imported late.
    """Return a table of a store, with one attempt of each trial.

    Of several attempts, a finished one counts before a pruned, a diverged and a failed one, then
    the lowest attempt. Epochs and scores are those of the attempt that counts. ``agad store
    schema`` prints the columns.

    Args:
        store: A folder or ``s3://bucket/prefix``; the default is ``$AGAD_STORE``, else
            ``~/.agad/store``.
        table: ``trials``, ``epochs``, ``scores``, or ``diagnostics``, which are no results.
        study: Only this study, instead of all in the store.
        cells: Only the cells with these labels, such as ``["digits class=0 ratio=0.05"]``.
        columns: Only these columns, in this order; a searched parameter's is ``param_`` and its
            name.
        as_: ``arrow``, ``pandas`` or ``polars``; the library must be installed.

    Returns:
        A ``pyarrow.Table``, ``pandas.DataFrame`` or ``polars.DataFrame``, in order of study, cell,
        phase (search, confirm, test) and number, then of epoch or image.

    Raises:
        ConfigError: A value is not allowed, or the store holds no study, or no study of this name.
        StoreError: The store cannot be reached, or an object is damaged.
    """
    if as_ not in _FORMS:
        raise ConfigError(f"as_ is {as_!r}, but must be one of: {', '.join(_FORMS)}.")
    library = imported(as_, f"as_ is {as_!r}", "read as 'arrow'") if as_ != "arrow" else None
    if not _are_labels(cells):
        raise ConfigError(f"cells is {cells!r}, but must be a list of labels.")
    # pyarrow takes a third of a second to import; `import agad` does without it.
    from agad.store import read_table

    objects, chosen = opened(store, study)
    found = read_table(objects, chosen, table, columns=columns, cells=cells)
    if library is None:
        return found
    return found.to_pandas() if as_ == "pandas" else library.from_arrow(found)


def _are_labels(cells: object) -> bool:
    if isinstance(cells, str) or not isinstance(cells, Collection):
        return cells is None
    return all(isinstance(cell, str) for cell in cells)


def imported(name: str, asked: str, otherwise: str) -> Any:  # noqa: ANN401
    """Import an optional library and return it.

    Args:
        name: The library's name.
        asked: The start of the error: what needs the library.
        otherwise: The end of the error: what to do without the library.

    Raises:
        ConfigError: The library is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"{asked}, but {name} is not installed; run pip install {name}, or {otherwise}."
        ) from error
