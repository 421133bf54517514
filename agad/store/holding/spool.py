"""Objects that the store does not take now, kept on this host's disk until it does."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from agad.config import count_text
from agad.errors import StoreError
from agad.objects import Backoff, LocalObjects, MissingObjectError, ObjectStore, retry

Group: TypeAlias = Sequence[tuple[str, bytes]]
"""Keys and bytes, in the order in which they are put."""

logger = logging.getLogger(__name__)

_PATIENT = Backoff(attempts=1000, first_s=1.0, limit_s=60.0)
"""Between two tries in the background: tries for 16 hours, then from the beginning."""

_AT_THE_END = Backoff(attempts=4, first_s=1.0, limit_s=5.0)
_STOP_S = 1.0


class Spool:
    """Groups of objects for one study of one store, one file a group, sent in no particular order.

    A group is kept whole or not at all, and holds the exact bytes to put. A repeated send changes
    nothing: two drivers may send one group, or one driver again after a lost answer.
    """

    def __init__(self, folder: Path, objects: ObjectStore, study: str) -> None:
        """Write nothing yet.

        Args:
            folder: Folder on this host's disk, for all stores and studies.
            objects: The store that the groups are sent to.
            study: Name of the study.
        """
        store = hashlib.sha256(objects.uri.encode()).hexdigest()[:16]
        self._kept = LocalObjects(folder / store)
        self._objects = objects
        self._study = study
        self._sending = threading.Lock()
        self._arrival = threading.Event()

    @property
    def path(self) -> str:
        """The folder of this study's groups."""
        return f"{self._kept.uri}/{self._study}"

    @property
    def num_waiting(self) -> int:
        """Groups that wait to be sent."""
        return len(self._keys())

    def keep(self, group: Group) -> None:
        """Write a group to the disk.

        Raises:
            StoreError: The disk is full, or the folder cannot be written.
        """
        data = _packed(self._objects.uri, group)
        # Named by its bytes: the same group kept twice is one file.
        self._kept.put_if_absent(f"{self._study}/{hashlib.sha256(data).hexdigest()[:32]}", data)
        self._arrival.set()

    def discard(self) -> None:
        """Remove the groups that wait, because their study is removed.

        Raises:
            StoreError: The folder cannot be written.
        """
        with self._sending:
            for key in self._keys():
                self._kept.delete(key)

    def flush(self) -> int:
        """Send all waiting groups, and return how many there were.

        Raises:
            StoreError: The store still fails; or a file is damaged, and all others were sent.
                Groups that were not sent stay.
        """
        num_sent, damage = self._send_all()
        if damage:
            raise StoreError(damage)
        return num_sent

    @contextmanager
    def flushing(self) -> Iterator[None]:
        """Send new groups in the background, and once more at the block's end.

        If groups stay, a warning names their folder. If the block ends by an exception, nothing is
        waited for.
        """
        stop = threading.Event()
        sender = threading.Thread(
            target=self._flush_until, args=(stop,), name="agad-spool", daemon=True
        )
        sender.start()
        is_patient = False
        try:
            yield
            is_patient = True
        finally:
            stop.set()
            self._arrival.set()
            sender.join(_STOP_S)
            self._flush_last(is_patient=is_patient)

    def _flush_until(self, stop: threading.Event) -> None:
        def pause(seconds: float) -> None:
            if stop.wait(seconds):
                raise _StoppedError("The study ends.")

        last_damage = ""
        while not stop.is_set():
            self._arrival.wait()
            self._arrival.clear()
            try:
                _, damage = retry(self._send_all, on=StoreError, backoff=_PATIENT, sleep=pause)
            except _StoppedError:
                return
            except StoreError:
                self._arrival.set()
            else:
                if damage not in ("", last_damage):
                    logger.warning("Other rows are stored, but %s", damage)
                last_damage = damage

    def _flush_last(self, *, is_patient: bool) -> None:
        num_waiting = self.num_waiting
        error = "the study was interrupted"
        if num_waiting and is_patient:
            try:
                _, damage = retry(self._send_all, on=StoreError, backoff=_AT_THE_END)
                error = damage or error
            except StoreError as last:
                error = str(last)
            num_waiting = self.num_waiting
        if num_waiting:
            logger.warning(
                "%s of rows of study %s, waiting in %s, will be sent by the next 'agad run' of "
                "this study on this host (%s).",
                count_text(num_waiting, "group"),
                self._study,
                self.path,
                error.rstrip("."),
            )

    def _keys(self) -> list[str]:
        return self._kept.list(f"{self._study}/")

    def _send_all(self) -> tuple[int, str]:
        """Send all undamaged groups; return how many, and what is wrong with the others.

        Raises:
            StoreError: The store still fails.
        """
        damage = []
        with self._sending:
            keys = self._keys()
            for key in keys:
                try:
                    self._send(key)
                except _DamagedError as error:
                    damage.append(str(error))
        num_sent = len(keys) - len(damage)
        if num_sent:
            groups = count_text(num_sent, "group")
            logger.warning("Stored now: %s of rows that waited in %s.", groups, self.path)
        return num_sent, " ".join(damage)

    def _send(self, key: str) -> None:
        try:
            data = self._kept.get(key)
        except MissingObjectError:  # Another driver on this host has sent it.
            return
        except StoreError as error:
            raise _DamagedError(str(error)) from error
        put_group(self._objects, _unpacked(data, f"{self._kept.uri}/{key}"))
        self._kept.delete(key)


class _DamagedError(StoreError):
    """A file of the spool cannot be sent, now or later; the others can."""


class _StoppedError(Exception):
    """Ends a wait in the background; not a StoreError, which would lead to another try."""


def put_group(objects: ObjectStore, group: Group) -> None:
    """Put objects in order; an existing object stays, and a warning says if it differs."""
    for key, data in group:
        if not objects.put_if_absent(key, data):
            logger.warning("%s/%s was kept before and stays as it is.", objects.uri, key)


def _packed(uri: str, group: Group) -> bytes:
    """Return a line of JSON that describes the objects, then the objects' bytes."""
    objects = [
        {"key": key, "num_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for key, data in group
    ]
    header = json.dumps({"store": uri, "objects": objects}).encode()
    return b"\n".join([header, b"".join(data for _, data in group)])


def _unpacked(packed: bytes, path: str) -> list[tuple[str, bytes]]:
    header, _, rest = packed.partition(b"\n")
    group = []
    try:
        for one in json.loads(header)["objects"]:
            data, rest = rest[: one["num_bytes"]], rest[one["num_bytes"] :]
            if hashlib.sha256(data).hexdigest() != one["sha256"]:
                raise ValueError(f"{one['key']} has other bytes")
            group.append((str(one["key"]), data))
    except (ValueError, KeyError, TypeError) as error:
        raise _DamagedError(
            f"{path} is damaged ({error}), so the rows of a trial in it cannot be sent; remove it "
            "to run the trial again."
        ) from error
    return group
