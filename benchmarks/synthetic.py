"""A cell whose optimum is known: a smooth function of 4 parameters, and curves that rise to it.

The function was fixed before any search was run on it. Its parts, and why each is there:

- Quality falls off as a Gaussian around one point of the unit cube, with widths of .15, .25, .4
  and .8: of many parameters few matter much (Bergstra and Bengio, JMLR 2012), and the first, the
  learning rate, matters most. The first two interact: the best weight shifts with the rate.
- A curve rises as 1 - exp(-epoch / tau) and reaches its quality at the last epoch. tau is 1.5
  epochs at the highest learning rate and 12 at the lowest, so that curves cross: of two equally
  good configurations, or nearly, the one with the higher rate leads at the first rungs.
- Every epoch's observation has Gaussian noise of 2 % of the range, the last one too: what a
  search picks is not quite what it gets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agad import LogUniform
from agad.config import Setting
from benchmarks.curve_table import unit_point

SPACE = {
    "lr": LogUniform(1e-5, 1e-2),
    "weight_adcon": LogUniform(1, 100),
    "weight_con": LogUniform(5, 500),
    "weight_lat": LogUniform(0.5, 50),
}
"""In order of the name, as the points of the unit cube are."""

OPTIMUM = np.array([0.35, 0.6, 0.7, 0.45])
"""The best configuration, in the unit cube."""

_WIDTHS = np.array([0.15, 0.25, 0.4, 0.8])
_INTERACTION = 0.5
"""How far the best second parameter moves with the first."""

_FASTEST, _SLOWEST = 1.5, 12.0
"""tau in epochs, at the ends of the first parameter's range."""

_NOISE_SHARE = 0.02
"""Standard deviation of an observation, as a share of the cell's range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticCell:
    """The function on one scale of AUROC."""

    max_epochs: int
    worst: float = 0.5
    """AUROC of an untrained trial."""

    best: float = 0.98
    """AUROC at the optimum after the full budget."""

    seed: int = 0
    """Of the noise."""

    def quality(self, params: Mapping[str, Setting]) -> float:
        """Return the AUROC that a configuration has after the full budget, without noise."""
        offset = unit_point(SPACE, params) - OPTIMUM
        offset[1] -= _INTERACTION * offset[0]
        closeness = float(np.exp(-0.5 * np.sum((offset / _WIDTHS) ** 2)))
        return self.worst + (self.best - self.worst) * closeness

    def curve(self, params: Mapping[str, Setting], trial_key: str) -> NDArray[np.float64]:
        """Return what is observed after each epoch, shape ``(max_epochs,)``.

        Args:
            params: In ``SPACE``.
            trial_key: The noise is the trial's own: 32 hexadecimal digits.
        """
        rate = unit_point(SPACE, params)[0]
        tau = _SLOWEST * (_FASTEST / _SLOWEST) ** rate
        epochs = np.arange(1, self.max_epochs + 1)
        risen = -np.expm1(-epochs / tau) / -np.expm1(-self.max_epochs / tau)
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, int(trial_key, 16))))
        noise = _NOISE_SHARE * (self.best - self.worst) * rng.standard_normal(self.max_epochs)
        rise = (self.quality(params) - self.worst) * risen
        observed: NDArray[np.float64] = np.clip(self.worst + rise + noise, 0, 1)
        return observed
