"""Detectors: one folder each, and what the engine needs of them.

Importing this loads no torch: a configuration loads it when it builds its model. What needs torch
at once is behind ``agad.detectors.compute``.
"""

from agad.detectors.agad.configuration import Agad
from agad.detectors.deep_svdd.configuration import DeepSvdd
from agad.detectors.patches.configuration import PatchKnn, PatchPca
from agad.detectors.protocol import (
    BatchLeak,
    Detector,
    FittedDetector,
    Localizer,
    Rebuilder,
    StepwiseDetector,
    mean_losses,
)
from agad.detectors.shallow.configuration import (
    IsolationForest,
    Knn,
    KnnProbe,
    Lof,
    Mahalanobis,
    OneClassSvm,
    Pca,
    Probe,
)
