"""The files that a job needs: a project without its data, caches and secrets."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pathspec import GitIgnoreSpec

from agad.config import count_text
from agad.errors import ConfigError
from agad.executor.jobs.secrets import check_no_secret, is_secret_file
from agad.records import Commit, commit_of

MAX_BYTES = 10 * 1024**2
"""The most bytes of all files together. Ray's own limit of 100 MiB acts only after the upload, and
its error names no file."""

_NUM_NAMED = 5
"""How many of the largest files an error names."""

_Rules: TypeAlias = tuple[tuple[Path, GitIgnoreSpec], ...]
"""Rules of each ``.gitignore`` with its folder, the outermost folder first."""

_PROJECT_MARKS = (".git", "pyproject.toml")

_CACHES = GitIgnoreSpec.from_lines(
    (
        ".git/",
        ".hg/",
        ".svn/",
        ".venv/",
        "venv/",
        ".tox/",
        ".nox/",
        "__pycache__/",
        "*.pyc",
        "*.egg-info/",
        ".mypy_cache/",
        ".ruff_cache/",
        ".pytest_cache/",
        ".ipynb_checkpoints/",
        ".idea/",
        ".vscode/",
        "node_modules/",
        "pyvenv.cfg",
        ".DS_Store",
    )
)
"""Files that every project has and no job needs. No message mentions them."""

_DATA = GitIgnoreSpec.from_lines(
    (
        *("*.arrow", "*.feather", "*.npy", "*.npz", "*.parquet", "*.pickle", "*.pkl", "*.h5"),
        *("*.hdf5", "*.db", "*.sqlite", "*.ckpt", "*.model", "*.onnx", "*.pt", "*.pt2", "*.pth"),
        *("*.bin", "*.safetensors", "*.avi", "*.bmp", "*.gif", "*.jpeg", "*.jpg", "*.mp4"),
        *("*.png", "*.tif", "*.tiff", "*.bz2", "*.gz", "*.lz4", "*.tar", "*.tgz", "*.whl"),
        *("*.xz", "*.zip", "*.zst"),
    )
)
"""Images, rows and weights, which a job has from its store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """The files that a job is given."""

    archive: bytes
    """A zip file, the same bytes for the same files."""

    files: tuple[str, ...]
    """Paths of the files below the project's folder, sorted."""

    num_bytes: int
    """Size of the files before compression."""

    data: tuple[str, ...]
    """Paths that are left out: data and links."""

    secrets: tuple[str, ...]
    """Paths that are left out because their names say that they hold a secret."""

    commit: Commit | None
    """Commit of the project's folder; None if no repository holds the folder."""

    @property
    def digest(self) -> str:
        """Hash of the archive: different files have a different digest."""
        return hashlib.sha256(self.archive).hexdigest()[:16]


def find_project(file: Path) -> Path:
    """Return the project's folder of a study file.

    The project's folder is the nearest folder around the file with ``.git`` or ``pyproject.toml``,
    else the file's own folder.

    Raises:
        ConfigError: The folder would be the home, or the root of the disk.
    """
    folder = file.resolve().parent
    project = next((one for one in (folder, *folder.parents) if _is_marked(one)), folder)
    # A home folder under version control is more than a study in it needs.
    never = (Path.home().resolve(), Path(folder.anchor))
    if project in never:
        project = folder
    if project in never:
        raise ConfigError(
            f"{file} lies in {project}, which would be packed as its project; put the study into "
            "a folder of its own, or name one with --project."
        )
    return project


def _is_marked(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in _PROJECT_MARKS)


