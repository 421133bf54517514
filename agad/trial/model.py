"""Models that outlive their trial: one safetensors file each, whole or refused.

Axes: N pictures, C channels, H rows, W columns.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from agad.data import NodeCache, on_device
from agad.detectors.compute import Compute
from agad.encoders.features import open_stored_encoder
from agad.encoders.networks import Encoder, open_encoder, opened
from agad.errors import CheckpointError, ScoreError
from agad.trial.model_card import Exported, ModelCard, no_model
from agad.trial.scorer import build_scorer, of_pictures

_SCORES = "val_normal_scores"
_WEIGHTS = "weights."
_ENCODER = "encoder."
_ENTRY = "agad"

_BATCH_SIZE = 32
"""Pictures scored at once, so that the widest networks fit a laptop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedModel:
    """The data that scoring needs; reading them executes nothing."""

    card: ModelCard
    weights: dict[str, Tensor]
    """The tensors of ``Detector.scoring_weights``, on the CPU."""

    val_normal_scores: Tensor
    """Scores of the validation images taken for normal, float32, shape ``(num,)``."""

    encoder: dict[str, Tensor] = field(default_factory=dict)
    """The tensors of the card's encoder, on the CPU. Empty for a model in the store, which would
    keep them once for each cell. Empty for an encoder of timm or Hugging Face too."""

    def scorer(self) -> nn.Module:
        """Return the network on the CPU, from pictures to scores; it shares the weights.

        Raises:
            ConfigError: The encoder needs a package that is not installed here, or has other
                weights here.
            ValueError: The weights are not those of the card's settings.
        """
        reference, encoder = self.card.encoder, None
        if reference is not None and self.encoder:
            encoder = opened(reference, self.encoder).module
        elif reference is not None:
            encoder = open_encoder(reference).module
        return of_pictures(self._detector_scorer(), self.card.detector.input(), encoder)

    def _detector_scorer(self) -> nn.Module:
        """Return the network from what the detector takes to scores."""
        return build_scorer(self.card.detector, self.card.detector_shape, self.weights)

    def with_encoder(self, encoder: Encoder) -> SavedModel:
        """Return the model with its encoder's weights, so that it scores without a store.

        The weights of a model of timm or Hugging Face are left out: their package alone can build
        the network, and finds them.

        Args:
            encoder: The encoder of the card.
        """
        assert encoder.reference == self.card.encoder
        return replace(self, encoder=encoder.weights()) if encoder.reference.architecture else self

    @property
    def rebuilds(self) -> bool:
        """Whether the model rebuilds pictures, so that heat maps can be drawn."""
        scorer = of_pictures(self._detector_scorer(), self.card.detector.input())
        return hasattr(scorer, "rebuild")

    @property
    def localizes(self) -> bool:
        """Whether the model tells where a picture is anomalous, so that heat maps can be drawn."""
        return hasattr(self._detector_scorer(), "anomaly_map")

    @property
    def holds(self) -> str:
        """What of the training images the file holds; empty if nothing that could be read back.

        Example: ``the pixels of every normal image of the fit split``.
        """
        return getattr(self._detector_scorer(), "holds", "")

    def threshold(self, false_positive_rate: float) -> float:
        """Return the lowest validation score that at most this share of the normals exceeds.

        Args:
            false_positive_rate: In (0, 1); below 1 / num the threshold is the highest score.
        """
        ascending = np.sort(self.val_normal_scores.double().numpy())
        # Decimals, since floats put 0.29 x 100 just below 29.
        num_above = math.floor(len(ascending) * Fraction(repr(float(false_positive_rate))))
        return float(ascending[len(ascending) - 1 - num_above])

    def exported(self, exported: Exported) -> SavedModel:
        """Return the model together with the facts that an export adds."""
        return replace(self, card=replace(self.card, exported=exported))

    def to_bytes(self) -> bytes:
        """Return the model as a safetensors file."""
        tensors = {f"{_WEIGHTS}{name}": _plain(tensor) for name, tensor in self.weights.items()}
        tensors |= {f"{_ENCODER}{name}": _plain(one) for name, one in self.encoder.items()}
        tensors[_SCORES] = _plain(self.val_normal_scores)
        card = self.card.to_json()
        # A single entry, because safetensors writes several entries in a random order.
        entry = f'{{"card": {card}, "sha256": "{_digest(card, tensors)}"}}'
        return save(tensors, {_ENTRY: entry})

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> SavedModel:
        """Read a model. Nothing in it is executed, and its weights must be those it declares.

        Args:
            data: A safetensors file.
            where: Where the file is, for the error.

        Raises:
            CheckpointError: The file is truncated, damaged, no model, or of another version.
        """
        try:
            tensors = load(data)
            card_text, digest = _metadata(data)
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise no_model(where, error) from error
        card = ModelCard.from_json(card_text, where)
        if digest != _digest(card_text, tensors):
            raise CheckpointError(f"{where} is damaged: its SHA-256 is another; export it again.")
        scores = tensors.pop(_SCORES, torch.empty(0))
        encoder = {
            name.removeprefix(_ENCODER): tensors.pop(name)
            for name in [*tensors]
            if name.startswith(_ENCODER)
        }
        weights = {name.removeprefix(_WEIGHTS): tensor for name, tensor in tensors.items()}
        model = cls(card=card, weights=weights, val_normal_scores=scores, encoder=encoder)
        try:
            model._check()
        except ValueError as error:
            raise no_model(where, error) from error
        return model

    @classmethod
    def read(cls, path: Path) -> SavedModel:
        """Read a model's file.

        Raises:
            CheckpointError: The file cannot be read, or ``from_bytes`` refuses it.
        """
        try:
            # A pipe would keep its reader waiting for ever.
            if path.exists() and not path.is_file():
                raise CheckpointError(f"{path} is no regular file, but must be a model.")
            return cls.from_bytes(path.read_bytes(), str(path))
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from error

    def _check(self) -> None:
        scores = self.val_normal_scores
        if scores.dtype != torch.float32 or scores.ndim != 1 or len(scores) == 0:
            raise ValueError(f"{_SCORES} are {scores.dtype} of shape {tuple(scores.shape)}")
        if not torch.isfinite(scores).all():
            raise ValueError(f"{_SCORES} are not finite everywhere")
        self._detector_scorer()
        self._check_encoder()

    def _check_encoder(self) -> None:
        reference = self.card.encoder
        has_own = reference is not None and bool(reference.architecture)
        if self.encoder and not has_own:
            raise ValueError("it holds weights of an encoder that its card does not name")
        if has_own and self.card.exported is not None and not self.encoder:
            raise ValueError("it lacks the weights of its encoder")
        if reference is not None and self.encoder:
            opened(reference, dict(self.encoder))


