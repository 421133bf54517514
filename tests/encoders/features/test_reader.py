"""Cached features: computed once, for the images asked for, by any number of processes."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from agad.data import Library, Manifest, Part, find_manifest, on_device, open_images
from agad.encoders import EncoderReference
from agad.encoders.features import FeatureReader, open_stored_encoder, put_encoder, reader
from agad.encoders.networks import find_encoder, output_of
from agad.errors import ConfigError, DataError, StoreError
from agad.objects import open_objects

if TYPE_CHECKING:
    from tests.encoders.features.conftest import MakeReader

_GIB = 2**30
ROOT = Path(__file__).parents[3]
CPU = torch.device("cpu")

SOME = np.array([40, 3, 77, 3, 12])
"""Images in no order, the second twice."""


def _directly(
    one: FeatureReader, indices: NDArray[np.intp], part: Part = "train", output: str = "global"
) -> NDArray[np.float32]:
    """Return features as the encoder gives them, without features of the cache."""
    encoder = open_stored_encoder(one.encoder, store=one.store, cache=one.cache, device=CPU)
    pixels = open_images(one.data, part, store=one.store, cache=one.cache).pixels
    images = on_device(pixels, indices, CPU).take(torch.arange(len(indices)))
    found: NDArray[np.float32] = encoder.outputs(images, [output])[output].numpy()
    return found


def _files(folder: Path) -> list[Path]:
    """Return the files of features below a cache or a store, sorted."""
    found = [*folder.glob("features-*/*.safetensors"), *folder.glob("_features/*/*.safetensors")]
    return sorted(found)


def _left_over(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


def _assert_close(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_features_are_the_encoders_in_the_order_asked_for(make_reader: MakeReader) -> None:
    one = make_reader()
    found = one.read("train", SOME)
    assert found.shape == (5, 1280)
    assert found.dtype == np.float32
    _assert_close(found, _directly(one, SOME))
    np.testing.assert_array_equal(found[1], found[3])
    assert np.ptp(found, axis=0).max() > 0.01  # Images differ by more than rounding.


def test_maps_are_kept_as_features_are(make_reader: MakeReader) -> None:
    first, second = make_reader(), make_reader()
    found = first.read("train", SOME, output="stage2")
    assert found.shape == (5, 24, 8, 8)
    _assert_close(found, _directly(first, SOME, output="stage2"))
    np.testing.assert_array_equal(second.read("train", SOME, output="stage2"), found)
    assert second.num_computed == 0


def test_only_images_that_are_asked_for_are_computed_and_each_once(
    make_reader: MakeReader,
) -> None:
    first, second = make_reader(), make_reader()
    first.read("train", np.arange(10))
    first.read("train", np.arange(5, 15))
    second.read("train", np.arange(12, 20))
    second.read("train", np.arange(20))
    assert (first.num_computed, second.num_computed) == (15, 5)
    assert first.compute_s > 0


def test_features_do_not_depend_on_what_is_computed_with_them(
    make_reader: MakeReader, store: Path, tmp_path: Path
) -> None:
    shutil.copytree(store, tmp_path / "other")
    whole = make_reader("one").read("train", np.arange(90)[::-1])[::-1]
    piecewise = make_reader("two", uri=str(tmp_path / "other"))
    for begin in (70, 0, 35):
        piecewise.read("train", np.arange(begin, begin + 20))
    np.testing.assert_array_equal(piecewise.read("train", np.arange(90)), whole)
    assert piecewise.num_computed == 90


def test_a_filled_cache_needs_neither_store_nor_images_nor_encoder(
    make_reader: MakeReader, tmp_path: Path, store: Path
) -> None:
    before = make_reader().read("train", SOME)
    shutil.rmtree(store)
    shutil.rmtree(tmp_path / "node/encoders")
    for path in (tmp_path / "node").glob("*.arrow"):
        path.unlink()
    again = make_reader()
    np.testing.assert_array_equal(again.read("train", SOME), before)
    assert again.num_computed == 0


def test_another_node_fetches_what_the_store_holds(
    make_reader: MakeReader, tmp_path: Path, store: Path
) -> None:
    before = make_reader("first").read("train", SOME)
    for path in store.rglob("*.arrow"):
        path.unlink()  # Without images nobody can compute.
    other = make_reader("second")
    np.testing.assert_array_equal(other.read("train", SOME), before)
    assert other.num_computed == 0
    names = [path.name for path in _files(store)]
    assert [path.name for path in _files(tmp_path / "second")] == names
    with pytest.raises(StoreError, match=r"\.arrow"):
        make_reader("third").read("train", np.array([5]))


def test_features_are_kept_in_a_bucket(
    make_reader: MakeReader, s3_uri: str, mine: EncoderReference, own_weights: Path
) -> None:
    objects = open_objects(s3_uri)
    find_manifest(Library(objects), "digits")
    put_encoder(mine, own_weights, objects)
    before = make_reader("first", uri=s3_uri).read("train", SOME)
    other = make_reader("second", uri=s3_uri)
    np.testing.assert_array_equal(other.read("train", SOME), before)
    assert other.num_computed == 0


def test_a_search_is_refused_the_features_of_the_test_part(
    make_reader: MakeReader, tmp_path: Path, store: Path, digits: Manifest
) -> None:
    searching = make_reader(sees_test=False)
    with pytest.raises(ConfigError, match="test part of digits were asked for by a trial that"):
        searching.read("test", SOME)
    assert not (tmp_path / "node").exists()
    searching.read("train", SOME)
    assert not (tmp_path / f"node/{digits.test.sha256}.arrow").exists()
    make_reader(sees_test=True).read("test", SOME)
    # Not even if they are there.
    with pytest.raises(ConfigError, match="a search reads the training part alone"):
        make_reader(sees_test=False).read("test", SOME)
    assert len(_files(store)) == 2


def test_features_of_the_two_parts_are_not_mixed_up(make_reader: MakeReader) -> None:
    one = make_reader(sees_test=True)
    train, test = one.read("train", SOME), one.read("test", SOME)
    _assert_close(test, _directly(one, SOME, "test"))
    assert not np.array_equal(train, test)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        (np.array([0, -1]), "indices are from -1 to 0, but must be from 0 to"),
        (np.array([10**6]), "indices are from 1000000 to 1000000, but must be"),
        (np.array([0.5]), r"indices are float64 of shape \(1,\), but must be whole numbers"),
        (np.array([[1]]), r"of shape \(1, 1\), but must be whole numbers of shape"),
        (np.array([], np.int64), r"of shape \(0,\), but .*at least one"),
    ],
    ids=["negative", "too large", "no whole number", "a table", "none"],
)
def test_indices_of_no_image_are_refused(
    make_reader: MakeReader, indices: NDArray[np.int64], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_reader().read("train", indices)


def test_an_unknown_layer_is_refused(make_reader: MakeReader, store: Path) -> None:
    with pytest.raises(ConfigError, match=r"layers of mine\.safetensors are stage9, but must be"):
        make_reader().read("train", SOME, output="stage9")
    assert _files(store) == []


def test_progress_counts_the_images_that_were_missing(
    make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "CHUNK_IMAGES", 64)
    make_reader().read("train", np.arange(10))
    told: list[tuple[int, int]] = []
    other = make_reader()
    other.read("train", np.arange(150), on_progress=lambda *counts: told.append(counts))
    assert told == [(64, 140), (128, 140), (140, 140)]
    other.read("train", np.arange(150), on_progress=lambda *counts: told.append(counts))
    assert len(told) == 3


def test_a_file_of_large_maps_ends_early(
    make_reader: MakeReader, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_CHUNK_BYTES", 1)
    make_reader().read("train", np.arange(150))
    assert len(_files(store)) == 3  # Batches of 64, 64 and 22.


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _foreign(path: Path) -> None:
    save_file({"images": torch.zeros(1, dtype=torch.int64)}, str(path))


@pytest.mark.parametrize("damage", [_cut, _empty, _foreign])
@pytest.mark.parametrize("num_computed", [0, 4], ids=["fetched", "computed"])
def test_a_damaged_file_of_the_cache_is_replaced(
    make_reader: MakeReader,
    tmp_path: Path,
    damage: Callable[[Path], None],
    num_computed: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = make_reader().read("train", SOME)
    (path,) = _files(tmp_path / "node")
    whole = path.read_bytes()
    damage(path)
    if num_computed:
        shutil.rmtree(tmp_path / "store/_features")
    again = make_reader()
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(again.read("train", SOME), before)
    assert "The file is removed, and fetched or computed again" in caplog.text
    assert again.num_computed == num_computed
    assert path.read_bytes() == whole


def test_a_changed_object_of_the_store_is_refused(
    make_reader: MakeReader, tmp_path: Path, store: Path
) -> None:
    make_reader("first").read("train", SOME)
    (path,) = _files(store)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"the fetched file has SHA-256 .*the store's object was"):
        make_reader("second").read("train", SOME)
    assert _files(tmp_path / "second") == _left_over(tmp_path / "second") == []


def test_notes_beside_the_features_are_left_alone(make_reader: MakeReader, store: Path) -> None:
    before = make_reader("first").read("train", SOME)
    (path,) = _files(store)
    (path.parent / "a-note.txt").write_text("by hand")
    np.testing.assert_array_equal(make_reader("second").read("train", SOME), before)


def test_features_share_the_limit_of_the_cache_with_the_images(
    make_reader: MakeReader, tmp_path: Path, digits: Manifest, mine: EncoderReference
) -> None:
    make_reader().read("train", np.arange(10))
    (first,) = _files(tmp_path / "node")
    others = digits.train.num_bytes + mine.num_bytes
    max_gib = (others + 1.5 * first.stat().st_size) / _GIB
    os.utime(first, (0, 0))
    found = make_reader(max_gib=max_gib).read("train", np.arange(10, 20))
    assert first not in _files(tmp_path / "node")
    assert len(_files(tmp_path / "node")) == 1
    # An evicted file is fetched again, and files that are read together need not fit together.
    again = make_reader(max_gib=max_gib)
    np.testing.assert_array_equal(again.read("train", np.arange(20))[10:], found)
    assert again.num_computed == 0


def test_a_file_that_the_cache_cannot_hold_is_one_line(make_reader: MakeReader) -> None:
    make_reader("first").read("train", np.arange(10))
    with pytest.raises(DataError, match=r"does not fit the cache .*; raise --cache-gib"):
        make_reader("second", max_gib=1000 / _GIB).read("train", np.arange(10))


def test_features_that_are_not_finite_are_refused(
    make_reader: MakeReader, tmp_path: Path, store: Path, own_weights: Path
) -> None:
    tensors = load_file(str(own_weights))
    tensors["_bn1.running_var"] = torch.full((1280,), -1.0)  # Its square root is divided by.
    path = tmp_path / "wild.safetensors"
    save_file(tensors, str(path))
    wild = find_encoder(str(path), image_px=32)
    put_encoder(wild, path, open_objects(str(store)))
    with pytest.raises(DataError, match=r"by the encoder wild\.safetensors are not finite"):
        make_reader(encoder=wild).read("train", SOME)
    assert _files(store) == []


def test_an_interrupted_write_leaves_what_the_next_reader_finds(
    make_reader: MakeReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(path: Path, data: bytes) -> None:
        path.write_bytes(data[: len(data) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reader, "_write", write_half)
        with pytest.raises(KeyboardInterrupt):
            make_reader().read("train", SOME)
    assert _files(tmp_path / "node") == _left_over(tmp_path / "node") == []
    again = make_reader()
    again.read("train", SOME)
    assert again.num_computed == 0  # The store has the whole file.


_PROCESSES = """
import json, multiprocessing, os, signal, sys
import numpy as np
import torch
from agad.config import typed
from agad.data import Manifest, NodeCache
from agad.encoders import EncoderReference
from agad.encoders.features import FeatureReader, reader

