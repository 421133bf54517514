"""Readers: one module a format, each from files to a ``Source``."""

from agad.data.readers.cifar import read_cifar10, read_cifar100
from agad.data.readers.digits import read_digits
from agad.data.readers.folder import find_pictures, read_folder
from agad.data.readers.idx import read_idx
from agad.data.readers.medmnist import read_medmnist
from agad.data.readers.pictures import PictureBatch, read_in_batches
