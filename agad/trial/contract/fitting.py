"""Checks of a fitted detector: what it learns, how it scores, and how it resumes.

Axes: B images in a batch, C channels, H rows, W columns.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agad.config import count_text
from agad.detectors import Localizer, Rebuilder
from agad.trial.checkpoint import from_bytes, to_bytes
from agad.trial.contract.bench import Bench, ContractError, fit
from agad.trial.metrics import auroc

_TOLERANCE = 1e-4
"""Relative tolerance: sums in another order differ by about 1e-6 in float32."""

_LEAST_AUROC = 0.75
_MOST_EPOCHS = 30
"""Epochs in which a reduced detector must tell smooth images from noise."""


def check_fit_without_anomalies(bench: Bench) -> None:
    """The detector fits normal images alone, unless labels are required."""
    if not bench.needs_labels:
        _check_fit(bench, with_anomalies=False)


def check_fit_with_anomalies(bench: Bench) -> None:
    """The detector fits normal images with labelled anomalies beside them, used or not."""
    _check_fit(bench, with_anomalies=True)


def _check_fit(bench: Bench, *, with_anomalies: bool) -> None:
    batches = bench.batches(with_anomalies=with_anomalies)
    every = fit(bench.build(), batches, bench.schedule(), np.random.default_rng(0))
    for (stage, _), figures in zip(bench.schedule(), every, strict=True):
        where = f"fit_epoch of stage {stage.name!r}"
        if not isinstance(figures, dict):
            raise ContractError(
                f"{where} returns {figures!r}, but must return losses by name, or an empty {{}}."
            )
        for name, value in figures.items():
            is_number = isinstance(value, int | float) and math.isfinite(value)
            if not isinstance(name, str) or not is_number:
                raise ContractError(
                    f"{where} returns {name!r}: {value!r}, but must return finite numbers by name."
                )


def check_scores(bench: Bench) -> None:
    """Every image has one finite score."""
    scores = bench.fitted.score(bench.images)
    num = len(bench.images)
    if not isinstance(scores, Tensor) or tuple(scores.shape) != (num,):
        found = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ContractError(
            f"score() of {count_text(num, 'image')} returns {found}, but must return a tensor of "
            f"shape ({num},)."
        )
    if not scores.is_floating_point() or scores.requires_grad:
        raise ContractError(
            "score() must return floating-point numbers without gradients; compute them under "
            "torch.no_grad()."
        )
    if not torch.isfinite(scores).all():
        raise ContractError("score() returns numbers that are not finite; find out where from.")


def check_scores_alone(bench: Bench) -> None:
    """The score of an image depends on no other image: shuffled, in batches of 1, 7 and 256."""
    score, images = bench.fitted.score, bench.images
    expected = score(images)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    shuffled = torch.empty_like(expected)
    shuffled[order] = score(images[order])
    ways = {"shuffled": (shuffled, expected)}
    for size in (1, 7, 256):
        # A tenth of the images is enough in batches of one.
        step = 10 if size == 1 else 1
        parts = [score(batch) for batch in torch.split(images[::step], size)]
        ways[f"in batches of {size}"] = (torch.cat(parts), expected[::step])
    for way, (found, wanted) in ways.items():
        gap = _gap(found, wanted)
        if not gap <= _TOLERANCE:
            raise ContractError(
                f"scores of the same images {way} differ by {gap:.2g} of their value, but the "
                "score of an image must depend on that image alone; does a layer use statistics "
                "of the batch, such as batch normalisation without eval()?"
            )


def check_easy_anomalies(bench: Bench) -> None:
    """Noise scores higher than smooth images, after a fit on smooth images."""
    detector, batches, rng = bench.build(), bench.usual_batches, np.random.default_rng(0)
    *_, (last, _) = bench.schedule()
    fit(detector, batches, bench.schedule(), rng)
    found = 0.0
    for _ in range(_MOST_EPOCHS):
        found = auroc(bench.is_anomaly, detector.score(bench.images).double().numpy())
        if found >= _LEAST_AUROC:
            return
        detector.fit_epoch(last, batches, rng)
    raise ContractError(
        f"the AUROC of noise against smooth images is {found:.2f}, but must reach {_LEAST_AUROC}; "
        "a higher score must mean a more anomalous image."
    )


def check_state(bench: Bench) -> None:
    """A detector goes on from a checkpoint bit for bit, from every epoch of every stage."""
    batches, epochs = bench.usual_batches, bench.schedule()
    detector, rng = bench.build(), np.random.default_rng(0)
    kept = []
    for place, epoch in enumerate(epochs):
        fit(detector, batches, [epoch], rng)
        kept.append((place + 1, to_bytes(detector.state()), rng.bit_generator.state))
    expected = detector.score(bench.images)
    for done, data, rng_state in kept:
        resumed = bench.build(seed=1)
        resumed.restore(from_bytes(data, "the checkpoint"))
        rng.bit_generator.state = rng_state
        fit(resumed, batches, epochs[done:], rng)
        if not torch.equal(resumed.score(bench.images), expected):
            stage, epoch_of_stage = epochs[done - 1]
            raise ContractError(
                f"a detector that goes on from its state() after epoch {epoch_of_stage} of stage "
                f"{stage.name!r} ends with other scores; state() and restore() must hold all that "
                "the training changes, such as the optimiser."
            )


def check_one_seed(bench: Bench) -> None:
    """Two fits with one seed are equal bit for bit."""
    first, second = (_fit_of_one_seed(bench) for _ in range(2))
    if first[0] != second[0] or not torch.equal(first[1], second[1]):
        raise ContractError(
            "two fits with the same seed differ; draw from the rng that build() and fit_epoch() "
            "are given, never from the global generator of torch or numpy."
        )


def _fit_of_one_seed(bench: Bench) -> tuple[list[dict[str, float]], Tensor]:
    detector = bench.build()
    figures = fit(detector, bench.usual_batches, bench.schedule(), np.random.default_rng(0))
    return figures, detector.score(bench.images)


def check_capabilities(bench: Bench) -> None:
    """Rebuilt images and anomaly maps, if there are any, have the shape of the images."""
    detector: Any = bench.fitted
    images = bench.images[:5]
    batch, _, height, width = images.shape
    if isinstance(detector, Rebuilder):
        _check_like("rebuild()", detector.rebuild(images), tuple(images.shape))
    if isinstance(detector, Localizer):
        _check_like("anomaly_map()", detector.anomaly_map(images), (batch, height, width))


def _check_like(method: str, found: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(found.shape) != shape or not torch.isfinite(found).all():
        raise ContractError(
            f"{method} returns shape {tuple(found.shape)}, but must return finite numbers of shape "
            f"{shape}."
        )


def _gap(found: Tensor, expected: Tensor) -> float:
    """Return the largest relative difference of two tensors of scores."""
    return float(((found - expected).abs() / expected.abs().clamp_min(1e-12)).max())
