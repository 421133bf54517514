"""What is wrong with a study's data is found before it starts, and the test part stays shut."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import agad.study.materials
from agad.config import Grid, Labelled, Study
from agad.data import Images, Part, load_images, one_class_split
from agad.errors import ConfigError, DataError
from agad.study.materials import find_materials

if TYPE_CHECKING:
    from tests.study.conftest import MakeStudy

NOWHERE = Path("/nowhere")
RATIO = "digits class=0 ratio=0.1"


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    return make_study(cells=Grid(dataset="digits", normal_class=[0, 8], anomaly_ratio=[0.0, 0.1]))


def test_find_materials_finds_every_cell(study: Study) -> None:
    found = find_materials(study, NOWHERE)
    assert list(found) == [cell.label for cell in study.cells.all_cells]
    assert all(found[cell.label].cell == cell for cell in study.cells.all_cells)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (Grid(dataset="digits", normal_class=10), "normal_class holds 10.* classes 0 to 9"),
        (Grid(dataset="digits", normal_class=[0, 99]), "normal_class holds 99"),
        (Grid(dataset="imagenet", normal_class=0), "'imagenet'.* cifar10, digits, mnist"),
        (
            Grid(dataset="digits", normal_class=0, anomaly_ratio=0.95),
            "anomaly_ratio is 0.95, .* use a ratio of at most",
        ),
    ],
    ids=["class", "second class", "data set", "ratio"],
)
def test_find_materials_refuses_what_the_data_does_not_have(
    make_study: MakeStudy, cells: Grid, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        find_materials(make_study(cells=cells), NOWHERE)


def test_find_materials_refuses_more_validation_anomalies_than_there_are(
    make_study: MakeStudy,
) -> None:
    with pytest.raises(ConfigError, match="anomal"):
        find_materials(make_study(selection=Labelled(num_anomalies=5000)), NOWHERE)


@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_find_materials_names_a_missing_file(
    make_study: MakeStudy, tmp_path: Path, dataset: str
) -> None:
    study = make_study(cells=Grid(dataset=["digits", dataset], normal_class=0))
    with pytest.raises(DataError, match=f"{tmp_path}/{dataset}"):
        find_materials(study, tmp_path)


def test_find_materials_has_equal_fingerprints_on_every_call(study: Study) -> None:
    first = {one.data_fingerprint for one in find_materials(study, NOWHERE).values()}
    load_images.cache_clear()
    second = {one.data_fingerprint for one in find_materials(study, NOWHERE).values()}
    assert first == second
    assert len(first) == 1


def test_find_materials_never_opens_the_test_part(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: set[Part] = set()

    def noting(name: str, part: Part, root: Path) -> Images:
        opened.add(part)
        return load_images(name, part, root)

    monkeypatch.setattr(agad.study.materials, "load_images", noting)
    find_materials(study, NOWHERE)
    assert opened == {"train"}


def test_the_split_has_the_sizes_of_every_seed(study: Study) -> None:
    materials = find_materials(study, NOWHERE)[RATIO]
    labels = load_images("digits", "train", NOWHERE).labels
    for seed in study.confirm_seeds:
        split = one_class_split(labels, materials.protocol, seed)
        assert len(split.fit_normals) == len(materials.split.fit_normals)
        assert len(split.fit_anomalies) == len(materials.split.fit_anomalies)
        assert len(split.val_normals) == len(materials.split.val_normals)
        assert len(split.val_anomalies) == len(materials.split.val_anomalies)


def test_the_number_of_validation_anomalies_is_the_data_sets_default(study: Study) -> None:
    assert find_materials(study, NOWHERE)[RATIO].protocol.num_val_anomalies == 30


def test_the_number_of_validation_anomalies_is_the_studys_where_it_names_one(
    make_study: MakeStudy,
) -> None:
    study = make_study(selection=Labelled(num_anomalies=7, val_share=0.2))
    for one in find_materials(study, NOWHERE).values():
        assert (one.protocol.num_val_anomalies, one.protocol.val_share) == (7, 0.2)
        assert len(one.split.val_anomalies) == 7


def test_a_trial_has_the_settings_of_its_cell_and_its_own_parameters(
    make_study: MakeStudy,
) -> None:
    cells = Grid(dataset="digits", normal_class=0, settings={"backbone": ["naive", "unet++"]})
    study = make_study(cells=cells)
    found = find_materials(study, NOWHERE)["digits class=0 ratio=0 backbone=unet++"]
    spec = found.search_spec(study, 0, {"weight_con": 12.0})
    assert (spec.detector.backbone, spec.detector.weight_con) == ("unet++", 12.0)
    assert spec.detector.base_width == study.detector.base_width


def test_a_confirm_trial_has_another_key_than_the_search_trial_it_confirms(study: Study) -> None:
    found = find_materials(study, NOWHERE)[RATIO]
    params = {"weight_con": 12.0}
    search = found.search_spec(study, 0, dict(params))
    confirms = [found.confirm_spec(study, number, dict(params)) for number in range(2)]
    assert len({search.key, *(one.key for one in confirms)}) == 3
    assert search.seed not in {one.seed for one in confirms}


@pytest.mark.parametrize("prefix", ["train", "t10k"])
def test_a_missing_file_of_either_part_is_found_before_anything_runs(
    make_study: MakeStudy, tmp_path: Path, prefix: str
) -> None:
    folder = tmp_path / "mnist"
    folder.mkdir()
    for part in {"train", "t10k"} - {prefix}:
        for kind in ("images-idx3", "labels-idx1"):
            (folder / f"{part}-{kind}-ubyte").touch()
    study = make_study(cells=Grid(dataset="mnist", normal_class=0))
    with pytest.raises(DataError, match=f"{prefix}-images-idx3-ubyte .* is missing"):
        find_materials(study, tmp_path)
