"""The images that a user names are found among the training images, or refused in one line."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from agad.data import ImportOptions, Library, Manifest, find_named, import_dataset
from agad.errors import ConfigError
from agad.objects import open_objects


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A store with a folder of pictures in parts, of which one test picture is in training too."""
    folder = tmp_path_factory.mktemp("photos")
    grey = 0
    for part, class_name, names in (
        ("train", "good", ["0.png", "1.png"]),
        ("train", "bent", ["7.png", "only.png"]),
        ("train", "torn", ["7.png"]),
        ("test", "good", ["2.png"]),
        ("test", "bent", ["9.png"]),
    ):
        (folder / part / class_name).mkdir(parents=True, exist_ok=True)
        for name in names:
            grey += 20
            Image.new("L", (16, 16), grey).save(folder / part / class_name / name)
    Image.new("L", (16, 16), grey).save(folder / "train" / "bent" / "copy.png")
    library = Library(open_objects(str(tmp_path_factory.mktemp("store"))))
    import_dataset("photos", folder, library, ImportOptions(drop_duplicates=True))
    return library


@pytest.fixture
def photos(library: Library) -> Manifest:
    return library.manifest("photos")


def test_a_name_is_a_path_or_the_end_of_a_path(photos: Manifest, library: Library) -> None:
    names = ["only.png", "torn/7.png", "train/bent/7.png"]
    found = find_named("selection.pool", names, photos, library)
    known, labels = library.names_of(photos, "train")
    assert [known[place] for place in found.indices] == [
        "train/bent/only.png",
        "train/torn/7.png",
        "train/bent/7.png",
    ]
    assert [photos.class_names[labels[place]] for place in found.indices] == [
        "bent",
        "torn",
        "bent",
    ]
    assert found.labels.tolist() == labels.tolist()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["3.png"], "selection.pool names '3.png', but photos has no such image; its names are"),
        (["nly.png"], "selection.pool names 'nly.png', but photos has no such image"),
        (
            ["7.png"],
            "selection.pool names '7.png', but photos has several images of this name, such as "
            "train/bent/7.png and train/torn/7.png; name more of the path.",
        ),
        (
            ["9.png"],
            "selection.pool names '9.png', which is an image of the test part of photos, but "
            "labelled anomalies must be training images; name others.",
        ),
        (
            ["train/bent/copy.png"],
            "selection.pool names 'train/bent/copy.png', but photos keeps this image out of "
            "training (in the test part: test/bent/9.png); name another.",
        ),
        (
            ["only.png", "bent/only.png"],
            "selection.pool names 'only.png' and 'bent/only.png', which are one image of photos",
        ),
    ],
    ids=["unknown", "part of a word", "several", "test", "dropped", "twice"],
)
def test_a_name_of_no_single_training_image_is_refused(
    names: list[str], message: str, photos: Manifest, library: Library
) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}") as refused:
        find_named("selection.pool", names, photos, library)
    assert "\n" not in str(refused.value)


def test_the_images_of_official_formats_are_named_by_their_place(
    digits: Manifest, digits_library: Library
) -> None:
    known, labels = digits_library.names_of(digits, "train")
    assert re.fullmatch(r"train\[\d+\]", known[0])
    assert (len(known), len(labels)) == (digits.train.num_images,) * 2
    found = find_named("selection.pool", [known[5]], digits, digits_library)
    assert found.indices.tolist() == [5]
