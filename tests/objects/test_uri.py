"""Which texts name a store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agad.errors import ConfigError
from agad.objects import open_objects


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/data/store", "/data/store"),
        ("file:///data/store", "/data/store"),
        ("file://localhost/data/a%20b", "/data/a b"),
        ("~/store", "{home}/store"),
        ("store", "{here}/store"),
        ("./a:b", "{here}/a:b"),
    ],
)
def test_open_objects_makes_a_folder_absolute(
    uri: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    expected = path.format(home=tmp_path / "home", here=tmp_path)
    assert open_objects(uri).uri == expected


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "ftp://x",
        "gs:/bucket/prefix",
        "GS://bucket",
        "s3:/bucket/prefix",
        "s3://",
        "s3:///prefix",
        "S3://bucket",
        "file://",
        "file://host/folder",
        "file:folder",
        "a\0b",
        "file:///a%00b",
    ],
)
def test_open_objects_lists_what_is_allowed_for_anything_else(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"store is .*, but must be a folder, file:///folder, s3"):
        open_objects(uri)


@pytest.mark.parametrize(
    ("uri", "fault"),
    [
        ("s3://bucket/a b", "its prefix 'a b' holds a blank, and may hold letters"),
        ("s3://bucket/run:1", "its prefix 'run:1' holds ':', and may hold letters"),
        ("gs://bucket/größe", "its prefix 'größe' holds 'ö', and may hold letters"),
        ("s3://bucket/a\n", r"its prefix 'a\\n' holds a line break, and may hold letters"),
        ("s3://bucket/a\u202eb", r"holds the character U\+202E, and may hold letters"),
        ("s3://bucket/../other", "its prefix '../other' has a part that starts with '.'"),
        ("gs://bucket/../other", "its prefix '../other' has a part that starts with '.'"),
        ("s3://bucket/-a", "its prefix '-a' has a part that starts with '-'"),
        ("s3://bucket//prefix", "has nothing between two '/'"),
        (f"s3://bucket/{'a' * 201}", "has a part of 201 characters, and may have 200"),
        ("s3://bucket?endpoint=x", r"its bucket 'bucket\?endpoint=x' holds '\?', and may hold"),
        ("s3://my bucket/x", "its bucket 'my bucket' holds a blank, and may hold letters"),
        ("gs://ab", "its bucket 'ab' has 2 characters, and must have 3 to 63"),
        (f"s3://{'a' * 64}", "has 64 characters, and must have 3 to 63"),
        ("s3://-bucket/x", "its bucket '-bucket' must start and end with a letter or digit"),
    ],
)
def test_a_refused_bucket_or_prefix_names_its_character(uri: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=f"^store is .*, but .*{fault}"):
        open_objects(uri)


def test_open_objects_names_the_uri_that_it_refuses() -> None:
    with pytest.raises(ConfigError, match=r"store is 'ftp://x', but must be"):
        open_objects("ftp://x")


def test_open_objects_refuses_an_unknown_home() -> None:
    with pytest.raises(ConfigError, match="'~no-such-user/store', but must be in a home"):
        open_objects("~no-such-user/store")


@pytest.mark.parametrize(("scheme", "usual"), [("s3", "AWS"), ("gs", "Google")])
@pytest.mark.parametrize("secret", ["hunter2", "hun/ter2", "hun@ter2"])
def test_open_objects_does_not_repeat_a_secret(scheme: str, usual: str, secret: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"credentials come from the {usual} environment"
    ) as caught:
        open_objects(f"{scheme}://KEY:{secret}@bucket/prefix")
    assert "ter2" not in str(caught.value)


def test_a_folder_imports_no_library_of_a_remote_store() -> None:
    program = (
        "import sys, agad.objects as o; o.open_objects('x'); "
        "print(any(name in sys.modules for name in ('boto3', 'google.cloud.storage')))"
    )
    folders = [path for path in sys.path if path]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {folders}; {program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
