"""Encoders by name: the built-in ones, and those of a package that a user installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agad.encoders import architecture, encoder_names
from agad.errors import ConfigError

ROOT = Path(__file__).parents[2]

LITES = ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]

_MODULE = """
from torch import nn
from agad.encoders import Architecture

class Mean(nn.Module):
    layers = ("pixels",)

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(__import__("torch").ones(3))

    def forward(self, images, outputs):
        found = {"pixels": images * self.weight.reshape(1, 3, 1, 1)}
        found["global"] = found["pixels"].mean(dim=(2, 3))
        return {name: found[name] for name in outputs}

MEAN = Architecture(name="mean-colour", network="my_encoders:Mean", native_px=8, smallest_px=1)
WRONG = Architecture(name="another", network="my_encoders:Mean", native_px=8, smallest_px=1)
"""

_USE = """
import sys
import torch
from safetensors.torch import save_file
from agad.encoders import encoder_names
from agad.encoders.networks import find_encoder, open_encoder

print(encoder_names()[-1])
save_file({"weight": torch.tensor([1.0, 2.0, 3.0])}, sys.argv[1])
found = find_encoder(sys.argv[1])
encoder = open_encoder(found, weights=__import__("pathlib").Path(sys.argv[1]))
print(found.architecture, encoder.features(torch.ones(2, 3, 4, 4)).tolist())
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return a folder with an installed package of encoders, as pip would leave it."""
    folder = tmp_path / "site"
    facts = folder / "my_encoders-1.0.dist-info"
    facts.mkdir(parents=True)
    (folder / "my_encoders.py").write_text(_MODULE)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my-encoders\nVersion: 1.0\n")
    entries = "mean-colour = my_encoders:MEAN\nwrong-name = my_encoders:WRONG\n"
    broken = "no-module = not_there:MEAN\nefficientnet-lite0 = my_encoders:MEAN\n"
    (facts / "entry_points.txt").write_text(f"[agad.encoders]\n{entries}{broken}")
    return folder


def _run(installed: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_built_in_encoders_are_registered() -> None:
    assert set(LITES) <= set(encoder_names())
    assert [architecture(name).native_px for name in LITES] == [224, 240, 260]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"is 'resnet', but must be one of: .*efficientnet-lite2"):
        architecture("resnet")


def test_the_encoder_of_an_installed_package_is_used_by_the_name_of_its_tensors(
    installed: Path, tmp_path: Path
) -> None:
    # A file whose tensors fit it alone needs no word about its architecture; the broken entry
    # points of the package are in the way, so they are taken out.
    entries = installed / "my_encoders-1.0.dist-info/entry_points.txt"
    entries.write_text("[agad.encoders]\nmean-colour = my_encoders:MEAN\n")
    done = _run(installed, _USE, str(tmp_path / "mine.safetensors"))
    assert done.returncode == 0, done.stderr
    levels = [(255 - 127) / 128 * weight for weight in (1.0, 2.0, 3.0)]
    assert done.stdout.splitlines() == ["mean-colour", f"mean-colour {[levels, levels]}"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("wrong-name", "it must be an Architecture of the name 'wrong-name'"),
        ("no-module", "No mod"),
    ],
)
def test_an_entry_point_that_names_no_architecture_is_refused(
    installed: Path, name: str, reason: str
) -> None:
    done = _run(installed, f"from agad.encoders import architecture; architecture({name!r})")
    last = done.stderr.splitlines()[-1]
    assert (f"the encoder {name!r} of" in last, reason in last) == (True, True), done.stderr


def test_nobody_takes_the_name_of_a_built_in_encoder(installed: Path) -> None:
    code = "from agad.encoders import architecture; print(architecture('efficientnet-lite0'))"
    assert "native_px=224" in _run(installed, code).stdout


_BARE = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"pyarrow", "boto3", "botocore", "ray", "optuna", "torchvision"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
import agad.encoders.networks
assert "torch" in sys.modules
"""


def test_encoders_are_imported_without_arrow_or_a_store() -> None:
    subprocess.run([sys.executable, "-c", _BARE], check=True, cwd=ROOT)
