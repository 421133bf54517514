"""Removing a study, and finding which studies need a data set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agad.objects import ObjectStore
from agad.records import check_study_name, config_number, lease_prefix, study_prefix
from agad.store.holding.lease import Lease, LeaseTimes
from agad.store.holding.spool import Spool
from agad.store.read import StudyReader, list_studies
from agad.store.tables.parallel import in_parallel

_TIMES = LeaseTimes()
_CHUNK = 500
"""Objects removed between two renewals of the lease, in far less than its time."""


def remove_study(
    objects: ObjectStore,
    study: str,
    *,
    spool: Path | None = None,
    lease_times: LeaseTimes = _TIMES,
) -> int:
    """Remove a study for good: its rows, claims, checkpoints, models and configuration.

    The configuration goes last, so a removal that was cut off can be repeated.

    Args:
        objects: The store.
        study: Name of the study.
        spool: Folder on this host's disk with rows that the store did not take; the study's are
            removed too.
        lease_times: How soon another driver's lease is void.

    Returns:
        How many objects were removed.

    Raises:
        ConfigError: ``study`` is no name.
        OtherDriverError: A driver works on the study.
        StoreError: The store fails, or another driver has started meanwhile.
    """
    check_study_name(study)
    lease = Lease(objects, study, times=lease_times)
    lease.acquire()
    try:
        if spool is not None:
            Spool(spool, objects, study).discard()
        keys = [key for key in _keys(objects, study) if not _is_lease(study, key)]
        last = [key for key in keys if config_number(study, key) is not None]
        first = [key for key in keys if key not in set(last)]
        for start in range(0, len(first), _CHUNK):
            lease.renew()
            lease.check()
            _delete(objects, first[start : start + _CHUNK])
        _delete(objects, last)
    except BaseException:
        lease.release()
        raise
    leases = [key for key in _keys(objects, study) if _is_lease(study, key)]
    _delete(objects, leases)
    return len(keys) + len(leases)


def studies_with_dataset(objects: ObjectStore, dataset: str) -> list[str]:
    """Return the studies of a store whose configuration names a data set, sorted.

    Raises:
        StoreError: A configuration is damaged.
    """
    studies = list_studies(objects)
    cells = in_parallel(lambda study: StudyReader(objects, study).config().get("cells"), studies)
    return [
        study
        for study, of in zip(studies, cells, strict=True)
        if isinstance(of, dict) and dataset in _names(of.get("dataset"))
    ]


def _names(given: object) -> list[object]:
    return list(given) if isinstance(given, list | tuple) else [given]


def _keys(objects: ObjectStore, study: str) -> list[str]:
    return objects.list(study_prefix(study))


def _is_lease(study: str, key: str) -> bool:
    return key.startswith(lease_prefix(study))


def _delete(objects: ObjectStore, keys: Iterable[str]) -> None:
    in_parallel(objects.delete, keys)
