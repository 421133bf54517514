"""How many trials share a GPU: what memory allows, and what time is worth."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agad.executor.tune.gpu_shares import MOST_PER_GPU, GpuShares, share_of

GIB = 2**30


def _shares(peak_gib: float, all_gib: float = 80.0) -> GpuShares:
    shares = GpuShares()
    shares.take_memory("A100", int(peak_gib * GIB), int(all_gib * GIB))
    return shares


def _climb(shares: GpuShares, epoch_s: Callable[[int], float]) -> list[int]:
    """Measure what is asked for until it stays the same; return all that was asked for."""
    nums = [shares.num]
    while len(nums) < 2 or nums[-1] != nums[-2]:
        shares.take_epochs(shares.num, [epoch_s(shares.num)] * 4)
        nums.append(shares.num)
    return nums[:-1]


def test_the_first_trials_have_a_gpu_of_their_own() -> None:
    assert GpuShares().num == 1
    assert _shares(1.0).num == 1


@pytest.mark.parametrize(
    ("peak_gib", "nums"),
    [
        (1.0, [1, 2, 4, 8]),
        (20.0, [1, 2, 3]),
        (30.0, [1, 2]),
        (39.0, [1]),
        (100.0, [1]),
    ],
    ids=["small", "a third", "half", "half without the margin", "too big"],
)
def test_as_many_share_a_gpu_as_fit_its_memory(peak_gib: float, nums: list[int]) -> None:
    assert _climb(_shares(peak_gib), lambda _: 1.0) == nums


@pytest.mark.parametrize(
    ("epoch_s", "num"),
    [
        (lambda _: 1.0, MOST_PER_GPU),
        (float, 1),
        (lambda num: num / 1.04, 1),
        (lambda num: max(1.0, num / 2), 2),
        (lambda num: max(1.0, num / 4), 4),
    ],
    ids=["free", "no gain", "too little gain", "two at once", "four at once"],
)
def test_more_share_a_gpu_while_they_get_more_done(
    epoch_s: Callable[[int], float], num: int
) -> None:
    shares = _shares(1.0)
    _climb(shares, epoch_s)
    assert shares.num == num


def test_nothing_is_tried_before_a_time_is_known() -> None:
    shares = _shares(1.0)
    shares.take_epochs(1, [1.0] * 3)
    assert shares.num == 1
    shares.take_epochs(1, [1.0])
    assert shares.num == 2


def test_a_number_that_ran_out_of_memory_is_never_taken_again() -> None:
    shares = _shares(1.0)
    _climb(shares, lambda _: 1.0)
    shares.run_out(8)
    assert shares.num == 4
    shares.run_out(8)
    assert shares.num == 4
    shares.run_out(4)
    shares.run_out(2)
    assert shares.num == 1
    assert _climb(shares, lambda _: 1.0) == [1]


def test_a_bigger_trial_and_a_smaller_gpu_lower_the_number() -> None:
    shares = _shares(4.0)
    _climb(shares, lambda _: 1.0)
    assert shares.num == 8
    shares.take_memory("A100", 12 * GIB, 80 * GIB)
    assert shares.num == 5
    shares.take_memory("A100", GIB, 80 * GIB)
    assert shares.num == 5
    shares.take_memory("T4", 6 * GIB, 16 * GIB)
    assert shares.num == 1


@pytest.mark.parametrize("num", range(1, MOST_PER_GPU + 1))
def test_so_many_shares_fit_a_gpu_in_rays_ten_thousandths(num: int) -> None:
    assert round(share_of(num) * 10_000) * num <= 10_000
    assert round(1 / share_of(num)) == num
