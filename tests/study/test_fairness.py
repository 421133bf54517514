"""Which cell gets a free slot: the one that is furthest behind, of those that can start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agad.config import NoStopping
from agad.study.board import StudyBoard
from agad.study.running import Launch, Progress
from agad.trial import EpochResult

if TYPE_CHECKING:
    from tests.simulation import MakeSimulation, MakeStudy


def _result(epoch: int, score: float) -> EpochResult:
    return EpochResult(epoch=epoch, val_auroc=score, objective=score, train_s=0.0)


def _end(board: StudyBoard, launch: Launch) -> None:
    epochs = tuple(
        _result(epoch, 0.9 - launch.spec.number / 100) for epoch in range(launch.spec.max_epochs)
    )
    board.end(launch.spec.key, Progress(epochs=epochs, hardware="none"))


def _launched(board: StudyBoard) -> list[Launch]:
    """Launch all that can start."""
    launches = []
    while (launch := board.launch()) is not None:
        launches.append(launch)
    return launches


def test_a_cell_that_waits_for_its_last_trial_holds_up_no_other(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    study = make_study(scheduler=NoStopping(max_epochs=1))
    board = make_simulation(study).board
    with board:
        launches = _launched(board)
        cells = [launch.spec.cell.label for launch in launches]
        assert sorted(cells) == sorted(2 * [*set(cells)] * 4)
        first = cells[0]
        of_first = [launch for launch in launches if launch.spec.cell.label == first]
        of_other = [launch for launch in launches if launch.spec.cell.label != first]
        # The first cell is ready to confirm, while the other waits for the last of its search.
        for launch in of_first + of_other[:-1]:
            _end(board, launch)
        confirms = _launched(board)
        assert {(one.spec.cell.label, one.spec.phase) for one in confirms} == {(first, "confirm")}
        assert len(confirms) == 2
        _end(board, of_other[-1])
        assert {one.spec.phase for one in _launched(board)} == {"confirm"}


def test_a_free_slot_goes_to_the_cell_that_started_the_smallest_share(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    study = make_study(scheduler=NoStopping(max_epochs=1))
    board = make_simulation(study).board
    with board:
        started = []
        for _ in range(10):
            launch = board.launch()
            assert launch is not None
            started.append(launch.spec.cell.label)
            if launch.spec.cell.normal_class == 8:  # Its trials end at once, the other's never.
                _end(board, launch)
        assert started.count(started[0]) == started.count(started[1]) == 5


def test_the_trial_that_does_not_fit_is_the_next_once_it_does(
    make_study: MakeStudy, make_simulation: MakeSimulation
) -> None:
    board = make_simulation(make_study()).board
    with board:
        assert board.launch(lambda _: False) is None
        asked = []
        launch = board.launch(lambda spec: not asked.append(spec))  # type: ignore[func-returns-value]
        assert launch is not None
        assert asked == [launch.spec]
        assert launch.spec.number == 0
        again = board.launch()
        assert again is not None
        assert again.spec.cell != launch.spec.cell
