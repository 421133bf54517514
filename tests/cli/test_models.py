"""``agad export`` and ``agad score``, from a study that was trained here to marked pictures."""

from __future__ import annotations

import csv
import io
import json
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
import ray
import torch
from PIL import Image

from agad.config import Agad, Asha, Confirm, Grid, Labelled, LogUniform, Search, Study
from agad.data import FULL_SCALE, Library, NodeCache, open_images
from agad.data.readers import read_digits
from agad.data.resize import Resize
from agad.executor.tune import ClusterOptions, run_study
from agad.objects import LocalObjects, ObjectStore, open_objects
from agad.records import TrialRow, Winner, model_key, models_prefix
from agad.records.provenance import find_provenance
from agad.store import StudyStore
from agad.study.board import StudyBoard
from agad.study.cell_data import find_cell_data
from agad.study.row_maker import RowMaker
from agad.study.running import Progress
from agad.trial import PictureScorer, Runtime, SavedModel, train_trial

if TYPE_CHECKING:
    from tests.cli.conftest import Ended, RunAgad

Change: TypeAlias = Callable[[SavedModel], SavedModel]
Pixels: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"

_STUDY = Study(
    name="tiny",
    cells=Grid(dataset="digits", normal_class=0),
    detector=Agad(
        backbone="naive", base_width=4, discriminator_width=4, batch_size=32, min_batch_anomalies=16
    ),
    search=Search(space={"lr": LogUniform(1e-3, 1e-2)}, trials_per_cell=2),
    scheduler=Asha(max_epochs=2, grace_period=1, reduction_factor=2),
    confirm=Confirm(seeds=2),
    selection=Labelled(num_anomalies=30, val_share=0.25),
)


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:  # noqa: ARG001
    """Break no line of what is printed; train on one thread."""
    monkeypatch.setenv("COLUMNS", "400")


