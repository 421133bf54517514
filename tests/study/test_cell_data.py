"""What is wrong with a study's data is found before it starts, and no image is opened."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from numpy.typing import NDArray
from PIL import Image

from agad.config import Candidate, Grid, Labelled, Study
from agad.data import (
    ImportOptions,
    Library,
    Manifest,
    NodeCache,
    Purpose,
    Split,
    Task,
    draw_split,
    import_dataset,
    open_images,
    stream,
)
from agad.detectors import KnnProbe
from agad.errors import ConfigError, DataError
from agad.objects import open_objects
from agad.study.cell_data import CellData, find_cell_data
from tests.parameters import agad_of

if TYPE_CHECKING:
    from tests.simulation import MakeStudy

RATIO = "digits class=0 ratio=0.1"
MaterialsOf: TypeAlias = Callable[[Study], dict[str, CellData]]


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    return make_study(cells=Grid(dataset="digits", normal_class=[0, 8], anomaly_ratio=[0.0, 0.1]))


@pytest.fixture(scope="module")
def labels(digits: Manifest, digits_library: Library, session_cache: NodeCache) -> NDArray[Any]:
    """The labels of the digits' training images, in the order in which they are stored."""
    return open_images(digits, "train", store=digits_library.uri, cache=session_cache).labels


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A store with 30 photos of each of three named classes, imported from a folder."""
    folder = tmp_path_factory.mktemp("photos")
    for label, name in enumerate(("good", "broken", "bent")):
        (folder / name).mkdir()
        for number in range(30):
            grey = Image.new("L", (16, 16), 60 * label + number)
            grey.save(folder / name / f"{number}.png")
    library = Library(open_objects(str(tmp_path_factory.mktemp("store"))))
    import_dataset("photos", folder, library, ImportOptions(format="folder"))
    return library


@pytest.fixture
def of_photos(make_study: MakeStudy, photos: Library) -> Callable[..., dict[str, CellData]]:
    """Find the data of the cells of a study of photos with some axes."""
    selection = Labelled(num_anomalies=4)

    def find(**axes: Any) -> dict[str, CellData]:  # noqa: ANN401
        cells = Grid(dataset="photos", **axes)
        return find_cell_data(make_study(cells=cells, selection=selection), photos)

    return find


def test_find_materials_finds_every_cell(study: Study, cell_data_of: MaterialsOf) -> None:
    found = cell_data_of(study)
    assert list(found) == [cell.label for cell in study.cells.all_cells]
    assert all(found[cell.label].cell == cell for cell in study.cells.all_cells)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            Grid(dataset="digits", normal_class=10),
            "cells.normal_class holds 10, but digits has the classes 0 0, 1 1, 2 2",
        ),
        (Grid(dataset="digits", normal_class=[0, 99]), "cells.normal_class holds 99"),
        (Grid(dataset="digits", normal_class="zero"), "cells.normal_class holds 'zero', but"),
        (Grid(dataset="digits", anomalous_class=10), "cells.anomalous_class holds 10, but"),
        (
            Grid(dataset="digits", normal_class=0, labelled_classes=(3, "cat")),
            "cells.labelled_classes holds 'cat', but digits has the classes",
        ),
        (
            Grid(dataset="digits", normal_class=0, labelled_classes=10),
            "cells.labelled_classes holds 10, but the number of anomalous classes of digits is 9",
        ),
        (
            Grid(dataset="digits", anomalous_class=0, labelled_classes=2),
            "cells.labelled_classes holds 2, but the number of anomalous classes of digits is 1",
        ),
        (
            Grid(dataset="digits", normal_class=3, labelled_classes=[(1, 2), (3, 5)]),
            "cells.labelled_classes holds (3, 5), but must name anomalous classes alone",
        ),
        (
            Grid(dataset="digits", anomalous_class=3, labelled_classes=(4,)),
            "cells.labelled_classes holds (4,), but must name anomalous classes alone",
        ),
    ],
    ids=[
        "class",
        "second class",
        "name",
        "leave-one-out",
        "labelled name",
        "too many labelled",
        "too many labelled of one",
        "normal labelled",
        "normal labelled in leave-one-out",
    ],
)
def test_find_materials_refuses_classes_that_the_data_does_not_have(
    make_study: MakeStudy, cell_data_of: MaterialsOf, cells: Grid, message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        cell_data_of(make_study(cells=cells))


def test_find_materials_names_the_known_classes_of_an_unknown_one(
    of_photos: Callable[..., dict[str, CellData]],
) -> None:
    message = (
        "cells.normal_class holds 'god', but photos has the classes 0 good, 1 bent, 2 broken; "
        "give a label or a name."
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        of_photos(normal_class="god")


def test_a_class_by_its_name_is_the_class_of_its_label(
    of_photos: Callable[..., dict[str, CellData]],
) -> None:
    (by_name,) = of_photos(normal_class="bent", labelled_classes=("broken",)).values()
    (by_label,) = of_photos(normal_class=1, labelled_classes=(2,)).values()
    assert by_name.task == by_label.task
    assert by_name.task.normal_classes == (1,)
    assert by_name.task.labelled_classes == (2,)
    assert by_name.cell.label == "photos class=bent ratio=0 labelled=(broken)"


def test_an_anomalous_class_by_its_name_leaves_all_others_normal(
    of_photos: Callable[..., dict[str, CellData]],
) -> None:
    (found,) = of_photos(anomalous_class="bent").values()
    assert (found.task.normal_classes, found.task.anomalous_classes) == ((0, 2), (1,))
    assert found.cell.label == "photos class=bent ratio=0 leave-one-out"


@pytest.mark.parametrize(
    "axes",
    [
        {"normal_class": ["bent", 1]},
        {"anomalous_class": ["bent", 1]},
        {"normal_class": 0, "labelled_classes": [("bent",), (1,)]},
        {"normal_class": 0, "labelled_classes": ["all", (1, 2)]},
        {"normal_class": 0, "labelled_classes": ["all", 2]},
    ],
    ids=["normal", "anomalous", "labelled", "labelled-all", "labelled-as-many"],
)
def test_two_cells_that_are_one_are_refused_by_their_labels(
    of_photos: Callable[..., dict[str, CellData]], axes: dict[str, Any]
) -> None:
    labels = [cell.label for cell in Grid(dataset="photos", **axes).all_cells]
    message = f"cells {labels[0]!r} and {labels[1]!r} are one and the same; drop one of them."
    with pytest.raises(ConfigError, match=re.escape(message)):
        of_photos(**axes)


def test_a_class_whose_name_is_its_label_is_refused_by_both(
    make_study: MakeStudy, cell_data_of: MaterialsOf
) -> None:
    study = make_study(cells=Grid(dataset="digits", normal_class=[3, "3"]))
    with pytest.raises(
        ConfigError, match="have the same label twice, such as a class by its label and by its name"
    ):
        cell_data_of(study)


def test_two_names_of_one_data_set_are_refused_in_one_study(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    library = Library(open_objects(str(tmp_path)))
    import_dataset("digits", None, library, ImportOptions())
    import_dataset("mine", None, library, ImportOptions(format="digits", image_px=16))
    study = make_study(
        cells=Grid(dataset=["digits", "mine"], normal_class=0),
        selection=Labelled(num_anomalies=30),
    )
    with pytest.raises(ConfigError, match="are one and the same"):
        find_cell_data(study, library)


@pytest.mark.parametrize(
    ("axes", "cell", "message"),
    [
        (
            {"normal_class": [0, 8], "anomaly_ratio": [0.0, 0.95]},
            "digits class=0 ratio=0.95",
            "cells.anomaly_ratio is 0.95, which needs 2033 anomalies of labelled classes beside "
            "the 30 for validation, but the training part has 1052 left; use a ratio of at most "
            "0.907, or a smaller selection.num_anomalies.",
        ),
        (
            {"normal_class": 0, "pollution_ratio": [0.0, 0.95]},
            "digits class=0 ratio=0 pollution=0.95",
            "cells.pollution_ratio is 0.95, which needs 2261 anomalies",
        ),
        (
            {"anomalous_class": 0, "anomaly_ratio": 0.1},
            "digits class=0 ratio=0.1 leave-one-out",
            "cells.anomaly_ratio is 0.1, which needs 108 anomalies",
        ),
    ],
    ids=["ratio", "pollution", "leave-one-out"],
)
def test_a_cell_that_the_data_is_too_small_for_is_named_with_its_seed(
    make_study: MakeStudy,
    cell_data_of: MaterialsOf,
    axes: dict[str, Any],
    cell: str,
    message: str,
) -> None:
    study = make_study(cells=Grid(dataset="digits", **axes), seed=5)
    with pytest.raises(ConfigError, match=re.escape(f"cell {cell!r}, seed 5: {message}")):
        cell_data_of(study)


def test_find_materials_checks_every_seed(
    of_photos: Callable[..., dict[str, CellData]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seeds = []

    def fail_at_seed_2(labels: NDArray[Any], task: Task, seed: int) -> Split:
        seeds.append(seed)
        if seed == 2:
            raise ConfigError("too few.")
        return draw_split(labels, task, seed)

    monkeypatch.setattr("agad.study.cell_data.draw_split", fail_at_seed_2)
    with pytest.raises(ConfigError, match="cell 'photos class=0 ratio=0', seed 2: too few"):
        of_photos(normal_class=0)
    assert seeds == [0, 1, 2]


def test_find_materials_refuses_more_validation_anomalies_than_there_are(
    make_study: MakeStudy, cell_data_of: MaterialsOf
) -> None:
    study = make_study(selection=Labelled(num_anomalies=5000))
    with pytest.raises(ConfigError, match=r"selection\.num_anomalies is 5000, but .* holds 1082"):
        cell_data_of(study)


def test_a_missing_data_set_is_one_error_that_says_how_to_import_it(
    make_study: MakeStudy, photos: Library
) -> None:
    study = make_study(cells=Grid(dataset=["photos", "mnist"], normal_class=0))
    message = (
        f"data set 'mnist' is not in {photos.uri}, which holds: photos; import it: agad data "
        f"import mnist --from PATH --store {photos.uri}"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        find_cell_data(study, photos)


def test_a_data_set_that_is_nearly_another_is_asked_for(
    make_study: MakeStudy, photos: Library
) -> None:
    study = make_study(cells=Grid(dataset="photo", normal_class=0))
    with pytest.raises(ConfigError, match="do you mean 'photos'"):
        find_cell_data(study, photos)


def test_a_data_set_that_no_store_can_hold_is_refused(
    make_study: MakeStudy, photos: Library
) -> None:
    study = make_study(cells=Grid(dataset="../photos", normal_class=0))
    with pytest.raises(ConfigError, match=r"data set name is '\.\./photos', but must"):
        find_cell_data(study, photos)


def test_digits_are_imported_by_themselves_once(make_study: MakeStudy, tmp_path: Path) -> None:
    library = Library(open_objects(str(tmp_path)))
    (first, _) = find_cell_data(make_study(), library).values()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    (second, _) = find_cell_data(make_study(), library).values()
    assert library.names() == ["digits"]
    assert first.data == second.data
    assert kept == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}


def test_digits_are_the_same_in_every_store(
    make_study: MakeStudy, cell_data_of: MaterialsOf, tmp_path: Path
) -> None:
    (here, _) = find_cell_data(make_study(), Library(open_objects(str(tmp_path)))).values()
    (there, _) = cell_data_of(make_study()).values()
    assert here.data.fingerprint == there.data.fingerprint


def test_a_damaged_manifest_is_named(make_study: MakeStudy, tmp_path: Path) -> None:
    (tmp_path / "_datasets/digits").mkdir(parents=True)
    (tmp_path / "_datasets/digits/manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"digits/manifest\.json is no manifest"):
        find_cell_data(make_study(), Library(open_objects(str(tmp_path))))


def test_find_materials_opens_no_image(
    study: Study, digits_library: Library, cell_data_of: MaterialsOf, tmp_path: Path
) -> None:
    shutil.copytree(digits_library.uri, tmp_path / "store")
    for file in (tmp_path / "store").rglob("*.arrow"):
        file.unlink()
    bare = find_cell_data(study, Library(open_objects(str(tmp_path / "store"))))
    assert bare[RATIO].counts(0) == cell_data_of(study)[RATIO].counts(0)


AXES: dict[str, dict[str, Any]] = {
    "plain": {"normal_class": 0},
    "ratio": {"normal_class": 8, "anomaly_ratio": 0.1},
    "pollution": {"normal_class": 3, "anomaly_ratio": 0.05, "pollution_ratio": 0.2},
    "drawn classes": {"normal_class": 3, "anomaly_ratio": 0.3, "labelled_classes": 1},
    "these classes": {"normal_class": 3, "anomaly_ratio": 0.4, "labelled_classes": (4, 5)},
    "leave-one-out": {"anomalous_class": 4, "anomaly_ratio": 0.02, "pollution_ratio": 0.01},
}


@pytest.mark.parametrize("axes", AXES.values(), ids=AXES)
@pytest.mark.parametrize("seed", [0, 1, 2, 77])
def test_counts_are_those_of_the_split_that_is_drawn_from_the_real_labels(
    make_study: MakeStudy,
    cell_data_of: MaterialsOf,
    labels: NDArray[Any],
    axes: dict[str, Any],
    seed: int,
) -> None:
    (found,) = cell_data_of(make_study(cells=Grid(dataset="digits", **axes))).values()
    assert found.counts(seed) == draw_split(labels, found.task, seed).counts


def test_a_labelled_class_that_is_too_small_is_found_for_the_seeds_that_draw_it(
    of_photos: Callable[..., dict[str, CellData]],
) -> None:
    (found,) = of_photos(normal_class=0, labelled_classes=1).values()
    sizes = replace(found.data.train, class_counts=(20, 3, 20))
    data = replace(found.data, train=sizes)
    uneven = CellData(
        study=found.study, cell=found.cell, data=data, task=found.task, encoders=found.encoders
    )
    drawn = [
        stream(seed, Purpose.LABELLED_CLASSES).permutation(found.task.anomalous_classes)[0]
        for seed in range(10)
    ]
    assert uneven.counts(drawn.index(2)).num_val_anomalies == 4
    with pytest.raises(ConfigError, match="num_anomalies is 4, but the training part holds 3"):
        uneven.counts(drawn.index(1))


def test_a_leave_one_out_task_has_one_anomalous_class(
    make_study: MakeStudy, cell_data_of: MaterialsOf
) -> None:
    study = make_study(cells=Grid(dataset="digits", anomalous_class=[3, "0"]))
    first, second = (one.task for one in cell_data_of(study).values())
    assert first.anomalous_classes == first.labelled_classes == (3,)
    assert first.normal_classes == (0, 1, 2, 4, 5, 6, 7, 8, 9)
    assert (second.anomalous_classes, len(second.normal_classes)) == ((0,), 9)


def test_a_one_class_task_has_one_normal_class(study: Study, cell_data_of: MaterialsOf) -> None:
    task = cell_data_of(study)[RATIO].task
    assert (task.normal_classes, task.anomalous_classes) == ((0,), tuple(range(1, 10)))
    assert task.labelled_classes == tuple(range(1, 10))
    assert (task.anomaly_ratio, task.pollution_ratio) == (0.1, 0.0)


def test_the_number_of_validation_anomalies_is_the_data_sets_default(
    study: Study, cell_data_of: MaterialsOf
) -> None:
    assert cell_data_of(study)[RATIO].task.num_val_anomalies == 30


def test_the_number_of_validation_anomalies_is_the_studys_where_it_names_one(
    make_study: MakeStudy, cell_data_of: MaterialsOf
) -> None:
    study = make_study(selection=Labelled(num_anomalies=7, val_share=0.2))
    for one in cell_data_of(study).values():
        assert (one.task.num_val_anomalies, one.task.val_share) == (7, 0.2)
        assert one.counts(0).num_val_anomalies == 7


def test_a_trial_has_the_settings_of_its_cell_and_its_own_parameters(
    make_study: MakeStudy, cell_data_of: MaterialsOf
) -> None:
    cells = Grid(dataset="digits", normal_class=0, settings={"backbone": ["naive", "unet++"]})
    study = make_study(cells=cells)
    found = cell_data_of(study)["digits class=0 ratio=0 backbone=unet++"]
    spec = found.search_spec(0, {"weight_con": 12.0})
    assert (agad_of(spec).backbone, agad_of(spec).weight_con) == ("unet++", 12.0)
    assert agad_of(spec).base_width == 4


def test_a_trial_has_the_data_and_the_task_of_its_cell(
    study: Study, cell_data_of: MaterialsOf, digits: Manifest
) -> None:
    found = cell_data_of(study)[RATIO]
    spec = found.search_spec(0, {})
    assert (spec.data, spec.task, spec.cell) == (digits, found.task, found.cell)


def test_a_confirm_trial_has_another_key_than_the_search_trial_it_confirms(
    study: Study, cell_data_of: MaterialsOf
) -> None:
    found = cell_data_of(study)[RATIO]
    params = {"weight_con": 12.0}
    search = found.search_spec(0, dict(params))
    confirms = [found.spec("confirm", number, dict(params)) for number in range(2)]
    assert len({search.key, *(one.key for one in confirms)}) == 3
    assert search.seed not in {one.seed for one in confirms}


def test_what_is_kept_is_no_part_of_a_trials_key(study: Study, cell_data_of: MaterialsOf) -> None:
    keeping = replace(study, confirm=replace(study.confirm, keep_every=2))
    for one, other in zip(
        cell_data_of(study).values(), cell_data_of(keeping).values(), strict=True
    ):
        keys = (
            {cell.spec("confirm", number, {"weight_con": 5.0}).key for number in range(2)}
            for cell in (one, other)
        )
        assert next(keys) == next(keys)


def test_more_normals_than_there_are_is_refused_with_their_number(
    make_study: MakeStudy, cell_data_of: MaterialsOf
) -> None:
    study = make_study(cells=Grid(dataset="digits", normal_class=0, num_normals=[10, 5000]))
    message = (
        "cell 'digits class=0 ratio=0 normals=5000', seed 0: cells.num_normals holds 5000, but the "
        "fit split has 107 normal images, beside the 12 that validate; use at most 107, or None "
        "for all."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        cell_data_of(study)


def test_fewer_normals_than_a_detector_needs_are_refused(cell_data_of: MaterialsOf) -> None:
    cells = Grid(dataset="digits", normal_class=0, num_normals=2, anomaly_ratio=0.5)
    study = Study(name="few", cells=cells, detectors=[Candidate(KnnProbe())])
    message = (
        "KnnProbe needs at least 3 normal images to fit, but the fit split has 2; use a larger "
        "cells.num_normals, or another detector."
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        cell_data_of(study)
