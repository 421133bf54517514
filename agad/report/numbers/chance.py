"""Whether an AUROC is better than chance: the only place with this rule."""

from __future__ import annotations

from typing import Literal, TypeAlias

from agad.report.numbers.statistics import Interval

CHANCE = 0.5
"""The AUROC of scores that do not depend on the image."""

Verdict: TypeAlias = Literal["better", "chance", "worse"]


def chance_verdict(auroc: float, interval: Interval | None) -> Verdict:
    """Compare an AUROC with chance.

    Example: 0.55 with the interval 0.48 to 0.62 is ``chance``, and 0.29 alone is ``worse``.

    Args:
        auroc: The AUROC, in [0, 1].
        interval: Its interval. It decides if there is one: an interval that holds 0.5 is
            ``chance``. Without an interval, the AUROC itself decides.
    """
    low, high = (auroc, auroc) if interval is None else (interval.low, interval.high)
    if low > CHANCE:
        return "better"
    return "worse" if high < CHANCE else "chance"


def false_positive_bound(num_above: int, num_normals: int, confidence: float) -> float:
    """Return the upper bound of a share: one-sided, and exact for every size of the sample.

    The bound also holds if the threshold is the score that ``num_above`` of the normals exceed: the
    share of all normals above that score has the beta distribution of the formula.

    Source: Clopper and Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case
    of the Binomial", Biometrika 1934. Wilks, "Determination of Sample Sizes for Setting Tolerance
    Limits", Annals of Mathematical Statistics 1941, for the threshold.

    Args:
        num_above: Normals above the threshold, fewer than ``num_normals``.
        num_normals: Normals in all, at least 1.
        confidence: In (0, 1).
    """
    # scipy.stats would take a second to import for the same number.
    from scipy.special import betaincinv

    return float(betaincinv(num_above + 1, num_normals - num_above, confidence))
