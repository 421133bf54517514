"""What a board counts by detector, in a study of several."""

from __future__ import annotations

import pytest

from agad.config import Candidate, Grid, Study
from agad.data import Library
from agad.detectors import Agad, Pca
from agad.study.cell import CellRun
from agad.study.cell_data import find_cell_data
from agad.study.costs_so_far import TrialCosts, by_detector


@pytest.fixture
def cells(digits_library: Library) -> dict[str, CellRun]:
    study = Study(
        name="a-study",
        cells=Grid(dataset="digits", normal_class=0, anomaly_ratio=[0, 0.05]),
        detectors=[Candidate(Agad(), trials=2), Candidate(Pca(), trials=2)],
    )
    return {
        label: CellRun(cell_data)
        for label, cell_data in find_cell_data(study, digits_library).items()
    }


def test_labelled_anomalies_cost_nothing_to_a_detector_that_does_not_use_them(
    cells: dict[str, CellRun],
) -> None:
    counts = {label: cell.cell_data.counts(0) for label, cell in cells.items()}
    uses, ignores = (counts[f"digits class=0 ratio=0.05{name}"] for name in ("", " detector=pca"))
    assert uses.num_fit_anomalies > 0
    assert ignores.num_fit_anomalies == 0
    assert ignores.num_fit_normals == uses.num_fit_normals


def test_costs_are_added_up_by_detector(cells: dict[str, CellRun]) -> None:
    own = {label: TrialCosts(epochs=1, seconds=float(place)) for place, label in enumerate(cells)}
    found = by_detector(cells, own)
    assert {name: one.epochs for name, one in found.items()} == {"agad": 2, "pca": 2}
    assert found["agad"].seconds + found["pca"].seconds == sum(range(4))


def test_a_status_names_the_detector_that_a_label_leaves_out(cells: dict[str, CellRun]) -> None:
    told = {cell.status(0).label: cell.status(0).detector for cell in cells.values()}
    assert told["digits class=0 ratio=0"] == "agad"
    assert told["digits class=0 ratio=0 detector=pca"] == "pca"
