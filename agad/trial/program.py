"""A model as a ``torch.export`` program, for serving where agad is not installed."""

from __future__ import annotations

import io

import torch

from agad.errors import ScoreError
from agad.trial.model import SavedModel

_TOLERANCE = 1e-5
"""Relative tolerance: the same operations on the same machine differ by float rounding alone."""

_NUM_CHECKED = 5


def to_program(model: SavedModel) -> bytes:
    """Return a ``.pt2`` file: float32 images ``(B, C, H, W)`` in [-1, 1] to scores ``(B,)``.

    B may have any value. Before the file is returned, it is loaded and compared with the model.

    Raises:
        ScoreError: The program's scores are not those of the model.
    """
    # The import takes a second, and a worker that trains does not need it.
    import torch.export as exporting

    # torch.export packs weights in the usual layout alone.
    scorer = model.scorer().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    rng = torch.Generator().manual_seed(0)
    sample = torch.rand((_NUM_CHECKED, *model.card.image_shape), generator=rng) * 2 - 1
    with torch.no_grad():
        program = exporting.export(
            scorer, (sample[:2],), dynamic_shapes=({0: exporting.Dim("batch")},)
        )
        buffer = io.BytesIO()
        exporting.save(program, buffer)
        loaded = exporting.load(io.BytesIO(buffer.getvalue())).module()
        for size in (1, _NUM_CHECKED):
            expected = scorer(sample[:size])
            torch_scores = loaded(sample[:size])
            gap = ((torch_scores - expected).abs() / expected.abs().clamp_min(1e-12)).max().item()
            if not gap <= _TOLERANCE:
                raise ScoreError(
                    f"scores of the exported program differ by {gap:.2g} of their value, but must "
                    "be those of the model; report this with the versions of agad and torch."
                )
    return buffer.getvalue()
