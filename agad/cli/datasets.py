"""The commands that import, fetch, list, show and remove data sets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agad.cli.asking import add_yes_flag, is_confirmed
from agad.cli.files import write_file
from agad.cli.flags import add_cache_flags, add_store_flag, node_cache
from agad.cli.screen import screen
from agad.errors import ConfigError
from agad.reading import store_uri
from agad.report import dataset_classes, dataset_details, dataset_line, dataset_table, plain

if TYPE_CHECKING:
    from agad.data import ImportOptions, Library

_NUM_SHOWN = 5
"""Names of files and folders without images that an import prints."""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add ``import``, ``fetch``, ``list``, ``show`` and ``remove``."""
    commands = parser.add_subparsers(dest="data_command", required=True, metavar="COMMAND")

    import_ = commands.add_parser("import", help="import a data set from its files, once a store")
    import_.add_argument("name", metavar="NAME", help="a known data set, or a name of your choice")
    import_.add_argument(
        "--from", dest="path", type=Path, metavar="PATH", help="folder or file to read"
    )
    _add_import_flags(import_)
    import_.set_defaults(do=_import)

    fetch = commands.add_parser("fetch", help="download a known data set, check it and import it")
    fetch.add_argument("name", metavar="NAME", help="a known data set")
    fetch.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        help="folder for the official files (default: ~/.agad/downloads/NAME)",
    )
    _add_import_flags(fetch)
    fetch.set_defaults(do=_fetch)

    list_ = commands.add_parser("list", help="list the data sets of a store, and the known ones")
    add_store_flag(list_)
    list_.set_defaults(do=_list)

    show = commands.add_parser("show", help="show a data set's classes, source and duplicates")
    show.add_argument("name", metavar="NAME")
    show.add_argument(
        "--png", type=Path, metavar="FILE", help="write training images of each class as a picture"
    )
    add_store_flag(show)
    add_cache_flags(show)
    show.set_defaults(do=_show)

    remove = commands.add_parser("remove", help="remove a data set that no study needs")
    remove.add_argument("name", metavar="NAME")
    add_store_flag(remove)
    add_yes_flag(remove)
    remove.set_defaults(do=_remove)


def _add_import_flags(parser: argparse.ArgumentParser) -> None:
    add_store_flag(parser)
    parser.add_argument(
        "--format",
        metavar="F",
        help="digits, idx, cifar10, cifar100-coarse, cifar100-fine, medmnist or folder "
        "(default: the known data set's, else by the path)",
    )
    parser.add_argument(
        "--size",
        type=int,
        metavar="PX",
        help="height and width to resize to: 16, 32, 64, 128, 224 or 256 (AGAD: at most 128)",
    )
    parser.add_argument(
        "--filter", default="bilinear", metavar="F", help="Pillow's (default: bilinear)"
    )
    parser.add_argument(
        "--fit",
        default="stretch",
        metavar="F",
        help="what an image that is not square becomes: stretch (default), pad (with black) or "
        "crop (to the middle)",
    )
    parser.add_argument(
        "--value-range",
        metavar="LOW-HIGH",
        help="values of 16-bit pictures that become 0 and 255, such as 0-4095 for 12 bits "
        "(default: 0-65535)",
    )
    parser.add_argument(
        "--mode",
        default="auto",
        metavar="M",
        help="L, RGB or auto, of a folder of images (default: auto)",
    )
    parser.add_argument(
        "--layout",
        default="auto",
        metavar="L",
        help="parts (train/ and test/), classes or auto, of a folder of images (default: auto)",
    )
    parser.add_argument(
        "--masks",
        default="auto",
        metavar="M",
        help="drop or keep whatever has a mask's name, or auto, of a folder of images: leave out "
        "what is shown to be a mask (default: auto)",
    )
    parser.add_argument(
        "--test-share",
        type=float,
        metavar="X",
        help="choose this share of each class as the test part, instead of an official one",
    )
    parser.add_argument(
        "--test-seed", type=int, metavar="N", help="seed of that choice (default: 0)"
    )
    parser.add_argument(
        "--keep-split",
        action="store_true",
        help="keep an official training part of one class, for studies that select without labels",
    )
    parser.add_argument(
        "--drop-duplicates",
        action="store_true",
        help="keep images that are in both parts, or of two classes, out of training",
    )


