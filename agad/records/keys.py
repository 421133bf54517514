"""The keys of all objects in a store, and the object that a key names. No other module spells keys.

Studies, data sets and the marks of a check lie side by side in a store. Here is an example of every
kind of object. ``TRIAL`` stands for a trial's key, ``HASH`` for another hash or a random number.

    _datasets/mnist/manifest.json           what is known of an imported data set
    _datasets/mnist/HASH.arrow              the images of its training or test part
    _encoders/HASH.safetensors              the weights of a user's own encoder
    _features/HASH/HASH.safetensors         features of some images of a part, by one encoder
    _probes/passed-2-HASH                   the store has passed check 2 of its puts
    _probes/HASH                            put and removed again while a store is checked
    a-study/study.json                      the study's configuration
    a-study/study-1.json                    its first extension
    a-study/status.json                     the live status, the only object that is overwritten
    a-study/lease/17.json                   the driver that holds the study; the last two stay
    a-study/claims/TRIAL/0.json             the trial's first attempt was launched
    a-study/claims/TRIAL/0-released.json    the attempt was given up in good order
    a-study/claims/TRIAL/0-paused.json      the attempt waits at a rung
    a-study/epochs/TRIAL/0.parquet          the attempt's epochs
    a-study/scores/TRIAL/0.parquet          the attempt's scores of the test images
    a-study/trials/TRIAL/0.parquet          the attempt's row, put after its epochs and scores
    a-study/diagnostics/TRIAL/0.parquet     what its kept checkpoints would have scored
    a-study/winners/HASH/100-5.json         a cell's choice, after 100 search trials and 5 seeds
    a-study/compact/trials-1-HASH.parquet   many rows in one file, written by the first compaction
    a-study/manifests/1.json                the files that the first compaction has left
    a-study/checkpoints/TRIAL/27-0.ckpt     the trial after 27 epochs, put by its first attempt
    a-study/kept/TRIAL/27-0.ckpt            the same, kept for diagnostics
    a-study/models/TRIAL.safetensors        the model of a confirmed trial
    a-study/pictures/TRIAL/12.png           test image 12 as that model rebuilds it
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from agad.errors import ConfigError, StoreError
from agad.records.rows import Winner

Table: TypeAlias = Literal["trials", "epochs", "scores"]
"""A table that compactions merge."""

AnyTable: TypeAlias = Table | Literal["diagnostics"]
Kind: TypeAlias = Literal["claims"] | AnyTable

Mark: TypeAlias = Literal["released", "paused"]
"""The way in which a driver ended an attempt: gave the attempt up, or let it wait at a rung."""

Attempt: TypeAlias = tuple[str, int]
"""A trial's key, and the number of the launch, from 0 on."""

TABLES: tuple[Table, ...] = ("trials", "epochs", "scores")
ALL_TABLES: tuple[AnyTable, ...] = (*TABLES, "diagnostics")
"""Diagnostics are never merged: they are few, and come long after their trials' rows."""

DATASETS_PREFIX = "_datasets/"
"""The start of the keys of all data sets. No study's name starts with ``_``."""

# A segment never starts with a dot: so ".." cannot leave the store, and the temporary files of a
# local store, which start with a dot, are no keys. 200 characters fit every file system.
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9._=-]{0,199}"
_KEY = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
_EXTENSIONS: dict[Kind, str] = {
    "claims": "json",
    "trials": "parquet",
    "epochs": "parquet",
    "scores": "parquet",
    "diagnostics": "parquet",
}
_CONFIG = re.compile(r"study(?:-([1-9]\d{0,8}))?\.json")
_COMPACT = re.compile(r"(trials|epochs|scores)-([1-9]\d{0,8})-[0-9a-f]{32}\.parquet")
_MANIFEST = re.compile(r"([1-9]\d{0,8})\.json")
_ATTEMPT = re.compile(r"([^/]+)/(0|[1-9]\d{0,8})\.(?:json|parquet)")
_LEASE = re.compile(r"(0|[1-9]\d{0,17})\.json")
_PICTURE = re.compile(r"(0|[1-9]\d{0,17})\.png")


