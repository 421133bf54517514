"""What leaking protocols would have added, against a plain count of pairs."""

from __future__ import annotations

import copy
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from agad.detectors.agad.training import AgadDetector
from agad.errors import CheckpointError
from agad.trial import EpochResult, LeakDiagnostics, Runtime, TrialSpec, diagnose_leaks, train_trial
from agad.trial.confirm import open_test
from agad.trial.training import prepare
from tests.parameters import agad_of

MakeSpec: TypeAlias = Callable[..., TrialSpec]

_NUM = 4


@pytest.fixture(scope="module", params=["running", "image"])
def spec(request: pytest.FixtureRequest, make_spec: MakeSpec) -> TrialSpec:
    """Return a confirm trial whose test AUROC goes up and down."""
    return make_spec(
        phase="confirm", max_epochs=_NUM, backbone="unet", score_statistics=request.param, lr=1e-2
    )


def _train(spec: TrialSpec, runtime: Runtime, folder: Path) -> tuple[list[EpochResult], list[Path]]:
    """Train a trial, and keep the checkpoint of every epoch."""
    results, checkpoints = [], []
    for result in train_trial(spec, runtime, folder / "trial.ckpt"):
        results.append(result)
        checkpoints.append(folder / f"epoch-{result.epoch}")
        shutil.copy(folder / "trial.ckpt", checkpoints[-1])
    return results, checkpoints


@pytest.fixture(scope="module")
def trained(
    spec: TrialSpec, runtime: Runtime, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[EpochResult], list[Path]]:
    """Train the trial once for all these tests."""
    return _train(spec, runtime, tmp_path_factory.mktemp("trained"))


@pytest.fixture
def results(trained: tuple[list[EpochResult], list[Path]]) -> list[EpochResult]:
    return trained[0]


@pytest.fixture
def checkpoints(trained: tuple[list[EpochResult], list[Path]]) -> list[Path]:
    """Return the checkpoint after each epoch; tests leave them as they are."""
    return trained[1]


def _generator(spec: TrialSpec, runtime: Runtime, checkpoint: Path) -> torch.nn.Module:
    training = prepare(spec, runtime)
    training.restore(checkpoint)
    assert isinstance(training.detector, AgadDetector)
    return copy.deepcopy(training.detector.generator)


def _all_test_images(spec: TrialSpec, runtime: Runtime) -> tuple[Tensor, NDArray[np.bool_]]:
    part = open_test(spec, runtime)
    subset, is_anomaly = part.images, part.is_anomaly
    return subset.take(torch.arange(len(subset))), is_anomaly


def _errors(generator: torch.nn.Module, batches: list[Tensor]) -> NDArray[np.float64]:
    with torch.no_grad():
        errors = [(batch - generator(batch)).flatten(1).norm(dim=1) for batch in batches]
    return torch.cat(errors).double().numpy()


