"""One driver at a time: who takes a lease, who waits, who declines, and who has lost it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agad.errors import OtherDriverError, StoreError
from agad.objects import LocalObjects, ObjectStore
from agad.store.holding.lease import Lease, LeaseTimes

_QUICK = LeaseTimes(renew_s=0.05, void_s=1.0, look_s=0.02)

_CHILD = """
import sys, time
from pathlib import Path
from agad.objects import LocalObjects
from agad.store.holding.lease import Lease
with Lease(LocalObjects(Path(sys.argv[1])), "study").held():
    print("held", flush=True)
    time.sleep(60)
"""


class _Clock:
    """A clock that only a wait moves, and what happens elsewhere meanwhile."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.meanwhile: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.meanwhile()

    def lease(self, objects: ObjectStore) -> Lease:
        return Lease(objects, "study", clock=lambda: self.now_s, sleep=self.sleep)


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


def _numbers(objects: ObjectStore) -> list[str]:
    return objects.list("study/lease/")


# Taking it.


def test_a_living_lease_is_declined_after_60_s_by_the_newcomers_clock(
    objects: ObjectStore, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = clock.lease(objects), clock.lease(objects)
    first.acquire()
    clock.meanwhile = first.renew
    text = rf"study study in .* is run by the driver on .* \(process {os.getpid()}\), .* at 20"
    with pytest.raises(OtherDriverError, match=text):
        second.acquire()
    assert clock.now_s == 1060
    assert caplog.text.count("waiting up to 60 s for it to end") == 1
    first.check()
    with pytest.raises(StoreError, match="could not be renewed"):
        second.check()


def test_a_lease_unchanged_for_60_s_is_taken_over_and_not_earlier(
    objects: ObjectStore, clock: _Clock
) -> None:
    first, second = clock.lease(objects), clock.lease(objects)
    first.acquire()
    second.acquire()
    assert clock.now_s == 1060
    second.check()
    first.renew()
    with pytest.raises(OtherDriverError, match=r"no longer this driver's: the driver on .* has"):
        first.check()


def test_a_holder_that_stops_while_a_newcomer_waits_is_not_taken_over_too_early(
    objects: ObjectStore, clock: _Clock
) -> None:
    first, second = clock.lease(objects), clock.lease(objects)
    first.acquire()
    renewals = iter([first.renew] * 10)
    clock.meanwhile = lambda: next(renewals, lambda: None)()
    with pytest.raises(OtherDriverError, match="is run by"):
        second.acquire()
    assert clock.now_s == 1060


def test_a_released_lease_is_taken_at_once(objects: ObjectStore, clock: _Clock) -> None:
    first, second = clock.lease(objects), clock.lease(objects)
    first.acquire()
    first.release()
    second.acquire()
    assert clock.now_s == 1000
    second.check()


def test_a_lease_released_while_a_newcomer_waits_is_taken(
    objects: ObjectStore, clock: _Clock
) -> None:
    first, second = clock.lease(objects), clock.lease(objects)
    first.acquire()
    clock.meanwhile = first.release
    second.acquire()
    assert clock.now_s == 1002


def test_a_lease_that_was_lost_is_not_released(objects: ObjectStore, clock: _Clock) -> None:
    first, second = clock.lease(objects), clock.lease(objects)
    first.acquire()
    second.acquire()
    first.release()
    second.renew()
    second.check()


# Keeping it.


def test_a_holder_that_cannot_renew_for_60_s_is_unsure_until_it_can(
    tmp_path: Path, clock: _Clock
) -> None:
    lease = clock.lease(LocalObjects(tmp_path))
    lease.acquire()
    clock.sleep(59.9)
    lease.check()
    clock.sleep(0.1)
    with pytest.raises(StoreError, match=r"could not be renewed for 60 s, so nothing is started"):
        lease.check()
    lease.renew()
    lease.check()


def test_a_late_put_of_a_number_that_was_deleted_does_not_count(
    objects: ObjectStore, clock: _Clock
) -> None:
    first, second = clock.lease(objects), clock.lease(objects)
    first.acquire()
    second.acquire()
    for _ in range(5):
        second.renew()
    assert "study/lease/1.json" not in _numbers(objects)
    first.renew()
    assert "study/lease/1.json" in _numbers(objects)
    with pytest.raises(OtherDriverError, match="nothing more is started"):
        first.check()
    second.renew()
    second.check()
    assert len(_numbers(objects)) == 2


def test_a_lease_keeps_its_two_newest_numbers(objects: ObjectStore, clock: _Clock) -> None:
    lease = clock.lease(objects)
    lease.acquire()
    for _ in range(11):
        lease.renew()
    assert _numbers(objects) == ["study/lease/10.json", "study/lease/11.json"]


class _Deaf(LocalObjects):
    """A store whose next answer to a put is lost on the way."""

    loses_next = False

    def put_if_absent(self, key: str, data: bytes) -> bool:
        is_new = super().put_if_absent(key, data)
        if self.loses_next:
            self.loses_next = False
            raise StoreError("the answer was lost")
        return is_new


def test_a_renewal_whose_answer_was_lost_is_the_holders_own_and_counts_from_the_next(
    tmp_path: Path, clock: _Clock
) -> None:
    objects = _Deaf(tmp_path)
    lease = clock.lease(objects)
    lease.acquire()
    objects.loses_next = True
    with pytest.raises(StoreError, match="the answer was lost"):
        lease.renew()
    clock.sleep(50)
    lease.renew()
    assert _numbers(objects) == ["study/lease/1.json", "study/lease/2.json"]
    clock.sleep(59)
    lease.check()


def test_a_lease_that_is_no_lease_is_named(tmp_path: Path, clock: _Clock) -> None:
    objects = LocalObjects(tmp_path)
    objects.put_if_absent("study/lease/3.json", b"[]")
    with pytest.raises(StoreError, match=r"study/lease/3.json is no lease .* remove it"):
        clock.lease(objects).acquire()


# In the background.


def test_a_held_lease_is_renewed_and_released_however_its_block_ends(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)

    def fail_after_three_renewals() -> None:
        with Lease(objects, "study", times=_QUICK).held():
            while "study/lease/3.json" not in _numbers(objects):
                time.sleep(0.01)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_three_renewals()
    start_s = time.monotonic()
    with Lease(objects, "study", times=_QUICK).held():
        assert time.monotonic() - start_s < _QUICK.void_s / 2


def test_of_drivers_that_start_at_once_one_at_a_time_holds_the_lease(objects: ObjectStore) -> None:
    inside = threading.Lock()
    barrier = threading.Barrier(4)

    def drive(_driver: int) -> bool:
        barrier.wait()
        try:
            with Lease(objects, "study", times=_QUICK).held():
                assert inside.acquire(blocking=False)
                time.sleep(0.1)
                inside.release()
        except OtherDriverError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert any(pool.map(drive, range(4)))


def test_a_holder_that_was_overtaken_finds_out_in_the_background(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    lease = Lease(objects, "study", times=_QUICK)

    def check_for_ever() -> None:
        while True:
            lease.check()
            time.sleep(0.01)

    with lease.held():
        Lease(objects, "study", times=LeaseTimes(void_s=0.0)).acquire()
        with pytest.raises(OtherDriverError, match="has taken it over"):
            check_for_ever()


# Real processes.


def _start_child(store: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(store)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def test_the_lease_of_a_killed_process_is_taken_at_once(tmp_path: Path) -> None:
    with _start_child(tmp_path) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
        start_s = time.monotonic()
        Lease(LocalObjects(tmp_path), "study").acquire()
        assert time.monotonic() - start_s < 5


def test_the_lease_of_a_living_process_is_taken_at_once_when_it_is_killed(tmp_path: Path) -> None:
    with _start_child(tmp_path) as child:
        threading.Timer(1.0, child.kill).start()
        start_s = time.monotonic()
        Lease(LocalObjects(tmp_path), "study", times=LeaseTimes(look_s=0.1)).acquire()
        assert 0.5 < time.monotonic() - start_s < 10