def is_key(text: str) -> bool:
    """Whether a text can name an object: segments of letters, digits and ``._=-``."""
    return _KEY.fullmatch(text) is not None


def check_study_name(study: str) -> None:
    """Refuse a name that cannot be a prefix of keys, such as one that leaves the store.

    Raises:
        ConfigError: ``study`` is not one segment of a key.
    """
    if "/" in study or not is_key(study):
        raise ConfigError(
            f"study.name is {study!r}, but must hold only letters, digits, '.', '_' and '-', and "
            "not start with '.' or '-'."
        )


def dataset_manifest_key(name: str) -> str:
    """Return the key of a data set's manifest."""
    return f"{DATASETS_PREFIX}{name}/manifest.json"


def dataset_file_key(name: str, sha256: str) -> str:
    """Return the key of a data set's file with this digest."""
    return f"{DATASETS_PREFIX}{name}/{sha256}.arrow"


def dataset_of(key: str) -> str | None:
    """Return the name of the data set whose manifest a key names; None if the key names none."""
    match = re.fullmatch(rf"{DATASETS_PREFIX}([^/]+)/manifest\.json", key)
    return match[1] if match else None


def encoder_key(sha256: str) -> str:
    """Return the key of a user's own file of an encoder's weights with this digest."""
    return f"_encoders/{sha256}.safetensors"


def features_prefix(digest: str) -> str:
    """Return the start of the keys of the features that one encoder makes of one part's images.

    Args:
        digest: Tells the images, the encoder and its input size.
    """
    return f"_features/{digest}/"


def features_key(digest: str, sha256: str) -> str:
    """Return the key of the file with this digest among the features of ``features_prefix``."""
    return f"{features_prefix(digest)}{sha256}.safetensors"


def features_sha256(digest: str, key: str) -> str | None:
    """Return the digest of the file of features that a key names; None if the key names none."""
    match = re.fullmatch(r"([0-9a-f]{64})\.safetensors", key.removeprefix(features_prefix(digest)))
    return match[1] if match else None


def new_probe_key() -> str:
    """Return a new key of an object that a check of the store puts and removes."""
    # Not below "_probe": stores of agad 0.1 have an object of this name, in a folder a file.
    return f"_probes/{uuid.uuid4().hex}"


def passed_key(number: int, identity: str) -> str:
    """Return the key that marks that the store of this identity has passed check ``number``."""
    return f"_probes/passed-{number}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def study_prefix(study: str) -> str:
    """Return the start of the keys of all objects of a study."""
    return f"{study}/"


def config_prefix(study: str) -> str:
    """Return the start of the keys of all configurations of a study."""
    return f"{study}/study"


def config_key(study: str, number: int) -> str:
    """Return the key of a study's first configuration (0), or of its n-th extension."""
    return f"{study}/study-{number}.json" if number else f"{study}/study.json"


def config_number(study: str, key: str) -> int | None:
    """Return the number of the configuration that a key names; None if the key names none."""
    match = _CONFIG.fullmatch(key.removeprefix(f"{study}/"))
    return int(match[1] or 0) if match else None


def status_key(study: str) -> str:
    """Return the key of a study's live status, the only object that is overwritten."""
    return f"{study}/status.json"


def lease_prefix(study: str) -> str:
    """Return the start of the keys of all numbers of a study's lease."""
    return f"{study}/lease/"


def lease_key(study: str, number: int) -> str:
    """Return the key of the n-th number of a study's lease, from 0 on."""
    return f"{lease_prefix(study)}{number}.json"


def lease_number(study: str, key: str) -> int | None:
    """Return the number of the lease that a key names; None if the key names none."""
    match = _LEASE.fullmatch(key.removeprefix(lease_prefix(study)))
    return int(match[1]) if match else None


def winners_prefix(study: str) -> str:
    """Return the start of the keys of all winners."""
    return f"{study}/winners/"


