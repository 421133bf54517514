"""YAML with the line of every key and item, read without executing anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml

from agad.clusterfiles.fault import Fault
from agad.errors import ConfigError

Place: TypeAlias = tuple[object, ...]
"""Keys and indices from a document's top to a value: ``("spec", "workerGroupSpecs", 0)``."""

_MAX_BYTES = 5_000_000
_MAX_VALUES = 200_000
_MAX_DEPTH = 100
_MERGE_TAG = "tag:yaml.org,2002:merge"
_TEXT_TAG = "tag:yaml.org,2002:str"
_PLAIN_TAGS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


@dataclass(slots=True)
class Document:
    """A YAML document: plain data, and the line of each part."""

    file: str
    data: object
    lines: dict[Place, int]
    """Line of each key and of each item of a list, counted from 1."""

    faults: list[Fault] = field(default_factory=list)
    """Faults of keys that a mapping has twice, or that are no text."""

    def line(self, place: Place) -> int:
        """Return the line of a place, or of its nearest parent that has a line."""
        while place not in self.lines:
            place = place[:-1]
        return self.lines[place]

    def get(self, place: Place) -> object:
        """Return the value at a place, or None."""
        value = self.data
        for step in place:
            if isinstance(value, Mapping):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value

    def mapping(self, place: Place) -> dict[str, object]:
        """Return the mapping at a place, or an empty mapping."""
        value = self.get(place)
        return value if isinstance(value, dict) else {}

    def items(self, place: Place) -> list[object]:
        """Return the list at a place, or an empty list."""
        value = self.get(place)
        return value if isinstance(value, list) else []

    def fault(self, place: Place, text: str, *, is_warning: bool = False) -> Fault:
        return Fault(file=self.file, line=self.line(place), text=text, is_warning=is_warning)

    def scalars(self) -> Iterator[tuple[Place, object]]:
        """Yield the place and the value of everything that is neither a mapping nor a list."""
        for place in self.lines:
            value = self.get(place)
            if not isinstance(value, dict | list):
                yield place, value


def spelled(place: Place) -> str:
    """Return a place as a person writes it: ``spec.workerGroupSpecs[0].template``."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text or "the document"


def read_text(path: Path) -> str:
    """Return a file's text.

    Raises:
        ConfigError: The file cannot be read, is no text, or is above 5 MB.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"{path} is above {_MAX_BYTES:,} bytes; give a cluster's YAML.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no UTF-8 text; give a cluster's YAML.") from error


def read_documents(path: Path) -> list[Document]:
    """Return the documents of a YAML file that are not empty.

    Raises:
        ConfigError: The file cannot be read, or is no YAML.
    """
    text = read_text(path)
    documents = []
    try:
        loader = yaml.SafeLoader(text)
        while loader.check_node():
            node = loader.get_node()
            reader = _Reader(str(path), loader)
            data = reader.value(node, ()) if node is not None else None
            if data is not None:
                documents.append(Document(str(path), data, reader.lines, reader.faults))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError(
            f"{path}:{mark.line + 1 if mark else 1}: no YAML: {error.problem}."
        ) from error
    except ConfigError:
        raise
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no such date.
        raise ConfigError(f"{path} is no YAML: {' '.join(str(error).split())}.") from error
    if not documents:
        raise ConfigError(f"{path} is empty; give a cluster's YAML.")
    return documents


class _Reader:
    """Builds the data of one document from its nodes, and notes their lines."""

    def __init__(self, file: str, loader: yaml.SafeLoader) -> None:
        self._file = file
        self._loader = loader
        self.lines: dict[Place, int] = {}
        self.faults: list[Fault] = []

    def value(self, node: yaml.Node, place: Place, line: int | None = None) -> object:
        self.lines[place] = line or node.start_mark.line + 1
        # An alias is read again at each use, so a small file can hold a huge value.
        if len(self.lines) > _MAX_VALUES or len(place) > _MAX_DEPTH:
            raise ConfigError(
                f"{self._file} holds more than {_MAX_VALUES:,} values, or more than {_MAX_DEPTH} "
                "in each other; give a cluster's YAML."
            )
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _PLAIN_TAGS:
            raise ConfigError(
                f"{self._file}:{self.lines[place]}: no plain YAML: it has the tag {node.tag}."
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        scalar: object = self._loader.construct_object(node)
        return scalar

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, object]:
        self._note_keys(node)
        self._loader.flatten_mapping(node)  # Puts the keys of "<<" before a node's own keys.
        read: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            read[key] = self.value(value_node, (*place, key), key_node.start_mark.line + 1)
        return read

    def _note_keys(self, node: yaml.MappingNode) -> None:
        """Note keys that occur twice, and keys that YAML does not read as text."""
        seen: dict[str, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == _MERGE_TAG:
                continue
            line = key_node.start_mark.line + 1
            key = self._key(key_node)
            if key_node.tag != _TEXT_TAG:
                text = f"The key {key} is no text to YAML; write it in quotes."
                self.faults.append(Fault(file=self._file, line=line, text=text))
            if key in seen:
                text = f"{key} stands in line {seen[key]} too, and YAML keeps the last; keep one."
                self.faults.append(Fault(file=self._file, line=line, text=text))
            seen[key] = line

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            line = node.start_mark.line + 1
            raise ConfigError(f"{self._file}:{line}: a key is a list or a mapping; use a word.")
        return str(node.value)
