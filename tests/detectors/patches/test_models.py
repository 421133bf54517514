"""States, exported scorers and refused weights of the detectors of patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from agad.detectors import Localizer, PatchKnn, PatchPca, Rebuilder
from agad.detectors.compute import Compute
from agad.detectors.patches.configuration import PatchDetector
from agad.detectors.patches.nearest import PatchKnnScorer
from agad.errors import ConfigError
from agad.trial.checkpoint import from_bytes, to_bytes
from tests.detectors.patches.conftest import SHAPE

if TYPE_CHECKING:
    from tests.detectors.patches.conftest import DrawMaps, FitPatches

ALL = {
    "greedy": PatchKnn(coreset_share=0.2),
    "random": PatchKnn(coreset="random", coreset_share=0.2),
    "re-weighted": PatchKnn(coreset_share=0.2, reweight_neighbors=3),
    "pca": PatchPca(variance=0.9),
}
every = pytest.mark.parametrize("config", ALL.values(), ids=ALL)
plain = pytest.mark.parametrize("config", [ALL["greedy"], ALL["random"], ALL["pca"]])


@every
def test_a_state_is_tensors_alone_and_restores_bit_for_bit(
    config: PatchDetector, draw_maps: DrawMaps, fit_patches: FitPatches
) -> None:
    model, maps = fit_patches(config), draw_maps(5, 1)
    assert all(isinstance(one, Tensor) for one in model.state()["scorer"].values())
    other = config.build(SHAPE, torch.Generator(), Compute())
    other.restore(from_bytes(to_bytes(model.state()), "here"))
    assert torch.equal(other.score(maps), model.score(maps))
    assert torch.equal(other.anomaly_map(maps), model.anomaly_map(maps))


@every
def test_an_exported_scorer_scores_and_localizes_as_the_detector(
    config: PatchDetector, draw_maps: DrawMaps, fit_patches: FitPatches
) -> None:
    model, maps = fit_patches(config), draw_maps(20, 1)
    scorer = config.build_scorer(SHAPE, model.scoring_weights())
    with torch.no_grad():
        torch.testing.assert_close(scorer(maps), model.score(maps), rtol=1e-5, atol=0)
        found = scorer.anomaly_map(maps)
    torch.testing.assert_close(found, model.anomaly_map(maps), rtol=1e-5, atol=0)
    assert isinstance(scorer, Localizer)


@every
def test_a_scorer_is_a_program_of_any_batch(
    config: PatchDetector, draw_maps: DrawMaps, fit_patches: FitPatches
) -> None:
    scorer = config.build_scorer(SHAPE, fit_patches(config).scoring_weights())
    maps = draw_maps(7, 1)
    program = torch.export.export(
        scorer, (maps[:2],), dynamic_shapes=({0: torch.export.Dim("batch")},)
    ).module()
    for num in (1, 7):
        torch.testing.assert_close(program(maps[:num]), scorer(maps[:num]), rtol=1e-5, atol=0)


@plain
def test_the_score_is_the_maximum_of_the_map(
    config: PatchDetector, draw_maps: DrawMaps, fit_patches: FitPatches
) -> None:
    model, maps = fit_patches(config), draw_maps(20, 1)
    assert model.anomaly_map(maps).shape == (20, *SHAPE[1:])
    assert torch.equal(model.score(maps), model.anomaly_map(maps).amax(dim=(1, 2)))


@every
def test_the_score_of_an_image_depends_on_no_other_image(
    config: PatchDetector, draw_maps: DrawMaps, fit_patches: FitPatches
) -> None:
    model, maps = fit_patches(config), draw_maps(30, 1)
    expected = model.score(maps)
    for size in (1, 7):
        found = torch.cat([model.score(some) for some in torch.split(maps, size)])
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(model.score(maps.flip(0)).flip(0), expected, rtol=1e-5, atol=0)


@every
def test_anomalous_maps_score_higher(
    config: PatchDetector, draw_maps: DrawMaps, fit_patches: FitPatches
) -> None:
    model = fit_patches(config)
    anomalous, normal = draw_maps(20, 1, noise=60.0), draw_maps(20, 2)
    assert model.score(anomalous).median() > 2 * model.score(normal).median()


@every
def test_the_seed_alone_decides_a_fit(
    config: PatchDetector, draw_maps: DrawMaps, fit_patches: FitPatches
) -> None:
    maps = draw_maps(5, 1)
    scores = [fit_patches(config, seed=seed).score(maps) for seed in (1, 1, 2)]
    assert torch.equal(scores[0], scores[1])
    assert torch.equal(scores[0], scores[2]) is isinstance(config, PatchPca)


@every
def test_a_state_before_the_fit_is_one_to_go_on_from(config: PatchDetector) -> None:
    model = config.build(SHAPE, torch.Generator(), Compute())
    model.restore(model.state())
    assert model.state() == {"scorer": {}}


@every
@pytest.mark.parametrize("broken", ["missing", "another axis", "channels", "type", "nan"])
def test_weights_of_another_model_are_refused(
    config: PatchDetector, broken: str, fit_patches: FitPatches
) -> None:
    weights = fit_patches(config).scoring_weights()
    name = next(iter(weights))
    tensor = weights.pop(name)
    changed: dict[str, dict[str, Tensor]] = {
        "missing": {},
        "another axis": {name: tensor[None]},
        "channels": {name: tensor[..., :-1]},
        "type": {name: tensor.to(torch.float16)},
        "nan": {name: torch.full_like(tensor, torch.nan)},
    }
    with pytest.raises(ValueError, match=name):
        config.build_scorer(SHAPE, weights | changed[broken])


def test_a_scorer_says_which_training_images_it_holds(fit_patches: FitPatches) -> None:
    texts = [
        config.build_scorer(SHAPE, fit_patches(config).scoring_weights()).holds
        for config in (PatchKnn(), PatchPca())
    ]
    assert texts == ["features of patches of the normal images of the fit split", ""]


def test_detectors_localize_and_do_not_rebuild(fit_patches: FitPatches) -> None:
    for config in (PatchKnn(), PatchPca()):
        model = fit_patches(config)
        assert isinstance(model, Localizer)
        assert not isinstance(model, Rebuilder)


def test_the_work_of_a_score_is_unknown_before_the_fit() -> None:
    with pytest.raises(ValueError, match="known after the fit alone"):
        PatchKnn().build_scorer(SHAPE, None)


def test_a_coreset_has_the_patches_that_re_weight(fit_patches: FitPatches) -> None:
    config = PatchKnn(coreset_share=1e-6, reweight_neighbors=9)
    assert len(fit_patches(config, num=1).scoring_weights()["coreset"]) == 9
    assert len(fit_patches(PatchKnn(coreset_share=1e-6)).scoring_weights()["coreset"]) == 1


def test_a_single_patch_cannot_re_weight() -> None:
    config = PatchKnn(reweight_neighbors=3)
    with pytest.raises(ConfigError, match="re-weights by at least 2 patches, but the fit split"):
        PatchKnnScorer.fit(config, [torch.zeros(1, 12, 1, 1)], None)  # type: ignore[arg-type]