def winner_key(study: str, winner: Winner) -> str:
    """Return the key of a cell's winner, which depends on the number of search trials and seeds."""
    cell = hashlib.sha256(winner.cell.encode()).hexdigest()[:32]
    extent = f"{winner.num_search_trials}-{winner.num_seeds}"
    return f"{winners_prefix(study)}{cell}/{extent}.json"


def attempts_prefix(study: str, kind: Kind) -> str:
    """Return the start of the keys of all objects of one kind."""
    return f"{study}/{kind}/"


def attempt_key(study: str, kind: Kind, trial_key: str, attempt: int) -> str:
    """Return the key of an attempt's object of this kind.

    Raises:
        StoreError: ``trial_key`` is not one segment of a key.
    """
    if "/" in trial_key or not is_key(trial_key):
        raise StoreError(f"trial key is {trial_key!r}, but must hold only letters and digits.")
    return f"{study}/{kind}/{trial_key}/{attempt}.{_EXTENSIONS[kind]}"


def attempt_of(study: str, kind: Kind, key: str) -> Attempt | None:
    """Return the trial key and attempt that a key names; None if the key names none."""
    match = _ATTEMPT.fullmatch(key.removeprefix(attempts_prefix(study, kind)))
    return (match[1], int(match[2])) if match else None


def mark_key(study: str, trial_key: str, attempt: int, mark: Mark) -> str:
    """Return the key of an attempt's marker, which lies beside its claim.

    Raises:
        StoreError: ``trial_key`` is not one segment of a key.
    """
    return attempt_key(study, "claims", trial_key, attempt).removesuffix(".json") + _suffix(mark)


def marked(study: str, keys: Collection[str], mark: Mark) -> Iterator[Attempt]:
    """Yield the attempt of every marker of this kind among ``keys``."""
    suffix = _suffix(mark)
    claims = (key.removesuffix(suffix) + ".json" for key in keys if key.endswith(suffix))
    attempts = (attempt_of(study, "claims", key) for key in claims)
    yield from (attempt for attempt in attempts if attempt is not None)


def _suffix(mark: Mark) -> str:
    return f"-{mark}.json"


def compact_prefix(study: str) -> str:
    """Return the start of the keys of all compacted files."""
    return f"{study}/compact/"


def compact_key(study: str, table: Table, number: int) -> str:
    """Return a new key for a file that the manifest of this number may list."""
    return f"{compact_prefix(study)}{table}-{number}-{uuid.uuid4().hex}.parquet"


def compact_number(study: str, key: str) -> int | None:
    """Return the manifest's number for which a compacted file was written; None for other keys."""
    prefix = compact_prefix(study)
    match = _COMPACT.fullmatch(key.removeprefix(prefix)) if key.startswith(prefix) else None
    return int(match[2]) if match else None


def manifests_prefix(study: str) -> str:
    """Return the start of the keys of all manifests."""
    return f"{study}/manifests/"


def manifest_key(study: str, number: int) -> str:
    """Return the key of the n-th manifest, from 1 on."""
    return f"{manifests_prefix(study)}{number}.json"


def manifest_number(study: str, key: str) -> int | None:
    """Return the number of the manifest that a key names; None if the key names none."""
    match = _MANIFEST.fullmatch(key.removeprefix(manifests_prefix(study)))
    return int(match[1]) if match else None


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class CheckpointName:
    """The name of a checkpoint of a trial. The greatest name is the newest.

    Example:
        >>> str(CheckpointName(num_epochs=27, attempt=1))
        '27-1.ckpt'
        >>> str(CheckpointName(num_epochs=0, num_pretrained=30, attempt=1))
        '0.30-1.ckpt'
    """

    num_epochs: int
    """Epochs trained."""

    num_pretrained: int = 0
    """Epochs trained before the study's first epoch; 0 in names from that first epoch on."""

    attempt: int
    """Number of the launch that wrote the checkpoint, from 0 on."""

    def __str__(self) -> str:
        pretrained = f".{self.num_pretrained}" if self.num_pretrained else ""
        return f"{self.num_epochs}{pretrained}-{self.attempt}.ckpt"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the name that a text spells; None if the text is no name of a checkpoint."""
        count = r"[1-9]\d{0,8}"
        match = re.fullmatch(rf"(0|{count}|0\.{count})-(0|{count})\.ckpt", text)
        if match is None:
            return None
        num_epochs, _, num_pretrained = match[1].partition(".")
        return cls(
            num_epochs=int(num_epochs),
            num_pretrained=int(num_pretrained or 0),
            attempt=int(match[2]),
        )


def checkpoints_prefix(study: str) -> str:
    """Return the start of the keys of a study's checkpoints, without the ``/``."""
    return f"{study}/checkpoints"