def _import(arguments: argparse.Namespace) -> int:
    return _imported(arguments.name, arguments.path, _library(arguments), _options(arguments))


def _library(arguments: argparse.Namespace) -> Library:
    from agad.data import Library
    from agad.objects import open_objects

    return Library(open_objects(store_uri(arguments.store)))


def _fetch(arguments: argparse.Namespace) -> int:
    from agad.data import KNOWN, fetch_files

    known = KNOWN.get(arguments.name)
    if known is None or not known.files:
        fetchable = ", ".join(name for name, one in KNOWN.items() if one.files)
        raise ConfigError(
            f"data set name is {arguments.name!r}, but only these can be fetched: {fetchable}."
        )
    options = _options(arguments)  # A wrong flag is refused before the download.
    library = _library(arguments)
    folder = arguments.to or Path("~/.agad/downloads").expanduser() / known.name
    fetch_files(known.files, folder, notify=lambda line: print(line, flush=True))
    return _imported(arguments.name, folder, library, options)


def _imported(name: str, path: Path | None, library: Library, options: ImportOptions) -> int:
    from agad.data import import_dataset

    done = import_dataset(name, path, library, options)
    console = screen()
    if done.ignored:
        shown = ", ".join(done.ignored[:_NUM_SHOWN])
        num_more = len(done.ignored) - _NUM_SHOWN
        more = f" and {num_more:,} more" if num_more > 0 else ""
        console.print(f"Left out: {shown}{more}", markup=False)
    console.print(dataset_line(done.manifest, library.uri, is_new=done.is_new), markup=False)
    for sentence in (dataset_classes(done.manifest), *done.notes):
        console.print(plain(sentence), markup=False)
    return 0


def _options(arguments: argparse.Namespace) -> ImportOptions:
    from agad.data import FORMATS, ImportOptions, TestChoice, ValueRange

    if arguments.format is not None and arguments.format not in FORMATS:
        raise ConfigError(
            f"--format is {arguments.format!r}, but must be one of: {', '.join(FORMATS)}."
        )
    if arguments.test_seed is not None and arguments.test_share is None:
        raise ConfigError("--test-seed is given without --test-share; give both.")
    choice: dict[str, Any] = {"share": arguments.test_share, "seed": arguments.test_seed or 0}
    return ImportOptions(
        format=arguments.format,
        image_px=arguments.size,
        filter=arguments.filter,
        fit=arguments.fit,
        value_range=(
            None if arguments.value_range is None else ValueRange.parse(arguments.value_range)
        ),
        mode=arguments.mode,
        layout=arguments.layout,
        masks=arguments.masks,
        test=None if arguments.test_share is None else TestChoice(**choice),
        drop_duplicates=arguments.drop_duplicates,
        keep_split=arguments.keep_split,
    )


def _list(arguments: argparse.Namespace) -> int:
    from agad.data import KNOWN

    library = _library(arguments)
    manifests = [library.manifest(name) for name in library.names()]
    screen().print(dataset_table(manifests, library.uri, [*KNOWN]))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from agad.data import contact_sheet, find_manifest, open_images

    cache = node_cache(arguments)
    library = _library(arguments)
    manifest = find_manifest(library, arguments.name)
    screen().print(dataset_details(manifest))
    if arguments.png:
        images = open_images(manifest, "train", store=library.uri, cache=cache)
        write_file(arguments.png, contact_sheet(images, manifest.class_names))
        print(f"Training images of each class: {arguments.png}")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    from agad.data import Library
    from agad.objects import open_objects
    from agad.store import studies_with_dataset

    name = arguments.name
    objects = open_objects(store_uri(arguments.store))
    library = Library(objects)
    if name not in library.names():
        library.manifest(name)  # Raises the error that names what there is.
    if studies := studies_with_dataset(objects, name):
        raise ConfigError(
            f"data set {name!r} is needed by {', '.join(studies)} in {library.uri}, to go on, to "
            "diagnose and to export; remove each of them first with agad store remove STUDY."
        )
    if is_confirmed(arguments, f"data set {name} from {library.uri}"):
        num_bytes = library.remove(name)
        print(plain(f"{name}: removed from {library.uri}, {num_bytes:,} bytes."))
    return 0
