"""Data sets that are known by name: their format, their classes and their official files.

Sources of the classes, addresses and MD5 sums: the data sets' own pages
(github.com/zalandoresearch/fashion-mnist, cs.toronto.edu/~kriz/cifar.html), the mirror of MNIST and
the sums that torchvision lists, and MedMNIST 2.1 (zenodo.org/record/6496656).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from agad.data.fetch import OfficialFile

Format: TypeAlias = Literal[
    "digits", "idx", "cifar10", "cifar100-coarse", "cifar100-fine", "medmnist", "folder"
]
FORMATS: tuple[Format, ...] = (
    "digits",
    "idx",
    "cifar10",
    "cifar100-coarse",
    "cifar100-fine",
    "medmnist",
    "folder",
)

_MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FASHION_URL = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"
_CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"
_MEDMNIST_URL = "https://zenodo.org/record/6496656/files/"
_IDX_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDataset:
    """A data set of the field."""

    name: str
    format: Format
    class_names: tuple[str, ...] | None = None
    """Names in order of the label; None if the reader knows them."""

    image_px: int = 32
    """Height and width of the import; images of another size are resized bilinearly."""

    num_val_anomalies: int = 100
    """Labelled validation anomalies if the study names no number."""

    files: tuple[OfficialFile, ...] = ()
    """Official files; empty if the data set comes with scikit-learn."""


def _idx(url: str, *md5s: str) -> tuple[OfficialFile, ...]:
    return tuple(
        OfficialFile(name=name, url=url + name, md5=md5)
        for name, md5 in zip(_IDX_FILES, md5s, strict=True)
    )


def _cifar(number: int, md5: str) -> tuple[OfficialFile, ...]:
    name = f"cifar-{number}-binary.tar.gz"
    return (OfficialFile(name=name, url=_CIFAR_URL + name, md5=md5),)


def _medmnist(name: str, md5: str, *class_names: str) -> KnownDataset:
    file = f"{name}.npz"
    official = OfficialFile(name=file, url=f"{_MEDMNIST_URL}{file}?download=1", md5=md5)
    return KnownDataset(name=name, format="medmnist", class_names=class_names, files=(official,))


_ORGANS = (
    "bladder",
    "femur-left",
    "femur-right",
    "heart",
    "kidney-left",
    "kidney-right",
    "liver",
    "lung-left",
    "lung-right",
    "pancreas",
    "spleen",
)
_ALL = (
    KnownDataset(name="digits", format="digits", image_px=16, num_val_anomalies=30),
    KnownDataset(
        name="mnist",
        format="idx",
        class_names=tuple("0123456789"),
        files=_idx(
            _MNIST_URL,
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    KnownDataset(
        name="fashion-mnist",
        format="idx",
        class_names=(
            "t-shirt",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle-boot",
        ),
        files=_idx(
            _FASHION_URL,
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    KnownDataset(
        name="cifar10", format="cifar10", files=_cifar(10, "c32a1d4ab5d03f1284b67883e8d87530")
    ),
    # The AGAD paper's CIFAR-100 has the 20 coarse classes.
    KnownDataset(
        name="cifar100",
        format="cifar100-coarse",
        files=_cifar(100, "03b5dce01913d631647c71ecec9e9cb8"),
    ),
    KnownDataset(
        name="cifar100-fine",
        format="cifar100-fine",
        files=_cifar(100, "03b5dce01913d631647c71ecec9e9cb8"),
    ),
    _medmnist(
        "pathmnist",
        "a8b06965200029087d5bd730944a56c1",
        "adipose",
        "background",
        "debris",
        "lymphocytes",
        "mucus",
        "smooth muscle",
        "normal colon mucosa",
        "cancer-associated stroma",
        "colorectal adenocarcinoma epithelium",
    ),
    _medmnist(
        "dermamnist",
        "0744692d530f8e62ec473284d019b0c7",
        "actinic keratoses and intraepithelial carcinoma",
        "basal cell carcinoma",
        "benign keratosis-like lesions",
        "dermatofibroma",
        "melanoma",
        "melanocytic nevi",
        "vascular lesions",
    ),
    _medmnist(
        "octmnist",
        "c68d92d5b585d8d81f7112f81e2d0842",
        "choroidal neovascularization",
        "diabetic macular edema",
        "drusen",
        "normal",
    ),
    _medmnist("pneumoniamnist", "28209eda62fecd6e6a2d98b1501bb15f", "normal", "pneumonia"),
    _medmnist("retinamnist", "bd4c0672f1bba3e3a89f0e4e876791e4", "0", "1", "2", "3", "4"),
    _medmnist("breastmnist", "750601b1f35ba3300ea97c75c52ff8f6", "malignant", "normal or benign"),
    _medmnist(
        "bloodmnist",
        "7053d0359d879ad8a5505303e11de1dc",
        "basophil",
        "eosinophil",
        "erythroblast",
        "immature granulocytes",
        "lymphocyte",
        "monocyte",
        "neutrophil",
        "platelet",
    ),
    _medmnist(
        "tissuemnist",
        "ebe78ee8b05294063de985d821c1c34b",
        "collecting duct or connecting tubule",
        "distal convoluted tubule",
        "glomerular endothelial cells",
        "interstitial endothelial cells",
        "leukocytes",
        "podocytes",
        "proximal tubule segments",
        "thick ascending limb",
    ),
    _medmnist("organamnist", "866b832ed4eeba67bfb9edee1d5544e6", *_ORGANS),
    _medmnist("organcmnist", "0afa5834fb105f7705a7d93372119a21", *_ORGANS),
    _medmnist("organsmnist", "e5c39f1af030238290b9557d9503af9d", *_ORGANS),
)
KNOWN = {known.name: known for known in _ALL}
"""The known data sets by name."""
