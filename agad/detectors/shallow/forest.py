"""The isolation forest.

Axes: B images in a batch, T trees, M nodes of the largest tree, D features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agad.detectors.shallow.configuration import IsolationForest
from agad.detectors.shallow.scorer import FitFeatures, ShallowScorer


class IsolationForestScorer(ShallowScorer):
    """All trees as tables of nodes. A leaf is its own child, so every walk ends there."""

    tensors: ClassVar[Mapping[str, tuple[str, torch.dtype]]] = {
        "left": ("TM", torch.int64),
        "right": ("TM", torch.int64),
        "split_feature": ("TM", torch.int64),
        "threshold": ("TM", torch.float64),
        "depth": ("TM", torch.float64),
        "expected_depth": ("", torch.float64),
    }
    config: IsolationForest
    left: Tensor
    right: Tensor
    split_feature: Tensor
    threshold: Tensor
    depth: Tensor
    """Splits before a node, and those expected among the images that a leaf holds together."""

    expected_depth: Tensor
    """Splits that a search in a random tree of ``max_samples`` images takes."""

    @staticmethod
    def fit(config: IsolationForest, split: FitFeatures) -> dict[str, Any]:
        """Return the nodes of the trees that scikit-learn grows."""
        from sklearn.ensemble import IsolationForest as Forest  # type: ignore[import-untyped]

        num_samples = min(config.max_samples, len(split.normals))
        forest = Forest(
            n_estimators=config.num_trees,
            max_samples=num_samples,
            random_state=int(split.rng.integers(2**31 - 1)),
        ).fit(split.normals)
        trees = [_nodes(one.tree_) for one in forest.estimators_]
        most = max(len(one["left"]) for one in trees)
        return {
            **{
                name: np.stack([np.pad(one[name], (0, most - len(one[name]))) for one in trees])
                for name in trees[0]
            },
            "expected_depth": np.float64(expected_depth(num_samples)),
        }

    def score_features(self, x: Tensor) -> Tensor:
        """Return 2^(-depth / expected depth), the depth being the mean over the trees."""
        tree = torch.arange(len(self.left), device=x.device)
        node = torch.zeros((x.shape[0], len(self.left)), dtype=torch.int64, device=x.device)
        # scikit-learn's trees compare float32 values with float64 thresholds.
        values = x.float().double()
        for _ in range(_max_depth(self.config.max_samples)):
            value = values.gather(1, self.split_feature[tree, node])
            goes_left = value <= self.threshold[tree, node]
            node = torch.where(goes_left, self.left[tree, node], self.right[tree, node])
        return torch.exp2(-self.depth[tree, node].mean(dim=1) / self.expected_depth)

    def check(self) -> None:
        """Refuse nodes and features that do not exist."""
        num_nodes = self.left.shape[1]
        limits = (
            (self.left, num_nodes),
            (self.right, num_nodes),
            (self.split_feature, self.features.num_features),
        )
        if any(((one < 0) | (one >= limit)).any() for one, limit in limits):
            raise ValueError("left, right or split_feature names a node or feature that is not")
        if self.left.numel() == 0 or self.expected_depth <= 0:
            raise ValueError("left is empty, or expected_depth is not above 0")


def expected_depth(num_images: float) -> float:
    """Return c(n), the mean splits of an unsuccessful search in a tree of n images: equation 1."""
    if num_images <= 1:
        return 0.0
    if num_images == 2:
        return 1.0
    return float(
        2 * (math.log(num_images - 1) + np.euler_gamma) - 2 * (num_images - 1) / num_images
    )


def _max_depth(max_samples: int) -> int:
    """Return the most splits of a path: the height to which trees are grown."""
    return math.ceil(math.log2(max(max_samples, 2)))


def _nodes(tree: Any) -> dict[str, NDArray[Any]]:  # noqa: ANN401  scikit-learn has no types.
    """Return the nodes of one tree, by what ``tensors`` calls them."""
    num = tree.node_count
    is_leaf = tree.children_left < 0
    own = np.arange(num)
    num_splits = np.zeros(num)
    for node in own[~is_leaf]:  # A parent stands before its children.
        for child in (tree.children_left[node], tree.children_right[node]):
            num_splits[child] = num_splits[node] + 1
    rest = np.array([expected_depth(count) for count in tree.n_node_samples.tolist()])
    return {
        "left": np.where(is_leaf, own, tree.children_left),
        "right": np.where(is_leaf, own, tree.children_right),
        "split_feature": np.where(is_leaf, 0, tree.feature),
        "threshold": np.where(is_leaf, 0.0, tree.threshold),
        "depth": num_splits + np.where(is_leaf, rest, 0.0),
    }