def _share_of_pairs(is_anomaly: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    gaps = scores[is_anomaly][:, None] - scores[~is_anomaly][None, :]
    return float((gaps > 0).mean() + (gaps == 0).mean() / 2)


def test_of_a_known_history_the_best_epoch_and_the_gap_are_told() -> None:
    found = LeakDiagnostics.of_history(
        [0, 2, 4, 5], [0.5, 0.875, 0.875, 0.75], ordered=1.0, shuffled=0.25
    )
    assert (found.oracle_best_epoch, found.oracle_best_epoch_test_auroc) == (2, 0.875)
    assert (found.test_auroc, found.optimism_gap) == (0.75, 0.125)
    assert found.bn_batchstats_ordered_test_auroc == 1.0
    assert found.bn_batchstats_shuffled_test_auroc == 0.25


def test_a_last_epoch_that_is_the_best_has_no_gap() -> None:
    found = LeakDiagnostics.of_history([1, 3], [0.5, 0.75], ordered=None, shuffled=None)
    assert (found.oracle_best_epoch, found.optimism_gap) == (3, 0.0)


def test_a_detector_without_batch_normalisation_has_nothing_to_leak(
    make_spec: MakeSpec, runtime: Runtime, tmp_path: Path
) -> None:
    spec = make_spec(phase="confirm", max_epochs=1, backbone="unet", generator_norm=False)
    _, checkpoints = _train(spec, runtime, tmp_path)
    found = diagnose_leaks(spec, runtime, checkpoints)
    assert found.bn_batchstats_ordered_test_auroc is None
    assert found.bn_batchstats_shuffled_test_auroc is None
    assert 0 <= found.test_auroc <= 1


def test_the_test_auroc_is_the_confirm_trials_own(
    spec: TrialSpec, runtime: Runtime, results: list[EpochResult], checkpoints: list[Path]
) -> None:
    found = diagnose_leaks(spec, runtime, checkpoints)
    assert results[-1].test is not None
    assert found.test_auroc == results[-1].test.auroc


def test_the_oracles_epoch_is_the_best_of_all_on_the_test_labels(
    spec: TrialSpec, runtime: Runtime, checkpoints: list[Path]
) -> None:
    images, is_anomaly = _all_test_images(spec, runtime)
    by_epoch = []
    for checkpoint in checkpoints:
        generator = _generator(spec, runtime, checkpoint)
        if agad_of(spec).score_statistics == "image":
            scores = _errors(generator.train(), list(torch.split(images, 1)))
        else:
            scores = _errors(generator.eval(), [images])
        by_epoch.append(_share_of_pairs(is_anomaly, scores))
    best = max(range(_NUM), key=lambda epoch: by_epoch[epoch])
    found = diagnose_leaks(spec, runtime, checkpoints)
    assert found.oracle_best_epoch == best
    assert found.oracle_best_epoch_test_auroc == pytest.approx(by_epoch[best], abs=1e-4)
    assert found.oracle_best_epoch_test_auroc >= found.test_auroc


def test_the_oracle_takes_an_earlier_epoch_where_the_last_is_worse(
    spec: TrialSpec, runtime: Runtime, checkpoints: list[Path]
) -> None:
    alone = [diagnose_leaks(spec, runtime, [one]).test_auroc for one in checkpoints]
    order = np.argsort(alone)[::-1]
    found = diagnose_leaks(spec, runtime, [checkpoints[epoch] for epoch in order])
    best = (found.oracle_best_epoch, found.oracle_best_epoch_test_auroc)
    assert best == (order[0], max(alone))
    assert found.test_auroc == min(alone)


def test_leaking_aurocs_are_of_the_last_epoch_without_eval_in_batches_of_64(
    spec: TrialSpec, runtime: Runtime, checkpoints: list[Path]
) -> None:
    images, is_anomaly = _all_test_images(spec, runtime)
    generator = _generator(spec, runtime, checkpoints[-1]).train()
    normals_first = [*np.flatnonzero(~is_anomaly), *np.flatnonzero(is_anomaly)]
    shuffled = np.random.default_rng(spec.seed).permutation(len(images))
    expected = []
    for order in (np.array(normals_first), shuffled):
        scores = _errors(generator, list(torch.split(images[torch.from_numpy(order)], 64)))
        expected.append(_share_of_pairs(is_anomaly[order], scores))
    found = diagnose_leaks(spec, runtime, checkpoints)
    leaking = [found.bn_batchstats_ordered_test_auroc, found.bn_batchstats_shuffled_test_auroc]
    assert leaking == pytest.approx(expected, abs=1e-4)
    assert leaking[0] != leaking[1]


def test_an_earlier_epoch_leaves_the_leaking_aurocs_as_they_are(
    spec: TrialSpec, runtime: Runtime, checkpoints: list[Path]
) -> None:
    every, last = (diagnose_leaks(spec, runtime, some) for some in (checkpoints, checkpoints[-1:]))
    assert every.bn_batchstats_ordered_test_auroc == last.bn_batchstats_ordered_test_auroc
    assert every.bn_batchstats_shuffled_test_auroc == last.bn_batchstats_shuffled_test_auroc


def test_the_checkpoints_of_another_trial_are_refused(
    spec: TrialSpec, make_spec: MakeSpec, runtime: Runtime, tmp_path: Path
) -> None:
    list(itertools.islice(train_trial(make_spec(), runtime, tmp_path / "other"), 1))
    with pytest.raises(CheckpointError, match=rf"other is of trial {make_spec().key}, but must be"):
        diagnose_leaks(spec, runtime, [tmp_path / "other"])