def pack(project: Path, file: Path, *, known_secrets: Collection[tuple[str, str]]) -> Package:
    """Pack a project for a job that runs one of its study files.

    ``.gitignore`` files count, also those above the folder in the same repository.

    Args:
        project: The project's folder.
        file: The study file, inside the folder.
        known_secrets: Names and values of secrets that no file may hold, for example of an
            environment variable.

    Raises:
        ConfigError: The study file would be left out, a file holds a secret, or the files are
            larger than 10 MiB together.
    """
    project, file = project.resolve(), file.resolve()
    walk = _Walk(project)
    paths = sorted(walk.files(), key=lambda path: path.relative_to(project).as_posix())
    if file not in paths:
        raise ConfigError(
            f"{file} is not among the files that are packed of {project}; take it out of its "
            ".gitignore, or name the folder that holds it with --project."
        )
    sizes = {path: path.stat().st_size for path in paths}
    _check_size(project, sizes)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            name = path.relative_to(project).as_posix()
            data = path.read_bytes()
            check_no_secret(name, data, known_secrets)
            # Without a time of change, equal files give equal bytes, which Ray uploads once.
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (path.stat().st_mode & 0o777) << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return Package(
        archive=buffer.getvalue(),
        files=tuple(path.relative_to(project).as_posix() for path in paths),
        num_bytes=sum(sizes.values()),
        data=tuple(sorted(walk.data)),
        secrets=tuple(sorted(walk.secrets)),
        commit=commit_of(project),
    )


def _check_size(project: Path, sizes: dict[Path, int]) -> None:
    total = sum(sizes.values())
    if total <= MAX_BYTES:
        return
    largest = sorted(sizes, key=lambda path: -sizes[path])[:_NUM_NAMED]
    named = ", ".join(
        f"{path.relative_to(project).as_posix()} ({sizes[path] / 1024**2:.1f} MiB)"
        for path in largest
    )
    raise ConfigError(
        f"the project {project} is {total / 1024**2:.1f} MiB in {count_text(len(sizes), 'file')}, "
        f"but must be at most {MAX_BYTES / 1024**2:.0f} MiB; the largest are {named}: put what "
        "the study does not need into .gitignore, or name a smaller folder with --project."
    )


class _Walk:
    """Walks through a project, and notes the left-out paths that a user may miss."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self.data: list[str] = []
        self.secrets: list[str] = []

    def files(self) -> Iterator[Path]:
        """Yield the files that a job needs."""
        yield from self._below(self._project, _ignored_above(self._project))

    def _below(self, folder: Path, rules: _Rules) -> Iterator[Path]:
        rules += _rules_of(folder)
        for path in sorted(folder.iterdir()):
            is_folder = path.is_dir() and not path.is_symlink()
            name = path.relative_to(self._project).as_posix() + ("/" if is_folder else "")
            if _CACHES.match_file(name) or _is_ignored(path, rules, is_folder=is_folder):
                continue
            if is_secret_file(name):
                self.secrets.append(name)
            elif is_folder:
                yield from self._folder(path, name, rules)
            elif path.is_symlink() or not path.is_file() or _DATA.match_file(name):
                self.data.append(name)
            else:
                yield path

    def _folder(self, path: Path, name: str, rules: _Rules) -> Iterator[Path]:
        if (path / "pyvenv.cfg").exists():
            return  # A virtual environment of any name.
        if path.name in ("data", "datasets") and not any(path.glob("*.py")):
            self.data.append(name)
            return
        yield from self._below(path, rules)


def _rules_of(folder: Path) -> _Rules:
    file = folder / ".gitignore"
    if not file.is_file():
        return ()
    lines = file.read_text(errors="replace").splitlines()
    return ((folder, GitIgnoreSpec.from_lines(lines)),)


def _ignored_above(project: Path) -> _Rules:
    """Return the rules of the folders above, from the top of the repository down."""
    if (project / ".git").exists():
        return ()
    above = list(project.parents)
    top = next((n for n, folder in enumerate(above) if (folder / ".git").exists()), -1)
    return tuple(rule for folder in reversed(above[: top + 1]) for rule in _rules_of(folder))


def _is_ignored(path: Path, rules: _Rules, *, is_folder: bool) -> bool:
    """Whether a path is ignored, by the innermost ``.gitignore`` that has a rule for it."""
    for folder, spec in reversed(rules):
        name = path.relative_to(folder).as_posix() + ("/" if is_folder else "")
        include = spec.check_file(name).include
        if include is not None:
            return include
    return False
