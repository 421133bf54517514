"""The end of a confirm trial: its test scores, its model and some pictures are kept."""

from __future__ import annotations

import logging

import numpy as np
import torch

from agad.data import open_images
from agad.detectors import Detector
from agad.objects import open_objects
from agad.records import model_key
from agad.trial.inputs import Reading, finished, reading_inputs
from agad.trial.metrics import auroc, average_precision
from agad.trial.model import SavedModel
from agad.trial.model_card import ModelCard
from agad.trial.pictures import keep_pictures
from agad.trial.results import TestPart, TestResult
from agad.trial.score import score
from agad.trial.training import Training
from agad.trial.trial_spec import Runtime, TrialSpec

logger = logging.getLogger(__name__)


def finishing(training: Training, runtime: Runtime) -> Reading[TestResult | None]:
    """Score the test split, and keep the model and pictures if ``runtime`` asks for them.

    Args:
        training: A trial after its last epoch.
        runtime: Where the trial ran.

    Yields:
        How far the features of the test split are, if they are missing.

    Returns:
        None for a trial that does not see the test split.

    Raises:
        DataError: The node's cache cannot hold the images, or they were changed in the store.
        StoreError: The store cannot be reached.
    """
    spec = training.spec
    if not spec.sees_test:
        return None
    part = yield from _opening_test(spec, runtime)
    test = score_test(training.detector, part)
    # Always the first seed's model: a choice by score would be a choice of the best seed.
    if spec.number == 0 and runtime.models is not None:
        keep_model(training, test, runtime.store, runtime.models)
    if spec.number == 0 and runtime.pictures is not None:
        keep_pictures(training, part, runtime.store, runtime.pictures)
    return test


def score_test(detector: Detector, part: TestPart) -> TestResult:
    """Score all images of the test split."""
    scores = score(detector, part.images).float().cpu().numpy()
    # Both figures come from the float32 scores that are kept, so that they can be recomputed.
    exact = scores.astype(np.float64)
    return TestResult(
        auroc=auroc(part.is_anomaly, exact),
        average_precision=average_precision(part.is_anomaly, exact),
        scores=scores,
        labels=part.labels.astype(np.int32),
    )


def open_test(spec: TrialSpec, runtime: Runtime) -> TestPart:
    """Open the test split."""
    return finished(_opening_test(spec, runtime))


def _opening_test(spec: TrialSpec, runtime: Runtime) -> Reading[TestPart]:
    images = open_images(spec.data, "test", store=runtime.store, cache=runtime.cache)
    everything = np.arange(len(images.labels))
    inputs = yield from reading_inputs(spec, runtime, "test", images, everything)
    return TestPart(
        images=inputs.subset(everything),
        labels=images.labels,
        is_anomaly=np.isin(images.labels, spec.task.anomalous_classes),
    )


def keep_model(training: Training, test: TestResult, store: str, prefix: str) -> None:
    """Keep a trained model in the store; a model that is there already stays.

    Args:
        training: A trial after its last epoch.
        test: How the model did on the test split.
        store: The store's URI.
        prefix: What the model's key starts with.

    Raises:
        StoreError: The store cannot be reached.
    """
    model = trained_model(training, test.auroc)
    key = model_key(prefix, training.spec.key)
    if not open_objects(store).put_if_absent(key, model.to_bytes()):
        logger.info("%s/%s was kept before and stays as it is.", store, key)


def trained_model(training: Training, test_auroc: float) -> SavedModel:
    """Return the model of a trial after its last epoch.

    Args:
        training: The trial.
        test_auroc: How the model did on the test split.
    """
    scores = score(training.detector, training.val_images).float().cpu()
    return SavedModel(
        card=ModelCard.of_trial(
            training.spec,
            val_auroc=training.history[-1].val_auroc,
            test_auroc=test_auroc,
            feature_shape=training.feature_shape,
        ),
        weights=training.detector.scoring_weights(),
        val_normal_scores=scores[torch.from_numpy(~training.val_is_anomaly)],
    )