def with_stored_encoder(model: SavedModel, store: str, cache: NodeCache) -> SavedModel:
    """Return a model of a store with the weights of its encoder.

    Args:
        model: A model with an encoder.
        store: URI of the store, which holds a user's own weights.
        cache: This machine's cache.

    Raises:
        ConfigError: The encoder's package is not installed here.
        DataError: Weights are damaged, or the cache cannot hold them.
        StoreError: The store cannot be reached, or lacks the weights.
    """
    assert model.card.encoder is not None
    cpu = torch.device("cpu")
    encoder = open_stored_encoder(model.card.encoder, store=store, cache=cache, device=cpu)
    return model.with_encoder(encoder)


class PictureScorer:
    """A model on a device, for pictures as they are read."""

    def __init__(self, model: SavedModel, device: str = "cpu") -> None:
        """Move the model to a device.

        Raises:
            ConfigError: There is no such device.
        """
        self._compute = Compute(device=device)
        self._compute.check_available()
        self._device = self._compute.torch_device
        self._scorer = model.scorer().to(self._device)

    @torch.no_grad()
    def scores(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the scores ``(N,)`` of pictures ``(N, C, H, W)``; higher is more anomalous.

        Raises:
            ScoreError: A score is not finite.
        """
        with self._compute.exactly():
            batches = [self._scorer(images) for images in self._batches(pixels)]
        scores = torch.cat([torch.empty(0, device=self._device), *batches]).cpu().double().numpy()
        if not np.isfinite(scores).all():
            raise ScoreError("a score is not finite, so the model's weights are of no use.")
        return scores

    @torch.no_grad()
    def rebuild(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the rebuilt pictures ``(N, C, H, W)``, of the same shape in [-1, 1].

        Only a model that ``rebuilds`` has an answer.
        """
        with self._compute.exactly():
            rebuilder: Any = self._scorer
            rebuilt = [rebuilder.rebuild(images) for images in self._batches(pixels)]
        return torch.cat(rebuilt).cpu().numpy()

    @torch.no_grad()
    def anomaly_map(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return how anomalous each pixel of pictures ``(N, C, H, W)`` is, ``(N, H, W)``.

        Only a model that ``localizes`` has an answer.
        """
        with self._compute.exactly():
            localizer: Any = self._scorer
            maps = [localizer.anomaly_map(images) for images in self._batches(pixels)]
        return torch.cat(maps).float().cpu().numpy()

    def _batches(self, pixels: NDArray[np.uint8]) -> list[Tensor]:
        return list(on_device(pixels, np.arange(len(pixels)), self._device).batches(_BATCH_SIZE))


def _plain(tensor: Tensor) -> Tensor:
    """Return a tensor as a file has it: on the CPU, dense, in the usual layout."""
    return tensor.detach().cpu().contiguous()


def _metadata(data: bytes) -> tuple[str, str]:
    """Return the card and the digest in a file that ``load`` took."""
    end = 8 + int.from_bytes(data[:8], "little")
    entry = json.loads(json.loads(data[8:end])["__metadata__"][_ENTRY])
    return json.dumps(entry["card"], sort_keys=True), entry["sha256"]


def _digest(card: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(card.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