def kept_prefix(study: str) -> str:
    """Return the start of the keys of a study's kept checkpoints, without the ``/``.

    No trial continues from a kept checkpoint.
    """
    return f"{study}/kept"


def models_prefix(study: str) -> str:
    """Return the start of the keys of a study's models, without the ``/``."""
    return f"{study}/models"


def pictures_prefix(study: str) -> str:
    """Return the start of the keys of a study's pictures, without the ``/``."""
    return f"{study}/pictures"


def trial_prefix(prefix: str, trial_key: str) -> str:
    """Return the start of the keys of one trial's checkpoints or pictures.

    Args:
        prefix: The result of ``checkpoints_prefix``, ``kept_prefix`` or ``pictures_prefix``.
        trial_key: The trial.
    """
    return f"{prefix}/{trial_key}/"


def checkpoint_key(prefix: str, trial_key: str, name: CheckpointName) -> str:
    """Return the key of a trial's checkpoint.

    Args:
        prefix: The result of ``checkpoints_prefix`` or ``kept_prefix``.
        trial_key: The trial.
        name: The checkpoint.
    """
    return f"{trial_prefix(prefix, trial_key)}{name}"


def checkpoints_of(prefix: str, keys: Iterable[str]) -> Iterator[tuple[str, CheckpointName]]:
    """Yield the trial key and name of every checkpoint among some keys.

    Other keys are left out, such as a note that someone put there.

    Args:
        prefix: The result of ``checkpoints_prefix`` or ``kept_prefix``.
        keys: Keys that start with the prefix.
    """
    for key in keys:
        trial_key, _, text = key.removeprefix(f"{prefix}/").partition("/")
        name = CheckpointName.parse(text)
        if name is not None:
            yield trial_key, name


def kept_names(prefix: str, keys: Iterable[str]) -> list[CheckpointName]:
    """Return the kept checkpoints of one trial that count, in order of epoch.

    A later attempt trains the epochs after its own checkpoint again. If several attempts kept a
    checkpoint of an epoch, the latest attempt's checkpoint counts.

    Args:
        prefix: The result of ``kept_prefix``.
        keys: Keys below the trial's folder.
    """
    names = sorted(name for _, name in checkpoints_of(prefix, keys))
    return [*{name.num_epochs: name for name in names}.values()]


def model_key(prefix: str, trial_key: str) -> str:
    """Return the key of a trial's model.

    Args:
        prefix: The result of ``models_prefix``.
        trial_key: The trial.
    """
    return f"{prefix}/{trial_key}.safetensors"


def picture_key(prefix: str, trial_key: str, image: int) -> str:
    """Return the key of a trial's picture of one image.

    Args:
        prefix: The result of ``pictures_prefix``.
        trial_key: The trial.
        image: The image's place in the test part, counted from 0.
    """
    return f"{trial_prefix(prefix, trial_key)}{image}.png"


def pictured(prefix: str, trial_key: str, keys: Iterable[str]) -> list[int]:
    """Return the images of a trial that have a picture among some keys, ascending.

    Args:
        prefix: The result of ``pictures_prefix``.
        trial_key: The trial.
        keys: Keys that start with ``trial_prefix``. Keys of other objects are left out.
    """
    folder = trial_prefix(prefix, trial_key)
    matches = (_PICTURE.fullmatch(key.removeprefix(folder)) for key in keys)
    return sorted(int(match[1]) for match in matches if match)