torch.set_num_threads(1)
order = json.loads(sys.stdin.read())
manifest = Manifest.from_json(json.dumps(order["manifest"]).encode(), "")
encoder = typed(EncoderReference, order["encoder"])
reader.CHUNK_IMAGES = 16

def make():
    cache = NodeCache(folder=order["cache"])
    return FeatureReader(
        encoder=encoder, data=manifest, store=order["store"], cache=cache, sees_test=False
    )

def work(begin, answers, barrier):
    one = make()
    barrier.wait(60)
    features = one.read("train", np.arange(begin, begin + 96))
    answers.put((one.num_computed, float(features.astype(np.float64).sum())))

def die(path, data):
    die.num_written += 1
    if die.num_written == 3:
        path.write_bytes(data[:len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    path.write_bytes(data)

die.num_written = 0
if order["dies"]:
    reader._write = die
    make().read("train", np.arange(96))
context = multiprocessing.get_context("fork")
barrier, answers = context.Barrier(3), context.SimpleQueue()
processes = [
    context.Process(target=work, args=(begin, answers, barrier)) for begin in (0, 0, 48)
]
for process in processes:
    process.start()
for process in processes:
    process.join()
    assert process.exitcode == 0, process.exitcode
print(json.dumps([answers.get() for _ in processes]))
"""
"""Reads the features of 144 images in 3 processes at once; or dies in the midst of its third
file."""


def _in_processes(one: FeatureReader, *, dies: bool) -> subprocess.CompletedProcess[str]:
    order = {
        "manifest": json.loads(one.data.to_json()),
        "encoder": dataclasses.asdict(one.encoder),
        "cache": one.cache.folder,
        "store": one.store,
        "dies": dies,
    }
    return subprocess.run(
        [sys.executable, "-c", _PROCESSES],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=ROOT,
    )


def test_processes_that_read_at_once_share_the_work(
    make_reader: MakeReader, tmp_path: Path
) -> None:
    done = _in_processes(make_reader(), dies=False)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    num_computed = [num for num, _ in answers]
    # An image that two need at once may be computed by both; each alone would compute 96.
    assert 144 <= sum(num_computed) <= 144 + 96
    assert min(num_computed) > 0
    whole = make_reader()
    features = whole.read("train", np.arange(144)).astype(np.float64)
    sums = [features[:96].sum(), features[:96].sum(), features[48:].sum()]
    totals = [total for _, total in answers]
    np.testing.assert_allclose(sorted(totals), sorted(sums), rtol=1e-12)
    assert whole.num_computed == 0
    assert _left_over(tmp_path / "node") == []


def test_after_a_killed_writer_the_next_reader_goes_on(
    make_reader: MakeReader, tmp_path: Path
) -> None:
    done = _in_processes(make_reader(), dies=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(_left_over(tmp_path / "node")) == 1
    assert len(_files(tmp_path / "node")) == 2
    again = make_reader()
    found = again.read("train", np.arange(96))
    assert again.num_computed == 96 - 3 * 16  # The third file had reached the store.
    assert _left_over(tmp_path / "node") == []
    _assert_close(found, _directly(again, np.arange(96)))


def test_several_layers_are_computed_in_one_pass_and_kept_joined(make_reader: MakeReader) -> None:
    one = make_reader()
    found = one.read("train", SOME, output=output_of(["stage2", "stage3"]))
    assert found.shape == (5, 24 + 40, 8, 8)
    _assert_close(found[:, :24], _directly(one, SOME, output="stage2"))
    assert one.num_computed == 4
    again = make_reader()
    np.testing.assert_array_equal(found, again.read("train", SOME, output="stage2+stage3"))
    assert again.num_computed == 0
