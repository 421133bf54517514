"""Work that is counted, and is the same wherever it is counted."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from agad.detectors import Agad
from agad.detectors.compute import Compute, count_flop, scoring_flop

SHAPE = (3, 32, 32)
SMALL = Agad(base_width=4, discriminator_width=4, batch_size=8, min_batch_anomalies=4)


def test_the_work_of_a_convolution_is_that_worked_out_by_hand() -> None:
    layer = nn.Conv2d(3, 5, kernel_size=3, padding=1)
    images = torch.zeros(2, 3, 8, 8)
    # Of each of 2 x 5 x 8 x 8 outputs, 3 x 3 x 3 products and as many sums.
    assert count_flop(lambda: layer(images)) == 2 * (2 * 5 * 8 * 8) * (3 * 3 * 3)


@pytest.mark.parametrize("statistics", ["running", "image"])
@pytest.mark.parametrize("backbone", ["naive", "unet", "unet++"])
def test_the_work_of_scoring_is_that_of_a_detector_that_scores(
    backbone: str, statistics: str
) -> None:
    config = replace(SMALL, backbone=backbone, score_statistics=statistics)
    detector = config.build(SHAPE, torch.Generator().manual_seed(0), Compute())
    one, two = torch.zeros(1, *SHAPE), torch.zeros(2, *SHAPE)
    assert count_flop(lambda: detector.score(one)) == scoring_flop(config, SHAPE)
    assert count_flop(lambda: detector.score(two)) == 2 * scoring_flop(config, SHAPE)


def test_work_grows_with_the_width_and_not_with_what_only_training_needs() -> None:
    work = scoring_flop(SMALL, SHAPE)
    assert scoring_flop(replace(SMALL, base_width=8), SHAPE) > 2 * work
    assert scoring_flop(replace(SMALL, discriminator_width=64, weight_con=1.0), SHAPE) == work