def _run(study: Study, uri: str, cache: NodeCache) -> None:
    """Run a study as ``run_study`` does, one trial after another in this process."""
    objects = open_objects(uri)
    cell_data = find_cell_data(study, Library(objects))
    store = StudyStore(objects, study.name)
    store.open(study.as_json())
    rows = RowMaker(study=study.name, provenance=find_provenance())
    runtime = Runtime(store=uri, cache=cache, models=models_prefix(study.name))
    with store.hold(), StudyBoard(study, cell_data, store, rows) as board:
        while (launch := board.launch()) is not None:
            epochs = tuple(train_trial(launch.spec, runtime))
            board.end(launch.spec.key, Progress(epochs=epochs, seconds=1.0, hardware="here"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, session_cache: NodeCache) -> str:
    """Return a store with one study of one cell that is confirmed; tests leave it as it is."""
    uri = str(tmp_path_factory.mktemp("trained") / "store")
    _run(_STUDY, uri, session_cache)
    return uri


def _confirmed(uri: str, study: str = "tiny") -> list[TrialRow]:
    rows = StudyStore(open_objects(uri), study).trials()
    return [row for row in rows if row.phase == "confirm"]


@pytest.fixture
def exported(run_agad: RunAgad, trained: str, tmp_path: Path) -> Path:
    """Return the exported model of the trained study."""
    ended = run_agad("export", trained, "--out", tmp_path / "zero.model")
    assert ended.code == 0, ended.err
    return tmp_path / "zero.model"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of 30 digits as they come with scikit-learn, 8 x 8, three digits a folder."""
    folder = tmp_path / "pictures"
    images = read_digits().parts["train"].images
    for number, (pixels, label) in enumerate(zip(images.pixels[:30], images.labels, strict=False)):
        path = folder / f"digit {label}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0]).save(path)
    return folder


def _assert_one_line(ended: Ended) -> None:
    assert ended.code == 2
    assert ended.err.startswith("agad: ")
    assert len(ended.err.splitlines()) == 1


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def _read_csv(path: Path) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(path.read_bytes().decode(), newline=""))]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder that holds a full one, ``full``."""
    (tmp_path / "here" / "full").mkdir(parents=True)
    (tmp_path / "here" / "full" / "file").write_text("")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


# Export.


def test_export_writes_the_model_of_the_first_confirm_seed(exported: Path, trained: str) -> None:
    model = SavedModel.read(exported)
    first = next(row for row in _confirmed(trained) if row.number == 0)
    assert model.card.trial_key == first.trial_key
    assert (model.card.seed,) == first.seeds
    assert model.card.test_auroc == first.test_auroc
    assert model.card.exported is not None
    assert model.card.exported.study == "tiny"
    assert model.card.exported.commit == first.commit
    assert model.card.exported.versions == first.versions
    assert model.card.exported.threshold == model.threshold(0.05)


def test_only_the_first_confirm_seed_keeps_a_model(trained: str) -> None:
    keys = [row.trial_key for row in _confirmed(trained)]
    assert len(keys) == 2
    assert open_objects(trained).list("tiny/models/") == [
        model_key("tiny/models", row.trial_key) for row in _confirmed(trained) if row.number == 0
    ]


def test_export_says_what_the_model_is(run_agad: RunAgad, trained: str, tmp_path: Path) -> None:
    ended = run_agad("export", trained, "--out", tmp_path / "a", "--fpr", "0.2")
    first, second = _confirmed(trained)
    assert first.test_auroc is not None
    assert second.test_auroc is not None
    assert ended.code == 0
    assert "Cell: digits class=0 ratio=0; normal: 0." in ended.out
    assert "grey, brought to 16 x 16 by Pillow's bilinear" in ended.out
    assert f"{first.test_auroc:.3f} of this model, seed 1" in ended.out
    assert f"{(first.test_auroc + second.test_auroc) / 2:.3f} ± " in ended.out
    num = len(SavedModel.read(tmp_path / "a").val_normal_scores)
    assert f"{num // 5} of {num} validation normals score above it" in ended.out
    assert "at most 0.2." in ended.out
    assert ended.err == ""


def test_export_warns_where_too_few_normals_give_the_threshold(
    run_agad: RunAgad, trained: str, tmp_path: Path
) -> None:
    ended = run_agad("export", trained, "--out", tmp_path / "a", "--fpr", "0.001")
    model = SavedModel.read(tmp_path / "a")
    assert ended.code == 0
    assert "agad: warning: --fpr is 0.001, but" in ended.err
    assert "the threshold is the highest of their scores" in ended.err
    assert model.card.exported is not None
    assert model.card.exported.threshold == model.val_normal_scores.max().item()


@pytest.mark.parametrize("value", ["0", "1", "-0.1", "nan", "5"])
def test_a_rate_outside_0_and_1_is_refused(
    run_agad: RunAgad, trained: str, tmp_path: Path, value: str
) -> None:
    ended = run_agad("export", trained, "--out", tmp_path / "a", f"--fpr={value}")
    _assert_one_line(ended)
    assert f"--fpr is {float(value):g}, but must be in (0, 1)" in ended.err
    assert not (tmp_path / "a").exists()


def test_an_unknown_study_or_cell_is_refused_with_the_known_ones(
    run_agad: RunAgad, trained: str, tmp_path: Path
) -> None:
    ended = run_agad("export", trained, "--out", tmp_path / "a", "--study", "other")
    _assert_one_line(ended)
    assert "--study is 'other', but" in ended.err
    assert "holds: tiny." in ended.err
    ended = run_agad("export", trained, "--out", tmp_path / "a", "--cell", "digits class=1 ratio=0")
    _assert_one_line(ended)
    assert "study tiny has: 'digits class=0 ratio=0'." in ended.err


def test_of_several_studies_or_cells_one_must_be_named(
    run_agad: RunAgad, session_cache: NodeCache, tmp_path: Path
) -> None:
    uri = str(tmp_path / "several")
    _run(replace(_STUDY, cells=Grid(dataset="digits", normal_class=[0, 1])), uri, session_cache)
    ended = run_agad("export", uri, "--out", tmp_path / "a")
    _assert_one_line(ended)
    cells = "'digits class=0 ratio=0', 'digits class=1 ratio=0'"
    assert f"--cell is missing, but study tiny has: {cells}; name one." in ended.err
    _run(replace(_STUDY, name="another"), uri, session_cache)
    ended = run_agad("export", uri, "--out", tmp_path / "a")
    _assert_one_line(ended)
    assert "--study is missing, but" in ended.err
    assert "holds: 'another', 'tiny'; name one." in ended.err
    ended = run_agad(
        "export",
        uri,
        "--study",
        "tiny",
        "--cell",
        "digits class=1 ratio=0",
        "--out",
        tmp_path / "a",
    )
    assert ended.code == 0
    assert SavedModel.read(tmp_path / "a").card.normal_classes == (1,)


@pytest.fixture
def copied(trained: str, tmp_path: Path) -> Callable[..., str]:
    """Return what copies the study's rows, each changed by name, without its model."""

    def copy(change: Callable[[TrialRow], TrialRow] = lambda row: row) -> str:
        uri = str(tmp_path / "copied")
        store = StudyStore(open_objects(uri), "tiny")
        store.open(_STUDY.as_json())
        for row in StudyStore(open_objects(trained), "tiny").trials():
            store.put(change(row), [])
        return uri

    return copy


def test_a_study_that_kept_no_model_says_so(
    run_agad: RunAgad, copied: Callable[..., str], tmp_path: Path
) -> None:
    ended = run_agad("export", copied(), "--out", tmp_path / "a")
    _assert_one_line(ended)
    assert "study 'tiny' kept no model of cell 'digits class=0 ratio=0'" in ended.err
    assert "run it again under another name" in ended.err
    assert not (tmp_path / "a").exists()


def test_no_other_seed_stands_in_for_the_first(
    run_agad: RunAgad, copied: Callable[..., str], tmp_path: Path
) -> None:
    def diverge_first(row: TrialRow) -> TrialRow:
        if row.phase == "search" or row.number > 0:
            return row
        return replace(row, state="diverged", test_auroc=None, test_average_precision=None)

    ended = run_agad("export", copied(diverge_first), "--out", tmp_path / "a")
    _assert_one_line(ended)
    assert "the trial of its first confirm seed is diverged, and no other seed" in ended.err


def test_a_cell_that_is_not_confirmed_says_so(
    run_agad: RunAgad, copied: Callable[..., str], tmp_path: Path
) -> None:
    def as_search(row: TrialRow) -> TrialRow:
        return replace(row, phase="search", test_auroc=None, test_average_precision=None)

    ended = run_agad("export", copied(as_search), "--out", tmp_path / "a")
    _assert_one_line(ended)
    assert "has no confirmed result yet; run its study to the end first" in ended.err


def test_a_cell_whose_candidates_are_not_tested_yet_says_so(
    run_agad: RunAgad, copied: Callable[..., str], tmp_path: Path
) -> None:
    def untested(row: TrialRow) -> TrialRow:
        return replace(row, test_auroc=None, test_average_precision=None)

    ended = run_agad("export", copied(untested), "--out", tmp_path / "a")
    _assert_one_line(ended)
    assert "has no confirmed result yet; run its study to the end first" in ended.err


def test_of_several_candidates_the_winners_tested_model_is_exported(
    run_agad: RunAgad, session_cache: NodeCache, tmp_path: Path
) -> None:
    uri = str(tmp_path / "candidates")
    _run(replace(_STUDY, confirm=Confirm(seeds=1, candidates=2)), uri, session_cache)
    ended = run_agad("export", uri, "--out", tmp_path / "a.model")
    assert ended.code == 0, ended.err
    (tested,) = (
        row for row in StudyStore(open_objects(uri), "tiny").trials() if row.phase == "test"
    )
    card = SavedModel.from_bytes((tmp_path / "a.model").read_bytes(), "a.model").card
    assert (card.trial_key, card.test_auroc) == (tested.trial_key, tested.test_auroc)
    assert card.val_auroc == tested.val_auroc


def test_a_stored_model_that_is_damaged_is_refused(
    run_agad: RunAgad, trained: str, copied: Callable[..., str], tmp_path: Path
) -> None:
    uri = copied()
    key = open_objects(trained).list("tiny/models/")[0]
    data = open_objects(trained).get(key)
    open_objects(uri).put_if_absent(key, data[:-1])
    ended = run_agad("export", uri, "--out", tmp_path / "a")
    _assert_one_line(ended)
    assert f"{uri}/{key} is no model of agad" in ended.err


def test_a_stored_model_of_another_trial_is_refused(
    run_agad: RunAgad, trained: str, copied: Callable[..., str], tmp_path: Path
) -> None:
    uri = copied()
    key = open_objects(trained).list("tiny/models/")[0]
    model = SavedModel.from_bytes(open_objects(trained).get(key), "here")
    other = replace(model, card=replace(model.card, trial_key="0" * 32))
    open_objects(uri).put_if_absent(key, other.to_bytes())
    ended = run_agad("export", uri, "--out", tmp_path / "a")
    _assert_one_line(ended)
    assert f"holds the model of trial {'0' * 32}, but must hold" in ended.err


def test_export_says_where_the_row_is_of_another_attempt(
    run_agad: RunAgad, trained: str, copied: Callable[..., str], tmp_path: Path
) -> None:
    uri = copied(lambda row: replace(row, test_auroc=0.25) if row.test_auroc else row)
    key = open_objects(trained).list("tiny/models/")[0]
    open_objects(uri).put_if_absent(key, open_objects(trained).get(key))
    ended = run_agad("export", uri, "--out", tmp_path / "a", "--fpr", "0.5")
    assert ended.code == 0
    assert "the model is of another attempt than the leaderboard's row, whose test" in ended.err


def test_the_configuration_is_the_one_of_the_leaderboard(
    run_agad: RunAgad, trained: str, copied: Callable[..., str], tmp_path: Path
) -> None:
    uri = copied()
    store = StudyStore(open_objects(uri), "tiny")
    first = next(row for row in _confirmed(trained) if row.number == 0)
    other = json.dumps({"lr": 0.5})
    for number in range(3):  # One seed more than the others have.
        row = replace(
            first, params=other, trial_key=f"{number:032x}", number=number, seeds=(number + 1,)
        )
        store.put(row, [])
    ended = run_agad("export", uri, "--out", tmp_path / "a")
    _assert_one_line(ended)
    assert f"/tiny/models/{0:032x}.safetensors does not exist" in ended.err


@pytest.mark.parametrize("num_seeds", [2, 3])
def test_the_winner_of_what_is_planned_is_exported_and_reported(
    run_agad: RunAgad,
    trained: str,
    copied: Callable[..., str],
    tmp_path: Path,
    num_seeds: int,
) -> None:
    is_current = num_seeds == _STUDY.confirm.seeds
    uri = copied()
    store = StudyStore(open_objects(uri), "tiny")
    first = next(row for row in _confirmed(trained) if row.number == 0)
    params = {"lr": 0.5}
    store.put(replace(first, params=json.dumps(params), trial_key=f"{0:032x}"), [])
    store.put_winner(
        Winner(
            cell=first.cell, num_search_trials=2, num_seeds=num_seeds, params=params, val_auroc=0.5
        )
    )
    ended = run_agad("export", uri, "--out", tmp_path / "a")
    _assert_one_line(ended)
    assert (f"/tiny/models/{0:032x}.safetensors does not exist" in ended.err) == is_current
    assert run_agad("report", uri, "--csv", tmp_path / "b.csv").code == 0
    (cell,) = _read_csv(tmp_path / "b.csv")
    assert (json.loads(cell["best_params"]) == params) == is_current


@pytest.mark.parametrize("flag", ["--out", "--pt2"])
@pytest.mark.parametrize("name", ["no/such/folder/model", "."])
def test_an_export_that_cannot_be_written_leaves_nothing_behind(
    run_agad: RunAgad, trained: str, here: Path, flag: str, name: str
) -> None:
    ended = run_agad("export", trained, "--out", "model", flag, name)
    _assert_one_line(ended)
    assert "cannot be written" in ended.err
    assert _files(here) == ["full", "full/file"]


def test_two_files_of_one_name_are_refused(run_agad: RunAgad, trained: str, tmp_path: Path) -> None:
    ended = run_agad("export", trained, "--out", tmp_path / "a", "--pt2", tmp_path / "." / "a")
    _assert_one_line(ended)
    assert "must be two files" in ended.err


@pytest.mark.slow
def test_the_exported_program_scores_as_the_model(
    run_agad: RunAgad, trained: str, tmp_path: Path
) -> None:
    ended = run_agad("export", trained, "--out", tmp_path / "a", "--pt2", tmp_path / "a.pt2")
    assert ended.code == 0, ended.err
    pixels = np.random.default_rng(0).integers(256, size=(9, 1, 16, 16), dtype=np.uint8)
    program = torch.export.load(tmp_path / "a.pt2").module()
    scores = PictureScorer(SavedModel.read(tmp_path / "a")).scores(pixels)
    assert program(torch.from_numpy(pixels) / 127.5 - 1).tolist() == pytest.approx(
        scores.tolist(), rel=1e-5
    )


# Score.


def test_score_ranks_every_picture_below_the_folder(
    run_agad: RunAgad, exported: Path, pictures: Path, tmp_path: Path
) -> None:
    ended = run_agad("score", exported, pictures, "--csv", tmp_path / "scores.csv", "--top", "3")
    assert (ended.code, ended.err) == (0, "")
    rows = _read_csv(tmp_path / "scores.csv")
    scores = [float(row["score"]) for row in rows]
    assert sorted(row["file"] for row in rows) == [
        name for name in _files(pictures) if name.endswith(".png")
    ]
    assert scores == sorted(scores, reverse=True)
    card = SavedModel.read(exported).card
    assert card.exported is not None
    above = [score > card.exported.threshold for score in scores]
    assert [row["above_threshold"] == "yes" for row in rows] == above
    assert f"{sum(above)} of 30 pictures above the threshold" in ended.out
    shown = [line.split()[-2:] for line in ended.out.splitlines() if ".png" in line]
    assert [" ".join(words) for words in shown] == [row["file"] for row in rows[:3]]


def test_a_picture_of_a_digit_scores_as_the_imported_digit(
    run_agad: RunAgad, exported: Path, trained: str, session_cache: NodeCache, tmp_path: Path
) -> None:
    imported = open_images(
        Library(open_objects(trained)).manifest("digits"),
        "train",
        store=trained,
        cache=session_cache,
    ).pixels[:40]
    originals = read_digits().parts["train"].images.pixels
    resized = Resize(image_px=16).pixels(originals)
    place_of = {image.tobytes(): place for place, image in enumerate(resized)}
    folder = tmp_path / "digits"
    folder.mkdir()
    for number, image in enumerate(imported):
        original = originals[place_of[image.tobytes()]][0]
        Image.fromarray(original).save(folder / f"{number:02}-small.png")
        Image.fromarray(image[0]).save(folder / f"{number:02}-large.png")
    run_agad("score", exported, folder, "--csv", tmp_path / "scores.csv")
    scores = {row["file"]: float(row["score"]) for row in _read_csv(tmp_path / "scores.csv")}
    expected = PictureScorer(SavedModel.read(exported)).scores(imported).tolist()
    for kind in ("small", "large"):
        found = [scores[f"{number:02}-{kind}.png"] for number in range(40)]
        assert found == pytest.approx(expected, rel=1e-5)


def test_pictures_of_other_modes_and_sizes_are_brought_to_the_models(
    run_agad: RunAgad, exported: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "modes"
    folder.mkdir()
    grey = Image.fromarray(np.tile(np.arange(0, 256, 16, dtype=np.uint8), (16, 1)))
    grey.save(folder / "grey.png")
    grey.convert("RGB").save(folder / "colour.png")
    grey.convert("RGBA").save(folder / "alpha.png")
    grey.resize((32, 32), Image.Resampling.NEAREST).save(folder / "twice.bmp")
    sixteen = np.asarray(grey).astype(np.uint16) * 257
    Image.fromarray(sixteen).save(folder / "sixteen.png")
    ended = run_agad("score", exported, folder, "--csv", tmp_path / "scores.csv")
    assert ended.code == 0, ended.err
    scores = {row["file"]: float(row["score"]) for row in _read_csv(tmp_path / "scores.csv")}
    for name in ("colour.png", "alpha.png", "sixteen.png"):
        assert scores[name] == pytest.approx(scores["grey.png"], rel=1e-6)
    with Image.open(folder / "twice.bmp") as image:
        shrunk = np.array(image.resize((16, 16), Image.Resampling.BILINEAR))
    expected = PictureScorer(SavedModel.read(exported)).scores(shrunk[None, None])[0]
    assert scores["twice.bmp"] == pytest.approx(expected, rel=1e-6)


def test_the_csv_is_safe_and_of_rfc_4180(run_agad: RunAgad, exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    names = [
        "=1+1.png",
        "+a.png",
        "-b.png",
        "@c.png",
        'quo"te, comma.png',
        "\N{SNOWMAN}.png",
        " =d.png",
    ]
    for name in names:
        Image.new("L", (16, 16)).save(folder / name)
    ended = run_agad("score", exported, folder, "--csv", tmp_path / "scores.csv")
    assert ended.code == 0
    data = (tmp_path / "scores.csv").read_bytes()
    assert data.startswith(b"file,score,above_threshold\r\n")
    assert data.count(b"\n") == data.count(b"\r\n") == len(names) + 1
    assert b'"quo""te, comma.png"' in data
    written = {row["file"].removeprefix("'") for row in _read_csv(tmp_path / "scores.csv")}
    assert written == {*names}
    assert data.count(b"\n'") == 5


def test_pictures_of_equal_scores_are_in_order_of_their_names(
    run_agad: RunAgad, exported: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "same"
    folder.mkdir()
    for name in ("c", "a", "b"):
        Image.new("L", (16, 16), 9).save(folder / f"{name}.png")
    run_agad("score", exported, folder, "--csv", tmp_path / "scores.csv")
    assert [row["file"] for row in _read_csv(tmp_path / "scores.csv")] == [
        "a.png",
        "b.png",
        "c.png",
    ]


def test_heat_maps_are_written_of_the_pictures_shown(
    run_agad: RunAgad, exported: Path, pictures: Path, tmp_path: Path
) -> None:
    arguments = ("--heatmaps", tmp_path / "maps", "--top", "12", "--csv", tmp_path / "scores.csv")
    ended = run_agad("score", exported, pictures, *arguments)
    assert ended.code == 0, ended.err
    assert "black at 0 to white at 64 of 255 grey levels and above" in ended.out
    rows = _read_csv(tmp_path / "scores.csv")
    names = [
        f"{rank:02}-{row['file'].removesuffix('.png').replace('/', '_').replace(' ', '_')}.png"
        for rank, row in enumerate(rows[:12], start=1)
    ]
    assert _files(tmp_path / "maps") == names
    for name in names:
        with Image.open(tmp_path / "maps" / name) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (3 * 128 + 4, 128))


def test_a_heat_map_shows_the_picture_and_its_reconstruction(
    run_agad: RunAgad, exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    pixels = np.random.default_rng(0).integers(256, size=(16, 16), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one" / "a.png")
    run_agad("score", exported, tmp_path / "one", "--heatmaps", tmp_path / "maps")
    rebuilt = PictureScorer(SavedModel.read(exported)).rebuild(pixels[None, None])[0, 0]
    with Image.open(tmp_path / "maps" / "1-a.png") as image:
        shown = np.asarray(image).astype(float)
    assert (shown[::8, :128:8, 0] == pixels).all()
    assert np.abs(shown[::8, 130:258:8, 1] - (rebuilt + 1) * 127.5).max() <= 0.51
    share = np.abs(pixels / 127.5 - 1 - rebuilt) / FULL_SCALE
    assert np.abs(shown[::8, 260::8, 0] / 255 - np.clip(3 * share, 0, 1)).max() < 0.01
    assert np.abs(shown[::8, 260::8, 2] / 255 - np.clip(3 * share - 2, 0, 1)).max() < 0.01


def test_all_heat_maps_are_written_where_asked_for(
    run_agad: RunAgad, exported: Path, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "maps").mkdir()
    ended = run_agad(
        "score", exported, pictures, "--heatmaps", tmp_path / "maps", "--all-heatmaps", "--top", "1"
    )
    assert ended.code == 0, ended.err
    assert len(_files(tmp_path / "maps")) == 30


def test_names_of_heat_maps_neither_collide_nor_leave_the_folder(
    run_agad: RunAgad, exported: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "names"
    names = [
        "a/b.png",
        "a_b.png",
        "a b.png",
        "..c.jpg/d.png",
        f"{'x' * 200}.png",
        "\N{SNOWMAN}.png",
    ]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16)).save(folder / name)
    before = _files(tmp_path)
    ended = run_agad("score", exported, folder, "--heatmaps", tmp_path / "maps")
    assert ended.code == 0, ended.err
    maps = _files(tmp_path / "maps")
    assert len(maps) == 5  # What is hidden is passed over.
    assert all(len(name) < 120 for name in maps)
    assert set(_files(tmp_path)) - {*before} == {"maps", *(f"maps/{name}" for name in maps)}


# What is refused.


def test_a_folder_without_a_picture_is_refused(
    run_agad: RunAgad, exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("none")
    ended = run_agad("score", exported, tmp_path / "empty", "--csv", tmp_path / "scores.csv")
    _assert_one_line(ended)
    assert "empty holds no image, but must hold one at least" in ended.err
    _assert_one_line(run_agad("score", exported, tmp_path / "nowhere"))
    _assert_one_line(run_agad("score", exported, exported))
    assert not (tmp_path / "scores.csv").exists()


def _png_of(width: int, height: int) -> bytes:
    """Return a PNG that declares a size and holds no pixel."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")


_DAMAGED = {
    "text": b"no picture",
    "empty": b"",
    "bomb": _png_of(50_000, 50_000),
    "no pixels": _png_of(16, 16),
}


@pytest.mark.parametrize("name", _DAMAGED)
def test_a_damaged_picture_is_named_and_nothing_is_written(
    run_agad: RunAgad, exported: Path, pictures: Path, tmp_path: Path, name: str
) -> None:
    (pictures / "digit 3" / "bad.png").write_bytes(_DAMAGED[name])
    before = _files(tmp_path)
    outputs = ("--csv", tmp_path / "scores.csv", "--heatmaps", tmp_path / "maps")
    ended = run_agad("score", exported, pictures, *outputs)
    _assert_one_line(ended)
    assert "digit 3/bad.png" in ended.err
    assert _files(tmp_path) == before


def test_damaged_pictures_are_passed_over_where_asked_for_and_listed(
    run_agad: RunAgad, exported: Path, pictures: Path, tmp_path: Path
) -> None:
    run_agad("score", exported, pictures, "--csv", tmp_path / "before.csv")
    for name, data in _DAMAGED.items():
        (pictures / f"{name}.png").write_bytes(data)
    ended = run_agad("score", exported, pictures, "--csv", tmp_path / "after.csv", "--skip-damaged")
    assert ended.code == 0
    assert ended.err.count("agad: warning: skipped: ") == len(_DAMAGED)
    assert all(f"{name}.png" in ended.err for name in _DAMAGED)
    before = {row["file"]: float(row["score"]) for row in _read_csv(tmp_path / "before.csv")}
    after = {row["file"]: float(row["score"]) for row in _read_csv(tmp_path / "after.csv")}
    assert after == pytest.approx(before, rel=1e-6)


def test_a_folder_of_damaged_pictures_alone_is_refused(
    run_agad: RunAgad, exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"no picture")
    ended = run_agad("score", exported, tmp_path / "bad", "--skip-damaged")
    _assert_one_line(ended)
    assert "holds 1 image, but none that can be decoded: " in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--top", "0"], "--top is 0, but must be at least 1"),
        (["--top", "-3"], "--top is -3, but must be at least 1"),
        (["--all-heatmaps"], "--all-heatmaps is given without --heatmaps"),
        (["--device", "tpu"], "--device is 'tpu', but must be cpu, cuda or mps"),
        (["--csv", "."], "cannot be written, since it is a folder"),
        (["--csv", "no/such/scores.csv"], "cannot be written, since its folder does not exist"),
        (["--heatmaps", "no/such/folder"], "must be a new or empty folder in one that exists"),
        (["--heatmaps", "full"], "must be a new or empty folder in one that exists"),
        (["--heatmaps", "full/file"], "must be a new or empty folder in one that exists"),
        (["--heatmaps", "../pictures/maps"], "must be outside"),
        (["--heatmaps", "../pictures"], "must be outside"),
    ],
)
def test_a_wrong_flag_is_refused_before_anything_is_scored(
    run_agad: RunAgad, exported: Path, here: Path, arguments: list[str], message: str
) -> None:
    pictures = here.parent / "pictures"
    pictures.mkdir()
    (pictures / "a.png").write_bytes(_DAMAGED["text"])
    before = _files(here.parent)
    ended = run_agad("score", exported, pictures, *arguments)
    _assert_one_line(ended)
    assert message in ended.err
    assert _files(here.parent) == before


@pytest.mark.parametrize("cut", [0, 10, 1000])
def test_a_file_that_is_no_model_is_refused(
    run_agad: RunAgad, exported: Path, pictures: Path, cut: int
) -> None:
    exported.write_bytes(exported.read_bytes()[:cut])
    ended = run_agad("score", exported, pictures)
    _assert_one_line(ended)
    assert f"{exported} is no model of agad" in ended.err
    ended = run_agad("score", exported.with_name("nothing"), pictures)
    _assert_one_line(ended)
    assert "nothing cannot be read (No such file" in ended.err


def test_a_model_without_a_threshold_is_refused(
    run_agad: RunAgad, trained: str, pictures: Path, tmp_path: Path
) -> None:
    objects: ObjectStore = LocalObjects(Path(trained))
    (tmp_path / "model").write_bytes(objects.get(objects.list("tiny/models/")[0]))
    ended = run_agad("score", tmp_path / "model", pictures)
    _assert_one_line(ended)
    assert "model has no threshold; write it with agad export" in ended.err


def test_a_name_that_drives_a_terminal_is_refused(
    run_agad: RunAgad, exported: Path, pictures: Path
) -> None:
    Image.new("L", (16, 16)).save(pictures / "a\x1b[2Jb.png")
    ended = run_agad("score", exported, pictures)
    _assert_one_line(ended)
    assert r"'a\x1b[2Jb.png'" in ended.err
    assert "\x1b" not in ended.err


def test_a_name_that_is_no_unicode_is_refused(
    run_agad: RunAgad, exported: Path, pictures: Path
) -> None:
    (pictures / os.fsdecode(b"\xff.png")).write_bytes(b"")
    ended = run_agad("score", exported, pictures)
    _assert_one_line(ended)
    assert "rename it" in ended.err


def test_names_are_not_read_as_markup(run_agad: RunAgad, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "markup").mkdir()
    Image.new("L", (16, 16)).save(tmp_path / "markup" / "[red]a.png")
    ended = run_agad("score", exported, tmp_path / "markup")
    assert ended.code == 0
    assert "[red]a.png" in ended.out


# On Ray.


@pytest.mark.cluster
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_study_on_ray_keeps_one_model_a_cell(tmp_path: Path) -> None:
    options = ClusterOptions(
        store=str(tmp_path / "store"), cache=NodeCache(folder=str(tmp_path / "cache"))
    )
    objects = open_objects(options.store)
    study = replace(_STUDY, cells=Grid(dataset="digits", normal_class=[0, 1]))
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        run_study(study, StudyStore(objects, "tiny"), options)
    finally:
        ray.shutdown()
    rows = [row for row in _confirmed(options.store) if row.number == 0]
    assert len(rows) == 2
    for row in rows:
        key = model_key(models_prefix("tiny"), row.trial_key)
        model = SavedModel.from_bytes(objects.get(key), "here")
        assert (model.card.cell, model.card.test_auroc) == (row.cell, row.test_auroc)
    assert len(objects.list("tiny/models/")) == 2


def test_a_class_that_was_not_searched_on_exports_the_winner_of_the_development_classes(
    run_agad: RunAgad, tmp_path: Path, session_cache: NodeCache
) -> None:
    uri = str(tmp_path / "store")
    search = replace(_STUDY.search, development_classes=(0, 5))
    cells = Grid(dataset="digits", normal_class=[0, 3, 5])
    study = replace(_STUDY, cells=cells, search=search, confirm=Confirm(seeds=1))
    _run(study, uri, session_cache)

    reported = run_agad("report", uri, "--csv", tmp_path / "board.csv")
    assert (reported.code, reported.err) == (0, "")
    assert "Development classes: 0, 5." in reported.out
    *lines_of_cells, search_line = _read_csv(tmp_path / "board.csv")
    assert (search_line["given_class"], search_line["is_search"]) == ("0, 5", "True")
    lines = {line["given_class"]: line for line in lines_of_cells}
    assert {given: line["is_development"] for given, line in lines.items()} == {
        "0": "True",
        "3": "False",
        "5": "True",
    }
    assert {line["num_confirmed"] for line in lines.values()} == {"1"}

    label = "digits class=3 ratio=0"
    ended = run_agad("export", uri, "--cell", label, "--out", tmp_path / "three.model")
    assert ended.code == 0, ended.err
    (row,) = (row for row in _confirmed(uri) if row.cell == label)
    model = SavedModel.from_bytes((tmp_path / "three.model").read_bytes(), "three.model")
    assert (model.card.trial_key, model.card.normal_classes) == (row.trial_key, (3,))
    (winner,) = StudyStore(open_objects(uri), "tiny").winners()
    assert winner.cell == "digits class=(0,5) ratio=0"
    assert json.loads(row.params) == winner.params
