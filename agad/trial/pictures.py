"""Pictures of some test images, how a confirmed model rebuilds them, and the difference."""

from __future__ import annotations

import logging

import numpy as np
import torch
from numpy.typing import NDArray

from agad.config import InputSpec
from agad.data import Purpose, heat_map, stream
from agad.detectors import Rebuilder
from agad.objects import open_objects
from agad.records import picture_key
from agad.trial.results import TestPart
from agad.trial.training import Training

logger = logging.getLogger(__name__)

NUM_OF_EACH = 8
"""Pictures of normal test images, and of anomalous ones; fewer if the part holds fewer."""


def draw_shown(fingerprint: str, is_anomaly: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Draw the test images that are shown, ascending: the same for every model, however it scores.

    Args:
        fingerprint: The data set's fingerprint, hexadecimal; it alone decides the drawn order.
        is_anomaly: Whether each test image is anomalous, shape ``(num_images,)``.

    Returns:
        Places of ``NUM_OF_EACH`` normal images and as many anomalous ones, or all that there are.
    """
    order = stream(int(fingerprint, 16), Purpose.PICTURES).permutation(len(is_anomaly))
    of_each = [order[is_anomaly[order] == wanted][:NUM_OF_EACH] for wanted in (False, True)]
    return np.sort(np.concatenate(of_each))


def keep_pictures(training: Training, part: TestPart, store: str, prefix: str) -> None:
    """Keep pictures of a trained model in the store; existing pictures stay.

    A detector that rebuilds no image has no pictures.

    Args:
        training: A trial after its last epoch.
        part: Its test split.
        store: The store's URI.
        prefix: What the pictures' keys start with.

    Raises:
        StoreError: The store cannot be reached.
    """
    detector, spec = training.detector, training.spec
    if not isinstance(detector, Rebuilder) or spec.detector.input() != InputSpec():
        logger.info("%s rebuilds no image, so no picture of it is kept.", spec.detector.name)
        return
    shown = draw_shown(spec.data.fingerprint, part.is_anomaly)
    places = torch.from_numpy(shown).to(part.images.index.device)
    pixels = part.images.images[part.images.index[places]].cpu().numpy()
    rebuilt = detector.rebuild(part.images.take(places)).float().cpu().numpy()
    objects = open_objects(store)
    for place, image in enumerate(shown.tolist()):
        key = picture_key(prefix, spec.key, image)
        if not objects.put_if_absent(key, heat_map(pixels[place], rebuilt[place])):
            logger.info("%s/%s was kept before and stays as it is.", store, key)
