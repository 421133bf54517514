"""``agad score``: from an exported model and a folder to marked pictures."""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from agad.data import FULL_SCALE, Library, NodeCache, open_images
from agad.data.readers import read_digits
from agad.data.resize import Resize
from agad.objects import LocalObjects, ObjectStore, open_objects
from agad.trial import PictureScorer, SavedModel
from tests.cli.trained import assert_one_line, files_below, read_csv

if TYPE_CHECKING:
    from tests.cli.conftest import RunAgad

pytestmark = pytest.mark.usefixtures("wide")


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


def test_score_ranks_every_picture_below_the_folder(
    run_agad: RunAgad, exported: Path, pictures: Path, tmp_path: Path
) -> None:
    ended = run_agad("score", exported, pictures, "--csv", tmp_path / "scores.csv", "--top", "3")
    assert (ended.code, ended.err) == (0, "")
    rows = read_csv(tmp_path / "scores.csv")
    scores = [float(row["score"]) for row in rows]
    assert sorted(row["file"] for row in rows) == [
        name for name in files_below(pictures) if name.endswith(".png")
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
    scores = {row["file"]: float(row["score"]) for row in read_csv(tmp_path / "scores.csv")}
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
    scores = {row["file"]: float(row["score"]) for row in read_csv(tmp_path / "scores.csv")}
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
    written = {row["file"].removeprefix("'") for row in read_csv(tmp_path / "scores.csv")}
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
    assert [row["file"] for row in read_csv(tmp_path / "scores.csv")] == [
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
    rows = read_csv(tmp_path / "scores.csv")
    names = [
        f"{rank:02}-{row['file'].removesuffix('.png').replace('/', '_').replace(' ', '_')}.png"
        for rank, row in enumerate(rows[:12], start=1)
    ]
    assert files_below(tmp_path / "maps") == names
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
    assert len(files_below(tmp_path / "maps")) == 30


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
    before = files_below(tmp_path)
    ended = run_agad("score", exported, folder, "--heatmaps", tmp_path / "maps")
    assert ended.code == 0, ended.err
    maps = files_below(tmp_path / "maps")
    assert len(maps) == 5  # What is hidden is passed over.
    assert all(len(name) < 120 for name in maps)
    assert set(files_below(tmp_path)) - {*before} == {"maps", *(f"maps/{name}" for name in maps)}


def test_a_folder_without_a_picture_is_refused(
    run_agad: RunAgad, exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("none")
    ended = run_agad("score", exported, tmp_path / "empty", "--csv", tmp_path / "scores.csv")
    assert_one_line(ended)
    assert "empty holds no image, but must hold one at least" in ended.err
    assert_one_line(run_agad("score", exported, tmp_path / "nowhere"))
    assert_one_line(run_agad("score", exported, exported))
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
    before = files_below(tmp_path)
    outputs = ("--csv", tmp_path / "scores.csv", "--heatmaps", tmp_path / "maps")
    ended = run_agad("score", exported, pictures, *outputs)
    assert_one_line(ended)
    assert "digit 3/bad.png" in ended.err
    assert files_below(tmp_path) == before


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
    before = {row["file"]: float(row["score"]) for row in read_csv(tmp_path / "before.csv")}
    after = {row["file"]: float(row["score"]) for row in read_csv(tmp_path / "after.csv")}
    assert after == pytest.approx(before, rel=1e-6)


def test_a_folder_of_damaged_pictures_alone_is_refused(
    run_agad: RunAgad, exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"no picture")
    ended = run_agad("score", exported, tmp_path / "bad", "--skip-damaged")
    assert_one_line(ended)
    assert "holds 1 image, but none that can be decoded: " in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--top", "0"], "--top is 0, but must be a whole number, at least 1"),
        (["--top", "-3"], "--top is -3, but must be a whole number, at least 1"),
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
    before = files_below(here.parent)
    ended = run_agad("score", exported, pictures, *arguments)
    assert_one_line(ended)
    assert message in ended.err
    assert files_below(here.parent) == before


@pytest.mark.parametrize("cut", [0, 10, 1000])
def test_a_file_that_is_no_model_is_refused(
    run_agad: RunAgad, exported: Path, pictures: Path, cut: int
) -> None:
    exported.write_bytes(exported.read_bytes()[:cut])
    ended = run_agad("score", exported, pictures)
    assert_one_line(ended)
    assert f"{exported} is no model of agad" in ended.err
    ended = run_agad("score", exported.with_name("nothing"), pictures)
    assert_one_line(ended)
    assert "nothing cannot be read (No such file" in ended.err


def test_a_model_without_a_threshold_is_refused(
    run_agad: RunAgad, trained: str, pictures: Path, tmp_path: Path
) -> None:
    objects: ObjectStore = LocalObjects(Path(trained))
    (tmp_path / "model").write_bytes(objects.get(objects.list("tiny/models/")[0]))
    ended = run_agad("score", tmp_path / "model", pictures)
    assert_one_line(ended)
    assert "model has no threshold; write it with agad export" in ended.err


def test_a_name_that_drives_a_terminal_is_refused(
    run_agad: RunAgad, exported: Path, pictures: Path
) -> None:
    Image.new("L", (16, 16)).save(pictures / "a\x1b[2Jb.png")
    ended = run_agad("score", exported, pictures)
    assert_one_line(ended)
    assert r"'a\x1b[2Jb.png'" in ended.err
    assert "\x1b" not in ended.err


def test_a_name_that_is_no_unicode_is_refused(
    run_agad: RunAgad, exported: Path, pictures: Path
) -> None:
    (pictures / os.fsdecode(b"\xff.png")).write_bytes(b"")
    ended = run_agad("score", exported, pictures)
    assert_one_line(ended)
    assert "rename it" in ended.err


def test_names_are_not_read_as_markup(run_agad: RunAgad, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "markup").mkdir()
    Image.new("L", (16, 16)).save(tmp_path / "markup" / "[red]a.png")
    ended = run_agad("score", exported, tmp_path / "markup")
    assert ended.code == 0
    assert "[red]a.png" in ended.out


@pytest.mark.parametrize(
    ("auroc", "said"),
    [(0.29, "is 0.290, worse than chance"), (0.5, "is 0.500, not told apart from chance")],
)
def test_score_warns_of_a_model_that_is_not_better_than_chance(  # noqa: PLR0913  Fixtures.
    run_agad: RunAgad, exported: Path, pictures: Path, tmp_path: Path, auroc: float, said: str
) -> None:
    model = SavedModel.read(exported)
    bad = tmp_path / "bad.model"
    bad.write_bytes(replace(model, card=replace(model.card, test_auroc=auroc)).to_bytes())
    ended = run_agad("score", bad, pictures)
    assert ended.code == 0
    assert (
        f"agad: warning: the test AUROC of this model {said} (chance is 0.5): do not rely on its "
        "scores.\n" in ended.err
    )
