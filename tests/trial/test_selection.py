"""What a trial maximises under each policy, and what it takes of the labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from agad.config import Cell, FixedEpoch, LabelFree, Selection
from agad.errors import TrialDivergedError
from agad.objects import open_objects
from agad.records import model_key
from agad.trial import ModelCard, Runtime, SavedModel, TrialSpec, train_trial
from agad.trial.metrics import label_free_objective
from agad.trial.training import prepare

if TYPE_CHECKING:
    from tests.trial.conftest import MakeSpec, TaskOf, UseStub

CELL = Cell(dataset="digits", normal_class=0, anomaly_ratio=0.1)


@pytest.fixture(params=[LabelFree(), FixedEpoch(epochs=2)], ids=["label-free", "fixed-epoch"])
def spec(request: pytest.FixtureRequest, make_spec: MakeSpec, task_of: TaskOf) -> TrialSpec:
    """A confirm trial of a policy without labelled validation anomalies."""
    task = task_of(CELL, num_val_anomalies=0, val_share=0.25)
    return make_spec(cell=CELL, task=task, phase="confirm", policy=request.param)


def test_label_free_objective_is_minus_the_mean_worked_out_by_hand() -> None:
    assert label_free_objective(np.array([0.5, 0.25, 3.0])) == -1.25


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_label_free_objective_of_scores_that_are_not_finite_is_a_divergence(bad: float) -> None:
    with pytest.raises(TrialDivergedError, match="1 of 3 scores are not finite"):
        label_free_objective(np.array([0.5, bad, 1.0]))


def test_the_objective_is_of_held_out_normals_alone_and_there_is_no_auroc(
    spec: TrialSpec, runtime: Runtime, use_stub: UseStub
) -> None:
    use_stub()
    results = list(train_trial(spec, runtime))
    images = prepare(spec, runtime).val_images
    greys = torch.cat(list(images.batches(256))).mean(dim=(1, 2, 3)).double()
    assert len(greys) == pytest.approx(0.25 * spec.data.train.class_counts[0], abs=1)
    assert [one.val_auroc for one in results] == [None, None]
    assert [one.objective for one in results] == pytest.approx([-greys.mean().item()] * 2)


def test_the_last_epoch_is_scored_on_the_test_split(spec: TrialSpec, runtime: Runtime) -> None:
    first, last = train_trial(spec, runtime)
    assert first.test is None
    assert last.test is not None
    training = prepare(spec, runtime)
    assert len(training.batches.anomalies) > 0
    assert not training.val_is_anomaly.any()
    assert last.objective > first.objective


def test_a_score_that_is_not_finite_ends_the_trial_as_diverged(
    spec: TrialSpec, runtime: Runtime, use_stub: UseStub
) -> None:
    use_stub(scores=lambda images: images.mean(dim=(1, 2, 3)) * float("inf"))
    with pytest.raises(TrialDivergedError, match="scores are not finite"):
        list(train_trial(spec, runtime))


def test_the_model_is_kept_without_an_auroc_and_with_the_scores_of_its_threshold(
    spec: TrialSpec, alone: Runtime
) -> None:
    [*train_trial(spec, replace(alone, models="models"))]
    data = open_objects(alone.store).get(model_key("models", spec.key))
    model = SavedModel.from_bytes(data, "here")
    assert model.card.val_auroc is None
    assert ModelCard.from_json(model.card.to_json(), "here") == model.card
    assert len(model.val_normal_scores) == len(prepare(spec, alone).val_images)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [(LabelFree(), "label_free"), (FixedEpoch(epochs=2), "fixed_epoch(2)")],
)
def test_a_policy_names_itself_in_the_row_and_in_the_key(
    policy: Selection, expected: str, make_spec: MakeSpec
) -> None:
    labelled: Any = make_spec()
    other = replace(labelled, policy=policy)
    assert (other.selection, labelled.selection) == (expected, "labelled(30)")
    assert other.key != labelled.key
