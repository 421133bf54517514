"""Check a systemd unit that runs Ray on a workstation, by the rules for `ray start`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agad.clusterfiles.document import Document, Place, read_text
from agad.clusterfiles.fault import Fault
from agad.clusterfiles.start import dashboard_texts, has_token


def read_unit(path: Path) -> Document:
    """Return a unit's settings: a list of values by ``(section, key)``, with their lines.

    Raises:
        ConfigError: The file cannot be read.
    """
    data: dict[str, dict[str, list[str]]] = {}
    lines: dict[Place, int] = {(): 1}
    section = ""
    for number, line in _settings(read_text(path)):
        if line.startswith("["):
            section = line.strip("[]")
            lines[(section,)] = number
        else:
            key, _, value = line.partition("=")
            values = data.setdefault(section, {}).setdefault(key.strip(), [])
            lines.setdefault((section, key.strip()), number)
            lines[(section, key.strip(), len(values))] = number
            values.append(value.strip())
    return Document(str(path), data, lines)


def _settings(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line that is no comment, and its number; a final backslash joins the next line."""
    begun: list[str] = []
    first = 0
    for number, raw in enumerate([*text.splitlines(), ""], start=1):
        line = raw.strip()
        if line.startswith(("#", ";")):
            continue
        first = first if begun else number
        begun.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            if setting := " ".join(begun).strip():
                yield first, setting
            begun.clear()


def unit_faults(document: Document) -> list[Fault]:
    """Return the settings of a unit that let strangers into Ray."""
    environment = [str(value) for value in document.items(("Service", "Environment"))]
    faults = []
    for index, value in enumerate(document.items(("Service", "ExecStart"))):
        place: Place = ("Service", "ExecStart", index)
        if "ray start" in str(value):
            faults += [document.fault(place, text) for text in dashboard_texts(str(value))]
            if not has_token([*environment, str(value)]):
                text = "ray start runs without a token; set Environment=RAY_AUTH_MODE=token."
                faults.append(document.fault(place, text))
    if not document.items(("Service", "ExecStart")):
        faults.append(document.fault(("Service",), "[Service] has no ExecStart; add ray start."))
    return faults
