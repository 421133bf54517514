"""Checks of a whole trial on digits, and of its results: a model, and the model's program."""

from __future__ import annotations

import numpy as np
import torch

from agad.config import count_text
from agad.data import open_images
from agad.errors import ConfigError
from agad.trial.contract.bench import Bench, ContractError
from agad.trial.inputs import finished, reading_inputs
from agad.trial.measure import measure_epoch
from agad.trial.model import PictureScorer
from agad.trial.program import to_program
from agad.trial.score import score
from agad.trial.train import train_trial
from agad.trial.training import prepare

_NUM_PICTURES = 64
_TOLERANCE = 1e-4
"""Relative tolerance: the same operations in another layout differ by float rounding alone."""


def check_needs_labels(bench: Bench) -> None:
    """A detector whose labels are required refuses a cell without any, in one line."""
    if not bench.needs_labels:
        return
    try:
        prepare(bench.spec(anomaly_ratio=0.0), bench.runtime)
    except ConfigError as error:
        if "\n" not in str(error):
            return
    raise ContractError("labels are required, but a cell without any is not refused in one line.")


def check_trial(bench: Bench) -> None:
    """A trial runs from its first stage to the scores of the test split."""
    spec = bench.spec()
    results = list(train_trial(spec, bench.runtime))
    if len(results) != spec.max_epochs or results[-1].test is None:
        raise ContractError(
            f"a trial of {count_text(spec.max_epochs, 'epoch')} yields "
            f"{count_text(len(results), 'result')}."
        )


def check_measured(bench: Bench) -> None:
    """``agad plan --measure`` can time an epoch from a part of the fit split."""
    measure_epoch(bench.spec(), bench.runtime, limit_s=0.2)


def check_saved_model(bench: Bench) -> None:
    """A model that was written and read scores as its detector: ``agad export``, ``agad score``."""
    training, model = bench.trained
    runtime, shown = bench.runtime, np.arange(_NUM_PICTURES)
    images = open_images(bench.digits, "train", store=runtime.store, cache=runtime.cache)
    inputs = finished(reading_inputs(training.spec, runtime, "train", images, shown))
    expected = score(training.detector, inputs.subset(shown))
    found = torch.from_numpy(PictureScorer(model).scores(images.pixels[shown]))
    gap = float(((found - expected).abs() / expected.abs().clamp_min(1e-12)).max())
    if not gap <= _TOLERANCE:
        raise ContractError(
            f"build_scorer() with scoring_weights() gives scores that differ by {gap:.2g} of their "
            "value from score(), but both must be equal; does a layer lack eval()?"
        )


def check_wrong_weights(bench: Bench) -> None:
    """A model whose weights are damaged is refused by a ``ValueError``."""
    _, model = bench.trained
    shape = model.card.detector_shape
    wrong = {"no such weight": torch.zeros(1)}
    try:
        bench.config.build_scorer(shape, wrong)
    except ValueError:
        return
    # The scorer of another author may raise anything.
    except Exception as error:
        raise ContractError(
            f"build_scorer() raises {type(error).__name__} for weights of another model, but must "
            "raise ValueError; take weights over by agad.detectors.compute.weights.take_weights."
        ) from error
    raise ContractError(
        "build_scorer() takes weights of another model; take weights over by "
        "agad.detectors.compute.weights.take_weights, which raises ValueError."
    )


def check_program(bench: Bench) -> None:
    """``agad export --pt2`` can write the scorer as a ``torch.export`` program."""
    to_program(bench.trained[1])
