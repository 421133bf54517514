"""The files of imported images: Arrow, one a part, mapped into memory and never copied.

A file is one record batch with the columns ``name`` (text), ``label`` (int64) and ``pixels``. A
value of ``pixels`` has ``channels x height x width`` bytes, channel by channel, row by row. The
schema's metadata hold the shape of an image. Every tool for Arrow IPC files can read the file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import mmap
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from agad.data.images import Images, SourceImages
from agad.data.manifest import StoredPart
from agad.errors import DataError

_SHAPE_KEY = b"agad_image_shape"
_CHUNK_BYTES = 2**20


def write_part(path: Path, source: SourceImages, num_classes: int) -> StoredPart:
    """Write images to a new file, whose bytes are the same for the same images.

    Args:
        path: Is created, or replaced.
        source: The images, their labels and their names.
        num_classes: Labels are below this.
    """
    # Imported here and below, so that a detector trains on batches without this package.
    import pyarrow as pa  # type: ignore[import-untyped]

    pixels = np.ascontiguousarray(source.images.pixels)
    shape = pixels.shape[1:]
    column = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(int(np.prod(shape))), len(pixels), [None, pa.py_buffer(pixels)]
    )
    fields = [
        pa.field("name", pa.string(), nullable=False),
        pa.field("label", pa.int64(), nullable=False),
        pa.field("pixels", column.type, nullable=False),
    ]
    schema = pa.schema(fields, metadata={_SHAPE_KEY: json.dumps(shape)})
    columns = [pa.array(source.names, pa.string()), pa.array(source.images.labels), column]
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    counts = np.bincount(source.images.labels, minlength=num_classes)
    return StoredPart(
        sha256=sha256_of(path),
        num_bytes=path.stat().st_size,
        class_counts=tuple(counts.tolist()),
    )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_part(path: Path) -> Images:
    """Map a file's images into memory, shared with every process that maps it.

    The arrays can be written: this copies the written page and changes no file. A shared lock is
    held on the file as long as the arrays live (``is_in_use``).

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The file is damaged.
    """
    import pyarrow as pa

    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        # The map holds a copy of the descriptor, and with it the lock, until the arrays are gone.
        mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)
    except ValueError as error:
        raise DataError(f"{path} is empty; remove it, and it is fetched again.") from error
    finally:
        os.close(descriptor)
    try:
        whole = pa.py_buffer(mapped)
        batch = pa.ipc.open_file(pa.BufferReader(whole)).get_batch(0)
        shape = json.loads(batch.schema.metadata[_SHAPE_KEY])
        # Arrow's own arrays cannot be written, and torch warns of this: look at the map instead.
        starts = {
            name: batch.column(name).buffers()[1].address - whole.address
            for name in ("pixels", "label")
        }
        size = batch.num_rows * int(np.prod(shape))
        pixels = np.frombuffer(mapped, np.uint8, size, starts["pixels"])
        labels = np.frombuffer(mapped, np.int64, batch.num_rows, starts["label"])
        return Images(pixels.reshape(-1, *shape), labels)
    except (pa.ArrowException, KeyError, TypeError, ValueError, IndexError, OSError) as error:
        raise DataError(
            f"{path} is no file of imported images ({error}); remove it, and it is fetched again."
        ) from error


def read_names(file: BinaryIO, where: str) -> tuple[list[str], NDArray[np.int64]]:
    """Return the name and the label of each image in a file, of which no pixels are read.

    Args:
        file: The file, open for reading.
        where: Where the file is, for the error.

    Raises:
        DataError: The file is damaged.
    """
    import pyarrow as pa

    try:
        options = pa.ipc.IpcReadOptions(included_fields=[0, 1])
        table = pa.ipc.open_file(file, options=options).read_all()
        return table["name"].to_pylist(), table["label"].to_numpy()
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        raise DataError(
            f"{where} is no file of imported images ({error}); restore it from a copy, or import "
            "the data set again."
        ) from error


def is_in_use(path: Path) -> bool:
    """Whether a process has the file's images mapped."""
    try:
        # NFS gives an exclusive lock only on a file that is open for writing.
        descriptor = os.open(path, os.O_RDWR)
    except PermissionError:
        return True  # Another user's file: only that user may remove it.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # It is locked, or the file system has no locks.
        return True
    finally:
        os.close(descriptor)
    return False
