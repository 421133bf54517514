"""The lease of a study: one driver at a time, and another one soon after the first has gone."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from agad.config import typed
from agad.errors import OtherDriverError, StoreError
from agad.objects import MissingObjectError, ObjectStore, retry
from agad.records import lease_key, lease_number, lease_prefix
from agad.store.holding.driver import Driver, this_driver

logger = logging.getLogger(__name__)

_NUM_KEPT = 2
"""The newest numbers of a lease that stay; older numbers are deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTimes:
    """How fast a lease is renewed, and how soon it is void."""

    renew_s: float = 20.0
    """Seconds from one renewal to the next."""

    void_s: float = 60.0
    """Seconds without a renewal, on the observer's own clock, after which a lease is void."""

    look_s: float = 2.0
    """Seconds between two looks of a waiting driver."""

    release_s: float = 5.0
    """The most seconds that a driver's end waits for the release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    """The content of one number of a lease."""

    number: int
    token: str
    """Identifies the lease of one driver, whatever its number."""

    is_released: bool
    nonce: str
    """Identifies this put: of two puts by one driver, only one is told that it succeeded."""

    at: str
    """UTC time, for people only: clocks of two hosts differ."""

    driver: Driver


def _uptime_s() -> float:
    """Return seconds of a clock that goes on while the host sleeps, if there is such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lease:
    """The lease of one driver on one study: numbered objects, and the newest counts.

    An object never changes, so a lease is renewed, released and taken over by putting the next
    number. If several drivers put the same number, only one of them is told that it succeeded.
    """

    def __init__(
        self,
        objects: ObjectStore,
        study: str,
        *,
        times: LeaseTimes = LeaseTimes(),
        clock: Callable[[], float] = _uptime_s,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Take nothing yet.

        Args:
            objects: The store.
            study: Name of the study.
            times: How fast the lease is renewed, and how soon it is void.
            clock: Seconds of a clock that never goes back.
            sleep: Waits for a number of seconds.
        """
        self._objects = objects
        self._study = study
        self._times = times
        self._clock = clock
        self._sleep = sleep
        self._token = uuid.uuid4().hex
        self._number: int | None = None
        """The newest number that was ours; None before the first."""

        self._renewed_at_s = 0.0
        self._last_error: StoreError | None = None
        self._lost_to: str | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Take the lease, renew it in the background, and release it however the block ends.

        Raises:
            OtherDriverError: Another driver works on the study.
            StoreError: The store fails.
        """
        stop = threading.Event()
        # A daemon, since a store that does not answer must not keep the process from ending.
        keeper = threading.Thread(
            target=self._renew_until, args=(stop,), name="agad-lease", daemon=True
        )
        try:
            self.acquire()
            keeper.start()
            yield
        finally:
            stop.set()
            if keeper.ident is None:
                keeper.start()
            keeper.join(self._times.release_s)
            if keeper.is_alive():
                logger.warning(
                    "The lease of study %s could not be released in time; on another host, a new "
                    "driver waits %.0f s for it.",
                    self._study,
                    self._times.void_s,
                )

    def acquire(self) -> None:
        """Take the lease when it is free, released or void; wait as long as this takes.

        Raises:
            OtherDriverError: A living driver renews the lease.
            StoreError: The store fails.
        """
        start_s = self._clock()
        seen: int | None = None
        seen_at_s = start_s
        while True:
            holder = self._newest()
            now_s = self._clock()
            if holder is None or holder.is_released or holder.driver.is_dead:
                is_void = True
            else:
                if holder.number != seen:
                    self._say_that_it_waits(holder, is_first=seen is None)
                    seen, seen_at_s = holder.number, now_s
                is_void = now_s - seen_at_s >= self._times.void_s
            if is_void and self._take(0 if holder is None else holder.number + 1):
                return
            if holder is not None and not is_void:
                if now_s - start_s >= self._times.void_s:
                    raise self._other_driver(holder)
                self._sleep(self._times.look_s)

    def check(self) -> None:
        """Return if no other driver can have taken the lease.

        Raises:
            OtherDriverError: Another driver has the lease, for good.
            StoreError: The lease could not be renewed for so long that another driver may take it.
                If no driver takes it, the next renewal makes it this driver's again.
        """
        if self._lost_to is not None:
            raise OtherDriverError(
                f"study {self._study} is no longer this driver's: {self._lost_to} has taken it "
                "over, after this one had not renewed its lease in time; nothing more is started. "
                "Let the other one finish."
            )
        silent_s = self._clock() - self._renewed_at_s
        if silent_s >= self._times.void_s:
            raise StoreError(
                f"the lease of study {self._study} in {self._objects.uri} could not be renewed "
                f"for {silent_s:.0f} s, so nothing is started; the last error was: "
                f"{self._last_error or 'none, this process was held up'}"
            )

    def renew(self) -> None:
        """Put the next number.

        Raises:
            StoreError: The store fails.
        """
        assert self._number is not None, "not acquired"
        is_new = False
        while not is_new:
            start_s = self._clock()
            # False if an earlier put arrived although its answer was lost: nobody knows when.
            is_new = self._put(self._number + 1)
            newest = self._newest()
            if newest is None or newest.token != self._token:
                self._lost_to = str(newest.driver) if newest else "somebody who removed the lease"
                return
            self._number = newest.number
        self._renewed_at_s = start_s
        self._delete_older()

    def release(self) -> None:
        """Put the next number as free for any driver; do nothing if the lease is lost.

        Raises:
            StoreError: The store fails.
        """
        newest = self._newest()
        if newest is not None and newest.token == self._token and not newest.is_released:
            self._put(newest.number + 1, is_released=True)
            self._number = newest.number + 1
            self._delete_older()

    def _renew_until(self, stop: threading.Event) -> None:
        wait_s = self._times.renew_s
        while not stop.wait(wait_s) and self._lost_to is None:
            wait_s = self._times.renew_s
            try:
                self.renew()
            except StoreError as error:
                self._last_error = error
                wait_s = min(wait_s, self._times.look_s)
                logger.info("The lease of study %s is not renewed: %s", self._study, error)
        if self._number is None:
            return
        try:
            self.release()
        except StoreError as error:
            logger.info("The lease of study %s is not released: %s", self._study, error)

    def _take(self, number: int) -> bool:
        """Put a number; False if another driver has the newest number."""
        start_s = self._clock()
        self._put(number)
        # A put may arrive so late that its number was used and deleted meanwhile.
        newest = self._newest()
        if newest is None or (newest.number, newest.token) != (number, self._token):
            return False
        self._number = number
        self._renewed_at_s = start_s
        self._delete_older()
        return True

    def _put(self, number: int, *, is_released: bool = False) -> bool:
        values = {
            "token": self._token,
            "is_released": is_released,
            "nonce": uuid.uuid4().hex,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "driver": dataclasses.asdict(this_driver()),
        }
        data = json.dumps(values, indent=2).encode()
        return self._objects.put_if_absent(lease_key(self._study, number), data)

    def _newest(self) -> _Holder | None:
        # Between a list and a get, the newest number can have grown old and been deleted.
        return retry(self._read_newest, on=MissingObjectError)

    def _read_newest(self) -> _Holder | None:
        numbers = self._numbers()
        if not numbers:
            return None
        key = lease_key(self._study, max(numbers))
        try:
            values = json.loads(self._objects.get(key))
            return typed(_Holder, values | {"number": max(numbers)}, only_known=True)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self._objects.uri}/{key} is no lease ({error!r}), but must be one; remove it "
                f"where no driver works on study {self._study}."
            ) from error

    def _numbers(self) -> list[int]:
        keys = self._objects.list(lease_prefix(self._study))
        numbers = (lease_number(self._study, key) for key in keys)
        return [number for number in numbers if number is not None]

    def _delete_older(self) -> None:
        assert self._number is not None, "not acquired"
        try:
            for number in self._numbers():
                if number <= self._number - _NUM_KEPT:
                    self._objects.delete(lease_key(self._study, number))
        except StoreError as error:  # Old numbers are in nobody's way.
            logger.info("Old leases of study %s stay: %s", self._study, error)

    def _say_that_it_waits(self, holder: _Holder, *, is_first: bool) -> None:
        if is_first:
            logger.warning(
                "Another driver works on study %s: %s; waiting up to %.0f s for it to end.",
                self._study,
                holder.driver,
                self._times.void_s,
            )

    def _other_driver(self, holder: _Holder) -> OtherDriverError:
        return OtherDriverError(
            f"study {self._study} in {self._objects.uri} is run by {holder.driver}, which renewed "
            f"its lease at {holder.at}; let it finish or stop it, then run this command again."
        )
