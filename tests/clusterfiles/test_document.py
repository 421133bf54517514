"""Reading YAML with its lines, and nothing that executes or grows without bound."""

from __future__ import annotations

from pathlib import Path

import pytest

from agad.clusterfiles.document import read_documents, spelled
from agad.errors import ConfigError


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_key_and_item_has_its_line(tmp_path: Path) -> None:
    text = "# a comment\na:\n  - b: 1\n    c:\n      {d: 2,\n       e: 3}\n---\nf: [x,\n  y]\n"
    first, second = read_documents(written(tmp_path, text))
    assert first.data == {"a": [{"b": 1, "c": {"d": 2, "e": 3}}]}
    lines = {spelled(place): line for place, line in first.lines.items()}
    assert lines == {
        "the document": 2,
        "a": 2,
        "a[0]": 3,
        "a[0].b": 3,
        "a[0].c": 4,
        "a[0].c.d": 5,
        "a[0].c.e": 6,
    }
    assert second.line(("f", 1)) == 9
    assert second.line(("f", "nowhere", 3)) == 8


def test_an_anchor_and_a_merge_are_read_where_they_stand(tmp_path: Path) -> None:
    text = "a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\ne: *x\n"
    (document,) = read_documents(written(tmp_path, text))
    assert document.data == {
        "a": {"b": 1, "c": 2},
        "d": {"b": 1, "c": 3},
        "e": {"b": 1, "c": 2},
    }
    assert document.line(("d", "c")) == 4
    assert document.faults == []


BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join(10 * [f'*a{n - 1}'])}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: [", r"a\.yaml:2: no YAML: "),
        ("a: !!python/object/apply:os.system [x]\n", r"a\.yaml:1: no plain YAML: it has the tag"),
        ("a: !!python/name:os.system\n", "could not determine a constructor"),
        ("a: &a [*a]\n", "in each other"),
        (BOMB, r"^\S*a\.yaml holds more than 200,000 values.*[^.]\.$"),
        ("[" * 150 + "]" * 150, "in each other"),
        ("? [a]\n: b\n", "a key is a list or a mapping"),
        ("# nothing\n", "is empty"),
        (b"\xff\xfe\x00", "no UTF-8 text"),
        ("a: \x00", "is no YAML"),
        ("a: 2026-13-45\n", "is no YAML"),
        (b"#" * 5_000_001, "above 5,000,000 bytes"),
    ],
    ids=[
        "syntax",
        "python call",
        "python name",
        "recursive",
        "bomb",
        "deep",
        "key",
        "empty",
        "bytes",
        "control",
        "date",
        "large",
    ],
)
def test_what_is_no_plain_yaml_is_refused(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_documents(written(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_documents(tmp_path / "none.yaml")
