"""The names of the metrics, and the Grafana dashboard that draws them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agad.executor.tune.metrics import METRICS, STATES, StudyMetrics
from agad.records import CellStatus, StudyStatus

DASHBOARD = Path(__file__).parents[3] / "cluster" / "grafana" / "agad-dashboard.json"


@pytest.fixture
def dashboard() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return values


def test_the_dashboard_draws_each_metric_that_is_exported_and_no_other(
    dashboard: dict[str, Any],
) -> None:
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [one["definition"] for one in dashboard["templating"]["list"] if "definition" in one]
    drawn = {name for query in queries for name in re.findall(r"\bray_(\w+)", query)}
    assert drawn == set(METRICS)


def test_the_dashboard_asks_for_labels_that_the_metric_has(dashboard: dict[str, Any]) -> None:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            for name, filters in re.findall(r"\bray_(\w+)\{([^}]*)\}", target["expr"]):
                labels = METRICS[name][1]
                assert set(re.findall(r"(\w+)=~", filters)) <= set(labels)
                grouped = re.findall(r"by \(([^)]*)\)", target["expr"])
                assert set(", ".join(grouped).split(", ")) - {""} <= set(labels)
            for states in re.findall(r'state=~"([a-z|]+)"', target["expr"]):
                assert set(states.split("|")) <= set(STATES)


def test_panels_of_the_dashboard_have_numbers_of_their_own_and_do_not_overlap(
    dashboard: dict[str, Any],
) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    squares = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(squares)) == len(squares)
    assert max(x for x, _ in squares) < 24


@pytest.mark.parametrize(("ended_by", "waiting"), [("", 7), ("the budget of 2 hours", 0)])
def test_trials_that_a_budget_ended_do_not_wait(ended_by: str, waiting: int) -> None:
    cell = CellStatus(
        label="digits class=0 ratio=0",
        phase="search",
        planned=12,
        running=1,
        finished=3,
        pruned=1,
        diverged=0,
        failed=0,
        best_objective=0.9,
        confirmed=0,
        confirm_planned=2,
    )
    status = StudyStatus(study="one", cells=(cell,), elapsed_s=1.0, slots=2, ended_by=ended_by)
    metrics = StudyMetrics()
    metrics.show(status)
    assert metrics._values["agad_trials", "one", cell.label, "waiting"] == waiting
