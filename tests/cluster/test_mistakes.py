"""One mistake in a shipped file: the check names its line, its subject and what to do."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import Spoil
from tests.cluster.mistakes import FAULTS, KEY, SECRET, WARNINGS, Mistake


@pytest.mark.parametrize("mistake", FAULTS.values(), ids=FAULTS)
def test_a_mistake_is_found_at_its_line(spoil: Spoil, mistake: Mistake) -> None:
    spoilt = spoil(mistake)
    found = [fault for fault in spoilt.faults if mistake.said in fault.text]
    assert [fault.line for fault in found][:1] == [spoilt.line], spoilt.faults
    assert not found[0].is_warning


@pytest.mark.parametrize("mistake", WARNINGS.values(), ids=WARNINGS)
def test_what_costs_is_a_warning_at_its_line(spoil: Spoil, mistake: Mistake) -> None:
    spoilt = spoil(mistake)
    (found,) = spoilt.faults
    assert mistake.said in found.text
    assert (found.line, found.is_warning) == (spoilt.line, True)


@pytest.mark.parametrize(
    "mistake",
    [mistake for mistake in FAULTS.values() if SECRET in mistake.new or KEY in mistake.new],
    ids=[name for name, mistake in FAULTS.items() if SECRET in mistake.new or KEY in mistake.new],
)
def test_a_secret_is_never_repeated(spoil: Spoil, mistake: Mistake) -> None:
    spoilt = spoil(mistake)
    assert spoilt.faults
    assert not any(SECRET in fault.text or KEY in fault.text for fault in spoilt.faults)
